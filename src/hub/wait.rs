//! Wait lists: who waits for one thing, in order of arrival.
//!
//! An entry lies in the frame of the greenlet that waits, so waiting allocates nothing, and leaving from the
//! middle is two stores. The frame that enters leaves, by a guard, on every way out (law 5).
//!
//! ```text
//!   enter ──▶ linked ──wake_one/wake_all──▶ called ──▶ the greenlet runs, and looks again (law 4)
//!               └───── deadline, spurious wake, kill ─▶ unlinked by its own guard
//! ```
//!
//! A call is worth something: a permit, an item, readiness. One that is called and then raised in (killed,
//! timed out) never gets to look, so its guard passes the call on to the next in line, and nothing is lost.

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::ptr;

use super::Hub;
use crate::switch::control::ControlRef;
use crate::sys::clock::Moment;

/// Those who wait for one thing.
pub(crate) struct WaitList {
    first: Cell<*const Entry>,
    last: Cell<*const Entry>,
}

/// One who waits. It does not move while it is linked.
struct Entry {
    who: ControlRef,
    linked: Cell<bool>,
    before: Cell<*const Entry>,
    after: Cell<*const Entry>,
    _pinned: PhantomPinned,
}

impl WaitList {
    pub(crate) const fn new() -> WaitList {
        WaitList {
            first: Cell::new(ptr::null()),
            last: Cell::new(ptr::null()),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// Parks until it is called, or `deadline` has passed, or for no reason at all; true if it was called.
    #[inline]
    pub(crate) fn wait(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> bool {
        let entry = Entry {
            who: hub.current(),
            linked: Cell::new(true),
            before: Cell::new(self.last.get()),
            after: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        };
        self.link(&entry);
        let guard = Leave {
            list: self,
            hub,
            entry: &entry,
        };
        hub.park_until(purpose, deadline);
        let called = !entry.linked.get();
        guard.quietly();
        called
    }

    /// Calls the one who waits longest; false if nobody waits.
    pub(crate) fn wake_one(&self, hub: &Hub) -> bool {
        // SAFETY: a linked entry lies in the frame of a greenlet that waits in `wait`, whose guard unlinks
        // it before the frame goes; a stack that is given up is never used again.
        let Some(entry) = (unsafe { self.first.get().as_ref() }) else {
            return false;
        };
        self.unlink(entry);
        hub.wake(entry.who);
        true
    }

    /// Calls all who wait now.
    #[inline]
    pub(crate) fn wake_all(&self, hub: &Hub) {
        while self.wake_one(hub) {}
    }

    #[inline]
    fn link(&self, entry: &Entry) {
        // SAFETY: as in `wake_one`.
        match unsafe { self.last.get().as_ref() } {
            Some(last) => last.after.set(entry),
            None => self.first.set(entry),
        }
        self.last.set(entry);
    }

    #[inline]
    fn unlink(&self, entry: &Entry) {
        entry.linked.set(false);
        let (before, after) = (entry.before.get(), entry.after.get());
        // SAFETY: neighbours of a linked entry are linked, and live as it does (`wake_one`).
        match unsafe { before.as_ref() } {
            Some(before) => before.after.set(after),
            None => self.first.set(after),
        }
        // SAFETY: as above.
        match unsafe { after.as_ref() } {
            Some(after) => after.before.set(before),
            None => self.last.set(before),
        }
    }
}

impl Default for WaitList {
    fn default() -> WaitList {
        WaitList::new()
    }
}

impl Drop for WaitList {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "somebody still waits here");
    }
}

/// Takes the entry out on every way out of the frame it lies in.
struct Leave<'a> {
    list: &'a WaitList,
    hub: &'a Hub,
    entry: &'a Entry,
}

impl Leave<'_> {
    /// The greenlet goes on, and looks for itself.
    #[inline]
    fn quietly(self) {
        if self.entry.linked.get() {
            self.list.unlink(self.entry);
        }
        std::mem::forget(self);
    }
}

/// Something was raised in the one who waits.
impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.entry.linked.get() {
            self.list.unlink(self.entry);
        } else {
            self.list.wake_one(self.hub);
        }
    }
}
