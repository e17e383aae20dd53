//! Circles through several threads: those of locks that threads share.
//!
//! No hub looks into another one. When it looks for circles, and somebody waits for what another thread may have, it pins
//! to the board for whom its greenlets wait, and reads what other hubs have pinned:
//!
//! ```text
//!   hub 1: A waits for B, first seen at 4.0 s, last at 6.0 s
//!   hub 2: B waits for A, first seen at 5.3 s, last at 5.3 s     both waited at 5.3 s, and so do for ever
//! ```
//!
//! What is pinned may be over when it is read. But who waits lets go of nothing. So if there is a moment between the first
//! and the last time that each wait of a circle was seen, all waited then, and after that none of them could end: the
//! first to go on would do so while the one it waits for stands still. It takes two looks of one hub. When a wait began is
//! known less exactly: by the last look at the clock, before a turn that may have been long.

use std::fmt::{self, Write};
use std::panic::Location;
use std::sync::Mutex;

use super::{Circle, Circles, Graph, Link, Links, Stuck};
use crate::hub::{Hub, roll};
use crate::switch::control::write_named;
use crate::switch::subject::Awaited;
use crate::sys::clock::Moment;
use crate::sys::fork::Own;
use crate::sys::lock::lock;

/// What one hub has pinned.
struct Page {
    /// Where lies what the hub knows.
    whose: usize,
    thread: Option<Box<str>>,
    number: i32,
    seen: Moment,
    /// In the order of who waits, as in `graph`.
    notes: Vec<Note>,
    graph: Graph,
}

/// That somebody waits.
struct Note {
    who: u64,
    /// Which of its waits it is.
    turn: u32,
    first_seen: Moment,
    name: Option<Box<str>>,
    is_main: bool,
    purpose: &'static str,
    made: Option<&'static Location<'static>>,
}

fn board() -> &'static Mutex<Vec<Page>> {
    static BOARD: Own<Mutex<Vec<Page>>> = Own::new();
    BOARD.get()
}

fn place_of(circles: &Circles) -> usize {
    std::ptr::from_ref(circles).addr()
}

/// Takes off what the hub has pinned, before it goes, and when nobody there waits for other threads any more.
pub(in crate::hub) fn unpin(circles: &Circles) {
    lock(board()).retain(|page| page.whose != place_of(circles));
}

/// Pins what `hub` has seen `now`, and returns the circles in which greenlets of this thread are, and of others.
pub(super) fn circles(hub: &Hub, links: &Links, now: Moment) -> Vec<Circle> {
    let mut board = lock(board());
    let mine = place_of(&hub.circles);
    let place = board.iter().position(|page| page.whose == mine);
    let before = place.map(|place| board.swap_remove(place));
    board.push(Page::of(hub, links, now, before.as_ref()));
    let all: Vec<(&Page, &Note)> = board.iter().flat_map(Page::each).collect();
    let mut graph = Graph::default();
    board.iter().for_each(|page| graph.append(&page.graph));
    let stuck = Stuck::among(&graph);
    let named = |places: Vec<usize>| places.into_iter().map(|at| all[at]).collect::<Vec<_>>();
    let circle = |members: Vec<usize>| {
        let reasons = named(stuck.reasons(&members));
        circle_of(&named(members), &reasons, mine, links)
    };
    stuck.circles().into_iter().filter_map(circle).collect()
}

/// A circle in which somebody of this thread is, if others are among its `reasons`, and all of those waited at one time.
fn circle_of(
    members: &[(&Page, &Note)],
    reasons: &[(&Page, &Note)],
    mine: usize,
    links: &Links,
) -> Option<Circle> {
    let ours = |some: &[(&Page, &Note)]| -> Vec<usize> {
        let ours = some.iter().filter(|(page, _)| page.whose == mine);
        ours.filter_map(|(_, note)| links.find(note.who)).collect()
    };
    let (here, reasons_here) = (ours(members), ours(reasons));
    let first_seen = reasons.iter().map(|(_, note)| note.first_seen).max();
    let last_seen = reasons.iter().map(|(page, _)| page.seen).min();
    let goes_through_others = !here.is_empty() && reasons_here.len() < reasons.len();
    (goes_through_others && first_seen <= last_seen).then(|| Circle {
        here,
        reasons: reasons_here,
        through: Some(describe(members, mine)),
    })
}

/// In one line, with each member and its thread.
fn describe(members: &[(&Page, &Note)], mine: usize) -> String {
    let mut line = String::new();
    // A string takes everything.
    for (page, note) in members {
        let _ = note.write(&mut line, page, mine);
        line.push_str(" → ");
    }
    let _ = members[0].1.write_name(&mut line);
    line
}

impl Page {
    /// What is seen now; `before` is what was seen last.
    fn of(hub: &Hub, links: &Links, seen: Moment, before: Option<&Page>) -> Page {
        let note = |(at, link): (usize, &Link)| {
            let known = before.and_then(|page| page.find(at, links));
            Note::of(link, known.map_or(seen, |note| note.first_seen))
        };
        let mut graph = Graph::default();
        graph.append(&links.graph);
        let (number, thread) = roll::thread_of(hub);
        Page {
            whose: place_of(&hub.circles),
            thread,
            number,
            seen,
            notes: links.links.iter().enumerate().map(note).collect(),
            graph,
        }
    }

    /// What was seen of the wait with this link. If the only holder of a thing is another one now, it was another wait. Of
    /// several nobody comes while it waits itself.
    fn find(&self, at: usize, links: &Links) -> Option<&Note> {
        let who = links.links[at].who;
        let place = self.notes.binary_search_by_key(&who.id, |note| note.who);
        let place = place.ok()?;
        let things = self.graph.things_of(place).zip(links.graph.things_of(at));
        let is_same = |((_, before), (_, now)): ((_, &[u64]), (_, &[u64]))| {
            before == now || before.len() != 1 || now.len() != 1
        };
        let known = &self.notes[place];
        (known.turn == who.turns.get() && things.into_iter().all(is_same)).then_some(known)
    }

    fn each(&self) -> impl Iterator<Item = (&Page, &Note)> {
        self.notes.iter().map(move |note| (self, note))
    }
}

impl Note {
    fn of(link: &Link, first_seen: Moment) -> Note {
        let things = link.who.awaited().filter_map(Awaited::thing);
        let mut made = things.map(|thing| thing.made);
        Note {
            who: link.who.id,
            turn: link.who.turns.get(),
            first_seen,
            name: link.who.name().map(Box::from),
            is_main: link.who.is_main(),
            purpose: link.who.purpose.get(),
            made: made.next(),
        }
    }

    fn write_name(&self, f: &mut dyn Write) -> fmt::Result {
        write_named(f, self.who, self.name.as_deref(), self.is_main)
    }

    fn write(&self, f: &mut dyn Write, page: &Page, mine: usize) -> fmt::Result {
        self.write_name(f)?;
        match &page.thread {
            Some(thread) => write!(f, " of thread '{}'", thread.escape_debug())?,
            None if page.whose == mine => f.write_str(" of this thread")?,
            None => write!(f, " of thread {}", page.number)?,
        }
        write!(f, " {}", self.purpose)?;
        match self.made {
            Some(made) => write!(f, ", made at {made}"),
            None => Ok(()),
        }
    }
}
