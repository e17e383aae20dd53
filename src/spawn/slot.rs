//! What a greenlet leaves, until somebody takes it.
//!
//! A slot is in two hands: that of the greenlet, which owes what lies there in the end, and that of the handle that
//! can join it. It lies in a pooled block of its thread, as the closure does, so that spawning allocates nothing.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::thread;

use crate::hub::Hub;
use crate::hub::launch::failure;
use crate::hub::wait::WaitList;
use crate::switch::control::Control;
use crate::switch::exit::GreenletExit;
use crate::switch::thread::{Thread, report};
use crate::switch::transfer;

/// One hand on a slot.
///
/// It is let go of while its thread is there: a control block keeps that, which belongs to the greenlet that runs, is
/// discarded, or is held by the handle; where none could be made, the thread has not ended yet.
pub(super) struct Slot<R> {
    shared: NonNull<Shared<R>>,
    _owns: PhantomData<Shared<R>>,
}

/// With a small outcome it is 64 bytes.
struct Shared<R> {
    thread: NonNull<Thread>,
    hands: Cell<u32>,
    ended: Cell<bool>,
    outcome: Cell<Option<thread::Result<R>>>,
    joiners: WaitList,
}

impl<R> Slot<R> {
    /// An empty slot, and both hands on it.
    #[inline]
    pub(super) fn new(thread: &Thread) -> (Slot<R>, Owed<R>) {
        let shared = thread.bodies.store(Shared {
            thread: NonNull::from(thread),
            hands: Cell::new(2),
            ended: Cell::new(false),
            outcome: Cell::new(None),
            joiners: WaitList::new(),
        });
        let hand = || Slot {
            shared,
            _owns: PhantomData,
        };
        (hand(), Owed { slot: hand() })
    }

    #[inline(always)]
    fn shared(&self) -> &Shared<R> {
        // SAFETY: it stays until the last hand is taken off it.
        unsafe { self.shared.as_ref() }
    }

    /// Where those stand who wait for its end.
    #[inline(always)]
    pub(super) fn joiners(&self) -> &WaitList {
        &self.shared().joiners
    }

    #[inline(always)]
    pub(super) fn has_ended(&self) -> bool {
        self.shared().ended.get()
    }

    /// For those who fetch it before it is written to.
    #[inline(always)]
    pub(super) fn address(&self) -> *const () {
        self.shared.as_ptr().cast_const().cast()
    }

    /// Waits until the greenlet, which is `control`, has ended.
    pub(super) fn wait(&self, control: &Control) {
        // Only who has to wait needs a hub: the last destructors of a thread have none.
        if self.has_ended() {
            return;
        }
        let hub = Hub::here();
        let _bound = hub.bind();
        while !self.has_ended() && !control.is_given_up() {
            self.joiners()
                .wait_together(hub, &"joins another greenlet", None);
        }
    }

    /// What it left. That it could not begin comes before all else.
    pub(super) fn take(&self, control: &Control) -> Option<thread::Result<R>> {
        let left = self.shared().outcome.take();
        let failure = self.has_ended().then(|| failure(control)).flatten();
        failure.map(Err).or(left)
    }

    /// Nobody will ask for what it left. A panic is reported: nothing hides (law 12).
    #[inline]
    pub(super) fn give_up(&self, control: &Control) {
        if let Some(outcome) = self.take(control) {
            Self::nobody_asked(outcome, control);
        }
    }

    #[cold]
    fn nobody_asked(outcome: thread::Result<R>, control: &Control) {
        match outcome {
            Err(payload) if !payload.is::<GreenletExit>() => report(
                format_args!(
                    "{control}, spawned at {}, died of a panic, and nobody joined it",
                    control.site
                ),
                payload,
            ),
            outcome => transfer::drop_contained(outcome),
        }
    }

    /// It has ended: says so.
    #[inline]
    fn end(&self, outcome: thread::Result<R>) {
        self.shared().outcome.set(Some(outcome));
        self.shared().ended.set(true);
    }
}

impl<R> Drop for Slot<R> {
    #[inline]
    fn drop(&mut self) {
        let shared = self.shared();
        let left = shared.hands.get() - 1;
        shared.hands.set(left);
        if left == 0 {
            // SAFETY: the thread stays as long as one of its control blocks (`Slot`).
            let thread = unsafe { shared.thread.as_ref() };
            // SAFETY: stored there by `new`, and the last hand is gone.
            drop(unsafe { thread.bodies.release(self.shared) });
        }
    }
}

/// The outcome that a greenlet owes to its slot. If it is dropped unpaid, the greenlet never ran.
pub(super) struct Owed<R> {
    slot: Slot<R>,
}

impl<R> Owed<R> {
    /// Pays, in the greenlet that owes.
    #[inline]
    pub(super) fn pay(self, outcome: thread::Result<R>) {
        let hub = Hub::here();
        let slot = &self.slot;
        slot.end(outcome);
        if slot.shared().hands.get() == 1 {
            slot.give_up(hub.thread().current());
        }
        slot.joiners().call_all(hub);
    }
}

impl<R> Drop for Owed<R> {
    #[inline]
    fn drop(&mut self) {
        let slot = &self.slot;
        if slot.has_ended() {
            return;
        }
        slot.end(Err(Box::new(GreenletExit)));
        if let Some(hub) = Hub::here_if_open() {
            slot.joiners().call_all(hub);
        }
    }
}
