//! What a greenlet leaves, until somebody takes it.
//!
//! A slot is in two hands: that of the greenlet, which owes what lies there in the end, and that of the handle that
//! can join it. It lies in a pooled block of its thread, as the closure does, so that spawning allocates nothing.
//!
//! Most are joined, or let go of, and never asked for anything else. So the slot counts as a handle to the greenlet
//! only from when it is asked for it: the control block of one that has ended is free at once.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::thread;

use crate::hub::Hub;
use crate::hub::launch::{NoStack, failure};
use crate::hub::wait::WaitList;
use crate::switch::control::{Control, ControlRef, Payload, write_named};
use crate::switch::exit::{self, GreenletExit};
use crate::switch::thread::{Thread, report};
use crate::switch::transfer;

/// One hand on a slot.
pub(super) struct Slot<R> {
    shared: NonNull<Shared<R>>,
    _owns: PhantomData<Shared<R>>,
}

/// With a small outcome it is 64 bytes.
struct Shared<R> {
    /// The greenlet, from when it has a control block until it has ended, or longer if it is held; before and
    /// after that its thread, which stays as long as one of its blocks is out.
    owner: Cell<NonNull<()>>,
    has_greenlet: Cell<bool>,
    hands: Cell<u8>,
    ended: Cell<bool>,
    /// The slot counts as a handle.
    holds: Cell<bool>,
    outcome: Cell<Option<thread::Result<R>>>,
    /// Instead of an outcome, if it has never been started.
    no_stack: Cell<Option<NoStack>>,
    joiners: WaitList,
}

const _: () = assert!(size_of::<Shared<()>>() <= 64);

impl<R> Slot<R> {
    /// An empty slot, and both hands on it; None if there is no memory for it.
    #[inline]
    pub(super) fn new(thread: &Thread) -> Option<(Slot<R>, Owed<R>)> {
        let shared = thread.bodies.room(thread.promised())?;
        // SAFETY: there is room for it.
        unsafe {
            shared.write(Shared {
                owner: Cell::new(NonNull::from(thread).cast()),
                has_greenlet: Cell::new(false),
                hands: Cell::new(2),
                ended: Cell::new(false),
                holds: Cell::new(false),
                outcome: Cell::new(None),
                no_stack: Cell::new(None),
                joiners: WaitList::new(),
            });
        }
        let hand = || Slot {
            shared,
            _owns: PhantomData,
        };
        Some((hand(), Owed { slot: hand() }))
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

    /// Whether it has ended, or will never run again.
    #[inline(always)]
    pub(super) fn has_ended(&self) -> bool {
        self.shared().ended.get() || self.greenlet().is_some_and(Control::is_given_up)
    }

    /// The number of the greenlet.
    pub(super) fn id(&self) -> u64 {
        self.joiners().holder().get()
    }

    /// The greenlet, if it has a control block, and has not ended or is held.
    #[inline]
    pub(super) fn greenlet(&self) -> Option<&Control> {
        let Shared {
            owner,
            has_greenlet,
            ..
        } = self.shared();
        // SAFETY: `end` takes it away before it is freed, unless it is held by this slot.
        has_greenlet
            .get()
            .then(|| unsafe { owner.get().cast().as_ref() })
    }

    /// Its thread, which stays as long as the slot.
    #[inline]
    fn thread(&self) -> NonNull<Thread> {
        let owner = &self.shared().owner;
        self.greenlet()
            .map_or_else(|| owner.get().cast(), |greenlet| greenlet.thread)
    }

    /// The greenlet, if the slot counts as a handle to it.
    pub(super) fn held(&self) -> Option<&Control> {
        self.greenlet().filter(|_| self.shared().holds.get())
    }

    /// The greenlet, which is kept from now on as long as the slot. None if it has ended, and nobody had asked.
    pub(super) fn hold(&self) -> Option<&Control> {
        if !self.has_ended() && self.greenlet().is_none() {
            // SAFETY: it stays as long as this slot.
            unsafe { self.thread().as_ref() }.grow_all();
        }
        let greenlet = self.greenlet()?;
        if !self.shared().holds.replace(true) {
            greenlet.retain();
        }
        Some(greenlet)
    }

    /// Waits until the greenlet has ended. Inline, as all that waits is (`Hub::go_on_in`).
    #[inline(always)]
    pub(super) fn wait(&self) {
        // Only who has to wait needs a hub: the last destructors of a thread have none.
        if self.has_ended() {
            return;
        }
        let hub = Hub::here();
        hub.bind();
        while !self.has_ended() {
            self.joiners()
                .wait_together(hub, &"joins another greenlet", None);
        }
    }

    /// What it left.
    #[inline]
    pub(super) fn take(&self) -> Option<thread::Result<R>> {
        match self.shared().outcome.take() {
            None if self.shared().no_stack.get().is_some() => Some(Err(Box::new(self.failure()?))),
            outcome => outcome,
        }
    }

    /// Why it was never started, in words; they are said once.
    #[cold]
    fn failure(&self) -> Option<String> {
        let no_stack = self.shared().no_stack.take()?;
        let mut words = String::new();
        let name = self.greenlet().and_then(Control::name);
        let _ = write_named(&mut words, self.id(), name, false);
        let error = no_stack.error();
        Some(words + &format!(" could not be started, as there is no stack for it: {error}"))
    }

    /// Nobody will ask for what it left. A panic is reported, and that it was never started: nothing hides (law 12).
    #[inline]
    pub(super) fn give_up(&self) {
        match self.shared().outcome.take() {
            Some(Err(payload)) => self.nobody_asked(payload),
            Some(Ok(value)) => transfer::drop_contained(value),
            None if self.shared().no_stack.get().is_some() => self.nobody_asked_why(),
            None => {}
        }
    }

    #[cold]
    fn nobody_asked_why(&self) {
        if let Some(words) = self.failure() {
            report(format_args!("nobody joined it"), Box::new(words));
        }
    }

    #[cold]
    fn nobody_asked(&self, payload: Payload) {
        match self.greenlet() {
            Some(control) if !payload.is::<GreenletExit>() => report(
                format_args!(
                    "{control}, spawned at {}, died of a panic, and nobody joined it",
                    control.site
                ),
                payload,
            ),
            _ => transfer::drop_contained(payload),
        }
    }

    /// It has ended, or is about to: says so.
    #[inline(always)]
    fn end(&self, outcome: thread::Result<R>) {
        let shared = self.shared();
        if outcome
            .as_ref()
            .is_err_and(|payload| !payload.is::<GreenletExit>())
        {
            // Whoever does not join it may have to say who it was.
            self.hold();
        }
        shared.outcome.set(Some(outcome));
        self.close();
    }

    /// It has left all that it leaves.
    #[inline(always)]
    fn close(&self) {
        let shared = self.shared();
        if !shared.holds.get() {
            shared.owner.set(self.thread().cast());
            shared.has_greenlet.set(false);
        }
        shared.ended.set(true);
    }

    /// The last hand is gone.
    #[inline]
    fn free(&self) {
        // It may hold handles of its own, and the last of them would take the thread along.
        drop(self.shared().outcome.take());
        let thread = self.thread();
        let held = self.held().map(ControlRef::from);
        // SAFETY: `new` put it there, and nobody uses it any more. The thread stays until that.
        drop(unsafe { thread.as_ref().bodies.release(self.shared) });
        match held {
            Some(held) => exit::release(held),
            // SAFETY: nothing of the thread is used after this.
            None => unsafe { Thread::free_if_done(thread) },
        }
    }
}

impl<R> Drop for Slot<R> {
    #[inline]
    fn drop(&mut self) {
        let hands = &self.shared().hands;
        let left = hands.get() - 1;
        hands.set(left);
        if left == 0 {
            self.free();
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
        let slot = &self.slot;
        control.owes.set(slot.shared.as_ptr().cast_const().cast());
        slot.shared().owner.set(NonNull::from(control).cast());
        slot.shared().has_greenlet.set(true);
    }

    /// Pays, in the greenlet that owes.
    #[inline]
    pub(super) fn pay(self, outcome: thread::Result<R>) {
        let hub = Hub::here();
        let slot = &self.slot;
        slot.end(outcome);
        if slot.shared().hands.get() == 1 {
            slot.give_up();
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
        match slot.greenlet().and_then(failure) {
            None => slot.end(Err(Box::new(GreenletExit))),
            Some(no_stack) => {
                slot.shared().no_stack.set(Some(no_stack));
                slot.close();
                if slot.shared().hands.get() == 1 {
                    slot.give_up();
                }
            }
        }
        if let Some(hub) = Hub::here_if_open() {
            slot.joiners().call_all(hub);
        }
    }
}
