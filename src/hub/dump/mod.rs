//! A dump: what was seen of the greenlets of one thread, to be read by people and programs.

mod across;
#[allow(unsafe_code)]
mod asked;
mod knows;
mod text;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::os::fd::RawFd;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::Hub;
use super::calls::Calls;
use super::circle::{Graph, Stuck};
use super::roll::{self, Face, Silence};
use super::seen::{Sheet, Sight, State, Wish, each_thing};
use crate::switch::control::{Control, write_named};
use crate::switch::greenlet::GreenletId;
use crate::switch::subject::Thing;
use crate::sys::clock::Moment;

pub(crate) use asked::{dump_of, who_runs};

/// What was seen of the greenlets of one thread, at one moment.
///
/// Its text is for people: one paragraph for each greenlet, main first, then the newest first. A stack that several
/// have in common is printed once.
#[derive(Clone, Debug)]
pub struct Dump {
    thread: Option<Box<str>>,
    number: i32,
    rests: bool,
    /// For how long the hub has not looked at its clock.
    quiet: Duration,
    enrolled: usize,
    awaited: usize,
    missed: usize,
    silence: Option<Silence>,
    greenlets: Vec<Seen>,
}

/// One greenlet in a [`Dump`].
#[derive(Clone, Debug)]
pub struct Seen {
    sight: Sight,
    name: Option<Box<str>>,
    /// For each thing that it waits for, those who have it, and 0.
    holders: Box<[u64]>,
    descriptors: Box<[RawFd]>,
    things: Box<[Thing]>,
    waiting: Option<Duration>,
    deadline: Option<Duration>,
    frames: Box<[usize]>,
    known_to: Option<Arc<[GreenletId]>>,
}

/// What a greenlet waits for, if a program has made it: a mutex, a channel, a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitObject {
    /// Where it lies in memory; those who wait for the same thing have the same.
    pub address: usize,
    /// Where it was made.
    pub made: &'static Location<'static>,
}

/// How much of a stack is used, in bytes. All are 0 for the main greenlet, whose stack is the system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackUse {
    /// The whole stack.
    pub size: usize,
    /// What the greenlet stood on when it was seen; 0 if that is not known.
    pub used: usize,
    /// What was ever touched, in whole pages: by this greenlet, or by one that had this stack before it.
    pub deepest: usize,
}

impl Seen {
    fn of(sheet: &Sheet, sight: &Sight, deadlines: &HashMap<usize, Moment>) -> Seen {
        let waits = sight.state == State::Parked;
        let deadline = deadlines.get(&sight.address());
        Seen {
            sight: *sight,
            name: sheet.name(sight),
            holders: of_waiting(waits, sheet.holders(sight)),
            descriptors: of_waiting(waits, sheet.descriptors(sight)),
            things: of_waiting(waits, sheet.things(sight)),
            waiting: waits.then(|| sight.since.until(sheet.at)),
            deadline: deadline.map(|at| sheet.at.until(*at)),
            frames: sheet.frames(sight).into(),
            known_to: None,
        }
    }

    /// Its number.
    pub fn id(&self) -> GreenletId {
        GreenletId::of(self.sight.id)
    }

    /// The name its builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it is the main greenlet of its thread.
    pub fn is_main(&self) -> bool {
        self.sight.is_main
    }

    /// What it was doing.
    pub fn state(&self) -> State {
        self.sight.state
    }

    fn is_parked(&self) -> bool {
        self.sight.state == State::Parked
    }

    /// What it waits for, in words, if it is parked.
    pub fn waits(&self) -> Option<&'static str> {
        self.is_parked().then_some(self.sight.purpose)
    }

    /// Which things it waits for, if it is parked, of those that say so. It is one at most, but for a select, of which up to
    /// 16 are told, or fewer if many such wait.
    pub fn objects(&self) -> impl Iterator<Item = WaitObject> {
        self.things.iter().map(|thing| WaitObject {
            address: thing.begin,
            made: thing.made,
        })
    }

    /// The descriptors that it waits for, if it is parked; as many as of [`objects`](Self::objects).
    pub fn descriptors(&self) -> &[RawFd] {
        &self.descriptors
    }

    /// For each thing that it waits for, if it is parked, those who have it: who has the mutex, who is joined, the members
    /// of the group. It goes on when one of the things is free, and that is when all of its holders have let go of it. One
    /// without holders is open to anybody: a channel, an event, a descriptor. Of a very large group there may be some only.
    pub fn holders(&self) -> impl Iterator<Item = Vec<GreenletId>> {
        let things = each_thing(&self.holders);
        things.map(|holders| holders.iter().copied().map(GreenletId::of).collect())
    }

    /// The greenlet that alone can end its wait, whatever it waits for.
    pub fn holder(&self) -> Option<GreenletId> {
        let mut things = each_thing(&self.holders);
        let &[holder] = things.next()? else {
            return None;
        };
        things
            .all(|other| *other == [holder])
            .then(|| GreenletId::of(holder))
    }

    /// On whose stacks the address of one of those things was found, of those who do not wait for it themselves, in the order of
    /// a dump, at most 16: one of them may send, release or set it. Those who know it by way of the heap alone are not
    /// found. None if nobody has looked: dumps of other threads and those without frames do not, nor do systems other
    /// than Linux.
    pub fn known_to(&self) -> Option<&[GreenletId]> {
        self.known_to.as_deref()
    }

    /// For how long it has waited, to about a millisecond.
    pub fn waiting(&self) -> Option<Duration> {
        self.waiting
    }

    /// How long until the first of its deadlines.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// How often it has let others run.
    pub fn turns(&self) -> u64 {
        self.sight.turns
    }

    /// Where it was spawned.
    pub fn site(&self) -> &'static Location<'static> {
        self.sight.site
    }

    /// Who spawned it; nobody for the main greenlet.
    pub fn spawner(&self) -> Option<GreenletId> {
        GreenletId::unless_zero(self.sight.spawner)
    }

    /// How much of its stack is used.
    pub fn stack(&self) -> StackUse {
        let [size, used, deepest] = self.sight.stack;
        StackUse {
            size,
            used,
            deepest,
        }
    }

    /// The addresses at which the calls on its stack go on, the innermost first. Empty if it has not begun, if the
    /// dump has no frames, and in builds that cannot walk a stack that does not run.
    pub fn frames(&self) -> &[usize] {
        &self.frames
    }

    /// The calls on its stack.
    pub fn calls(&self) -> Calls {
        Calls::of(&self.frames)
    }

    /// What it does, in words.
    fn does(&self) -> &'static str {
        match self.sight.state {
            State::Pending => "has not begun",
            State::Running => "runs",
            State::Ready => "waits for its turn",
            State::Parked => self.sight.purpose,
            State::Suspended => "waits for somebody to switch to it",
        }
    }
}

/// How it is named in messages.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_named(f, self.sight.id, self.name(), self.is_main())
    }
}

fn of_waiting<T: Clone>(waits: bool, some: &[T]) -> Box<[T]> {
    match waits {
        true => some.into(),
        false => Box::default(),
    }
}

/// The circles among greenlets of one thread or of several.
fn circles_among(all: &[&Seen]) -> Vec<Vec<usize>> {
    let mut graph = Graph::default();
    for seen in all {
        let at = graph.add(seen.sight.id);
        each_thing(&seen.holders).for_each(|holders| graph.awaits(holders.iter().copied()));
        // It ends its wait by itself.
        if seen.deadline.is_some() {
            graph.free(at);
        }
    }
    Stuck::among(&graph).circles()
}

impl Dump {
    fn of(face: &Face, sheet: Option<&Sheet>, silence: Option<Silence>) -> Dump {
        let seen = |sheet: &Sheet| {
            let deadlines = sheet.deadlines();
            let seen = |sight| Seen::of(sheet, sight, &deadlines);
            let mut all: Vec<_> = sheet.sights.iter().map(seen).collect();
            // Main first, then the newest first, whether they have a control block or not.
            all.sort_by_key(|seen| (!seen.sight.is_main, Reverse(seen.sight.id)));
            // One that was just getting its control block is seen with and without it.
            all.dedup_by_key(|seen| seen.sight.id);
            all
        };
        Dump {
            thread: face.name.clone(),
            number: face.number,
            rests: face.pulse.rests,
            quiet: face.pulse.looked.until(Moment::now()),
            enrolled: sheet.map_or(0, |sheet| sheet.enrolled),
            awaited: sheet.map_or(0, |sheet| sheet.awaited),
            missed: sheet.map_or(0, |sheet| sheet.missed),
            silence,
            greenlets: sheet.map_or_else(Vec::new, seen),
        }
    }

    /// Main first, then who is in a circle, then the newest first.
    pub(super) fn put_circles_first(&mut self) {
        let cycles = self.cycles();
        let inside = cycles.iter().flatten().map(|seen| seen.sight.id);
        let inside: HashSet<u64> = inside.collect();
        self.greenlets
            .sort_by_key(|seen| (!seen.is_main(), !inside.contains(&seen.sight.id)));
    }

    pub(super) fn leave_out(&mut self, id: u64) {
        self.greenlets.retain(|seen| seen.sight.id != id);
    }

    /// The name of the thread.
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// The number that the system has given to the thread.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// For how long the thread has neither waited for anything nor let another greenlet run, to about a millisecond;
    /// nothing if it waits.
    pub fn busy(&self) -> Duration {
        match self.rests {
            true => Duration::ZERO,
            false => self.quiet,
        }
    }

    /// How many greenlets were not seen: the thread was just making or ending some, or has not answered at all.
    pub fn missed(&self) -> usize {
        self.missed
    }

    /// The greenlets: main, and the others with the newest first.
    pub fn greenlets(&self) -> &[Seen] {
        &self.greenlets
    }

    /// One of them.
    pub fn find(&self, id: GreenletId) -> Option<&Seen> {
        self.greenlets.iter().find(|seen| seen.id() == id)
    }

    /// Those who wait for each other in a circle, and so for ever. A greenlet that has a deadline ends its wait by
    /// itself, and is part of none; nor is one that waits for something else as well, unless that is for ever, too.
    pub fn cycles(&self) -> Vec<Vec<&Seen>> {
        let all: Vec<&Seen> = self.greenlets.iter().collect();
        let named = |circle: Vec<usize>| circle.iter().map(|&at| all[at]).collect();
        circles_among(&all).into_iter().map(named).collect()
    }

    /// Who spawned whom, as a tree; those whose spawner has ended stand at the left.
    pub fn tree(&self) -> String {
        let mut children: HashMap<u64, Vec<&Seen>> = HashMap::new();
        let there: HashSet<u64> = self.greenlets.iter().map(|seen| seen.sight.id).collect();
        let mut oldest_first: Vec<&Seen> = self.greenlets.iter().collect();
        oldest_first.sort_by_key(|seen| seen.sight.id);
        for seen in oldest_first {
            let spawner = seen
                .spawner()
                .filter(|spawner| there.contains(&spawner.number()));
            children
                .entry(spawner.map_or(0, GreenletId::number))
                .or_default()
                .push(seen);
        }
        let mut text = String::new();
        let mut open: Vec<(usize, &Seen)> = vec![];
        let mut add = |open: &mut Vec<(usize, _)>, depth, whose| {
            let of = children.remove(&whose).unwrap_or_default();
            open.extend(of.into_iter().rev().map(|seen| (depth, seen)));
        };
        add(&mut open, 0, 0);
        while let Some((depth, seen)) = open.pop() {
            let _ = writeln!(text, "{:1$}{seen} {2}", "", 2 * depth, seen.does());
            add(&mut open, depth + 1, seen.sight.id);
        }
        text
    }

    pub(crate) fn silence(&self) -> Option<&'static str> {
        self.silence.map(|silence| match silence {
            Silence::Gone => "it has ended",
            Silence::Deaf => "its thread does not take the signal",
            Silence::Unknown => "this build cannot ask the thread",
        })
    }
}

impl Hub {
    /// A dump of this thread.
    #[inline(never)]
    pub(crate) fn dump(&self, wish: Wish) -> Dump {
        // What is handled from here on is not what the greenlet that runs knows by itself.
        let mark = 0_u8;
        let mut dump = self.dump_of_sheet(&self.look_at_all(wish));
        if wish.frames {
            let me = self.thread().current().id;
            knows::note(&mut dump.greenlets, me, (&raw const mark).addr());
        }
        dump
    }

    /// A dump of some greenlets of this thread.
    pub(super) fn dump_some(&self, some: &[&Control], wish: Wish) -> Dump {
        self.dump_of_sheet(&self.look_at(some, wish))
    }

    fn dump_of_sheet(&self, sheet: &Sheet) -> Dump {
        let number = roll::number_of_this_thread();
        let face = Face {
            number,
            name: std::thread::current().name().map(Box::from),
            pulse: self.pulse(),
        };
        Dump::of(&face, Some(sheet), None)
    }
}
