//! Time: sleeping, deadlines for stretches of code, intervals.
//!
//! A deadline for a stretch is raised where the greenlet waits when it passes: the stretch is unwound, its
//! destructors run (and may wait themselves), and [`timeout`] returns [`Elapsed`]. Code that never waits is
//! never cut short. Deadlines nest; each ends the stretch that it was set for and no other.

use std::error::Error;
use std::fmt;
use std::io;
pub use std::time::{
    Duration, Instant, SystemTime, SystemTimeError, TryFromFloatSecsError, UNIX_EPOCH,
};

use crate::hub::Hub;
use crate::sys::clock::Moment;

/// Waits for `duration` at least; zero lets everybody who is ready go first.
///
/// # Parks
/// Always.
///
/// # Panics
/// In a destructor of a thread-local, when the thread is ending. With what is raised in this greenlet
/// meanwhile.
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        return Hub::here().yield_now();
    }
    wait_until(Moment::now().after(duration));
}

/// Waits until `deadline`. One that has passed lets everybody who is ready go first.
///
/// # Parks
/// Always.
///
/// # Panics
/// As [`sleep`].
pub fn sleep_until(deadline: Instant) {
    sleep_until_moment(Moment::of(deadline));
}

fn sleep_until_moment(at: Moment) {
    match at <= Moment::now() {
        true => Hub::here().yield_now(),
        false => wait_until(at),
    }
}

fn wait_until(at: Moment) {
    let hub = Hub::here();
    while !hub.park_until(&"sleeps", Some(at)) {}
}

/// Runs `f`, for `limit` at most.
///
/// When the limit has passed, `f` is unwound from where it waits. A limit of zero ends it at its first wait,
/// after those who are ready have had their turn; code that never waits is not cut short, and code that only
/// yields is when the hub next looks at its timers. The clock starts now, however long this thread has been
/// busy.
///
/// ```
/// use greenlet::time::{Duration, Elapsed, sleep, timeout};
///
/// let quick = timeout(Duration::from_secs(5), || 7);
/// assert_eq!(quick, Ok(7));
/// let slow = timeout(Duration::from_millis(5), || sleep(Duration::from_secs(5)));
/// assert_eq!(slow, Err(Elapsed));
/// ```
///
/// # Parks
/// Only if `f` does.
///
/// # Cancellation
/// A destructor that runs while `f` unwinds may wait, and nothing is raised in it but the end of a timeout that it sets itself:
/// see [caveats](crate::manual::caveats).
///
/// # Errors
/// [`Elapsed`] if `f` was unwound because of this limit. An outer one passes through.
///
/// # Panics
/// With a panic of `f`. In programs built with `panic = "abort"`, before `f` is called: nothing can be unwound
/// there. Timeouts of sockets work in those.
#[track_caller]
pub fn timeout<R>(limit: Duration, f: impl FnOnce() -> R) -> Result<R, Elapsed> {
    within(Moment::now().after(limit), f)
}

/// As [`timeout`], with the moment at which the limit has passed.
///
/// # Errors
/// As [`timeout`].
///
/// # Panics
/// As [`timeout`].
#[track_caller]
pub fn timeout_at<R>(deadline: Instant, f: impl FnOnce() -> R) -> Result<R, Elapsed> {
    within(Moment::of(deadline), f)
}

#[track_caller]
fn within<R>(at: Moment, f: impl FnOnce() -> R) -> Result<R, Elapsed> {
    if cfg!(panic = "abort") {
        panic!(
            "greenlet: a timeout unwinds, and this program is built with panic = \"abort\"; use panic = \"unwind\", or the timeouts of sockets"
        );
    }
    Hub::here().within(at, f).ok_or(Elapsed)
}

/// A limit has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

/// Ticks every `period`, the first one a period from now.
///
/// # Panics
/// If `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval of no time at all");
    Interval {
        period,
        next: Moment::now().after(period),
    }
}

/// Ticks at a steady rate; see [`interval`].
///
/// A tick that is waited for late comes at once, and those that were missed altogether are left out: the
/// ticks stay where they would have been.
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    next: Moment,
}

impl Interval {
    /// Waits for the next tick; returns how many were missed before it. One that has passed lets everybody who is
    /// ready go first.
    ///
    /// # Parks
    /// Always.
    pub fn tick(&mut self) -> u64 {
        sleep_until_moment(self.next);
        let late = self.next.until(Moment::now());
        let missed = (late.as_nanos() / self.period.as_nanos()) as u64;
        let on = self.period.as_nanos() as u64;
        let ahead = on.saturating_mul(missed.saturating_add(1));
        self.next = self.next.after(Duration::from_nanos(ahead));
        missed
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }
}
