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
//! hub has a timer or a descriptor to wait for, is taken for one that may come; but not those of this crate that stand
//! aside: workers that have nothing to do, the one that watches, those that answer who looks.
//!
//! Threads are counted, not listed: the system's list leaves some out while others end. That all sleep is seen one by
//! one, and so twice: if none of them has looked at its clock in between, none has run, and all slept at the same
//! time. One that is being called is not asleep ([`door`](super::door)).

use std::sync::atomic::{Ordering, fence};

use super::circle::{SELDOM, SUSPICIOUS};
use super::{Hub, roll};
use crate::sys::clock::Moment;
use crate::sys::tasks;

/// When to ask, and next after `now`, if there has been nothing to do since `rests_since`.
pub(super) fn ask_at(rests_since: Moment, now: Moment) -> Moment {
    let rested = rests_since.until(now);
    now.after(rested.clamp(SUSPICIOUS, SELDOM))
}

/// How many other hubs there are, if nobody will ever do anything: all threads are those of hubs that sleep, and those
/// that stand aside.
fn others_that_sleep() -> Option<usize> {
    let asleep = roll::asleep();
    if tasks::count()? != 1 + asleep.len() + tasks::aside() {
        return None;
    }
    fence(Ordering::SeqCst);
    (roll::asleep() == asleep).then_some(asleep.len())
}

impl Hub {
    /// Nobody but other threads can wake this hub. If there are none that could come, that is the end.
    #[cold]
    pub(super) fn ask_for_others(&self) {
        // The last word is that of the own door: whoever has called this hub may have gone to sleep since.
        if let Some(others) = others_that_sleep()
            && self.desk.is_quiet()
        {
            self.everybody_waits(Some(others));
        }
    }
}
