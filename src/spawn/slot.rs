//! What a greenlet leaves, until somebody takes it.
//!
//! A slot is in two hands: that of the greenlet, which owes what lies there in the end, and that of the handle that
//! can join it. It lies in a pooled block of its thread, as the closure does, so that spawning allocates nothing.

use std::cell::{Cell, OnceCell};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::thread;

use crate::hub::Hub;
use crate::hub::launch::failure;
use crate::hub::wait::WaitList;
use crate::switch::control::Control;
use crate::switch::exit::GreenletExit;
use crate::switch::greenlet::Greenlet;
use crate::switch::thread::{Thread, report};
use crate::switch::transfer;

/// One hand on a slot.
///
pub(super) struct Slot<R> {
    shared: NonNull<Shared<R>>,
    _owns: PhantomData<Shared<R>>,
}

/// With a small outcome it is 64 bytes.
struct Shared<R> {
    hands: Cell<u32>,
    ended: Cell<bool>,
    /// The greenlet, if the handle was there when it got its control block. It keeps its thread.
    greenlet: OnceCell<Greenlet<()>>,
    outcome: Cell<Option<thread::Result<R>>>,
    joiners: WaitList,
}

impl<R> Slot<R> {
    /// An empty slot, and both hands on it.
    #[inline]
    pub(super) fn new(thread: &Thread) -> (Slot<R>, Owed<R>) {
        let shared = thread.bodies.store(Shared {
            hands: Cell::new(2),
            ended: Cell::new(false),
            greenlet: OnceCell::new(),
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

    /// The number of the greenlet.
    pub(super) fn id(&self) -> u64 {
        self.joiners().holder().get()
    }

    /// The greenlet, for the handle, if it has a control block by now.
    #[inline]
    pub(super) fn greenlet_if_grown(&self) -> Option<&Greenlet<()>> {
        self.shared().greenlet.get()
    }

    /// The greenlet, for the handle.
    pub(super) fn greenlet(&self) -> &Greenlet<()> {
        self.greenlet_if_grown().unwrap_or_else(|| {
            Hub::here().grow_all();
            self.greenlet_if_grown().expect("the handle is there")
        })
    }

    /// Whether it will never end.
    fn is_given_up(&self) -> bool {
        let greenlet = self.greenlet_if_grown();
        greenlet.is_some_and(|greenlet| greenlet.control().is_given_up())
    }

    /// Waits until the greenlet has ended.
    pub(super) fn wait(&self) {
        // Only who has to wait needs a hub: the last destructors of a thread have none.
        if self.has_ended() {
            return;
        }
        let hub = Hub::here();
        let _bound = hub.bind();
        while !self.has_ended() && !self.is_given_up() {
            self.joiners()
                .wait_together(hub, &"joins another greenlet", None);
        }
    }

    /// What it left. That it could not begin comes before all else.
    pub(super) fn take(&self) -> Option<thread::Result<R>> {
        let left = self.shared().outcome.take();
        let greenlet = self.greenlet_if_grown().filter(|_| self.has_ended());
        let failure = greenlet.and_then(|greenlet| failure(greenlet.control()));
        failure.map(Err).or(left)
    }

    /// Nobody will ask for what it left. A panic is reported: nothing hides (law 12).
    #[inline]
    pub(super) fn give_up(&self, control: &Control) {
        if let Some(outcome) = self.take() {
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
            // It is that of the greenlet that runs, is discarded, or is held here.
            let thread = match shared.greenlet.get() {
                // SAFETY: a control block keeps its thread.
                Some(greenlet) => Some(unsafe { greenlet.control().thread.as_ref() }),
                None => Thread::here_if_any(),
            };
            // A thread that is gone has taken its blocks along.
            if let Some(thread) = thread {
                // SAFETY: stored there by `new`, and the last hand is gone. The block is free before the greenlet is,
                // and with it perhaps the thread.
                drop(unsafe { thread.bodies.release(self.shared) });
            }
        }
    }
}

/// The outcome that a greenlet owes to its slot. If it is dropped unpaid, the greenlet never ran.
pub(super) struct Owed<R> {
    slot: Slot<R>,
}

impl<R> Owed<R> {
    /// The greenlet that owes has a control block from now on.
    #[inline]
    pub(super) fn grown(&self, control: &Control) {
        let shared = self.slot.shared();
        control
            .owes
            .set(self.slot.shared.as_ptr().cast_const().cast());
        if shared.hands.get() > 1 {
            let known = shared.greenlet.set(Greenlet::of(control));
            debug_assert!(known.is_ok(), "it grows once");
        }
    }

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
