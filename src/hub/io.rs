//! Sources: descriptors that greenlets wait for, and the one retry loop (law 3).
//!
//! A [`Source`] owns a thing with a descriptor. The descriptor is registered once, when somebody first has to
//! wait for it, edge-triggered and for both directions, and stays so for its whole life: no system call for
//! each wait. What is known of its readiness is two bits:
//!
//! ```text
//!               an event ──▶ ┌───────┐ ──▶ the call is made
//!                            │ ready │
//!      the call would block, └───────┘     it is not: park until there is an event
//!    or a read came back short
//! ```
//!
//! A short read of a stream says that it is drained, which saves the call that would say so. It says nothing
//! once the other side has closed, or an error or urgent data is there: data and the end may come with one
//! event, so that event is remembered (`CLOSED`), and from then on only the call itself counts.
//!
//! Events carry a key with a generation (law 8): one for a source that has gone, whose number and place may
//! belong to another one by now, is ignored.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use super::Hub;
use super::wait::WaitList;
use crate::sys::clock::Moment;
use crate::sys::fd::{self, would_block};
use crate::sys::poller::{Bell, CLOSING_REMOVES, Events, Poller, Readiness, SHORT_READ_DRAINS};

/// So many calls in a row that need not wait, and a greenlet gives way to others.
const CALLS_IN_A_ROW: u32 = 64;

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    fn bit(self) -> Readiness {
        match self {
            Direction::Read => Readiness::READ,
            Direction::Write => Readiness::WRITE,
        }
    }

    fn purpose(self) -> &'static &'static str {
        match self {
            Direction::Read => &"waits for something to read",
            Direction::Write => &"waits to write",
        }
    }
}

/// A thing with a descriptor that does not block, and those who wait for it.
pub(crate) struct Source<T: AsFd> {
    thing: T,
    state: Box<State>,
}

/// What the hub knows of a source. It does not move, so events find it.
struct State {
    ready: Cell<Readiness>,
    key: Cell<Option<u64>>,
    /// Closed in spite of those who wait for it.
    closed: Cell<bool>,
    /// The descriptor may have been duplicated: closing it need not end its registration.
    exposed: Cell<bool>,
    /// The user wants `WouldBlock` instead of waiting.
    nonblocking: Cell<bool>,
    readers: WaitList,
    writers: WaitList,
}

/// Every call leaves the readiness and the lines of those who wait as they should be, on every way out.
impl<T: AsFd + UnwindSafe> UnwindSafe for Source<T> {}
impl<T: AsFd + RefUnwindSafe> RefUnwindSafe for Source<T> {}

impl State {
    fn waiting(&self, direction: Direction) -> &WaitList {
        match direction {
            Direction::Read => &self.readers,
            Direction::Write => &self.writers,
        }
    }

    fn is_ready(&self, direction: Direction) -> bool {
        self.ready.get().contains(direction.bit())
    }

    fn clear(&self, direction: Direction) {
        self.ready.set(self.ready.get().without(direction.bit()));
    }

    /// There is an event. It is the first in line that looks; when it leaves something, it calls the next.
    fn happened(&self, hub: &Hub, what: Readiness) {
        self.ready.set(self.ready.get().union(what));
        for direction in [Direction::Read, Direction::Write] {
            if what.contains(Readiness::CLOSED) {
                self.waiting(direction).wake_all(hub);
            } else if what.contains(direction.bit()) {
                self.waiting(direction).wake_one(hub);
            }
        }
    }
}

impl<T: AsFd> Source<T> {
    /// Takes over a thing whose descriptor does not block.
    pub(crate) fn new(thing: T) -> Source<T> {
        let both = Readiness::READ.union(Readiness::WRITE);
        Source {
            thing,
            state: Box::new(State {
                ready: Cell::new(both),
                key: Cell::new(None),
                closed: Cell::new(false),
                exposed: Cell::new(false),
                nonblocking: Cell::new(false),
                readers: WaitList::new(),
                writers: WaitList::new(),
            }),
        }
    }

    /// The thing itself, for calls that do not wait.
    pub(crate) fn thing(&self) -> &T {
        &self.thing
    }

    /// The same for one who may duplicate its descriptor, or keep its number.
    pub(crate) fn exposed(&self) -> &T {
        self.state.exposed.set(true);
        &self.thing
    }

    /// A second source with a descriptor of its own for the same thing.
    pub(crate) fn duplicate(
        &self,
        try_clone: impl FnOnce(&T) -> io::Result<T>,
    ) -> io::Result<Source<T>> {
        let twin = Source::new(try_clone(self.exposed())?);
        twin.exposed();
        twin.set_nonblocking(self.is_nonblocking());
        Ok(twin)
    }

    /// Whether calls return `WouldBlock` instead of waiting.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.state.nonblocking.get()
    }

    /// Lets calls return `WouldBlock` instead of waiting, or not.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.state.nonblocking.set(nonblocking);
    }

    /// Makes `call` until it does not say that it would block, and waits in between.
    ///
    /// # Errors
    /// What `call` returns; `WouldBlock` (as std has it) when `timeout` has passed, or at once in
    /// non-blocking mode; what is said of a source that was closed meanwhile, or cannot be waited for.
    #[inline]
    pub(crate) fn retry<R>(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let hub = Hub::here();
        let state = &*self.state;
        let mut deadline = None;
        hub.io.spend(hub);
        loop {
            if state.closed.get() {
                return Err(closed());
            }
            // Without waiting nobody asks for events, so nothing is known: only the call itself counts.
            if state.is_ready(direction) || state.nonblocking.get() {
                match call(&self.thing) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        state.clear(direction);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    outcome => {
                        self.pass_on(hub, direction);
                        return outcome;
                    }
                }
            }
            if state.nonblocking.get() {
                return Err(would_block());
            }
            self.wait(hub, direction, timeout, &mut deadline)?;
        }
    }

    /// As [`retry`](Self::retry) for a read of up to `room` bytes from a stream, where coming back short
    /// means that there is no more.
    #[inline]
    pub(crate) fn retry_stream_read(
        &self,
        timeout: Option<Duration>,
        room: usize,
        mut call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if room == 0
            && let Some(outcome) = self.at_once(&mut call)
        {
            return outcome;
        }
        let count = self.retry(Direction::Read, timeout, call)?;
        if SHORT_READ_DRAINS && count < room && !self.state.ready.get().contains(Readiness::CLOSED)
        {
            self.state.clear(Direction::Read);
        }
        Ok(count)
    }

    /// Reads from something that is a stream of bytes.
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.retry_stream_read(None, buf.len(), |thing| fd::read(thing.as_fd(), buf))
    }

    /// Writes to something that is a stream of bytes.
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.retry(Direction::Write, None, |thing| {
            fd::write(thing.as_fd(), buf)
        })
    }

    /// As [`retry`](Self::retry) for a write of `load` bytes to a stream.
    #[inline]
    pub(crate) fn retry_stream_write(
        &self,
        timeout: Option<Duration>,
        load: usize,
        mut call: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if load == 0
            && let Some(outcome) = self.at_once(&mut call)
        {
            return outcome;
        }
        self.retry(Direction::Write, timeout, call)
    }

    /// Makes `call` once, whatever is known of the source.
    ///
    /// # Errors
    /// As [`retry`](Self::retry); `WouldBlock` if it would have to wait.
    pub(crate) fn attempt<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let hub = Hub::here();
        hub.io.spend(hub);
        loop {
            if self.state.closed.get() {
                return Err(closed());
            }
            match call(&self.thing) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// A call that moves nothing, which the system may answer whether the source is ready or not. None: it
    /// would wait.
    #[cold]
    fn at_once<R>(&self, call: &mut impl FnMut(&T) -> io::Result<R>) -> Option<io::Result<R>> {
        match self.attempt(call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            outcome => Some(outcome),
        }
    }

    /// Waits until there may be something, without a call.
    pub(crate) fn wait_until_ready(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let hub = Hub::here();
        let mut deadline = None;
        self.state.clear(direction);
        while !self.state.is_ready(direction) {
            if self.state.closed.get() {
                return Err(closed());
            }
            self.wait(hub, direction, timeout, &mut deadline)?;
        }
        Ok(())
    }

    /// Closes it for all who use it: those who wait get an error, and so does everyone from now on. Its
    /// number stays taken until the source is dropped, so it cannot be mistaken for another one.
    pub(crate) fn close(&self) {
        self.state.closed.set(true);
        if let Some(hub) = Hub::here_if_open() {
            self.state.readers.wake_all(hub);
            self.state.writers.wake_all(hub);
        }
    }

    /// Gives the thing back. Nobody waits for it: they would borrow the source.
    pub(crate) fn into_thing(self) -> T {
        self.state.exposed.set(true);
        self.deregister();
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: both fields are read once, and the source is not dropped.
        unsafe {
            drop(std::ptr::read(&this.state));
            std::ptr::read(&this.thing)
        }
    }

    /// What is left is for the next in line.
    #[inline]
    fn pass_on(&self, hub: &Hub, direction: Direction) {
        let line = self.state.waiting(direction);
        if !line.is_empty() && self.state.is_ready(direction) {
            line.wake_one(hub);
        }
    }

    fn wait(
        &self,
        hub: &Hub,
        direction: Direction,
        timeout: Option<Duration>,
        deadline: &mut Option<Moment>,
    ) -> io::Result<()> {
        hub.check_open()?;
        self.register(hub)?;
        if let Some(timeout) = timeout {
            let at = *deadline.get_or_insert_with(|| Moment::now().after(timeout));
            if at <= Moment::now() {
                return Err(would_block());
            }
        }
        let _awaited = hub.io.await_one();
        let line = self.state.waiting(direction);
        line.wait(hub, direction.purpose(), *deadline);
        Ok(())
    }

    /// Registers it, unless it is.
    fn register(&self, hub: &Hub) -> io::Result<()> {
        if self
            .state
            .key
            .get()
            .is_some_and(|key| hub.io.knows(key, &self.state))
        {
            return Ok(());
        }
        let key = hub.io.register(&self.thing, &self.state)?;
        self.state.key.set(Some(key));
        Ok(())
    }

    /// Before the descriptor is closed or goes elsewhere (law 8).
    fn deregister(&self) {
        let Some(key) = self.state.key.take() else {
            return;
        };
        if let Some(hub) = Hub::here_if_open() {
            let leaves = CLOSING_REMOVES && !self.state.exposed.get();
            hub.io.deregister(&self.thing, &self.state, key, leaves);
        }
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        self.deregister();
    }
}

/// Waits until a descriptor is ready that is not ours to change: it may block, is shared with other processes,
/// and whoever shares it may take away what was there. So nothing is remembered of it. The system is asked
/// before each wait, and one wait is one registration of a duplicate, which tells what is there already. Nobody
/// waits any more when there is no `need` to: it is asked whenever the greenlet is woken.
///
/// # Errors
/// What the system says; `PermissionDenied` for what cannot be waited for, and is always ready.
pub(crate) fn wait_for_foreign(
    fd: BorrowedFd<'_>,
    direction: Direction,
    need: impl Fn() -> bool,
) -> io::Result<()> {
    while need() && !is_ready_now(fd, direction)? {
        let source = Source::new(fd.try_clone_to_owned()?);
        source.state.exposed.set(true);
        source.state.clear(direction);
        while need() && !source.state.is_ready(direction) {
            source.wait(Hub::here(), direction, None, &mut None)?;
        }
    }
    Ok(())
}

/// Whether a call on the descriptor would not wait, at this moment.
pub(crate) fn is_ready_now(fd: BorrowedFd<'_>, direction: Direction) -> io::Result<bool> {
    fd::is_ready(fd, direction == Direction::Write)
}

impl Hub {
    /// Whether a greenlet can wait here.
    ///
    /// # Errors
    /// If not, words that say so.
    pub(crate) fn check_open(&self) -> io::Result<()> {
        if self.is_closed() {
            return Err(io::Error::other(
                "the thread is ending, and its hub has ended: nothing can wait here any more",
            ));
        }
        Ok(())
    }
}

fn closed() -> io::Error {
    // Not `ConnectionAborted`: servers go on accepting after that.
    io::Error::other("it was closed: somebody has called `close` on it")
}

/// What std has for each of its types with a descriptor: conversions from and to std's type and plain
/// descriptors, borrowing the descriptor, `Debug`. Trait impls only.
macro_rules! descriptor {
    ($ours:ty, $theirs:ty, $of:path) => {
        /// Takes it over; it does not block from now on.
        impl From<$theirs> for $ours {
            fn from(thing: $theirs) -> $ours {
                // This fails for what is no descriptor; then so does every call on it, which says so.
                let _ = crate::sys::fd::set_nonblocking(&thing, true);
                $of(thing)
            }
        }

        /// Gives it back; it blocks again, unless it was set not to.
        impl From<$ours> for $theirs {
            fn from(ours: $ours) -> $theirs {
                let nonblocking = ours.source.is_nonblocking();
                let thing = ours.source.into_thing();
                let _ = crate::sys::fd::set_nonblocking(&thing, nonblocking);
                thing
            }
        }

        impl From<std::os::fd::OwnedFd> for $ours {
            fn from(fd: std::os::fd::OwnedFd) -> $ours {
                <$theirs>::from(fd).into()
            }
        }

        impl From<$ours> for std::os::fd::OwnedFd {
            fn from(ours: $ours) -> std::os::fd::OwnedFd {
                <$theirs>::from(ours).into()
            }
        }

        impl std::os::fd::AsFd for $ours {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.source.exposed().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $ours {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(self.source.exposed())
            }
        }

        impl std::os::fd::IntoRawFd for $ours {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                std::os::fd::IntoRawFd::into_raw_fd(<$theirs>::from(self))
            }
        }

        impl std::fmt::Debug for $ours {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.source.thing(), f)
            }
        }
    };
}
pub(crate) use descriptor;

/// The sources of a hub that are registered, and its poller.
#[derive(Default)]
pub(super) struct Table {
    poller: RefCell<Option<Poller>>,
    events: RefCell<Option<Events>>,
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<u32>>,
    /// How many greenlets wait for a source.
    awaited: Cell<usize>,
    /// Calls since somebody last waited or gave way.
    in_a_row: Cell<u32>,
}

struct Place {
    generation: u32,
    state: Option<NonNull<State>>,
}

impl Table {
    /// A look at what has happened; waits for something to happen if there is a `timeout`, or none.
    pub(super) fn poll(&self, hub: &Hub, timeout: Option<Duration>) {
        if timeout == Some(Duration::ZERO) && self.awaited.get() == 0 {
            return;
        }
        let poller = self.poller.borrow();
        let Some(poller) = &*poller else { return };
        let mut events = self.events.borrow_mut();
        let events = events.get_or_insert_with(Events::new);
        if let Err(error) = poller.wait(events, timeout) {
            // The set itself is broken: somebody has closed its descriptor.
            panic!("the poller of the hub fails: {error}; was its descriptor closed?");
        }
        for (key, what) in events.iter() {
            if let Some(state) = self.find(key) {
                // SAFETY: a state in the table lives: its source takes it out before it goes
                // (`deregister`). Waking calls no code of the user.
                unsafe { state.as_ref() }.happened(hub, what);
            }
        }
        self.in_a_row.set(0);
    }

    /// One call more that may not need to wait. After many in a row others go first.
    #[inline]
    fn spend(&self, hub: &Hub) {
        let calls = self.in_a_row.get() + 1;
        self.in_a_row.set(calls);
        if calls > CALLS_IN_A_ROW && !hub.is_closed() {
            self.in_a_row.set(0);
            hub.yield_now();
        }
    }

    /// Counts somebody who waits for a source.
    fn await_one(&self) -> Awaited<'_> {
        self.in_a_row.set(0);
        self.awaited.set(self.awaited.get() + 1);
        Awaited(&self.awaited)
    }

    /// How many greenlets wait for a source.
    pub(super) fn awaited(&self) -> usize {
        self.awaited.get()
    }

    pub(super) fn has_poller(&self) -> bool {
        self.poller.borrow().is_some()
    }

    /// How many descriptors are registered.
    pub(super) fn registered(&self) -> usize {
        self.places.borrow().len() - self.free.borrow().len()
    }

    /// What wakes this hub from another thread.
    pub(super) fn bell(&self) -> io::Result<Arc<Bell>> {
        self.with_poller(|poller| Ok(poller.bell()))
    }

    fn with_poller<R>(&self, f: impl FnOnce(&Poller) -> io::Result<R>) -> io::Result<R> {
        let mut poller = self.poller.borrow_mut();
        match &mut *poller {
            Some(poller) => f(poller),
            none => f(none.insert(Poller::new()?)),
        }
    }

    fn register(&self, thing: &impl AsFd, state: &State) -> io::Result<u64> {
        let key = self.enter(state);
        let added = self.with_poller(|poller| poller.add(thing.as_fd(), key));
        if let Err(error) = added {
            self.leave(key);
            return Err(error);
        }
        // What is there already comes as an event.
        Ok(key)
    }

    fn deregister(&self, thing: &impl AsFd, state: &State, key: u64, leaves: bool) {
        if !self.knows(key, state) {
            return;
        }
        self.leave(key);
        if !leaves && let Some(poller) = &*self.poller.borrow() {
            // It may have been closed behind our back; then there is nothing to take out.
            let _ = poller.remove(thing.as_fd());
        }
    }

    fn enter(&self, state: &State) -> u64 {
        let mut places = self.places.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            places.push(Place {
                generation: 0,
                state: None,
            });
            (places.len() - 1) as u32
        });
        let place = &mut places[index as usize];
        place.state = Some(NonNull::from(state));
        u64::from(place.generation) << 32 | u64::from(index)
    }

    fn leave(&self, key: u64) {
        let place = &mut self.places.borrow_mut()[key as u32 as usize];
        place.state = None;
        // The highest generation is never reached: it is the poller's own.
        place.generation = (place.generation + 1) & (u32::MAX >> 1);
        self.free.borrow_mut().push(key as u32);
    }

    fn find(&self, key: u64) -> Option<NonNull<State>> {
        let places = self.places.borrow();
        let place = places.get(key as u32 as usize)?;
        (place.generation == (key >> 32) as u32)
            .then_some(place.state)
            .flatten()
    }

    fn knows(&self, key: u64, state: &State) -> bool {
        self.find(key) == Some(NonNull::from(state))
    }

    /// After a fork: what is registered is registered in the parent's set.
    pub(super) fn begin_again(&self) {
        if let Some(poller) = self.poller.borrow_mut().take() {
            poller.leave_behind();
        }
        self.awaited.set(0);
        let mut places = self.places.borrow_mut();
        let mut free = self.free.borrow_mut();
        for (index, place) in places.iter_mut().enumerate() {
            if place.state.take().is_some() {
                place.generation = (place.generation + 1) & (u32::MAX >> 1);
                free.push(index as u32);
            }
        }
    }
}

/// Somebody waits for a source.
struct Awaited<'a>(&'a Cell<usize>);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
