//! What the hub knows of a source.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::Direction;
use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::sys::context::Context;
use crate::sys::poller::Readiness;

/// What the hub knows of a source. It does not move, so events find it. Among thousands of sources it is cold again by
/// each event, so it is small, and what a reader or a writer needs first stands together: the flags are between the two
/// lines.
#[repr(C)]
pub(super) struct State {
    pub(super) readers: WaitList,
    pub(super) ready: Cell<Readiness>,
    /// Closed in spite of those who wait for it.
    pub(super) closed: Cell<bool>,
    /// The user wants `WouldBlock` instead of waiting.
    pub(super) nonblocking: Cell<bool>,
    /// The descriptor may have been duplicated: closing it need not end its registration.
    pub(super) exposed: Cell<bool>,
    /// What it is watched for when it is registered.
    pub(super) watched: Cell<Readiness>,
    pub(super) writers: WaitList,
    /// Of its registration.
    pub(super) key: Cell<Option<u64>>,
}

impl State {
    /// Nothing is known yet, so a call is worth trying.
    pub(super) fn new() -> State {
        State {
            readers: WaitList::new(),
            ready: Cell::new(Readiness::READ.union(Readiness::WRITE)),
            closed: Cell::new(false),
            nonblocking: Cell::new(false),
            exposed: Cell::new(false),
            watched: Cell::new(Readiness::READ.union(Readiness::WRITE)),
            writers: WaitList::new(),
            key: Cell::new(None),
        }
    }

    #[inline]
    pub(super) fn waiting(&self, direction: Direction) -> &WaitList {
        match direction {
            Direction::Read => &self.readers,
            Direction::Write => &self.writers,
        }
    }

    #[inline]
    pub(super) fn is_ready(&self, direction: Direction) -> bool {
        self.ready.get().contains(direction.bit())
    }

    #[inline]
    pub(super) fn clear(&self, direction: Direction) {
        self.ready.set(self.ready.get().without(direction.bit()));
    }

    /// What is left is for the next in line.
    #[inline]
    pub(super) fn pass_on(&self, hub: &Hub, direction: Direction) {
        let line = self.waiting(direction);
        if !line.is_empty() && self.is_ready(direction) {
            line.call_one(hub);
        }
    }

    /// Registers the thing that it is the state of, unless it is.
    #[inline]
    pub(super) fn register(
        &self,
        thing: &impl AsFd,
        hub: &Hub,
        direction: Direction,
    ) -> io::Result<()> {
        let watched = self.watched.get().union(direction.bit());
        match self.key.get().filter(|&key| hub.io.knows(key, self)) {
            Some(_) if watched == self.watched.get() => return Ok(()),
            Some(key) => hub.io.widen(thing, key, watched)?,
            None => {
                let key = hub.io.register(thing, self, watched)?;
                self.key.set(Some(key));
                if self.readers.holder().get() == 0 {
                    self.goes_by(thing.as_fd());
                }
            }
        }
        self.watched.set(watched);
        Ok(())
    }

    /// Whether there is an event when it becomes ready.
    pub(super) fn tells(&self, hub: &Hub, direction: Direction) -> bool {
        let is_registered = |key| hub.io.knows(key, self);
        self.watched.get().contains(direction.bit()) && self.key.get().is_some_and(is_registered)
    }

    /// Those who wait say that it is for this descriptor.
    pub(super) fn goes_by(&self, fd: BorrowedFd<'_>) {
        for line in [&self.readers, &self.writers] {
            line.holder().set_descriptor(fd.as_raw_fd());
        }
    }

    /// Fetches the state, the first thing that `happened` touches.
    pub(super) fn fetch(&self) {
        let first = std::ptr::from_ref(self).cast::<()>();
        Context::fetch(first);
        Context::fetch(first.wrapping_byte_add(size_of::<State>() - 1));
    }

    /// Fetches where the first ones in line stand, the second.
    pub(super) fn fetch_line(&self) {
        self.readers.fetch_first();
        self.writers.fetch_first();
    }

    /// Fetches who they are, the third.
    pub(super) fn fetch_waiter(&self) {
        self.readers.fetch_waiter();
        self.writers.fetch_waiter();
    }

    /// There is an event. It is the first in line that looks; when it leaves something, it calls the next.
    pub(super) fn happened(&self, hub: &Hub, what: Readiness) {
        self.ready.set(self.ready.get().union(what));
        for direction in [Direction::Read, Direction::Write] {
            if what.contains(Readiness::CLOSED) {
                self.waiting(direction).call_all(hub);
            } else if what.contains(direction.bit()) {
                self.waiting(direction).call_one(hub);
            }
        }
    }
}
