//! How late alarms go off: what everybody feels whose thread somebody keeps too long.
//!
//! One histogram for the process, off until it is asked for.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::sys::clock::Moment;

/// Bucket `n` counts what was late by 2^n nanoseconds or more, and by less than twice that.
pub(crate) const BUCKETS: usize = 40;

static ON: AtomicBool = AtomicBool::new(false);
static COUNTS: [AtomicU64; BUCKETS] = [const { AtomicU64::new(0) }; BUCKETS];

#[inline(always)]
pub(super) fn is_on() -> bool {
    ON.load(Relaxed)
}

/// Begins to count, from nothing, or ends it.
pub(crate) fn turn(on: bool) {
    if on {
        COUNTS.iter().for_each(|count| count.store(0, Relaxed));
    }
    ON.store(on, Relaxed);
}

pub(crate) fn counts() -> [u64; BUCKETS] {
    std::array::from_fn(|bucket| COUNTS[bucket].load(Relaxed))
}

/// An alarm for `at` goes off.
#[cold]
pub(super) fn note(at: u64, now: Moment) {
    let late = now.nanos().saturating_sub(at);
    let bucket = late.max(1).ilog2() as usize;
    COUNTS[bucket.min(BUCKETS - 1)].fetch_add(1, Relaxed);
}
