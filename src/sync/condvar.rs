//! `std::sync::Condvar` for greenlets of one thread.

use std::fmt;
use std::mem::offset_of;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError};
use std::time::Duration;

use super::MutexGuard;
use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Subject;
use crate::sys::clock::Moment;

/// Where greenlets wait for a change of what a [`Mutex`](super::Mutex) protects.
///
/// A notification that comes to one that is killed at the same moment goes to the next in line.
///
/// ```
/// use greenlet::sync::{Condvar, Mutex};
/// use std::rc::Rc;
///
/// let pair = Rc::new((Mutex::new(false), Condvar::new()));
/// let theirs = pair.clone();
/// greenlet::spawn(move || {
///     *theirs.0.lock().unwrap() = true;
///     theirs.1.notify_one();
/// });
/// let guard = pair.1.wait_while(pair.0.lock().unwrap(), |ready| !*ready).unwrap();
/// assert!(*guard);
/// ```
///
/// # Differences from std
/// Neither `Send` nor `Sync`.
pub struct Condvar {
    waiters: WaitList<(), Subject>,
}

/// Whether a wait with a limit ended because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time had passed.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Default for Condvar {
    #[track_caller]
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl Condvar {
    /// One that nobody waits at.
    #[track_caller]
    pub const fn new() -> Condvar {
        Condvar {
            waiters: WaitList::within(offset_of!(Condvar, waiters), size_of::<Condvar>()),
        }
    }

    /// Unlocks, waits for a notification, and locks again. It may return for no reason at all.
    ///
    /// # Parks
    /// Always.
    ///
    /// # Cancellation
    /// The mutex is unlocked, and no notification is used up.
    ///
    /// # Errors
    /// The guard, if the mutex is poisoned.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None).0
    }

    /// As [`wait`](Self::wait), while `condition` holds.
    ///
    /// # Parks
    /// While `condition` holds.
    ///
    /// # Cancellation
    /// As [`wait`](Self::wait).
    ///
    /// # Errors
    /// The guard, if the mutex is poisoned.
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Self::wait), for `limit` at most.
    ///
    /// # Parks
    /// Always.
    ///
    /// # Cancellation
    /// As [`wait`](Self::wait).
    ///
    /// # Errors
    /// The guard, if the mutex is poisoned.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let deadline = Moment::now().after(limit);
        let (guard, called) = self.wait_until(guard, Some(deadline));
        with(
            guard,
            WaitTimeoutResult(!called && deadline <= Moment::now()),
        )
    }

    /// As [`wait_while`](Self::wait_while), for `limit` at most.
    ///
    /// # Parks
    /// While `condition` holds.
    ///
    /// # Cancellation
    /// As [`wait`](Self::wait).
    ///
    /// # Errors
    /// The guard, if the mutex is poisoned.
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = Moment::now().after(limit);
        let mut late = false;
        while condition(&mut guard) {
            if late {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            match self.wait_until(guard, Some(deadline)).0 {
                Ok(locked) => guard = locked,
                poisoned => return with(poisoned, WaitTimeoutResult(false)),
            }
            late = deadline <= Moment::now();
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    /// Calls the one who waits longest, if anybody does.
    ///
    /// # Parks
    /// No.
    pub fn notify_one(&self) {
        if !self.waiters.is_empty() {
            self.waiters.call_one(Hub::here());
        }
    }

    /// Calls all who wait.
    ///
    /// # Parks
    /// No.
    pub fn notify_all(&self) {
        if !self.waiters.is_empty() {
            self.waiters.call_all(Hub::here());
        }
    }

    /// Nobody runs between the unlocking and the wait.
    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Moment>,
    ) -> (LockResult<MutexGuard<'a, T>>, bool) {
        let mutex = guard.mutex();
        drop(guard);
        let called = self
            .waiters
            .wait(Hub::here(), &"waits for a condition", deadline);
        let told = Told {
            condvar: self,
            called,
        };
        let guard = mutex.lock();
        std::mem::forget(told);
        (guard, called)
    }
}

/// One that has been called and does not have the mutex yet. If it is raised in, the notification is for the next.
struct Told<'a> {
    condvar: &'a Condvar,
    called: bool,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if self.called {
            self.condvar.notify_one();
        }
    }
}

fn with<G, R>(guard: LockResult<G>, result: R) -> LockResult<(G, R)> {
    match guard {
        Ok(guard) => Ok((guard, result)),
        Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), result))),
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}
