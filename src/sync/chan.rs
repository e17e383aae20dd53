//! What all channels and queues are: a store of items, and two lists of those who wait.
//!
//! ```text
//!   put ──▶ room, or a receiver parked? ──yes──▶ store ──call──▶ receivers
//!             └─no──▶ offer it in the list of senders ◀──take── whoever takes an item
//! ```
//!
//! A sender that finds no room waits with its item in its own frame, and does nothing more: whoever takes an
//! item out of a full store puts the first offer in its place. Without room at all (a rendezvous) the item goes
//! from frame to frame, or into the store if a receiver is parked: then it is promised to those who are called, and
//! who comes meanwhile leaves it there.
//!
//! A receiver is only told that there is something (law 4). If it is raised in before it looks, the item stays
//! where it is, and the call goes to the next in line. If somebody was faster, it stands first again.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::hub::Hub;
use crate::hub::wait::{Place, WaitList};
use crate::sys::clock::{Moment, has_passed};

/// Where items lie until they are taken. Every item passes through it.
pub trait Store<T> {
    #[doc(hidden)]
    fn put(&mut self, item: T);
    #[doc(hidden)]
    fn take(&mut self) -> Option<T>;
    #[doc(hidden)]
    fn len(&self) -> usize;
    /// An item comes and goes at once.
    #[doc(hidden)]
    #[inline]
    fn pass(&mut self, item: T) -> T {
        item
    }
    /// An item comes and the next one goes: mostly the same.
    #[doc(hidden)]
    #[inline]
    fn exchange(&mut self, item: T) -> Option<T> {
        self.put(item);
        self.take()
    }
}

impl<T> Store<T> for VecDeque<T> {
    #[inline]
    fn put(&mut self, item: T) {
        self.push_back(item);
    }

    #[inline]
    fn take(&mut self) -> Option<T> {
        self.pop_front()
    }

    #[inline]
    fn len(&self) -> usize {
        VecDeque::len(self)
    }

    #[inline]
    fn exchange(&mut self, item: T) -> Option<T> {
        if self.is_empty() {
            return Some(item);
        }
        self.push_back(item);
        self.pop_front()
    }
}

/// A channel or a queue.
pub(super) struct Chan<T, S = VecDeque<T>> {
    items: RefCell<S>,
    capacity: usize,
    /// How many items of a rendezvous are for those who were called.
    promised: Cell<usize>,
    /// One side has gone, or somebody has said so.
    closed: Cell<bool>,
    receivers: WaitList,
    senders: WaitList<T>,
}

/// Why an item was not put; it comes back.
#[derive(Debug)]
pub(super) enum Unsent<T> {
    /// There was no room, in time.
    Full(T),
    Closed(T),
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// There was nothing, in time.
    Yet,
    /// There is nothing, and there will not be.
    Closed,
}

impl<T, S: Store<T>> Chan<T, S> {
    pub(super) fn new(capacity: usize, store: S) -> Chan<T, S> {
        Chan {
            items: RefCell::new(store),
            capacity,
            promised: Cell::new(0),
            closed: Cell::new(false),
            receivers: WaitList::new(),
            senders: WaitList::new(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.items.borrow().len()
    }

    /// False if there is nothing to take, not even the news that it is closed.
    #[inline]
    pub(super) fn may_have_something(&self) -> bool {
        self.len() > 0 || !self.senders.is_empty() || self.closed.get()
    }

    /// What the store knows.
    pub(super) fn ask<R>(&self, question: impl FnOnce(&S) -> R) -> R {
        question(&self.items.borrow())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub(super) fn receivers(&self) -> &WaitList {
        &self.receivers
    }

    pub(super) fn senders(&self) -> &WaitList<T> {
        &self.senders
    }

    /// Nothing can be put any more; what is there can be taken.
    pub(super) fn close(&self) {
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
    #[inline]
    pub(super) fn try_put(&self, item: T) -> Result<(), Unsent<T>> {
        if self.closed.get() {
            return Err(Unsent::Closed(item));
        }
        let has_room = self.len() < self.capacity;
        if !has_room && !self.call_a_receiver() {
            return Err(Unsent::Full(item));
        }
        self.items.borrow_mut().put(item);
        if has_room {
            self.call_a_receiver();
        } else if self.capacity == 0 {
            self.promised.set(self.promised.get() + 1);
        }
        Ok(())
    }

    /// Puts an item when there is room, or somebody who takes it; until `deadline`, if there is one.
    #[inline]
    pub(super) fn put(&self, item: T, deadline: Option<Moment>) -> Result<(), Unsent<T>> {
        match self.try_put(item) {
            Err(Unsent::Full(item)) => self.put_later(item, deadline),
            outcome => outcome,
        }
    }

    fn put_later(&self, mut item: T, deadline: Option<Moment>) -> Result<(), Unsent<T>> {
        let hub = Hub::here();
        loop {
            let purpose = &"sends to a channel that is full";
            match self.senders.offer(hub, purpose, deadline, item) {
                None => return Ok(()),
                Some(left) => item = left,
            }
            match self.try_put(item) {
                Err(Unsent::Full(left)) if !has_passed(deadline) => item = left,
                outcome => return outcome,
            }
        }
    }

    /// Takes an item, if there is one. `called`: it was called for this.
    #[inline]
    pub(super) fn try_take(&self, called: bool) -> Result<T, Nothing> {
        if self.capacity == 0 {
            return self.meet(called);
        }
        let mut items = self.items.borrow_mut();
        let item = match self.senders.is_empty() {
            true => items.take(),
            false => match self.senders.take(Hub::here()) {
                Some(offer) => items.exchange(offer),
                None => items.take(),
            },
        };
        item.ok_or_else(|| self.why_nothing())
    }

    fn meet(&self, called: bool) -> Result<T, Nothing> {
        let mut items = self.items.borrow_mut();
        if called {
            self.keep_promise();
        }
        if items.len() > self.promised.get() {
            return items.take().ok_or(self.why_nothing());
        }
        let offer = match self.senders.is_empty() {
            true => None,
            false => self.senders.take(Hub::here()),
        };
        offer
            .map(|offer| items.pass(offer))
            .ok_or(self.why_nothing())
    }

    /// One that was called has come, or nobody will.
    fn keep_promise(&self) {
        self.promised.set(self.promised.get().saturating_sub(1));
    }

    fn why_nothing(&self) -> Nothing {
        match self.closed.get() {
            true => Nothing::Closed,
            false => Nothing::Yet,
        }
    }

    /// Takes an item when there is one; until `deadline`, if there is one.
    #[inline]
    pub(super) fn take(&self, deadline: Option<Moment>) -> Result<T, Nothing> {
        match self.try_take(false) {
            Err(Nothing::Yet) => self.take_later(deadline),
            outcome => outcome,
        }
    }

    fn take_later(&self, deadline: Option<Moment>) -> Result<T, Nothing> {
        let hub = Hub::here();
        let mut place = Place::Last;
        loop {
            let purpose = &"receives from a channel that is empty";
            let pass_on = || self.pass_on();
            let called = self
                .receivers
                .wait_at(place, hub, purpose, deadline, pass_on);
            match self.try_take(called) {
                Err(Nothing::Yet) if !has_passed(deadline) => {}
                outcome => return outcome,
            }
            place = if called { Place::First } else { Place::Last };
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
        while let Some(item) = { self.items.borrow_mut().take() } {
            drop(item);
        }
    }
}
