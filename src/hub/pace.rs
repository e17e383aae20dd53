//! How often a hub looks at the clock, and at I/O and timers.
//!
//! That is when nobody is ready, and after [`TURNS`] turns, or when all have had theirs who were ready at the last look;
//! where turns are long, so much more often that it comes to about [`PATIENCE`]. After a rest it is not known how long turns
//! are: the clock is asked after the first few, and ever less often. So nobody starves, and a crowd of short turns pays next
//! to nothing for it.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use crate::sys::clock::Moment;

/// The most turns between two looks at the clock, and at I/O and timers unless a look has brought more.
const TURNS: u32 = 61;
/// The most in any case.
const TURNS_IN_A_CROWD: u32 = 1024;
/// After so many turns after a rest the clock is asked: one more than one wait takes.
const FIRST: u32 = 2;
/// How long ready greenlets may keep I/O and timers waiting, about.
const PATIENCE: Duration = Duration::from_millis(1);

/// How many turns there are between two looks at I/O and timers, and between two at the clock.
///
/// The thread of the hub alone writes to it. Others may look: what stands still while the hub does not rest is kept
/// from working.
pub(super) struct Pace {
    left: AtomicU32,
    stride: Cell<u32>,
    /// After so many turns there is a look: all who were ready at the last one have had theirs. What happens meanwhile to
    /// those who have not could only be told in vain.
    most: Cell<u32>,
    /// Turns since I/O and timers were looked at, up to the beginning of this stride.
    done: Cell<u32>,
    /// In nanoseconds.
    looked: AtomicU64,
    pub(super) rests: AtomicBool,
    /// It rests until other threads call it.
    pub(super) waits_for_others: AtomicBool,
}

/// A glance at the pace of a hub, from any thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pulse {
    left: u32,
    pub(crate) looked: Moment,
    /// It waits for something to happen.
    pub(crate) rests: bool,
    /// It waits for other threads, and for nothing else.
    pub(super) waits_for_others: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            left: AtomicU32::new(FIRST),
            stride: Cell::new(FIRST),
            most: Cell::new(TURNS),
            done: Cell::new(0),
            looked: AtomicU64::new(Moment::now().nanos()),
            rests: AtomicBool::new(false),
            waits_for_others: AtomicBool::new(false),
        }
    }
}

impl Pace {
    /// A turn more; true if it is time to look at the clock.
    pub(super) fn step(&self) -> bool {
        !self.step_if_within()
    }

    /// A turn more, unless it is time to look at the clock.
    #[inline(always)]
    pub(super) fn step_if_within(&self) -> bool {
        let left = self.left.load(Relaxed);
        if left != 0 {
            self.left.store(left - 1, Relaxed);
        }
        left != 0
    }

    pub(super) fn pulse(&self) -> Pulse {
        Pulse {
            left: self.left.load(Relaxed),
            looked: self.looked(),
            rests: self.rests.load(Relaxed),
            waits_for_others: self.waits_for_others.load(Relaxed),
        }
    }

    /// When the hub last looked at the clock.
    #[inline(always)]
    pub(super) fn looked(&self) -> Moment {
        Moment::from_nanos(self.looked.load(Relaxed))
    }

    /// At the end of a stride: true if it is time to look at I/O and timers. Otherwise the next stride is as long as
    /// turns fit into what is left of [`PATIENCE`], but no more than four times this one, and no more than [`TURNS`]: they
    /// may get longer.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        let (stride, done) = (self.stride.get(), self.done.get() + self.stride.get());
        self.done.set(done);
        let took = self.looked().until(now);
        let fit = fitting(done, took, PATIENCE.saturating_sub(took));
        let most = self.most.get();
        let over = done >= most || fit == 0;
        if !over {
            let longest = TURNS.min(most - done);
            self.stride.set(fit.min(4 * stride).min(longest));
            self.left.store(self.stride.get(), Relaxed);
        }
        over
    }

    /// After a look in the middle of work: the next one comes when [`PATIENCE`] is over, if turns stay as they are.
    pub(super) fn looked_in_between(&self, now: Moment) {
        let took = self.looked().until(now).max(PATIENCE);
        self.begin(
            now,
            fitting(self.done.get(), took, PATIENCE).clamp(1, TURNS),
        );
    }

    /// After a look: so many are ready.
    pub(super) fn looked_at(&self, ready: usize) {
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        self.most.set(ready.clamp(TURNS, TURNS_IN_A_CROWD));
    }

    /// After a rest, when there was no work.
    pub(super) fn rested(&self, now: Moment) {
        self.begin(now, FIRST);
    }

    fn begin(&self, now: Moment, stride: u32) {
        self.stride.set(stride);
        self.done.set(0);
        self.left.store(stride, Relaxed);
        self.looked.store(now.nanos(), Relaxed);
    }
}

/// How many turns fit into a time, if so many took so long.
fn fitting(turns: u32, took: Duration, time: Duration) -> u32 {
    let fit = u128::from(turns) * time.as_nanos() / took.as_nanos().max(1);
    u32::try_from(fit).unwrap_or(u32::MAX)
}

#[cfg(all(test, not(greenlet_loom)))]
mod tests {
    use super::*;

    /// The longest time between two looks in half a second of turns that take so long, of which the first ones come after
    /// a rest; and how many looks at the clock there were for each at I/O.
    fn looks(turn: impl Fn(u32) -> Duration) -> (Duration, f64) {
        let (pace, begin) = (Pace::default(), Moment::from_nanos(0));
        pace.rested(begin);
        let (mut now, mut last, mut longest) = (begin, begin, Duration::ZERO);
        let (mut clocks, mut looks) = (0, 0);
        for number in 0.. {
            if begin.until(now) > Duration::from_millis(500) {
                break;
            }
            if pace.step() {
                clocks += 1;
                if pace.is_over(now) {
                    longest = longest.max(last.until(now));
                    last = now;
                    looks += 1;
                    pace.looked_in_between(now);
                }
            }
            now = now.after(turn(number));
        }
        (longest, f64::from(clocks) / f64::from(looks))
    }

    #[test]
    fn io_and_timers_are_looked_at_every_millisecond_however_long_turns_are() {
        for micros in [20, 50, 99, 100, 300, 499, 500, 501, 999, 1000, 3000] {
            let turn = Duration::from_micros(micros);
            let (longest, clocks) = looks(|_| turn);
            // A stride is one turn longer than it says.
            assert!(longest <= PATIENCE + 2 * turn, "{turn:?}: {longest:?}");
            assert!(clocks < 4.0, "{turn:?}: {clocks} looks at the clock");
        }
    }

    /// Many are ready, and after the first short turns they take long.
    #[test]
    fn turns_that_get_long_are_noticed_within_a_stride() {
        for short in [10, 100, 500, 1000] {
            let (pace, begin) = (Pace::default(), Moment::from_nanos(0));
            pace.rested(begin);
            pace.looked_at(2000);
            let (mut now, mut long) = (begin, 0);
            for number in 0.. {
                if pace.step() && pace.is_over(now) {
                    break;
                }
                let turn = if number < short { 0 } else { 1_000_000 };
                long += u32::from(number >= short);
                now = now.after(Duration::from_nanos(turn));
            }
            assert!(long <= TURNS + 1, "{short}: {long} long turns");
        }
    }

    #[test]
    fn short_turns_pay_for_one_look_in_sixty() {
        let (longest, clocks) = looks(|_| Duration::from_nanos(10));
        assert!(longest < Duration::from_micros(1), "{longest:?}");
        assert!(clocks < 1.1, "{clocks}");
    }
}
