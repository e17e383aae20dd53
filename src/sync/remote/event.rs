//! [`Event`](crate::sync::Event) between threads.

use std::fmt;
use std::time::Duration;

use super::Crossing;
use super::states::Flag;
use crate::sync::select::Ready;
use crate::sys::clock::Moment;

/// A flag that greenlets of all threads wait for.
///
/// Setting it wakes all who wait, also if it is cleared again before they run.
pub struct Event {
    crossing: Crossing<Flag, 1>,
}

impl Event {
    /// One that is not set.
    #[track_caller]
    pub const fn new() -> Event {
        Event {
            crossing: Crossing::over(Flag(false)),
        }
    }

    /// Sets it, and wakes all who wait.
    ///
    /// # Parks
    /// No.
    pub fn set(&self) {
        self.crossing.change(Flag::raise);
    }

    /// Takes it back: who comes now waits.
    pub fn clear(&self) {
        self.crossing.change(|flag, _| flag.0 = false);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.crossing.look(|flag| flag.0)
    }

    /// Waits until it is set.
    ///
    /// # Parks
    /// Unless it is set.
    ///
    /// # Cancellation
    /// Nothing changes.
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// As [`wait`](Self::wait), for `timeout` at most; true if it was set.
    ///
    /// # Parks
    /// Unless it is set.
    ///
    /// # Cancellation
    /// Nothing changes.
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(Moment::now().after(timeout)))
    }

    fn wait_until(&self, deadline: Option<Moment>) -> bool {
        let parker = || {
            self.crossing
                .parker(&"waits for an event of another thread", deadline)
        };
        let attempt = |flag: &mut Flag, _: &mut _, called| flag.is_up(called);
        self.crossing
            .wait(0, parker, attempt, |_, _, _| ())
            .is_some()
    }
}

impl Ready for &Event {
    type Output = ();

    /// It may have been cleared since.
    fn take(&self, called: bool) -> Option<()> {
        (called || self.is_set()).then_some(())
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        let look = |flag: &mut Flag, _: &mut _| flag.is_up(false).map(|()| true);
        let lost = |_: &mut _, _: &mut _, _| ();
        self.crossing.stand_while(0, look, rest, lost)
    }

    fn pass_on(&self) {}
}

impl Default for Event {
    #[track_caller]
    fn default() -> Event {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .finish_non_exhaustive()
    }
}
