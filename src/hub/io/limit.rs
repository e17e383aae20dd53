//! How long those may wait who use a source.

use std::cell::Cell;
use std::num::NonZero;
use std::time::Duration;

/// How long each wait of somebody may take; it may have no limit. It is looked at when there is something to wait for, and
/// not by calls that need not.
#[derive(Clone, Default)]
pub(crate) struct Limit {
    nanoseconds: Cell<Option<NonZero<u64>>>,
}

impl Limit {
    pub(crate) fn of(timeout: Option<Duration>) -> Limit {
        let limit = Limit::default();
        limit.set(timeout);
        limit
    }

    /// No time at all is taken for the least there is, and what is longer than 584 years for that.
    pub(crate) fn set(&self, timeout: Option<Duration>) {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let least = |time| NonZero::new(nanoseconds(time)).unwrap_or(NonZero::<u64>::MIN);
        self.nanoseconds.set(timeout.map(least));
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Duration> {
        let nanoseconds = self.nanoseconds.get()?;
        Some(Duration::from_nanos(nanoseconds.get()))
    }
}
