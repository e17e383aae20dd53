//! Circles through several threads: those of locks that threads share.
//!
//! No hub looks into another one. When it looks for circles, and somebody waits for what another thread may have, it pins
//! to the board for whom its greenlets wait, and reads what other hubs have pinned:
//!
//! ```text
//!   hub 1, seen at 5.0 s   A has waited for B since 3.9 s
//!   hub 2, seen at 5.3 s   B has waited for A since 4.2 s     both waited from 4.2 to 5.0 s, and so do for ever
//! ```
//!
//! What is pinned may be over when it is read. But who waits lets go of nothing. So if all waits of a circle had begun
//! before the first of them was seen, there was a time when all waited, and after that none of them could end.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::panic::Location;
use std::sync::Mutex;

use super::{Circle, Link, Links, circles as circles_of};
use crate::hub::Hub;
use crate::switch::control::write_named;
use crate::sys::clock::Moment;
use crate::sys::fork::Own;
use crate::sys::lock::lock;

/// What one hub has pinned.
struct Page {
    /// Where the hub lies.
    hub: usize,
    thread: Option<Box<str>>,
    seen: Moment,
    notes: Vec<Note>,
}

/// For whom somebody waits.
struct Note {
    who: u64,
    name: Option<Box<str>>,
    is_main: bool,
    holder: u64,
    since: Moment,
    purpose: &'static str,
    made: Option<&'static Location<'static>>,
}

fn board() -> &'static Mutex<Vec<Page>> {
    static BOARD: Own<Mutex<Vec<Page>>> = Own::new();
    BOARD.or_make(|_| Mutex::default())
}

fn place_of(hub: &Hub) -> usize {
    std::ptr::from_ref(hub).addr()
}

/// Takes off what the hub has pinned, before it goes.
pub(in crate::hub) fn unpin(hub: &Hub) {
    lock(board()).retain(|page| page.hub != place_of(hub));
}

/// Pins what `hub` has seen `now`, and returns the circles in which greenlets of this thread are, and of others.
pub(super) fn circles(hub: &Hub, links: &Links, now: Moment) -> Vec<Circle> {
    let mut board = lock(board());
    board.retain(|page| page.hub != place_of(hub));
    board.push(Page::of(hub, links, now));
    let all: Vec<(&Page, &Note)> = board.iter().flat_map(Page::each).collect();
    let numbers = all.iter().map(|(_, note)| note.who);
    let places: HashMap<u64, usize> = numbers.zip(0..).collect();
    let next = |at: usize| places.get(&all[at].1.holder).copied();
    let found = circles_of(all.len(), next).into_iter();
    let members = found.map(|circle| circle.iter().map(|&at| all[at]).collect::<Vec<_>>());
    members
        .filter_map(|members| circle_of(&members, hub, links))
        .collect()
}

/// A circle through several threads, this one among them, in which all waited at one time.
fn circle_of(members: &[(&Page, &Note)], hub: &Hub, links: &Links) -> Option<Circle> {
    let ours = members.iter().filter(|(page, _)| page.hub == place_of(hub));
    let here: Vec<usize> = ours.filter_map(|(_, note)| links.find(note.who)).collect();
    let begun = members.iter().map(|(_, note)| note.since).max();
    let seen = members.iter().map(|(page, _)| page.seen).min();
    let goes_through_others = !here.is_empty() && here.len() < members.len();
    (goes_through_others && begun <= seen).then(|| Circle {
        here,
        through: Some(describe(members)),
    })
}

/// In one line, with each member and its thread.
fn describe(members: &[(&Page, &Note)]) -> String {
    let mut line = String::new();
    // A string takes everything.
    for (page, note) in members {
        let _ = note.write(&mut line, page);
        line.push_str(" → ");
    }
    let _ = members[0].1.write_name(&mut line);
    line
}

impl Page {
    fn of(hub: &Hub, links: &Links, seen: Moment) -> Page {
        let untimed = links.0.iter().filter(|link| !link.timed);
        Page {
            hub: place_of(hub),
            thread: std::thread::current().name().map(Box::from),
            seen,
            notes: untimed.map(Note::of).collect(),
        }
    }

    fn each(&self) -> impl Iterator<Item = (&Page, &Note)> {
        self.notes.iter().map(move |note| (self, note))
    }
}

impl Note {
    fn of(link: &Link) -> Note {
        Note {
            who: link.who.id,
            name: link.who.name().map(Box::from),
            is_main: link.who.is_main(),
            holder: link.holder,
            since: link.since(),
            purpose: link.who.purpose.get(),
            made: link.who.awaited_things().next().map(|thing| thing.made),
        }
    }

    fn write_name(&self, f: &mut dyn Write) -> fmt::Result {
        write_named(f, self.who, self.name.as_deref(), self.is_main)
    }

    fn write(&self, f: &mut dyn Write, page: &Page) -> fmt::Result {
        self.write_name(f)?;
        match &page.thread {
            Some(thread) => write!(f, " of thread '{}' {}", thread.escape_debug(), self.purpose)?,
            None => write!(f, " of another thread {}", self.purpose)?,
        }
        match self.made {
            Some(made) => write!(f, ", made at {made}"),
            None => Ok(()),
        }
    }
}
