//! How long those may wait who use a source.

use std::cell::Cell;
use std::num::NonZero;
use std::time::Duration;

/// How long each call of somebody may wait; it may have no limit. It is looked at when a call begins to wait, and not by one
/// that need not.
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

    /// No time at all becomes a nanosecond, and more than 584 years become 584 years.
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
