//! A count of permits that greenlets wait for.

use std::cell::Cell;
use std::fmt;
use std::mem::offset_of;
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::wait::{Place, WaitList};
use crate::switch::subject::Subject;
use crate::sys::clock::{Moment, has_passed};

/// So many may pass at a time: gevent's `Semaphore` and `BoundedSemaphore`. A [`Permit`] is given back once, so there are
/// never more than at first, but for those that [`release`](Self::release) makes.
///
/// A permit that is given back goes to the one who waits longest, who has it from then on.
///
/// ```
/// use greenlet::sync::Semaphore;
///
/// let seats = Semaphore::new(2);
/// greenlet::scope(|scope| {
///     for _ in 0..10 {
///         scope.spawn(|| {
///             let _seat = seats.acquire();
///             greenlet::yield_now(); // two at a time
///         });
///     }
/// });
/// assert_eq!(seats.available(), 2);
/// ```
pub struct Semaphore {
    permits: Cell<usize>,
    waiters: WaitList<(), Subject>,
}

/// A permit of a [`Semaphore`], given back when it is dropped.
#[must_use = "dropped at once, it is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Semaphore {
    /// One with so many permits.
    #[track_caller]
    pub const fn new(permits: usize) -> Semaphore {
        Semaphore {
            permits: Cell::new(permits),
            waiters: WaitList::within(offset_of!(Semaphore, waiters), size_of::<Semaphore>()),
        }
    }

    /// Waits for a permit.
    ///
    /// # Parks
    /// Only if there is none.
    ///
    /// # Cancellation
    /// No permit is taken; one that was on its way goes to the next in line.
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        self.try_acquire()
            .unwrap_or_else(|| self.acquire_later(None).expect("no deadline"))
    }

    /// As [`acquire`](Self::acquire), for `timeout` at most.
    ///
    /// # Parks
    /// Only if there is none.
    ///
    /// # Cancellation
    /// As [`acquire`](Self::acquire).
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        let deadline = Moment::now().after(timeout);
        self.try_acquire()
            .or_else(|| self.acquire_later(Some(deadline)))
    }

    /// A permit, if there is one now. It does not stand in line.
    ///
    /// # Parks
    /// No.
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        let left = self.permits.get().checked_sub(1)?;
        self.permits.set(left);
        Some(self.permit())
    }

    #[cold]
    fn acquire_later(&self, deadline: Option<Moment>) -> Option<Permit<'_>> {
        let hub = Hub::here();
        let purpose = &"waits for a permit";
        loop {
            if self
                .waiters
                .wait_at(Place::Last, hub, purpose, deadline, || self.release())
            {
                return Some(self.permit());
            }
            match self.try_acquire() {
                None if !has_passed(deadline) => {}
                outcome => return outcome,
            }
        }
    }

    /// Gives a permit, to the one who waits longest: a new one, or one whose [`Permit`] was
    /// [forgotten](Permit::forget).
    ///
    /// # Parks
    /// No.
    ///
    /// # Panics
    /// If there are more than `usize::MAX`.
    #[inline]
    pub fn release(&self) {
        if self.waiters.is_empty() || self.waiters.call_one(Hub::here()).is_none() {
            let permits = self.permits.get().checked_add(1);
            self.permits
                .set(permits.expect("a semaphore with too many permits"));
        }
    }

    /// How many permits could be taken now.
    pub fn available(&self) -> usize {
        self.permits.get()
    }

    /// A permit that has been counted already.
    pub(super) fn permit(&self) -> Permit<'_> {
        Permit { semaphore: self }
    }

    pub(super) fn waiters(&self) -> &WaitList<(), Subject> {
        &self.waiters
    }
}

impl Permit<'_> {
    /// Keeps it for ever, or until somebody calls [`Semaphore::release`].
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
