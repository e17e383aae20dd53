//! The sources of a hub that are registered, and its poller.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use super::state::State;
use crate::data::register::{Key, Register};
use crate::hub::Hub;
use crate::switch::control::Control;
use crate::sys::poller::{Bell, Events, Poller, Readiness, Trigger};

/// So many calls in a row that need not wait, and a greenlet gives way to others.
const CALLS_IN_A_ROW: u32 = 64;

/// So many sources are told at a time.
const TOLD_TOGETHER: usize = 8;

/// The sources of a hub that are registered, and its poller.
#[derive(Default)]
pub(crate) struct Table {
    poller: RefCell<Option<Poller>>,
    events: RefCell<Option<Events>>,
    sources: Register<NonNull<State>>,
    /// How many greenlets wait for a source.
    awaited: Cell<usize>,
    /// How often it has begun again.
    begun: Cell<u32>,
    /// Calls since somebody last waited or gave way.
    in_a_row: Cell<u32>,
}

impl Table {
    /// A look at what has happened; waits for something to happen if there is a `timeout`, or none.
    pub(crate) fn poll(&self, hub: &Hub, timeout: Option<Duration>) {
        if timeout == Some(Duration::ZERO) && self.registered() == 0 {
            return;
        }
        let poller = self.poller.borrow();
        let Some(poller) = &*poller else { return };
        let mut events = self.events.borrow_mut();
        let events = events.get_or_insert_with(Events::new);
        poller.wait(events, timeout);
        self.tell(hub, events.iter());
        self.in_a_row.set(0);
    }

    /// Tells sources what has happened to them.
    #[inline]
    fn tell(&self, hub: &Hub, events: impl Iterator<Item = (u64, Readiness)>) {
        let sources = self.sources.look();
        let found = events.filter_map(|(key, what)| {
            // SAFETY: a state in the table lives: its source takes it out before it goes (`deregister`). Waking calls no
            // code of the user.
            let state = unsafe { &*sources.find(key)?.as_ptr() };
            Some((state, what))
        });
        match hub.thread().is_crowded() {
            true => tell_a_crowd(hub, found),
            false => found.for_each(|(state, what)| state.happened(hub, what)),
        }
    }

    /// One call more that may not need to wait. After many in a row others go first.
    #[inline(always)]
    pub(super) fn spend(&self, hub: &Hub) {
        let calls = self.in_a_row.get() + 1;
        self.in_a_row.set(calls);
        if calls > CALLS_IN_A_ROW {
            self.give_way(hub);
        }
    }

    #[cold]
    #[inline(never)]
    fn give_way(&self, hub: &Hub) {
        if !hub.is_closed() {
            self.in_a_row.set(0);
            hub.yield_now();
        }
    }

    /// Counts the greenlet that runs, which waits for `source`, or for what this is the state of.
    #[inline(always)]
    pub(super) fn await_one<'a, S>(&'a self, me: &'a Control, source: &S) -> Awaited<'a> {
        self.in_a_row.set(0);
        self.awaited.set(self.awaited.get() + 1);
        me.source.set(ptr::from_ref(source).cast());
        Awaited {
            table: self,
            me,
            begun: self.begun.get(),
        }
    }

    /// How many greenlets wait for a source.
    pub(crate) fn awaited(&self) -> usize {
        self.awaited.get()
    }

    /// How many descriptors are registered.
    pub(crate) fn registered(&self) -> usize {
        self.sources.len()
    }

    /// What wakes this hub from another thread.
    pub(crate) fn bell(&self) -> io::Result<Arc<Bell>> {
        self.with_poller(|poller| Ok(poller.bell()))
    }

    fn with_poller<R>(&self, f: impl FnOnce(&Poller) -> io::Result<R>) -> io::Result<R> {
        let mut poller = self.poller.borrow_mut();
        match &mut *poller {
            Some(poller) => f(poller),
            none => f(none.insert(Poller::new()?)),
        }
    }

    pub(super) fn register(
        &self,
        fd: BorrowedFd<'_>,
        state: &State,
        what: Readiness,
        trigger: Trigger,
    ) -> io::Result<Key> {
        let key = self.sources.enter(NonNull::from(state));
        let added = self.with_poller(|poller| poller.add(fd, key.get(), what, trigger));
        if let Err(error) = added {
            self.sources.strike(key);
            return Err(error);
        }
        // What is there already comes as an event.
        Ok(key)
    }

    /// Whether another one than this is registered by a descriptor of that number: somebody has closed that of this one,
    /// and the number is that other's by now.
    pub(super) fn is_of_another(&self, number: RawFd, this: &State) -> bool {
        let is_it = |other: &State| {
            let goes_by_it = other.readers.holder().descriptor() == Some(number);
            !ptr::eq(other, this) && goes_by_it && !other.is_for_foreign.get()
        };
        // SAFETY: as in `tell`.
        self.sources.any(|state| is_it(unsafe { state.as_ref() }))
    }

    /// Watches one that is registered in another way.
    pub(super) fn change(
        &self,
        fd: BorrowedFd<'_>,
        key: Key,
        what: Readiness,
        trigger: Trigger,
    ) -> io::Result<()> {
        match &*self.poller.borrow() {
            Some(poller) => poller.change(fd, key.get(), what, trigger),
            None => Ok(()),
        }
    }

    pub(super) fn deregister(&self, thing: &impl AsFd, key: Key, leaves: bool) {
        self.sources.strike(key);
        if !leaves && let Some(poller) = &*self.poller.borrow() {
            // It may have been closed behind our back; then there is nothing to take out.
            let _ = poller.remove(thing.as_fd());
        }
    }

    /// Nothing will wait here any more.
    pub(crate) fn end(&self) {
        self.events.take();
        self.poller.take();
    }

    /// After a fork: what is registered is registered in the parent's set.
    pub(crate) fn begin_again(&self) {
        if let Some(poller) = self.poller.borrow_mut().take() {
            poller.leave_behind();
        }
        self.awaited.set(0);
        self.begun.set(self.begun.get() + 1);
        // SAFETY: as in `tell`.
        self.sources
            .clear(|state| unsafe { state.as_ref() }.key.set(None));
    }
}

/// Some at a time: what is touched for each of them has mostly gone cold, and is fetched for several together.
#[inline(never)]
fn tell_a_crowd<'a>(hub: &Hub, found: impl Iterator<Item = (&'a State, Readiness)>) {
    let mut found = found.inspect(|(state, _)| state.fetch());
    let mut some = || -> [Option<_>; TOLD_TOGETHER] { std::array::from_fn(|_| found.next()) };
    let mut those = some();
    while those.iter().any(Option::is_some) {
        // Of the next ones the first thing is fetched while these are told.
        let next = some();
        let all = || those.iter().flatten();
        all().for_each(|(state, _)| state.fetch_line());
        all().for_each(|(state, _)| state.fetch_waiter());
        all().for_each(|(state, what)| state.happened(hub, *what));
        those = next;
    }
}

/// Somebody waits for a source. One who began before a fork is not counted any more.
pub(super) struct Awaited<'a> {
    table: &'a Table,
    me: &'a Control,
    begun: u32,
}

impl Drop for Awaited<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.me.source.set(ptr::null());
        if self.begun == self.table.begun.get() {
            self.table.awaited.set(self.table.awaited.get() - 1);
        }
    }
}
