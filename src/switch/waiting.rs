//! Who waits for the end of a greenlet, by a kill, a drop or a switch.

use std::cell::Cell;
use std::ptr::NonNull;

use super::control::{Control, ControlRef};
use super::thread::Thread;

/// Somebody who waits for the end of a greenlet, and so stands in for its parent. Several may: each is an
/// entry of a list that begins at the control block and runs through the frames of those who wait.
#[derive(Default)]
pub(crate) struct Waiting {
    waiter: Cell<Option<ControlRef>>,
    before: Cell<Option<NonNull<Waiting>>>,
}

impl Waiting {
    /// Lets `me` stand in for the parent of `target` while `f` runs.
    pub(crate) fn during<R>(target: &Control, me: &Control, f: impl FnOnce() -> R) -> R {
        let entry = Waiting {
            waiter: Cell::new(Some(NonNull::from(me))),
            before: Cell::new(target.waiting.get()),
        };
        target.waiting.set(Some(NonNull::from(&entry)));
        let _leave = Leave {
            target,
            entry: &entry,
        };
        f()
    }

    /// Lets `waiter` stand in for the parent of `target`, which is about to end, unless somebody does
    /// already. The caller sees to it that the entry leaves before it goes.
    pub(crate) fn stand_in_for_good(&self, target: &Control, waiter: ControlRef) {
        if target.waiting.get().is_none() {
            self.waiter.set(Some(waiter));
            target.waiting.set(Some(NonNull::from(self)));
        }
    }

    /// Whether it has been entered by `stand_in_for_good`, and has not left.
    #[inline(always)]
    pub(crate) fn is_entered(&self) -> bool {
        self.waiter.get().is_some()
    }

    /// Takes this entry out of the list of `target`, if it is there. It need not be the first any more.
    pub(crate) fn leave(&self, target: &Control) {
        self.waiter.set(None);
        let me = NonNull::from(self);
        let mut link = &target.waiting;
        while let Some(entry) = link.get() {
            // SAFETY: as in `for_end_of`.
            let before = unsafe { &(*entry.as_ptr()).before };
            if entry == me {
                link.set(before.get());
                return;
            }
            link = before;
        }
    }

    /// Several may have waited for the end of `target`. `next` goes on now, and the others at their turn.
    #[cold]
    pub(super) fn bring_back_all_but(thread: &Thread, target: &Control, next: &Control) {
        let mut link = target.waiting.get();
        while let (Some(entry), Some(upstairs)) = (link, thread.upstairs()) {
            // SAFETY: as in `for_end_of`.
            let entry = unsafe { entry.as_ref() };
            // SAFETY: one that waits is not dead.
            let waiter = entry.waiter.get().map(|waiter| unsafe { waiter.as_ref() });
            if let Some(waiter) = waiter
                && !waiter.is(next)
                && waiter.expects.get().takes_anything()
            {
                upstairs.bring_back(waiter);
            }
            link = entry.before.get();
        }
    }

    /// Who stands in for the parent of `target`: the last one that came.
    pub(crate) fn for_end_of(target: &Control) -> Option<ControlRef> {
        // SAFETY: an entry is in the list for as long as it lies where it is.
        target
            .waiting
            .get()
            .and_then(|entry| unsafe { entry.as_ref() }.waiter.get())
    }
}

/// Takes the entry out of the list on every way out (law 5).
struct Leave<'a> {
    target: &'a Control,
    entry: &'a Waiting,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.entry.leave(self.target);
    }
}
