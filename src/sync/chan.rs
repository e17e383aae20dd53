//! What all channels and queues are: a store of items, and two lists of those who wait.
//!
//! ```text
//!   put ──▶ room, or a receiver parked? ──yes──▶ store ──call──▶ receivers
//!             └─no──▶ offer it in the list of senders ◀──take── whoever takes an item
//! ```
//!
//! A sender that finds no room waits with its item in its own frame, and does nothing more: whoever takes an
//! item out of a full store puts the first offer in its place. Without room at all (a rendezvous) the item goes
//! from frame to frame, or into the store if a receiver is parked.
//!
//! A receiver is only told that there is something (law 4). But one item is promised to each who is called, so those who
//! come meanwhile leave it there, and nobody who waits is passed over; promised items need no room. If it is raised in
//! before it looks, the item stays where it is, and the call goes to the next in line.

use std::cell::Cell;
use std::mem::offset_of;

use crate::data::ring::Ring;
use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Subject;
use crate::sys::clock::{Moment, has_passed};
use crate::sys::fork;

/// Where items lie until they are taken. Every item passes through it.
pub trait Store<T> {
    #[doc(hidden)]
    fn put(&self, item: T);
    #[doc(hidden)]
    fn take(&self) -> Option<T>;
    #[doc(hidden)]
    fn len(&self) -> usize;
    /// An item comes and goes at once.
    #[doc(hidden)]
    #[inline]
    fn pass(&self, item: T) -> T {
        item
    }
}

impl<T> Store<T> for Ring<T> {
    #[inline(always)]
    fn put(&self, item: T) {
        self.push(item);
    }

    #[inline(always)]
    fn take(&self) -> Option<T> {
        self.pop()
    }

    #[inline(always)]
    fn len(&self) -> usize {
        Ring::len(self)
    }
}

/// A channel or a queue. What it lies in begins with it, and by that address it is known to
/// those who have an end.
pub(super) struct Chan<T, S = Ring<T>> {
    items: S,
    capacity: usize,
    /// How many items are for those who were called.
    promised: Cell<usize>,
    /// In which process, counted by forks: in a child they have stayed behind.
    process: Cell<u32>,
    /// One side has gone, or somebody has said so.
    closed: Cell<bool>,
    receivers: WaitList<(), Subject>,
    senders: WaitList<T, Subject>,
}

/// Why an item was not put; it comes back.
#[derive(Debug)]
pub(super) enum Unsent<T> {
    /// There was no room, in time.
    Full(T),
    Closed(T),
}

impl<T, S: Store<T>> Chan<T, S> {
    #[track_caller]
    pub(super) fn new(capacity: usize, store: S) -> Chan<T, S> {
        let size = size_of::<Self>();
        Chan {
            items: store,
            capacity,
            promised: Cell::new(0),
            process: Cell::new(0),
            closed: Cell::new(false),
            receivers: WaitList::within(offset_of!(Self, receivers), size),
            senders: WaitList::within(offset_of!(Self, senders), size),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many items there are for whoever comes.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.items.len().saturating_sub(self.promised())
    }

    #[inline(always)]
    fn promised(&self) -> usize {
        match self.promised.get() {
            0 => 0,
            _ if self.process.get() != fork::count() => 0,
            promised => promised,
        }
    }

    /// False if there is nothing to take, not even the news that it is closed.
    #[inline]
    pub(super) fn may_have_something(&self) -> bool {
        self.len() > 0 || !self.senders.is_empty() || self.closed.get()
    }

    pub(super) fn store(&self) -> &S {
        &self.items
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub(super) fn receivers(&self) -> &WaitList<(), Subject> {
        &self.receivers
    }

    pub(super) fn senders(&self) -> &WaitList<T, Subject> {
        &self.senders
    }

    /// Nothing can be put any more; what is there can be taken, by anybody: who finds nothing is told that it was the end.
    pub(super) fn close(&self) {
        self.promised.set(0);
        if self.closed.replace(true) || self.receivers.is_empty() && self.senders.is_empty() {
            return;
        }
        // Whoever is ready already looks for itself. One that stands in several lists, and was called in another one
        // for an item, is not called here as well: it could pass on one call of two.
        let hub = Hub::here();
        while self.receivers.call_one(hub).is_some() {}
        while self.senders.call_one(hub).is_some() {}
    }

    /// Puts an item if there is room, or somebody who takes it.
    #[inline(never)]
    pub(super) fn try_put(&self, item: T) -> Result<(), Unsent<T>> {
        if self.closed.get() {
            return Err(Unsent::Closed(item));
        }
        let called = self.call_a_receiver();
        if !called && self.len() >= self.capacity {
            return Err(Unsent::Full(item));
        }
        self.items.put(item);
        if called {
            self.promised.set(self.promised() + 1);
            self.process.set(fork::count());
        }
        Ok(())
    }

    /// Puts an item when there is room, or somebody who takes it; until `deadline`, if there is one.
    #[inline(always)]
    pub(super) fn put(&self, mut item: T, deadline: Option<Moment>) -> Result<(), Unsent<T>> {
        let mut limit = None;
        loop {
            match self.put_at_once(item) {
                Err(Unsent::Full(left)) if !has_passed(limit) => item = left,
                outcome => return outcome,
            }
            match self
                .senders
                .offer(Hub::here(), self.why_full(), deadline, item)
            {
                None => return Ok(()),
                Some(left) => item = left,
            }
            limit = deadline;
        }
    }

    /// As [`try_put`](Self::try_put), with the common cases inline: there is room and nobody to call, or neither.
    #[inline(always)]
    fn put_at_once(&self, item: T) -> Result<(), Unsent<T>> {
        if !self.receivers.is_empty() || self.closed.get() {
            return self.try_put(item);
        }
        if self.len() >= self.capacity {
            return Err(Unsent::Full(item));
        }
        self.items.put(item);
        Ok(())
    }

    #[inline(always)]
    fn why_full(&self) -> &'static &'static str {
        match self.capacity {
            0 => &"sends to a channel from which nobody receives",
            _ => &"sends to a channel that is full",
        }
    }

    /// Takes an item, if there is one. `called`: it was called for this.
    #[inline(never)]
    pub(super) fn try_take(&self, called: bool) -> Option<T> {
        if called {
            self.keep_promise();
        }
        if self.len() == 0 {
            return self.take_offer().map(|offer| self.items.pass(offer));
        }
        // What was promised had needed no room, and leaves none.
        let leaves_room = self.capacity > 0 && self.len() <= self.capacity;
        if leaves_room && let Some(offer) = self.take_offer() {
            self.items.put(offer);
        }
        self.items.take()
    }

    #[inline(always)]
    fn take_offer(&self) -> Option<T> {
        match self.senders.is_empty() {
            true => None,
            false => self.senders.take(Hub::here()),
        }
    }

    /// One that was called has come, or nobody will.
    #[inline(always)]
    fn keep_promise(&self) {
        self.promised.set(self.promised.get().saturating_sub(1));
    }

    /// Takes an item when there is one; until `deadline`, if there is one. None if there was none in time, or, if the
    /// channel is closed, there will not be.
    #[inline(always)]
    pub(super) fn take(&self, deadline: Option<Moment>) -> Option<T> {
        let (mut limit, mut called) = (None, false);
        loop {
            match self.take_at_once(called) {
                None if !self.closed.get() && !has_passed(limit) => {}
                item => return item,
            }
            let purpose = &"receives from a channel that is empty";
            let pass_on = || self.pass_on();
            called = self
                .receivers
                .wait_or(Hub::here(), purpose, deadline, pass_on);
            limit = deadline;
        }
    }

    /// As [`try_take`](Self::try_take), with the common cases inline: there is an item and nobody to call, or there is
    /// nothing at all.
    #[inline(always)]
    fn take_at_once(&self, called: bool) -> Option<T> {
        if !self.senders.is_empty() {
            return self.try_take(called);
        }
        if called {
            self.keep_promise();
        }
        match self.len() {
            0 => None,
            _ => self.items.take(),
        }
    }

    /// One that was called takes nothing.
    pub(super) fn pass_on(&self) {
        if !self.call_a_receiver() {
            self.keep_promise();
        }
    }

    /// There is something for one of those who wait; true if somebody was called.
    #[inline(always)]
    fn call_a_receiver(&self) -> bool {
        !self.receivers.is_empty() && self.receivers.call_one(Hub::here()).is_some()
    }

    /// Takes out all that is there. What the items do when they are dropped is done outside.
    pub(super) fn clear(&self) {
        // If one panics, the others are dropped all the same.
        let all: Vec<T> = std::iter::from_fn(|| self.items.take()).collect();
        drop(all);
    }
}
