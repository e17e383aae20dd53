//! A lock that greenlets of any thread wait for: one at a time uses a standard stream.
//!
//! The holder may take it again. When it is free, the one who waits longest is called, and looks again
//! (law 4); somebody who comes in between may have it first.

use crate::hub::Hub;
use crate::sync::remote::Crossing;
use crate::sync::remote::crossing::Lines;
use crate::sys::fork::Own;

/// The lock of a standard stream. A child of a fork has its own: the holder may be one that stays with the parent.
pub(super) type StreamLock = Own<Lock>;

pub(super) struct Lock(Crossing<Held, 1>);

/// Who has it, and how often it has taken it.
#[derive(Default)]
struct Held {
    by: Option<u64>,
    times: usize,
}

/// The stream is locked for the one who has this. At the very end of a thread nobody can wait for that, and goes without.
pub(super) struct Taken(Option<&'static Lock>);

impl Default for Lock {
    fn default() -> Lock {
        Lock(Crossing::over(Held::default()))
    }
}

impl Held {
    fn take(&mut self, me: u64) -> Option<()> {
        if self.by.is_some_and(|by| by != me) {
            return None;
        }
        self.by = Some(me);
        self.times += 1;
        Some(())
    }

    /// True if it is free now.
    fn give_back<B>(&mut self, lines: &mut Lines<B, 1>) -> bool {
        self.times -= 1;
        if self.times == 0 {
            self.by = None;
            self.call_next(lines);
        }
        self.times == 0
    }

    fn call_next<B>(&self, lines: &mut Lines<B, 1>) {
        if self.by.is_none() {
            lines.call_one(0);
        }
    }
}

impl Lock {
    /// Waits until nobody else has it.
    ///
    /// # Panics
    /// If it cannot be waited for: the system has no descriptors left for a poller.
    pub(super) fn take(&'static self) -> Taken {
        let Some(hub) = Hub::here_to_the_end() else {
            return Taken(None);
        };
        let me = hub.thread().current().id;
        let purpose = &"waits for a standard stream";
        self.0.wait(
            0,
            || self.0.parker_bound(purpose),
            |held, _, _| held.take(me),
            |held, lines, _| held.call_next(lines),
        );
        self.0.holder().set(me);
        Taken(Some(self))
    }

    fn give_back(&self) {
        self.0.change(|held, lines| {
            if held.give_back(lines) {
                self.0.holder().set(0);
            }
        });
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(lock) = self.0 {
            lock.give_back();
        }
    }
}
