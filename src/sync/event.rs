//! A flag that greenlets wait for, and a value that is set once.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::mem::offset_of;
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Subject;
use crate::sys::clock::{Moment, has_passed};

/// A flag that greenlets wait for: gevent's `Event`.
///
/// Setting it wakes all who wait, also if it is cleared again before they run. Who waits after it was cleared has
/// missed it: to lose nothing, use a [channel](super::channel).
///
/// ```
/// use greenlet::sync::Event;
/// use std::rc::Rc;
///
/// let go = Rc::new(Event::new());
/// let waiting = greenlet::spawn({
///     let go = go.clone();
///     move || go.wait()
/// });
/// greenlet::yield_now();
/// go.set();
/// go.clear();
/// waiting.join().unwrap();
/// ```
pub struct Event {
    set: Cell<bool>,
    waiters: WaitList<(), Subject>,
}

impl Default for Event {
    #[track_caller]
    fn default() -> Event {
        Event::new()
    }
}

impl Event {
    /// One that is not set.
    #[track_caller]
    pub const fn new() -> Event {
        Event {
            set: Cell::new(false),
            waiters: WaitList::within(offset_of!(Event, waiters), size_of::<Event>()),
        }
    }

    /// Sets it, and wakes all who wait.
    ///
    /// # Parks
    /// No.
    pub fn set(&self) {
        self.set.set(true);
        if !self.waiters.is_empty() {
            self.waiters.call_all(Hub::here());
        }
    }

    /// Takes it back: who comes now waits.
    pub fn clear(&self) {
        self.set.set(false);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// Waits until it is set.
    ///
    /// # Parks
    /// Unless it is set.
    ///
    /// # Cancellation
    /// Nothing changes.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// As [`wait`](Self::wait), for `timeout` at most; true if it was set.
    ///
    /// # Parks
    /// Unless it is set.
    ///
    /// # Cancellation
    /// Nothing changes.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(Moment::now().after(timeout)))
    }

    fn wait_until(&self, deadline: Option<Moment>) -> bool {
        while !self.is_set() {
            if self
                .waiters
                .wait_together(Hub::here(), &"waits for an event", deadline)
            {
                return true;
            }
            if has_passed(deadline) {
                return self.is_set();
            }
        }
        true
    }

    pub(super) fn waiters(&self) -> &WaitList<(), Subject> {
        &self.waiters
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .finish_non_exhaustive()
    }
}

/// A value that is set once, and that any number of greenlets wait for: gevent's `AsyncResult`.
///
/// ```
/// use greenlet::sync::AsyncResult;
/// use std::rc::Rc;
///
/// let answer = Rc::new(AsyncResult::new());
/// let theirs = answer.clone();
/// greenlet::spawn(move || theirs.set(42));
/// assert_eq!(*answer.get(), 42);
/// ```
pub struct AsyncResult<T> {
    value: OnceCell<T>,
    ready: Event,
}

impl<T> AsyncResult<T> {
    /// One without a value.
    #[track_caller]
    pub const fn new() -> AsyncResult<T> {
        AsyncResult {
            value: OnceCell::new(),
            ready: Event::new(),
        }
    }

    /// Sets the value, and wakes all who wait.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The value, if there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        self.value.set(value)?;
        self.ready.set();
        Ok(())
    }

    /// Waits for the value.
    ///
    /// # Parks
    /// Unless there is one.
    ///
    /// # Cancellation
    /// Nothing changes.
    ///
    /// # Panics
    /// If somebody has set [`ready`](Self::ready) without a value.
    pub fn get(&self) -> &T {
        if self.try_get().is_none() {
            self.ready.wait();
        }
        self.try_get().expect("it is set before the event")
    }

    /// As [`get`](Self::get), for `timeout` at most.
    ///
    /// # Parks
    /// Unless there is one.
    ///
    /// # Cancellation
    /// Nothing changes.
    pub fn get_timeout(&self, timeout: Duration) -> Option<&T> {
        if self.try_get().is_none() {
            self.ready.wait_timeout(timeout);
        }
        self.try_get()
    }

    /// The value, if there is one.
    pub fn try_get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Whether there is a value.
    pub fn is_ready(&self) -> bool {
        self.try_get().is_some()
    }

    /// The event that it is ready, for [`select`](super::select()).
    pub fn ready(&self) -> &Event {
        &self.ready
    }

    /// The value, if there is one.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for AsyncResult<T> {
    #[track_caller]
    fn default() -> AsyncResult<T> {
        AsyncResult::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for AsyncResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncResult").field(&self.try_get()).finish()
    }
}
