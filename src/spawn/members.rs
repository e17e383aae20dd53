//! Greenlets that belong together, those of a scope or of a group, and those who wait until all have ended.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::offset_of;

use crate::hub::wait::WaitList;
use crate::switch::control::Control;
use crate::switch::greenlet::Greenlet;
use crate::switch::subject::Party;

/// Those who have not ended, each with a number, in the order in which they have come.
pub(crate) struct Members {
    alive: RefCell<BTreeMap<u64, Member>>,
    next: Cell<u64>,
    joiners: WaitList<(), Party>,
}

struct Member {
    greenlet: Greenlet<()>,
    /// Among those for whom the joiners wait.
    place: u32,
    /// What it has to give back.
    seat: Option<u32>,
}

impl Members {
    /// For something that a program makes, of `size` bytes, in which this lies at `begin`.
    #[track_caller]
    pub(crate) const fn within(begin: usize, size: usize) -> Members {
        Members {
            alive: RefCell::new(BTreeMap::new()),
            next: Cell::new(0),
            joiners: WaitList::of_all_within(begin + offset_of!(Members, joiners), size),
        }
    }

    /// A number for one who is to come.
    pub(crate) fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// The number of who comes next.
    pub(crate) fn next(&self) -> u64 {
        self.next.get()
    }

    /// One comes, who may have a seat.
    pub(crate) fn enter(&self, number: u64, greenlet: Greenlet<()>, seat: Option<u32>) {
        let place = self.joiners.all().enter(greenlet.control().id);
        let member = Member {
            greenlet,
            place,
            seat,
        };
        self.alive.borrow_mut().insert(number, member);
    }

    /// One has ended, if it had come. Returns its seat.
    pub(crate) fn leave(&self, number: u64) -> Option<u32> {
        // Its handle goes when nothing is borrowed any more.
        let member = self.alive.borrow_mut().remove(&number);
        let member = member?;
        self.joiners.all().leave(member.place);
        member.seat
    }

    pub(crate) fn len(&self) -> usize {
        self.alive.borrow().len()
    }

    /// Whether it holds for one of them.
    pub(crate) fn any(&self, is_so: impl Fn(&Control) -> bool) -> bool {
        let alive = self.alive.borrow();
        alive
            .values()
            .any(|member| is_so(member.greenlet.control()))
    }

    /// Whether one may still run. Those that were given up, or left behind by a fork, never do.
    pub(crate) fn remain(&self) -> bool {
        self.any(|member| !member.is_given_up())
    }

    /// Those with this number and later ones.
    pub(crate) fn from(&self, number: u64) -> Vec<Greenlet<()>> {
        let alive = self.alive.borrow();
        let members = alive.range(number..).map(|(_, member)| &member.greenlet);
        members.cloned().collect()
    }

    /// The last one with a smaller number.
    pub(crate) fn before(&self, number: u64) -> Option<(u64, Greenlet<()>)> {
        let alive = self.alive.borrow();
        let (number, member) = alive.range(..number).next_back()?;
        Some((*number, member.greenlet.clone()))
    }

    /// Where those stand who wait until all have ended.
    pub(crate) fn joiners(&self) -> &WaitList<(), Party> {
        &self.joiners
    }
}
