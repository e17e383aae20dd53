//! Who waits in a destructor in the middle of an unwinding, and how deep (law 10).
//!
//! Nothing but the end of a stretch within that destructor may be raised there: what gets out of a destructor that runs
//! while unwinding aborts the process. And what such a greenlet has of std's panic count goes with it, so that whoever runs
//! meanwhile does not seem to unwind: see [`panics`](crate::sys::panics).
//!
//! Where a greenlet's share cannot be set aside, it stays on the count, and nobody knows who unwinds while that is not zero. So
//! whoever leaves then counts as one who does, until it runs again or the count is zero. Where each greenlet has a thread, it
//! is known who unwinds, but not how deep.

use std::thread::panicking;

use super::control::Control;
use super::thread::Thread;
use crate::sys::context::SHARES_THREAD;
use crate::sys::panics::{self, Aside, MOST};

/// It may unwind, nobody knows how deep.
const IN_DOUBT: u8 = MOST + 1;

impl Control {
    /// Before others run; this one does.
    #[inline(always)]
    pub(crate) fn set_panics_aside(&self) {
        if panicking() {
            self.set_them_aside();
        }
    }

    /// It runs again.
    #[inline(always)]
    pub(crate) fn count_panics_again(&self) {
        if self.unwinding.get() != 0 {
            self.count_them_again();
        }
    }

    #[cold]
    #[inline(never)]
    fn set_them_aside(&self) {
        // Without unwinding it is in a panic hook, and nothing can be raised anywhere. And what others have left on the count
        // might be taken for a share of this one.
        let can_be = SHARES_THREAD && cfg!(panic = "unwind") && in_doubt(0) == 0;
        let aside = can_be.then(|| panics::set_aside(&self.context)).flatten();
        let depth = aside.as_ref().map_or(IN_DOUBT, Aside::depth);
        let before = self.unwinding.replace(depth);
        if aside.is_some() {
            self.extra_or_new().panics.set(aside);
        } else if before != IN_DOUBT {
            in_doubt(1);
        }
    }

    #[cold]
    #[inline(never)]
    fn count_them_again(&self) {
        if let Some(aside) = self.forget_panics() {
            aside.count(&self.context);
        }
    }

    /// Its share, of one that runs again or never.
    pub(super) fn forget_panics(&self) -> Option<Aside> {
        if self.unwinding.replace(0) == IN_DOUBT {
            in_doubt(-1);
        }
        self.extra()?.panics.take()
    }

    /// Whether something that is not told to get only so far may be raised where it waits (law 10).
    pub(crate) fn can_be_raised_in(&self) -> bool {
        (!self.may_unwind() || self.lenient.get()) && !self.shielded.get()
    }

    /// Whether it waits in a destructor in the middle of an unwinding, as far as that can be told.
    pub(crate) fn may_unwind(&self) -> bool {
        self.depth() != Some(0)
    }

    /// In the middle of how many unwindings it waits; none where nobody can tell.
    pub(crate) fn depth(&self) -> Option<u8> {
        match self.unwinding.get() {
            IN_DOUBT if panicking() || !SHARES_THREAD => None,
            // Nobody of this thread unwinds, so it does not either, whatever it looked like when it left.
            IN_DOUBT => Some(0),
            depth => Some(depth),
        }
    }

    /// In the middle of how many unwindings it is, which runs.
    #[inline]
    pub(crate) fn depth_now(&self) -> Option<u8> {
        self.set_panics_aside();
        let depth = self.depth();
        self.count_panics_again();
        depth
    }
}

/// So many more of this thread are in doubt; returns how many.
fn in_doubt(more: isize) -> usize {
    let Some(thread) = Thread::here_if_any() else {
        return 0;
    };
    let count = thread.in_doubt.get().saturating_add_signed(more);
    thread.in_doubt.set(count);
    count
}
