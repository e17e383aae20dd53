//! Children whose wait was cut short, and that nobody has a handle of any more.
//!
//! Nobody else can take the status of such a child, and until somebody does it stays in the list of processes when
//! it has ended. So it is left here, and whoever begins another one asks after those as well: there is never more in that
//! list than what has ended since then. It costs no thread, and no handler of a signal, and a system call for each
//! that still runs.
//!
//! As with all that goes by the number of a process, nobody else may take the status: the number is another one's then.
//!
//! The child of a fork has no children yet, and a list of its own.

use std::process::Child;
use std::sync::Mutex;

use crate::sys::fork::Own;
use crate::sys::lock::lock;

static ORPHANS: Own<Mutex<Vec<Child>>> = Own::new();

fn orphans() -> &'static Mutex<Vec<Child>> {
    ORPHANS.get()
}

/// A child that is nobody's, unless its status has been taken.
pub(super) fn leave(mut child: Child) {
    if runs(&mut child) {
        lock(orphans()).push(child);
    }
}

/// Takes the statuses of those who have ended.
pub(super) fn reap() {
    lock(orphans()).retain_mut(runs);
}

/// One that cannot be asked after is not ours.
fn runs(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}
