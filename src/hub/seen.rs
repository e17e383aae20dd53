//! What can be seen of the greenlets of a hub from outside, without running one of them.
//!
//! A [`Sheet`] is made with room for so many greenlets, and filled without allocating: also in a signal handler
//! that has interrupted the thread at any place. So what runs is told apart from what stands still by where the
//! stack pointer *is*, not by whom the thread calls current: in the middle of a switch these are two.
//!
//! ```text
//!   on the thread itself     fill(registers: None)        the current greenlet runs, its frames are those of here
//!   from a signal handler    fill(registers: interrupted) whose stack they stand on runs; others are at rest
//! ```
//!
//! A list that is being changed when the signal comes looks shorter: what is missing is counted.

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::panic::Location;
use std::sync::atomic::Ordering;

use super::Hub;
use super::pace::Pulse;
use crate::switch::control::{Control, Phase, Wait, alert};
use crate::switch::subject::{Awaited, Thing};
use crate::switch::thread::Thread;
use crate::sys::clock::Moment;
use crate::sys::context::CAN_WALK;
use crate::sys::frames::{self, Registers};
use crate::sys::stack::touched;

/// The most frames that are kept of one stack.
const DEEPEST: usize = 64;
/// So many bytes of name are kept of each greenlet, on average.
const NAME: usize = 32;
/// Most wait for one thing, that one greenlet has. For those who wait for several there is so much more room in all; of
/// one greenlet so many things are kept.
const SEVERAL: usize = 256;
const SEVERAL_OF_ONE: usize = 16;

/// What a greenlet was doing when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It has not begun.
    Pending,
    /// It runs.
    Running,
    /// It could run, and waits for its turn.
    Ready,
    /// It waits for something to happen.
    Parked,
    /// Somebody has to switch to it.
    Suspended,
}

impl State {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Running => "running",
            State::Ready => "ready",
            State::Parked => "parked",
            State::Suspended => "suspended",
        }
    }

    fn of(control: &Control, runs: bool) -> State {
        match (control.phase.get(), control.wait.get()) {
            // The one that looks for the next, on its own stack, is parked or ready as well.
            (_, Wait::Switch | Wait::Yield) if runs => State::Running,
            (_, Wait::Ready) => State::Ready,
            (_, Wait::Parked) => State::Parked,
            (Phase::Pending, _) => State::Pending,
            _ => State::Suspended,
        }
    }
}

/// One greenlet as it was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) id: u64,
    pub(crate) spawner: u64,
    pub(crate) is_main: bool,
    pub(crate) state: State,
    /// What it is parked for, in words.
    pub(crate) purpose: &'static str,
    pub(crate) since: Moment,
    pub(crate) turns: u64,
    pub(crate) site: &'static Location<'static>,
    pub(crate) may_unwind: bool,
    /// Something is to be raised in it later.
    pub(crate) is_due: bool,
    /// In bytes: its whole stack, what of it is in use, what of it was ever touched.
    pub(crate) stack: [usize; 3],
    /// Where its stack pointer was; 0 if that is not known.
    pub(crate) sp: usize,
    /// Where it lies: what alarms call it by.
    address: usize,
    name: (usize, usize),
    holders: (usize, usize),
    descriptors: (usize, usize),
    things: (usize, usize),
    frames: (usize, usize),
}

/// What is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) frames: bool,
    /// What was touched of each stack, which takes a system call.
    pub(crate) touched: bool,
}

/// What was seen of one hub.
pub(crate) struct Sheet {
    pub(crate) sights: Vec<Sight>,
    /// Greenlets that there are, and for which there was no room or which could not be reached.
    pub(crate) missed: usize,
    pub(crate) enrolled: usize,
    pub(crate) awaited: usize,
    pub(crate) at: Moment,
    pub(crate) looked: Moment,
    wish: Wish,
    names: Vec<u8>,
    /// For each thing that they wait for, those who have it, and 0.
    holders: Vec<u64>,
    /// Those that they wait for.
    descriptors: Vec<RawFd>,
    /// What they wait for, if it was made by the program.
    things: Vec<Thing>,
    frames: Vec<usize>,
    /// Who has a deadline, by address, and when.
    alarms: Vec<(usize, Moment)>,
}

/// Who runs, as far as the stacks tell.
#[derive(Clone, Copy)]
enum Runs<'a> {
    /// The code that fills the sheet is its own.
    Here(&'a Control),
    Interrupted(&'a Control, &'a Registers),
}

impl<'a> Runs<'a> {
    fn in_thread(thread: &'a Thread, interrupted: Option<&'a Registers>) -> Runs<'a> {
        let Some(registers) = interrupted else {
            return Runs::Here(thread.current());
        };
        let stands = |control: &&Control| control.stack_holds(registers.sp());
        let whose = thread.all().find(stands).unwrap_or(&thread.main);
        Runs::Interrupted(whose, registers)
    }

    fn is(&self, control: &Control) -> bool {
        match self {
            Runs::Here(whose) | Runs::Interrupted(whose, _) => control.is(whose),
        }
    }
}

impl Sheet {
    /// A sheet with room for so many greenlets, and so many deadlines.
    pub(crate) fn with_room(greenlets: usize, alarms: usize, wish: Wish) -> Sheet {
        let frames = if wish.frames { greenlets * DEEPEST } else { 0 };
        Sheet {
            sights: Vec::with_capacity(greenlets),
            missed: 0,
            enrolled: 0,
            awaited: 0,
            at: Moment::now(),
            looked: Moment::now(),
            wish,
            names: Vec::with_capacity(greenlets * NAME),
            holders: Vec::with_capacity(4 * greenlets + SEVERAL),
            descriptors: Vec::with_capacity(greenlets + SEVERAL),
            things: Vec::with_capacity(greenlets + SEVERAL),
            frames: Vec::with_capacity(frames),
            alarms: Vec::with_capacity(alarms),
        }
    }

    /// Looks at everything. Allocates nothing.
    pub(crate) fn fill(&mut self, hub: &Hub, interrupted: Option<&Registers>) {
        let thread = hub.thread();
        let all = [&thread.main].into_iter().chain(thread.all());
        self.fill_with(hub, interrupted, all);
        self.see_seeds(hub);
        self.missed = (thread.alive() + 1).saturating_sub(self.sights.len());
    }

    /// Looks at some, as many as there is room for.
    fn fill_with<'a>(
        &mut self,
        hub: &Hub,
        interrupted: Option<&Registers>,
        some: impl Iterator<Item = &'a Control>,
    ) {
        let runs = Runs::in_thread(hub.thread(), interrupted);
        for control in some {
            if self.sights.len() == self.sights.capacity() {
                break;
            }
            self.see(control, runs);
        }
        self.enrolled = hub.desk.enrolled();
        self.awaited = hub.io.awaited();
        self.looked = hub.pace.looked();
        self.see_alarms(hub);
    }

    /// Looks at who runs, and at nobody else. If there is nobody else, only when it is to be seen `alone`.
    pub(crate) fn fill_with_who_runs(&mut self, hub: &Hub, registers: &Registers, alone: bool) {
        if hub.thread().alive() == 0 && !alone {
            return;
        }
        let runs = Runs::in_thread(hub.thread(), Some(registers));
        if let Runs::Interrupted(control, _) = runs {
            self.see(control, runs);
        }
    }

    fn see(&mut self, control: &Control, runs: Runs<'_>) {
        let runs_itself = runs.is(control);
        // SAFETY: it does not run, so its context is at rest, or unbound.
        let rest = || unsafe { control.context.registers() }.filter(|_| !runs_itself);
        let registers = match runs {
            Runs::Interrupted(_, registers) if runs_itself => as_it_runs(control, registers),
            _ => rest().filter(|_| control.phase.get() == Phase::Started),
        };
        let here = runs_itself && matches!(runs, Runs::Here(_));
        let sp = match here {
            true => (&raw const registers).addr(),
            false => registers.map_or(0, |registers| registers.sp()),
        };
        let later = self.later();
        let sight = Sight {
            id: control.id,
            spawner: control.spawner(),
            is_main: control.is_main(),
            state: State::of(control, runs_itself),
            purpose: control.purpose.get(),
            since: Moment::from_nanos(control.since.get()),
            turns: control.turns.get().into(),
            site: control.site,
            may_unwind: control.may_unwind(),
            is_due: control.alert.get() & (alert::DEFERRED | alert::OVERDUE) != 0,
            stack: self.measure(control, sp),
            sp,
            address: std::ptr::from_ref(control).addr(),
            name: self.note_name(control),
            holders: self.note_holders(control),
            descriptors: {
                let some = control.awaited().filter_map(Awaited::descriptor);
                note_some(&mut self.descriptors, some, later)
            },
            things: {
                let some = control.awaited().filter_map(Awaited::thing);
                note_some(&mut self.things, some, later)
            },
            frames: self.note_frames(registers.as_ref(), here),
        };
        self.sights.push(sight);
    }

    /// Those that have not had a turn, and no control block either.
    fn see_seeds(&mut self, hub: &Hub) {
        let room = self.sights.capacity() - self.sights.len();
        for seed in hub.seeds().take(room) {
            self.sights.push(Sight {
                id: seed.id,
                spawner: seed.spawner(),
                is_main: false,
                state: State::Ready,
                purpose: "",
                since: self.at,
                turns: 0,
                site: seed.site,
                may_unwind: false,
                is_due: false,
                stack: [0; 3],
                sp: 0,
                address: std::ptr::from_ref(seed).addr(),
                name: (0, 0),
                holders: (0, 0),
                descriptors: (0, 0),
                things: (0, 0),
                frames: (0, 0),
            });
        }
    }

    fn measure(&self, control: &Control, sp: usize) -> [usize; 3] {
        let Some((limit, top)) = control.stack_ends() else {
            return [0; 3];
        };
        let used = match (limit..top).contains(&sp) {
            true => top - sp,
            false => 0,
        };
        let touched = match self.wish.touched {
            true => touched(limit, top),
            false => 0,
        };
        [control.pages.bytes(), used, touched]
    }

    fn note_name(&mut self, control: &Control) -> (usize, usize) {
        let name = control.name().unwrap_or("").as_bytes();
        let start = self.names.len();
        let fits = name.len().min(self.names.capacity() - start);
        self.names.extend_from_slice(&name[..fits]);
        (start, start + fits)
    }

    /// How many come after the one that is seen.
    fn later(&self) -> usize {
        (self.sights.capacity() - self.sights.len()).saturating_sub(1)
    }

    /// If there is no room for all who have a thing, some are enough: all of them have to go. If there is none for all
    /// things, nothing is known: one is enough.
    fn note_holders(&mut self, control: &Control) -> (usize, usize) {
        let start = self.holders.len();
        // There are two for each of those who come later.
        let end = self.holders.capacity() - 2 * self.later();
        let mut fit = true;
        for one in control.awaited() {
            one.ways(|holders| {
                let room = end - self.holders.len();
                fit &= room >= 2;
                if fit {
                    self.holders.extend(holders.take(room - 1));
                    self.holders.push(0);
                }
            });
        }
        if !fit {
            self.holders.truncate(start);
            self.holders.push(0);
        }
        (start, self.holders.len())
    }

    fn note_frames(&mut self, registers: Option<&Registers>, here: bool) -> (usize, usize) {
        let mut found = [0; DEEPEST];
        let start = self.frames.len();
        let room = DEEPEST.min(self.frames.capacity() - start);
        let into = &mut found[..room];
        let count = match registers {
            _ if !self.wish.frames => 0,
            None if here => frames::here(into),
            None => 0,
            // SAFETY: those of a greenlet that does not run, or that this code has interrupted.
            Some(registers) => unsafe { frames::walk(registers, into) },
        };
        self.frames.extend_from_slice(&found[..count]);
        (start, start + count)
    }

    /// The code that was interrupted may have its hands on the timers; then nothing is known of them.
    fn see_alarms(&mut self, hub: &Hub) {
        if hub.hands_on_timers.load(Ordering::Relaxed) {
            return;
        }
        let timers = hub.timers.borrow();
        let room = self.alarms.capacity();
        let alarms = timers.iter().take(room);
        self.alarms
            .extend(alarms.map(|(at, alarm)| (alarm.whose().addr().get(), Moment::from_nanos(at))));
    }

    /// The earliest deadline of each greenlet that has one, by address.
    pub(crate) fn deadlines(&self) -> HashMap<usize, Moment> {
        let mut earliest = HashMap::new();
        for &(whose, at) in &self.alarms {
            let known = earliest.entry(whose).or_insert(at);
            *known = at.min(*known);
        }
        earliest
    }

    pub(crate) fn name(&self, sight: &Sight) -> Option<Box<str>> {
        let name = &self.names[sight.name.0..sight.name.1];
        (!name.is_empty()).then(|| String::from_utf8_lossy(name).into())
    }

    pub(crate) fn holders(&self, sight: &Sight) -> &[u64] {
        &self.holders[sight.holders.0..sight.holders.1]
    }

    pub(crate) fn descriptors(&self, sight: &Sight) -> &[RawFd] {
        &self.descriptors[sight.descriptors.0..sight.descriptors.1]
    }

    pub(crate) fn things(&self, sight: &Sight) -> &[Thing] {
        &self.things[sight.things.0..sight.things.1]
    }

    pub(crate) fn frames(&self, sight: &Sight) -> &[usize] {
        &self.frames[sight.frames.0..sight.frames.1]
    }
}

/// What was noted of the holders of each thing.
pub(super) fn each_thing(holders: &[u64]) -> impl Iterator<Item = &[u64]> {
    let things = holders.split_inclusive(|&number| number == 0);
    things.map(|thing| &thing[..thing.len() - 1])
}

/// Notes as many of `some` as there is room for, with one for each of those who come later. It allocates nothing.
fn note_some<T>(notes: &mut Vec<T>, some: impl Iterator<Item = T>, later: usize) -> (usize, usize) {
    let start = notes.len();
    let room = (notes.capacity() - start).saturating_sub(later);
    notes.extend(some.take(room.min(SEVERAL_OF_ONE)));
    (start, notes.len())
}

/// The registers of the greenlet that was interrupted. One that was just being switched to has its stack already,
/// and the address of the one before: then it goes on as if it were at rest. Other backends have more of such places,
/// and nothing is known there.
fn as_it_runs(control: &Control, interrupted: &Registers) -> Option<Registers> {
    // SAFETY: only words are read, and they are those of its last rest.
    let rest = unsafe { control.context.registers() };
    let switched_to = interrupted.second_argument() == (&raw const control.context).addr();
    match rest {
        Some(rest) if switched_to && rest.sp() == interrupted.sp() => Some(rest),
        _ => CAN_WALK.then_some(*interrupted),
    }
}

impl Sight {
    pub(crate) fn address(&self) -> usize {
        self.address
    }
}

impl Hub {
    /// How much room a sheet needs.
    pub(crate) fn population(&self) -> (usize, usize) {
        let busy = self.hands_on_timers.load(Ordering::Relaxed);
        let alarms = if busy { 0 } else { self.timers.borrow().len() };
        (self.thread().alive() + 1, alarms)
    }

    /// What there is to be seen on this thread.
    pub(crate) fn look_at_all(&self, wish: Wish) -> Sheet {
        let (greenlets, alarms) = self.population();
        let mut sheet = Sheet::with_room(greenlets, alarms, wish);
        sheet.fill(self, None);
        sheet
    }

    /// What there is to be seen of some greenlets of this thread.
    pub(super) fn look_at(&self, some: &[&Control], wish: Wish) -> Sheet {
        let mut sheet = Sheet::with_room(some.len(), self.population().1, wish);
        sheet.fill_with(self, None, some.iter().copied());
        sheet
    }

    pub(crate) fn pulse(&self) -> Pulse {
        self.pace.pulse()
    }
}
