//! Waiting until so many things are done.

use std::cell::Cell;
use std::fmt;
use std::mem::offset_of;
use std::rc::Rc;

use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Subject;

/// Waits until everything is done that was begun: Go's `WaitGroup`.
///
/// What is begun is a [`Pending`]; it is done when that is dropped, so one that is killed or panics is done, too.
///
/// ```
/// use greenlet::sync::WaitGroup;
///
/// let group = WaitGroup::new();
/// for n in 0..3 {
///     let pending = group.begin();
///     greenlet::spawn(move || {
///         greenlet::yield_now();
///         drop((n, pending));
///     });
/// }
/// group.wait();
/// ```
#[derive(Clone)]
pub struct WaitGroup {
    shared: Rc<Shared>,
}

/// Something that is not done; see [`WaitGroup`].
#[must_use = "dropped at once, it is done at once"]
pub struct Pending {
    shared: Rc<Shared>,
}

struct Shared {
    pending: Cell<usize>,
    waiters: WaitList<(), Subject>,
}

impl WaitGroup {
    /// One with nothing to wait for.
    #[track_caller]
    pub fn new() -> WaitGroup {
        let waiters = WaitList::within(offset_of!(Shared, waiters), size_of::<Shared>());
        WaitGroup {
            shared: Rc::new(Shared {
                pending: Cell::new(0),
                waiters,
            }),
        }
    }

    /// Begins something.
    pub fn begin(&self) -> Pending {
        let shared = Rc::clone(&self.shared);
        shared.pending.set(shared.pending.get() + 1);
        Pending { shared }
    }

    /// How many are not done.
    pub fn pending(&self) -> usize {
        self.shared.pending.get()
    }

    /// Waits until nothing is pending.
    ///
    /// # Parks
    /// Unless nothing is pending.
    ///
    /// # Cancellation
    /// Nothing changes.
    pub fn wait(&self) {
        let (waiters, purpose) = (&self.shared.waiters, &"waits for a group");
        while self.pending() > 0 && !waiters.wait_together(Hub::here(), purpose, None) {}
    }
}

impl Default for WaitGroup {
    #[track_caller]
    fn default() -> WaitGroup {
        WaitGroup::new()
    }
}

impl Clone for Pending {
    fn clone(&self) -> Pending {
        WaitGroup {
            shared: Rc::clone(&self.shared),
        }
        .begin()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let left = self.shared.pending.get() - 1;
        self.shared.pending.set(left);
        if left == 0 && !self.shared.waiters.is_empty() {
            self.shared.waiters.call_all(Hub::here());
        }
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            .field("pending", &self.pending())
            .finish()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
