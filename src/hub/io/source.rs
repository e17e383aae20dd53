//! A source: a thing with a descriptor, and the one retry loop.

use std::cell::{Cell, OnceCell};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsFd;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::state::State;
use super::{Direction, Limit, Watched, count_call};
use crate::hub::Hub;
use crate::sys::clock::Moment;
use crate::sys::fd::{self, Received, would_block};
use crate::sys::poller::{CLOSING_REMOVES, Readiness, SHORT_READ_DRAINS, Trigger};

/// A thing with a descriptor that does not block, and those who wait for it.
///
/// What a call looks at lies here. The hub's part is a line of memory of its own, which is cold by each call where there are
/// thousands of sources; so there is none as long as nobody has found anything out or waited: a call is worth trying then.
pub(crate) struct Source<T: AsFd> {
    thing: T,
    state: OnceCell<Box<State>>,
    /// Closed in spite of those who wait for it.
    closed: Cell<bool>,
    /// The user wants `WouldBlock` instead of waiting.
    nonblocking: Cell<bool>,
    /// The descriptor may have been duplicated: closing it need not end its registration.
    exposed: Cell<bool>,
    /// For what it is watched at first.
    trigger: Trigger,
}

/// Every call leaves the readiness and the lines of those who wait as they should be, on every way out.
impl<T: AsFd + UnwindSafe> UnwindSafe for Source<T> {}
impl<T: AsFd + RefUnwindSafe> RefUnwindSafe for Source<T> {}

impl<T: AsFd> Source<T> {
    /// Takes over a thing whose descriptor does not block.
    pub(crate) fn new(thing: T) -> Source<T> {
        Source::watched_for(Trigger::Edge, thing)
    }

    /// The same for one that is watched in the directions in which somebody has waited for it, and not in both
    /// from the first wait on. That is for things which tell of each read that they can be written to: eventfds.
    ///
    /// Where somebody waits whenever there is something to read, levels are cheaper than edges: of what was read since the
    /// last look the kernel still has the entry in its list when it is written to again. So it is watched for levels until
    /// it is told in vain, a call finds nothing, or somebody waits to write, and for edges from then on. For sockets that
    /// is no gain: such an entry has to be asked once more, which takes longer than to make it again.
    pub(crate) fn step_by_step(thing: T) -> Source<T> {
        Source::watched_for(Trigger::Level, thing)
    }

    fn watched_for(trigger: Trigger, thing: T) -> Source<T> {
        Source {
            thing,
            state: OnceCell::new(),
            closed: Cell::new(false),
            nonblocking: Cell::new(false),
            exposed: Cell::new(false),
            trigger,
        }
    }

    /// What the hub knows of it, from now on at least.
    #[inline(always)]
    pub(super) fn state(&self) -> &State {
        match self.state.get() {
            Some(state) => state,
            None => self.begin(),
        }
    }

    #[cold]
    #[inline(never)]
    fn begin(&self) -> &State {
        self.state
            .get_or_init(|| Box::new(State::new(self.trigger)))
    }

    /// Whether a call is worth trying.
    #[inline(always)]
    fn may_be_ready(&self, direction: Direction) -> bool {
        self.state
            .get()
            .is_none_or(|state| state.is_ready(direction))
    }

    /// The thing itself, for calls that do not wait.
    pub(crate) fn thing(&self) -> &T {
        &self.thing
    }

    /// The same for one who may duplicate its descriptor, or keep its number.
    pub(crate) fn exposed(&self) -> &T {
        self.exposed.set(true);
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
        if self.state.get().is_some_and(|state| state.is_closed()) {
            twin.keeps_messages();
        }
        Ok(twin)
    }

    /// Whether calls return `WouldBlock` instead of waiting.
    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.get()
    }

    /// Lets calls return `WouldBlock` instead of waiting, or not.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.set(nonblocking);
    }

    /// Makes `call` until it does not say that it would block, and waits in between.
    ///
    /// # Errors
    /// What `call` returns; `WouldBlock` (as std has it) when it has waited for as long as the `limit`, or at once in
    /// non-blocking mode; what is said of a source that was closed meanwhile, or cannot be waited for.
    #[inline(always)]
    pub(crate) fn retry<R>(
        &self,
        direction: Direction,
        limit: Option<&Limit>,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let Some(hub) = Hub::here_to_the_end() else {
            return self.at_the_end(call);
        };
        let mut deadline = None;
        hub.io.spend(hub);
        loop {
            if self.closed.get() {
                return Err(closed());
            }
            // Without waiting nobody asks for events, so nothing is known: only the call itself counts.
            // A hub that is closed is told nothing any more.
            if self.may_be_ready(direction) || self.nonblocking.get() || hub.is_closed() {
                match call(&self.thing) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.state().found_nothing(hub, direction);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    outcome => {
                        if let Some(state) = self.state.get() {
                            state.pass_on(hub, direction);
                        }
                        return outcome;
                    }
                }
            }
            if self.nonblocking.get() {
                return Err(would_block());
            }
            match self.wait(hub, direction, limit, &mut deadline) {
                // There may be something that nobody has had the time to tell.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.last_attempt(&mut call);
                }
                outcome => outcome?,
            }
        }
    }

    /// As [`retry`](Self::retry) for a call that moves up to so many `bytes`: none are moved without waiting.
    #[inline]
    pub(crate) fn retry_moving<R>(
        &self,
        direction: Direction,
        limit: Option<&Limit>,
        bytes: usize,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        if bytes == 0
            && let Some(outcome) = self.at_once(&mut call)
        {
            return outcome;
        }
        self.retry(direction, limit, call)
    }

    /// The same for a read of up to `room` bytes from a stream, where coming back short means that there is no more,
    /// unless the call says that something else has ended it.
    #[inline]
    pub(crate) fn retry_stream_read(
        &self,
        limit: Option<&Limit>,
        room: usize,
        call: impl FnMut(&T) -> io::Result<Received>,
    ) -> io::Result<usize> {
        let received = self.retry_moving(Direction::Read, limit, room, call)?;
        if received.count < room && !received.cut {
            self.drained();
        }
        Ok(received.count)
    }

    /// What comes is not a stream: a short read means nothing, whatever this is read as.
    pub(crate) fn keeps_messages(&self) {
        let state = self.state();
        state.ready.set(state.ready.get().union(Readiness::CLOSED));
    }

    /// The last read has taken all there was. After a close only the call itself counts.
    #[inline]
    pub(crate) fn drained(&self) {
        if !SHORT_READ_DRAINS {
            return;
        }
        let state = self.state();
        if !state.is_closed() {
            state.clear(Direction::Read);
        }
    }

    /// Reads from what may be a pipe of packets, or a terminal, by lines: where a read ends says nothing.
    pub(crate) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.retry_moving(Direction::Read, None, buf.len(), |thing| {
            fd::read(thing.as_fd(), buf)
        })
    }

    /// As [`read`](Self::read), into several buffers.
    pub(crate) fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.retry_moving(Direction::Read, None, fd::room(bufs), |thing| {
            fd::read_vectored(thing.as_fd(), bufs)
        })
    }

    /// Writes to something that is a stream of bytes.
    pub(crate) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.retry_moving(Direction::Write, None, buf.len(), |thing| {
            fd::write(thing.as_fd(), buf)
        })
    }

    /// As [`write`](Self::write), from several buffers.
    pub(crate) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes = bufs.iter().map(|buf| buf.len()).sum();
        self.retry_moving(Direction::Write, None, bytes, |thing| {
            fd::write_vectored(thing.as_fd(), bufs)
        })
    }

    #[cold]
    #[inline(never)]
    fn last_attempt<R>(&self, call: &mut impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.attempt(call)
    }

    /// Makes `call` once, whatever is known of the source.
    ///
    /// # Errors
    /// As [`retry`](Self::retry); `WouldBlock` if it would have to wait.
    pub(crate) fn attempt<R>(&self, mut call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        count_call();
        loop {
            if self.closed.get() {
                return Err(closed());
            }
            match call(&self.thing) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }

    /// At the very end of a thread: what `call` says counts, unless it would have to wait.
    #[cold]
    fn at_the_end<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        match self.attempt(call) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.is_nonblocking() => {
                Err(ended())
            }
            outcome => outcome,
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

    /// Closes it for all who use it: those who wait get an error, and so does everyone from now on. Its
    /// number stays taken until the source is dropped, so it cannot be mistaken for another one.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        if let (Some(state), Some(hub)) = (self.state.get(), Hub::here_if_open()) {
            state.readers.call_all(hub);
            state.writers.call_all(hub);
        }
    }

    /// Gives the thing back. Nobody waits for it: they would borrow the source.
    pub(crate) fn into_thing(self) -> T {
        self.exposed.set(true);
        self.deregister();
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: both are read once, and the source, of which nothing else needs a drop, is not dropped.
        unsafe {
            drop(std::ptr::read(&this.state));
            std::ptr::read(&this.thing)
        }
    }

    /// The same, for one who waits and leaves the call to others.
    pub(crate) fn watched(&self) -> Watched<'_> {
        // What is always ready gives way all the same.
        let hub = Hub::here();
        hub.io.spend(hub);
        Watched {
            fd: self.thing.as_fd(),
            state: self.state(),
            closed: &self.closed,
        }
    }

    /// One wait of a call, for as long as `limit` says, which counts for all of the call from its first wait on: that is
    /// when `deadline` becomes known.
    #[inline(always)]
    pub(super) fn wait(
        &self,
        hub: &Hub,
        direction: Direction,
        limit: Option<&Limit>,
        deadline: &mut Option<Option<Moment>>,
    ) -> io::Result<()> {
        hub.check_open()?;
        let state = self.state();
        state.register(&self.thing, hub, direction)?;
        let limit = || limit.and_then(Limit::get);
        let deadline =
            *deadline.get_or_insert_with(|| limit().map(|timeout| Moment::now().after(timeout)));
        if deadline.is_some_and(|at| at <= Moment::now()) {
            return Err(would_block());
        }
        let me = hub.thread().current();
        let _awaited = hub.io.await_one(me, self);
        state.wait(hub, me, direction, deadline);
        Ok(())
    }

    /// Before the descriptor is closed or goes elsewhere (law 8).
    fn deregister(&self) {
        let Some(state) = self.state.get() else {
            return;
        };
        if let Some(key) = state.key.take()
            && let Some(hub) = Hub::here_if_any()
        {
            let is_alone = !self.exposed.get() && state.twin.get().is_none();
            let registered = state.registered(self.thing.as_fd());
            hub.io
                .deregister(&registered, key, CLOSING_REMOVES && is_alone);
        }
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        self.deregister();
    }
}

impl Hub {
    /// The hub of the thread that runs this, where a greenlet can wait.
    ///
    /// # Errors
    /// If it cannot, words that say so.
    pub(crate) fn here_to_wait() -> io::Result<&'static Hub> {
        let hub = Hub::here_to_the_end().ok_or_else(ended)?;
        hub.check_open()?;
        Ok(hub)
    }

    /// Whether a greenlet can wait here.
    ///
    /// # Errors
    /// If not, words that say so.
    #[inline(always)]
    pub(crate) fn check_open(&self) -> io::Result<()> {
        if self.is_closed() {
            return Err(ended());
        }
        Ok(())
    }
}

#[cold]
fn ended() -> io::Error {
    io::Error::other("the thread is ending, and its hub has ended: nothing can wait here any more")
}

pub(super) fn closed() -> io::Error {
    // Not `ConnectionAborted`: servers go on accepting after that.
    io::Error::other("it was closed: somebody has called `close` on it")
}
