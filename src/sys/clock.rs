//! The time, as one number: the only place that asks for it.
//!
//! A [`Moment`] counts nanoseconds from the first use in this process, by the clock behind
//! [`std::time::Instant`]: it never goes back, and 64 bits last for 584 years. Being a number it is half as
//! large as an `Instant`, compares in one instruction, saturates instead of panicking, and has a value for
//! [never](Moment::NEVER). Asking is one read of the clock, without a system call where the kernel maps its
//! clock into the process.
//!
//! Everything that waits takes its time from here. That is what makes a simulated clock possible.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Nanoseconds since the first use in this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Later than every other moment.
    pub(crate) const NEVER: Moment = Moment(u64::MAX);

    #[inline]
    pub(crate) fn now() -> Moment {
        let base = base();
        Moment(nanos(Instant::now().saturating_duration_since(base)))
    }

    /// The moment of an instant; those before the first use are moment 0.
    pub(crate) fn of(instant: Instant) -> Moment {
        Moment(nanos(instant.saturating_duration_since(base())))
    }

    /// This moment and `d`; [`NEVER`](Moment::NEVER) if that is too far.
    #[inline]
    pub(crate) fn after(self, d: Duration) -> Moment {
        Moment(self.0.saturating_add(nanos(d)))
    }

    /// How long from this moment to a later one; nothing if it has passed.
    #[inline]
    pub(crate) fn until(self, later: Moment) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }

    #[inline]
    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }
}

/// Whether a deadline, if there is one, has passed.
#[inline]
pub(crate) fn has_passed(deadline: Option<Moment>) -> bool {
    deadline.is_some_and(|at| at != Moment::NEVER && at <= Moment::now())
}

#[inline]
fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    *BASE.get_or_init(Instant::now)
}

#[inline]
fn nanos(d: Duration) -> u64 {
    d.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(d.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_agrees_with_instants() {
        let before = Moment::now();
        let instant = Instant::now();
        let after = Moment::now();
        assert!(before <= Moment::of(instant) && Moment::of(instant) <= after);
        assert!(after < Moment::NEVER);
    }

    #[test]
    fn the_ends_saturate() {
        let now = Moment::now();
        assert_eq!(now.after(Duration::MAX), Moment::NEVER);
        assert_eq!(Moment::NEVER.after(Duration::from_nanos(1)), Moment::NEVER);
        assert_eq!(now.until(Moment::from_nanos(0)), Duration::ZERO);
        assert_eq!(
            Moment::from_nanos(0).until(Moment::NEVER),
            Duration::from_nanos(u64::MAX)
        );
        if let Some(past) = Instant::now().checked_sub(Duration::from_secs(3600)) {
            assert_eq!(Moment::of(past), Moment::from_nanos(0));
        }
        if let Some(far) = Instant::now().checked_add(Duration::from_secs(1 << 40)) {
            assert_eq!(Moment::of(far), Moment::NEVER);
        }
    }

    #[test]
    fn nanoseconds_are_exact() {
        let moment = Moment::from_nanos(3).after(Duration::new(2, 5));
        assert_eq!(moment.nanos(), 2_000_000_008);
        assert_eq!(Moment::from_nanos(8).until(moment), Duration::from_secs(2));
    }
}
