//! [`Semaphore`](crate::sync::Semaphore) between threads.

use std::fmt;
use std::time::Duration;

use super::states::Permits;
use super::{Crossing, Parker};
use crate::switch::subject::Holder;
use crate::sync::select::Ready;
use crate::sys::clock::Moment;

/// So many may pass at a time, of all threads, in order of arrival.
pub struct Semaphore {
    crossing: Crossing<Permits, 1>,
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
            crossing: Crossing::over(Permits(permits)),
        }
    }

    /// Waits for a permit.
    ///
    /// # Parks
    /// Only if there is none.
    ///
    /// # Cancellation
    /// No permit is taken; one that was on its way goes to the next in line.
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_until(None).expect("no deadline")
    }

    /// As [`acquire`](Self::acquire), for `timeout` at most.
    ///
    /// # Parks
    /// Only if there is none.
    ///
    /// # Cancellation
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.acquire_until(Some(Moment::now().after(timeout)))
    }

    /// A permit, if there is one now.
    ///
    /// # Parks
    /// No.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        let taken = self.crossing.change(|permits, _| permits.take(false));
        taken.map(|()| Permit { semaphore: self })
    }

    fn acquire_until(&self, deadline: Option<Moment>) -> Option<Permit<'_>> {
        let purpose = &"waits for a permit that threads share";
        self.acquire_by(|| self.crossing.parker(purpose, deadline))
    }

    /// As a mutex, whose holder is named.
    pub(super) fn acquire_alone(&self) -> Permit<'_> {
        let purpose = &"waits for a mutex that threads share";
        let permit = self.acquire_by(|| self.crossing.parker_bound(purpose));
        permit.expect("no deadline")
    }

    pub(super) fn holder(&self) -> &Holder {
        self.crossing.holder()
    }

    fn acquire_by(&self, parker: impl FnOnce() -> Parker) -> Option<Permit<'_>> {
        let attempt = |permits: &mut Permits, _: &mut _, called| permits.take(called);
        let taken = self.crossing.wait(0, parker, attempt, Permits::give_back);
        taken.map(|()| Permit { semaphore: self })
    }

    /// Gives a permit, to the one who waits longest: a new one, or one whose [`Permit`] was
    /// [forgotten](Permit::forget).
    ///
    /// # Parks
    /// No.
    ///
    /// # Panics
    /// If there are more than `usize::MAX`.
    pub fn release(&self) {
        self.crossing.change(Permits::give);
    }

    /// How many permits could be taken now.
    pub fn available(&self) -> usize {
        self.crossing.look(|permits| permits.0)
    }
}

impl<'a> Ready for &'a Semaphore {
    type Output = Permit<'a>;

    /// Being called is having one.
    fn take(&self, called: bool) -> Option<Permit<'a>> {
        match called {
            true => Some(Permit { semaphore: self }),
            false => self.try_acquire(),
        }
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        let look = |permits: &mut Permits, _: &mut _| permits.take(false).map(|()| true);
        self.crossing.stand_while(0, look, rest, Permits::give_back)
    }

    fn pass_on(&self) {
        self.release();
    }
}

impl Permit<'_> {
    /// Keeps it for ever, or until somebody calls [`Semaphore::release`].
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
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
