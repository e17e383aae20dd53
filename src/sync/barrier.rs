//! `std::sync::Barrier` for greenlets of one thread.

use std::cell::Cell;
use std::fmt;
use std::mem::offset_of;
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Subject;

/// Where so many greenlets wait for each other.
///
/// # Differences from std
/// Neither `Send` nor `Sync`.
pub struct Barrier {
    size: usize,
    arrived: Cell<usize>,
    round: Cell<u64>,
    waiters: WaitList<(), Subject>,
}

/// Who came last; see [`Barrier::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl BarrierWaitResult {
    /// True for one of those who met.
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl Barrier {
    /// One for `size` greenlets. With 0 or 1 nobody waits.
    #[track_caller]
    pub const fn new(size: usize) -> Barrier {
        Barrier {
            size,
            arrived: Cell::new(0),
            round: Cell::new(0),
            waiters: WaitList::within(offset_of!(Barrier, waiters), size_of::<Barrier>()),
        }
    }

    /// Waits until as many have come as the barrier is for. Then it is as new.
    ///
    /// # Parks
    /// Unless it is the last one.
    ///
    /// # Cancellation
    /// It is as if it had not come. One that was let through already has been counted.
    pub fn wait(&self) -> BarrierWaitResult {
        self.arrived.set(self.arrived.get() + 1);
        let hub = Hub::here();
        if self.arrived.get() >= self.size {
            self.arrived.set(0);
            self.round.set(self.round.get() + 1);
            self.waiters.call_all(hub);
            return BarrierWaitResult { is_leader: true };
        }
        let arrival = Arrival {
            barrier: self,
            round: self.round.get(),
        };
        while self.round.get() == arrival.round {
            self.waiters.wait_together(hub, &"waits at a barrier", None);
        }
        BarrierWaitResult { is_leader: false }
    }
}

/// One who has come. If it goes before the others have, it has not come.
struct Arrival<'a> {
    barrier: &'a Barrier,
    round: u64,
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        if self.barrier.round.get() == self.round {
            self.barrier.arrived.set(self.barrier.arrived.get() - 1);
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}
