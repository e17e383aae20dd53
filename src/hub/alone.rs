//! Whether there is anybody left who could wake a hub from outside (law 12).
//!
//! Some greenlets wait for other threads, and what they wait for may be in reach of any of those. But where there is no
//! other thread, or all others are hubs that wait for other threads themselves, nobody will come:
//!
//! ```text
//!   hub 1  main ──recv──▶ channel ◀── its sender waits in hub 2
//!   hub 2  main ──recv──▶ channel ◀── its sender waits in hub 1          no third thread: both wait for ever
//! ```
//!
//! It takes a moment to find out, so that is asked only when nothing has happened for [`SUSPICIOUS`], and again after
//! twice that time, and so on: threads that do something else now may end. Any thread that is no hub, or one whose
//! hub has a timer or a descriptor to wait for, is taken for one that may come.
//!
//! That all sleep is seen one by one, and so twice: if none of them has looked at its clock in between, none has run, and
//! all slept at the same time. One that is being called is not asleep ([`door`](super::door)).

use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::{Hub, roll};
use crate::sys::clock::Moment;
use crate::sys::tasks;

/// A rest as long as this is a reason to ask.
const SUSPICIOUS: Duration = Duration::from_secs(1);
/// The most time between two times.
const SELDOM: Duration = Duration::from_secs(64);

/// When to ask, and next after `now`, if there has been nothing to do since `rests_since`.
pub(super) fn ask_at(rests_since: Moment, now: Moment) -> Moment {
    let rested = rests_since.until(now);
    now.after(rested.clamp(SUSPICIOUS, SELDOM))
}

/// How many other threads there are, if no one of them will ever do anything.
fn others_that_sleep() -> Option<usize> {
    let asleep = roll::asleep();
    let others = tasks::others()?;
    let sleeps = |number: &i32| asleep.iter().any(|sleeper| sleeper.number == *number);
    if !others.iter().all(sleeps) {
        return None;
    }
    fence(Ordering::SeqCst);
    let still = roll::asleep();
    let all_still = asleep.iter().all(|sleeper| still.contains(sleeper));
    all_still.then_some(others.len())
}

impl Hub {
    /// Nobody but other threads can wake this hub. If there are none that could come, that is the end.
    #[cold]
    pub(super) fn ask_for_others(&self) {
        if let Some(others) = others_that_sleep() {
            self.everybody_waits(Some(others));
        }
    }
}
