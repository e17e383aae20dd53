//! What the hub knows of a source.

use std::cell::{Cell, OnceCell};
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::Direction;
use crate::data::register::Key;
use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::control::Control;
use crate::sys::clock::Moment;
use crate::sys::context::Context;
use crate::sys::poller::{Readiness, Trigger};

/// What the hub knows of a source. It does not move, so events find it. Among thousands of sources it is cold again by
/// each event, so it is no larger than a cache line, and what a read touches comes first. It is not aligned to one: that
/// would take 50 to 100 bytes more of the heap for each connection.
#[repr(C)]
pub(super) struct State {
    pub(super) readers: WaitList,
    pub(super) ready: Cell<Readiness>,
    /// What it is watched for when it is registered.
    pub(super) watched: Cell<Readiness>,
    /// And how.
    pub(super) trigger: Cell<Trigger>,
    /// It goes by a descriptor that is not its own: it has a duplicate.
    pub(super) is_for_foreign: Cell<bool>,
    /// A duplicate that is registered in the place of the descriptor, which somebody else has registered already.
    pub(super) twin: OnceCell<OwnedFd>,
    /// Of its registration.
    pub(super) key: Cell<Option<Key>>,
    pub(super) writers: WaitList,
}

const _: () = assert!(size_of::<State>() <= 64);

impl State {
    /// Nothing is known yet, so a call is worth trying. For edges it is watched both ways at once, for levels step by step.
    pub(super) fn new(trigger: Trigger) -> State {
        let both = Readiness::READ.union(Readiness::WRITE);
        let watched = match trigger {
            Trigger::Edge => both,
            Trigger::Level => Readiness::NONE,
        };
        State {
            readers: WaitList::new(),
            ready: Cell::new(both),
            watched: Cell::new(watched),
            trigger: Cell::new(trigger),
            writers: WaitList::new(),
            is_for_foreign: Cell::new(false),
            twin: OnceCell::new(),
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

    /// Whether a short read means nothing any more.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.ready.get().contains(Readiness::CLOSED)
    }

    #[inline]
    pub(super) fn is_ready(&self, direction: Direction) -> bool {
        self.ready.get().contains(direction.bit())
    }

    #[inline]
    pub(super) fn clear(&self, direction: Direction) {
        self.ready.set(self.ready.get().without(direction.bit()));
    }

    /// `me` waits in line.
    #[inline(always)]
    pub(super) fn wait(
        &self,
        hub: &Hub,
        me: &Control,
        direction: Direction,
        deadline: Option<Moment>,
    ) {
        match deadline {
            None => self
                .waiting(direction)
                .wait_endlessly(hub, me, direction.purpose()),
            Some(_) => self.wait_until(hub, direction, deadline),
        }
    }

    /// In a frame of its own, which a wait without a deadline does without.
    #[inline(never)]
    fn wait_until(&self, hub: &Hub, direction: Direction, deadline: Option<Moment>) {
        let line = self.waiting(direction);
        line.wait(hub, direction.purpose(), deadline);
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
    #[inline(always)]
    pub(super) fn register(
        &self,
        thing: &impl AsFd,
        hub: &Hub,
        direction: Direction,
    ) -> io::Result<()> {
        match self.tells(direction) {
            true => Ok(()),
            false => self.watch(thing.as_fd(), hub, direction),
        }
    }

    /// Whether there is an event when it becomes ready.
    #[inline(always)]
    pub(super) fn tells(&self, direction: Direction) -> bool {
        self.key.get().is_some() && self.watched.get().contains(direction.bit())
    }

    #[cold]
    #[inline(never)]
    fn watch(&self, fd: BorrowedFd<'_>, hub: &Hub, direction: Direction) -> io::Result<()> {
        let watched = self.watched.get().union(direction.bit());
        // With levels each look would tell that there is room.
        let trigger = match watched.contains(Readiness::WRITE) {
            true => Trigger::Edge,
            false => self.trigger.get(),
        };
        let fd = self.registered(fd);
        match self.key.get() {
            Some(key) => hub.io.change(fd, key, watched, trigger)?,
            None => self.enter(fd, hub, watched, trigger)?,
        }
        self.watched.set(watched);
        self.trigger.set(trigger);
        Ok(())
    }

    fn enter(
        &self,
        fd: BorrowedFd<'_>,
        hub: &Hub,
        watched: Readiness,
        trigger: Trigger,
    ) -> io::Result<()> {
        let key = match hub.io.register(fd, self, watched, trigger) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.twin.set(fd.try_clone_to_owned()?).map_err(|_| error)?;
                return self.enter(self.registered(fd), hub, watched, trigger);
            }
            key => key?,
        };
        self.key.set(Some(key));
        if self.readers.holder().get() == 0 {
            self.goes_by(fd);
        }
        Ok(())
    }

    /// The descriptor that is registered, or will be.
    pub(super) fn registered<'a>(&'a self, fd: BorrowedFd<'a>) -> BorrowedFd<'a> {
        self.twin.get().map_or(fd, OwnedFd::as_fd)
    }

    /// A call has found nothing.
    #[inline(always)]
    pub(super) fn found_nothing(&self, hub: &Hub, direction: Direction) {
        self.clear(direction);
        if self.trigger.get() == Trigger::Level && self.key.get().is_some() {
            self.turn_to_edges(hub);
        }
    }

    /// With levels it was told in vain, or may have been: what there was the last time is still there, or it was not what
    /// the call wants. That might not end.
    #[cold]
    #[inline(never)]
    fn turn_to_edges(&self, hub: &Hub) {
        let number = self.readers.holder().descriptor();
        if let (Some(key), Some(number)) = (self.key.get(), number)
            && !hub.io.is_of_another(number, self)
        {
            // SAFETY: what is watched for levels goes by the descriptor of its source (`watch`), which gives up the key before
            // it closes that. If it has been leaked, the number is nobody's who waits here, or no number at all.
            let fd = unsafe { BorrowedFd::borrow_raw(number) };
            let changed = hub.io.change(fd, key, self.watched.get(), Trigger::Edge);
            // If somebody has closed it by its number, there is nothing to change.
            if changed.is_ok() {
                self.trigger.set(Trigger::Edge);
            }
        }
    }

    /// Those who wait say that it is for this descriptor.
    pub(super) fn goes_by(&self, fd: BorrowedFd<'_>) {
        for line in [&self.readers, &self.writers] {
            line.holder().set_descriptor(fd.as_raw_fd());
        }
    }

    /// Fetches the state, the first thing that `happened` touches.
    pub(super) fn fetch(&self) {
        let begin: *const () = std::ptr::from_ref(self).cast();
        Context::fetch(begin);
        Context::fetch(begin.wrapping_byte_add(offset_of!(State, key)));
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
    #[inline(always)]
    pub(super) fn happened(&self, hub: &Hub, what: Readiness) {
        let known = self.ready.replace(self.ready.get().union(what));
        if self.trigger.get() == Trigger::Level && known.contains(Readiness::READ) {
            self.turn_to_edges(hub);
        }
        if what.contains(Readiness::CLOSED) {
            return self.ended(hub);
        }
        if what.contains(Readiness::READ) {
            self.readers.call_one(hub);
        }
        if what.contains(Readiness::WRITE) {
            self.writers.call_one(hub);
        }
    }

    #[cold]
    #[inline(never)]
    fn ended(&self, hub: &Hub) {
        self.readers.call_all(hub);
        self.writers.call_all(hub);
    }
}
