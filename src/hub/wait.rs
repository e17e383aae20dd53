//! Wait lists: who waits for one thing, in order of arrival.
//!
//! A node lies in the frame of the greenlet that waits, so waiting allocates nothing, and leaving from the
//! middle is two stores. The frame that enters leaves (law 5), on every way out; what is thrown at one who waits is
//! kept until it stands nowhere any more. To wait for several things is to stand in several lists and to park once.
//!
//! ```text
//!   enter ──▶ linked ──call_one/call_all/take──▶ called ──▶ the greenlet runs, and looks again (law 4)
//!               └───── deadline, spurious wake, kill ─────▶ unlinked by its own frame
//! ```
//!
//! Only one that is parked is called: whoever is ready already will look for itself. So one that stands in
//! several lists is called in one of them, and what it offers in several is taken once. That is the whole
//! secret of `select`: with one thread, being parked is the claim.
//!
//! A call is worth something: a permit, an item, readiness. One that is called and then raised in (killed,
//! timed out) never gets to look, so it passes the call on first, and nothing is lost.

use std::cell::Cell;
use std::marker::PhantomPinned;
use std::mem::offset_of;
use std::pin::{Pin, pin};
use std::ptr;
use std::sync::atomic::{Ordering, compiler_fence};

use super::Hub;
use crate::data::crowd::Crowd;
use crate::switch::control::{Control, ControlRef, Wait};
use crate::switch::subject::{Among, AnyOf, Awaits, Holder, Known, Party, Subject};
use crate::sys::clock::Moment;
use crate::sys::context::Context;

/// Those who wait for one thing, each with what it offers: a `V`, or nothing. What is [`Known`] of the thing is told of
/// those who wait.
pub(crate) struct WaitList<V = (), K: Known = Holder> {
    first: Cell<*const Node<V>>,
    last: Cell<*const Node<V>>,
    known: K,
}

/// One who waits. It does not move while it is linked.
struct Node<V> {
    who: ControlRef,
    offer: Cell<Option<V>>,
    linked: Cell<bool>,
    before: Cell<*const Node<V>>,
    after: Cell<*const Node<V>>,
    _pinned: PhantomPinned,
}

impl<V> WaitList<V> {
    pub(crate) const fn new() -> WaitList<V> {
        WaitList::of(Holder::nobody())
    }
}

impl<V> WaitList<V, Subject> {
    /// For something that a program makes, of `size` bytes, in which this list lies at `begin`.
    #[track_caller]
    pub(crate) const fn within(begin: usize, size: usize) -> WaitList<V, Subject> {
        let begin = begin + offset_of!(WaitList<V, Subject>, known);
        WaitList::of(Subject::new(begin, size))
    }
}

impl<V> WaitList<V, Party> {
    /// As [`within`](WaitList::within), for something that several may have together.
    #[track_caller]
    pub(crate) const fn of_all_within(begin: usize, size: usize) -> WaitList<V, Party> {
        let begin = begin + offset_of!(WaitList<V, Party>, known);
        WaitList::of(Party::of(Subject::new(begin, size)))
    }

    /// Those who have it together.
    #[inline]
    pub(crate) fn all(&self) -> &Crowd {
        self.known.all()
    }
}

impl<V> WaitList<V, AnyOf> {
    /// As [`within`](WaitList::within), for something that so many may have, each a part of it.
    #[track_caller]
    pub(crate) const fn of_parts_within(begin: usize, size: usize, parts: usize) -> Self {
        let begin = begin + offset_of!(WaitList<V, AnyOf>, known);
        WaitList::of(AnyOf::of(Subject::new(begin, size), parts))
    }

    /// Those who have a part.
    #[inline]
    pub(crate) fn all(&self) -> &Crowd {
        self.known.all()
    }
}

impl<V, K: Known> WaitList<V, K> {
    const fn of(known: K) -> WaitList<V, K> {
        WaitList {
            first: Cell::new(ptr::null()),
            last: Cell::new(ptr::null()),
            known,
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.get().is_null()
    }

    /// Who alone can call those who wait.
    #[inline(always)]
    pub(crate) fn holder(&self) -> &Holder {
        self.known.holder()
    }

    /// Whether somebody waits that can be called.
    #[inline]
    pub(crate) fn has_parked(&self) -> bool {
        self.first_parked().is_some()
    }

    /// Calls the one who has been parked here longest, and returns its number; None if nobody is.
    #[inline(always)]
    pub(crate) fn call_one(&self, hub: &Hub) -> Option<u64> {
        let node = self.first_parked()?;
        let who = node.whose();
        self.unlink(node);
        hub.enqueue(who);
        Some(who.id)
    }

    /// Calls all who wait now.
    #[inline]
    pub(crate) fn call_all(&self, hub: &Hub) {
        // SAFETY: as in `linked`.
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

    #[inline(always)]
    fn first_parked(&self) -> Option<&Node<V>> {
        let is_parked = |node: &&Node<V>| node.whose().wait.get() == Wait::Parked;
        self.linked().find(is_parked)
    }

    /// All who stand here, in order.
    #[inline(always)]
    fn linked(&self) -> impl Iterator<Item = &Node<V>> {
        let mut next = self.first.get();
        std::iter::from_fn(move || {
            // SAFETY: a linked node stays where it is until the frame that linked it has unlinked it (`wait_in`, where nothing
            // unwinds between the two, and `Standing`); a stack that is given up is never used again, and nothing on it is dropped.
            let node = unsafe { next.as_ref() }?;
            next = node.after.get();
            Some(node)
        })
    }

    /// Fetches the node of the first in line.
    #[inline]
    pub(crate) fn fetch_first(&self) {
        Context::fetch(self.first.get().cast());
    }

    /// Fetches the control block of the first in line.
    #[inline]
    pub(crate) fn fetch_waiter(&self) {
        // SAFETY: as in `linked`.
        if let Some(node) = unsafe { self.first.get().as_ref() } {
            Control::fetch(node.who);
        }
    }

    /// Puts it last in line.
    fn link(&self, node: &Node<V>) {
        let before = self.last.get();
        node.before.set(before);
        node.after.set(ptr::null());
        node.linked.set(true);
        self.connect(before, ptr::null(), node, node);
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
        // SAFETY: neighbours of a linked node are linked, and live as it does (`linked`).
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

    #[inline(never)]
    fn leave_uncalled(&self, node: &Node<V>) {
        self.unlink(node);
    }

    /// The one in whose frame the node lies leaves the list: whether it had been called.
    #[inline(always)]
    fn leave(&self, node: &Node<V>) -> bool {
        let called = !node.linked.get();
        if !called {
            self.leave_uncalled(node);
        }
        called
    }

    /// Stands in the list, with an offer or without one, while `rest` runs, which stands in others or
    /// [rests](Hub::rest_until). Whether it was called. The offer comes back, unless somebody has taken it.
    #[inline]
    pub(crate) fn stand(&self, hub: &Hub, offer: &mut Option<V>, rest: impl FnOnce()) -> bool {
        let standing = pin!(Standing {
            list: self,
            node: Node::of(hub.thread().current(), offer.take()),
            left: Some(offer),
        });
        let standing = standing.as_ref().get_ref();
        self.link(&standing.node);
        hub.also_awaiting(self.known.awaits(), rest);
        standing.leave()
    }

    /// The first act of a wait of `me` in this list alone. Nothing is called but last, so that nothing is kept for
    /// afterwards (`Hub::choose`).
    #[inline(never)]
    fn set_out(
        &self,
        node: &Node<V>,
        hub: &Hub,
        me: &Control,
        purpose: &'static &'static str,
    ) -> ControlRef {
        self.link(node);
        me.awaits.set(self.known.awaits());
        hub.set_out(me, purpose)
    }

    /// The last; whether it was called.
    #[inline(always)]
    fn come_back(&self, node: &Node<V>, me: &Control) -> bool {
        me.awaits.set(Awaits::NOTHING);
        self.leave(node)
    }

    /// Waits until it is called, or woken for whatever reason; whether it was called. What came is raised by the caller.
    #[inline(always)]
    fn wait_in(
        &self,
        node: Pin<&mut Node<V>>,
        hub: &Hub,
        me: &Control,
        purpose: &'static &'static str,
    ) -> bool {
        let node = node.into_ref().get_ref();
        hub.before_waiting(me, purpose);
        let next = self.set_out(node, hub, me, purpose);
        hub.go_on_in(next, me);
        self.come_back(node, me)
    }

    /// Parks with an offer until somebody has taken it, or calls, or `deadline` has passed, or for no reason at
    /// all; gives it back unless it was taken.
    ///
    /// One that is raised in drops its offer, unless it was taken.
    #[inline(always)]
    pub(crate) fn offer(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
        value: V,
    ) -> Option<V> {
        let me = hub.thread().current();
        let mut node = pin!(Node::of(me, Some(value)));
        let alarm = hub.wake_at(me, deadline);
        self.wait_in(node.as_mut(), hub, me, purpose);
        drop(alarm);
        hub.raise_what_came(me, || ());
        node.offer.take()
    }
}

impl<K: Known> WaitList<(), K> {
    /// Parks until it is called, or `deadline` has passed, or for no reason at all; true if it was called.
    ///
    /// One that is called and raised in calls the next.
    #[inline(always)]
    pub(crate) fn wait(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> bool {
        self.wait_or(hub, purpose, deadline, || {
            self.call_one(hub);
        })
    }

    /// As [`wait`](Self::wait), where all are called together: one that is called and raised in has nothing to
    /// pass on, and whoever has come since must not be called for it.
    #[inline(always)]
    pub(crate) fn wait_together(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> bool {
        self.wait_or(hub, purpose, deadline, || ())
    }

    /// As [`wait`](Self::wait), with what is to be done for one that is called and raised in.
    #[inline(always)]
    pub(crate) fn wait_or(
        &self,
        hub: &Hub,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
        lost: impl FnOnce(),
    ) -> bool {
        let me = hub.thread().current();
        let alarm = hub.wake_at(me, deadline);
        self.wait_under(alarm, hub, me, purpose, lost)
    }

    /// As [`wait`](Self::wait) for `me`, for as long as it takes.
    #[inline(always)]
    pub(crate) fn wait_endlessly(&self, hub: &Hub, me: &Control, purpose: &'static &'static str) {
        self.wait_under((), hub, me, purpose, || {
            self.call_one(hub);
        });
    }

    #[inline(always)]
    fn wait_under<A>(
        &self,
        alarm: A,
        hub: &Hub,
        me: &Control,
        purpose: &'static &'static str,
        lost: impl FnOnce(),
    ) -> bool {
        let node = pin!(Node::of(me, None));
        let called = self.wait_in(node, hub, me, purpose);
        drop(alarm);
        hub.raise_what_came(me, || {
            if called {
                lost();
            }
        });
        called
    }

    /// Stands in several lists while `rest` runs, as [`stand`](Self::stand). In which it was called: in one at most,
    /// since only the parked are called. With lists that call everybody it may be several, and the first is told.
    pub(crate) fn stand_in_all<'a>(
        lists: impl Iterator<Item = &'a WaitList<(), K>>,
        hub: &Hub,
        rest: impl FnOnce(),
    ) -> Option<usize>
    where
        K: 'a,
    {
        // They stay where they are until they have left.
        let standing = |list| Standing {
            list,
            node: Node::of(hub.thread().current(), None),
            left: None,
        };
        let everywhere: Box<[Standing<'_, (), K>]> = lists.map(standing).collect();
        for standing in &everywhere {
            standing.list.link(&standing.node);
        }
        hub.also_awaiting_all(everywhere.iter().map(|it| it.list.known.awaits()), rest);
        let mut called = None;
        for (index, standing) in everywhere.iter().enumerate() {
            if standing.leave() {
                called = called.or(Some(index));
            }
        }
        called
    }
}

impl Hub {
    /// The greenlet that runs waits for this as well while `rest` runs.
    #[inline]
    pub(crate) fn also_awaiting(&self, this: Awaits, rest: impl FnOnce()) {
        let me = self.thread().current();
        let among = Among::new(this, me.awaits.get());
        let _back = AwaitsAgain::after(me, among.awaits());
        rest();
    }

    /// As [`also_awaiting`](Self::also_awaiting), for several.
    fn also_awaiting_all(&self, these: impl Iterator<Item = Awaits>, rest: impl FnOnce()) {
        let me = self.thread().current();
        let mut others = me.awaits.get();
        let mut chain: Box<[Among]> = these.map(|this| Among::new(this, others)).collect();
        for among in &mut chain {
            among.others = others;
            others = among.awaits();
        }
        let _back = AwaitsAgain::after(me, others);
        rest();
    }
}

/// What a greenlet awaits again when this goes. A signal handler may look at any time, and finds what is there.
struct AwaitsAgain<'a>(&'a Control, Awaits);

impl<'a> AwaitsAgain<'a> {
    fn after(me: &'a Control, awaits: Awaits) -> AwaitsAgain<'a> {
        compiler_fence(Ordering::SeqCst);
        AwaitsAgain(me, me.awaits.replace(awaits))
    }
}

impl Drop for AwaitsAgain<'_> {
    fn drop(&mut self) {
        self.0.awaits.set(self.1);
        compiler_fence(Ordering::SeqCst);
    }
}

/// One who stands in one list while it sees to others, which can fail: an arm of a select that waits for other threads
/// needs a poller. It leaves on every way out, and takes back what is left of its offer.
struct Standing<'a, V, K: Known> {
    list: &'a WaitList<V, K>,
    node: Node<V>,
    left: Option<&'a mut Option<V>>,
}

impl<V, K: Known> Standing<'_, V, K> {
    /// Whether it had been called.
    fn leave(&self) -> bool {
        self.list.leave(&self.node)
    }
}

impl<V, K: Known> Drop for Standing<'_, V, K> {
    fn drop(&mut self) {
        self.leave();
        if let Some(left) = &mut self.left {
            **left = self.node.offer.take();
        }
    }
}

impl<V> Default for WaitList<V> {
    fn default() -> WaitList<V> {
        WaitList::new()
    }
}

impl<V, K: Known> Drop for WaitList<V, K> {
    fn drop(&mut self) {
        // Those who were given up stand where they stood.
        debug_assert!(
            self.linked().all(|node| node.whose().is_given_up()),
            "somebody still waits here"
        );
    }
}

impl<V> Node<V> {
    /// The greenlet in whose frame a linked node lies.
    #[inline(always)]
    fn whose(&self) -> &Control {
        // SAFETY: it is alive, or was given up and stays.
        unsafe { self.who.as_ref() }
    }

    #[inline(always)]
    fn of(who: &Control, offer: Option<V>) -> Node<V> {
        Node {
            who: who.into(),
            offer: Cell::new(offer),
            linked: Cell::new(false),
            before: Cell::new(ptr::null()),
            after: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }
}
