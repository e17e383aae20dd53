//! Wait lists: who waits for one thing, in order of arrival.
//!
//! A node lies in the frame of the greenlet that waits, so waiting allocates nothing, and leaving from the
//! middle is two stores. The frame that enters leaves, by a guard, on every way out (law 5). To wait for several
//! things is to stand in several lists and to park once.
//!
//! ```text
//!   enter ──▶ linked ──call_one/call_all/take──▶ called ──▶ the greenlet runs, and looks again (law 4)
//!               └───── deadline, spurious wake, kill ─────▶ unlinked by its own guard
//! ```
//!
//! Only one that is parked is called: whoever is ready already will look for itself. So one that stands in
//! several lists is called in one of them, and what it offers in several is taken once. That is the whole
//! secret of `select`: with one thread, being parked is the claim.
//!
//! A call is worth something: a permit, an item, readiness. One that is called and then raised in (killed,
//! timed out) never gets to look, so its guard passes the call on, and nothing is lost.

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::pin::pin;
use std::ptr;

use super::Hub;
use crate::switch::control::{ControlRef, Wait};
use crate::sys::clock::Moment;

/// Those who wait for one thing, each with what it offers: a `V`, or nothing.
pub(crate) struct WaitList<V = ()> {
    first: Cell<*const Node<V>>,
    last: Cell<*const Node<V>>,
    holder: Holder,
}

/// The number of the only greenlet that can call those who wait; 0 if it could be anybody.
pub(crate) type Holder = Cell<u64>;

/// One who waits. It does not move while it is linked.
struct Node<V> {
    who: ControlRef,
    offer: Cell<Option<V>>,
    linked: Cell<bool>,
    before: Cell<*const Node<V>>,
    after: Cell<*const Node<V>>,
    _pinned: PhantomPinned,
}

/// Where in the line one stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Last,
    /// For one that was called, and found that somebody else had been faster.
    First,
}

impl<V> WaitList<V> {
    pub(crate) const fn new() -> WaitList<V> {
        WaitList {
            first: Cell::new(ptr::null()),
            last: Cell::new(ptr::null()),
            holder: Cell::new(0),
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// Who alone can call those who wait.
    #[inline(always)]
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether somebody waits that can be called.
    #[inline]
    pub(crate) fn has_parked(&self) -> bool {
        self.first_parked().is_some()
    }

    /// Calls the one who has been parked here longest, and returns its number; None if nobody is.
    #[inline]
    pub(crate) fn call_one(&self, hub: &Hub) -> Option<u64> {
        let node = self.first_parked()?;
        self.unlink(node);
        hub.wake(node.who);
        // SAFETY: as in `first_parked`.
        Some(unsafe { node.who.as_ref() }.id)
    }

    /// Calls all who wait now.
    #[inline]
    pub(crate) fn call_all(&self, hub: &Hub) {
        // SAFETY: as in `first_parked`.
        while let Some(node) = unsafe { self.first.get().as_ref() } {
            self.unlink(node);
            hub.wake(node.who);
        }
    }

    /// Takes what the one offers who has been parked here longest, and calls it.
    #[inline]
    pub(crate) fn take(&self, hub: &Hub) -> Option<V> {
        let node = self.first_parked()?;
        let offer = node.offer.take();
        self.unlink(node);
        hub.wake(node.who);
        offer
    }

    #[inline]
    fn first_parked(&self) -> Option<&Node<V>> {
        let mut next = self.first.get();
        loop {
            // SAFETY: a linked node stays where it is, in the frame that linked it, until that has unlinked it (`stand`,
            // `stand_in_all`); a stack that is given up is never used again.
            let node = unsafe { next.as_ref() }?;
            // SAFETY: the greenlet in whose frame a linked node lies is alive, or was given up and stays.
            if unsafe { node.who.as_ref() }.wait.get() == Wait::Parked {
                return Some(node);
            }
            next = node.after.get();
        }
    }

    fn link(&self, node: &Node<V>, place: Place) {
        let (before, after) = match place {
            Place::Last => (self.last.get(), ptr::null()),
            Place::First => (ptr::null(), self.first.get()),
        };
        node.before.set(before);
        node.after.set(after);
        node.linked.set(true);
        self.connect(before, after, node, node);
    }

    fn unlink(&self, node: &Node<V>) {
        node.linked.set(false);
        let (before, after) = (node.before.get(), node.after.get());
        self.connect(before, after, after, before);
    }

    /// Lets `before` say that `next` comes after it, and `after` that `previous` comes before it.
    #[inline(always)]
    fn connect(
        &self,
        before: *const Node<V>,
        after: *const Node<V>,
        next: *const Node<V>,
        previous: *const Node<V>,
    ) {
        // SAFETY: neighbours of a linked node are linked, and live as it does (`first_parked`).
        match unsafe { before.as_ref() } {
            Some(before) => before.after.set(next),
            None => self.first.set(next),
        }
        // SAFETY: as above.
        match unsafe { after.as_ref() } {
            Some(after) => after.before.set(previous),
            None => self.last.set(previous),
        }
    }

    /// The one in whose frame the node lies leaves the list: whether it had been called, and what is left of its
    /// offer.
    #[inline(always)]
    fn leave(&self, node: &Node<V>) -> (bool, Option<V>) {
        let called = !node.linked.get();
        if !called {
            self.unlink(node);
        }
        (called, node.offer.take())
    }

    /// Stands in the list, with an offer or without one, while `f` runs, which parks once. Whether it was called,
    /// and the offer, unless somebody has taken it.
    ///
    /// If `f` unwinds, `lost` is given the same.
    #[inline]
    pub(crate) fn stand<F: FnOnce()>(
        &self,
        hub: &Hub,
        place: Place,
        offer: Option<V>,
        lost: impl FnOnce(bool, Option<V>),
        f: F,
    ) -> (bool, Option<V>) {
        let node = pin!(Node::of(hub, offer));
        let node = node.as_ref().get_ref();
        self.link(node, place);
        let guard = Unwound(Some(|| {
            let (called, offer) = self.leave(node);
            lost(called, offer);
        }));
        f();
        guard.quietly();
        self.leave(node)
    }

    /// Parks with an offer until somebody has taken it, or calls, or `deadline` has passed, or for no reason at
    /// all; gives it back unless it was taken.
    ///
    /// One that is raised in drops its offer, unless it was taken.
    #[inline]
    pub(crate) fn offer(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
        value: V,
    ) -> Option<V> {
        let park = || {
            hub.park_until(purpose, deadline);
        };
        let (_, left) = self.stand(hub, Place::Last, Some(value), |_, left| drop(left), park);
        left
    }
}

impl WaitList {
    /// Parks until it is called, or `deadline` has passed, or for no reason at all; true if it was called.
    ///
    /// One that is called and raised in calls the next.
    #[inline]
    pub(crate) fn wait(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> bool {
        self.wait_at(Place::Last, hub, purpose, deadline, || {
            self.call_one(hub);
        })
    }

    /// As [`wait`](Self::wait), where all are called together: one that is called and raised in has nothing to
    /// pass on, and whoever has come since must not be called for it.
    #[inline]
    pub(crate) fn wait_together(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> bool {
        self.wait_at(Place::Last, hub, purpose, deadline, || ())
    }

    /// As [`wait`](Self::wait), at a place, with what is to be done for one that is called and raised in.
    #[inline]
    pub(crate) fn wait_at(
        &self,
        place: Place,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
        lost: impl FnOnce(),
    ) -> bool {
        let park = || {
            let _told = Told::by(hub, &self.holder);
            hub.park_until(purpose, deadline);
        };
        let lost = |called, _| {
            if called {
                lost();
            }
        };
        self.stand(hub, place, None, lost, park).0
    }
}

impl WaitList {
    /// Stands in several lists while `f` runs, which parks once. In which it was called: in one at most, since
    /// only the parked are called. With lists that call everybody it may be several, and the first is told.
    ///
    /// If `f` unwinds, `lost` is told.
    pub(crate) fn stand_in_all<'a, F: FnOnce()>(
        lists: impl Iterator<Item = &'a WaitList>,
        hub: &Hub,
        lost: impl FnOnce(usize),
        f: F,
    ) -> Option<usize> {
        let nodes: Box<[(&WaitList, Node<()>)]> =
            lists.map(|list| (list, Node::of(hub, None))).collect();
        // The nodes stay where they are until they have left.
        nodes
            .iter()
            .for_each(|(list, node)| list.link(node, Place::Last));
        let leave = || {
            let called = |(list, node): &(&WaitList, Node<()>)| list.leave(node).0;
            nodes
                .iter()
                .map(called)
                .enumerate()
                .fold(None, |first, (index, called)| {
                    first.or(called.then_some(index))
                })
        };
        let guard = Unwound(Some(|| leave().map_or((), lost)));
        f();
        guard.quietly();
        leave()
    }
}

/// Something is done if the frame unwinds.
struct Unwound<L: FnOnce()>(Option<L>);

impl<L: FnOnce()> Unwound<L> {
    #[inline(always)]
    fn quietly(self) {
        const { assert!(!std::mem::needs_drop::<L>(), "it borrows") };
        std::mem::forget(self);
    }
}

impl<L: FnOnce()> Drop for Unwound<L> {
    #[inline]
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|then| then());
    }
}

impl<V> Default for WaitList<V> {
    fn default() -> WaitList<V> {
        WaitList::new()
    }
}

impl<V> Drop for WaitList<V> {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "somebody still waits here");
    }
}

impl<V> Node<V> {
    /// For the greenlet that runs.
    #[inline(always)]
    fn of(hub: &Hub, offer: Option<V>) -> Node<V> {
        Node {
            who: hub.current(),
            offer: Cell::new(offer),
            linked: Cell::new(false),
            before: Cell::new(ptr::null()),
            after: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }
}

/// While this is there, the report of a deadlock knows whom the greenlet waits for.
struct Told<'a> {
    awaits: &'a Cell<*const Holder>,
}

impl Told<'_> {
    #[inline(always)]
    fn by<'a>(hub: &'a Hub, holder: &Holder) -> Told<'a> {
        let awaits = &hub.thread().current().awaits;
        awaits.set(holder);
        Told { awaits }
    }
}

impl Drop for Told<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.awaits.set(ptr::null());
    }
}
