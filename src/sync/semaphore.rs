//! A count of permits that greenlets wait for.

use std::cell::Cell;
use std::fmt;
use std::mem::offset_of;
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::{Known, Subject};
use crate::sys::clock::{Moment, has_passed};

/// So many may pass at a time: gevent's `Semaphore` and `BoundedSemaphore`. A [`Permit`] is given back once, so there are
/// never more than at first, plus those that [`release`](Self::release) adds.
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
    permits: Permits<Subject>,
}

/// The permits, and who waits for one.
pub(crate) struct Permits<K: Known> {
    left: Cell<usize>,
    waiters: WaitList<(), K>,
}

impl<K: Known> Permits<K> {
    /// Where in it the list is, in bytes.
    pub(crate) const WAITERS: usize = offset_of!(Permits<K>, waiters);

    pub(crate) const fn new(count: usize, waiters: WaitList<(), K>) -> Permits<K> {
        Permits {
            left: Cell::new(count),
            waiters,
        }
    }

    /// Takes one, if there is one now.
    #[inline]
    pub(crate) fn try_take(&self) -> bool {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return false,
        }
        true
    }

    /// Waits for one; whether it has one.
    #[cold]
    pub(crate) fn take_later(
        &self,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> bool {
        self.take_later_or(purpose, deadline, || self.give())
    }

    /// As [`take_later`](Self::take_later), with what is to be done by one that has got one, and is raised in.
    pub(crate) fn take_later_or(
        &self,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
        give_back: impl Fn(),
    ) -> bool {
        let hub = Hub::here();
        loop {
            if self.waiters.wait_or(hub, purpose, deadline, &give_back) || self.try_take() {
                return true;
            }
            if has_passed(deadline) {
                return false;
            }
        }
    }

    /// Gives one to the one who waits longest.
    #[inline]
    pub(crate) fn give(&self) {
        if self.waiters.is_empty() || self.waiters.call_one(Hub::here()).is_none() {
            let left = self.left.get().checked_add(1);
            self.left
                .set(left.expect("a semaphore with too many permits"));
        }
    }

    pub(crate) fn left(&self) -> usize {
        self.left.get()
    }

    pub(crate) fn waiters(&self) -> &WaitList<(), K> {
        &self.waiters
    }
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
        let begin = offset_of!(Semaphore, permits) + Permits::<Subject>::WAITERS;
        let waiters = WaitList::within(begin, size_of::<Semaphore>());
        Semaphore {
            permits: Permits::new(permits, waiters),
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
        self.permits.try_take().then(|| self.permit())
    }

    fn acquire_later(&self, deadline: Option<Moment>) -> Option<Permit<'_>> {
        let has_one = self.permits.take_later(&"waits for a permit", deadline);
        has_one.then(|| self.permit())
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
        self.permits.give();
    }

    /// How many permits could be taken now.
    pub fn available(&self) -> usize {
        self.permits.left()
    }

    /// A permit that has been counted already.
    pub(super) fn permit(&self) -> Permit<'_> {
        Permit { semaphore: self }
    }

    pub(super) fn waiters(&self) -> &WaitList<(), Subject> {
        self.permits.waiters()
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
