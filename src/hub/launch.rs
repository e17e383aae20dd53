//! Greenlets that the hub runs: they are started by their turn, and leave nothing to their parent.
//!
//! The hub holds a count of each until it has ended. It is given back by the greenlet itself, last thing;
//! for one that never ran, by whoever finds it dead in the queue. One that was given up is kept for ever.

use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::NonNull;

use super::Hub;
use crate::switch::body::{Body, Enter};
use crate::switch::control::{Birth, Control, ControlRef, Family, Payload, Phase, Wait};
use crate::switch::greenlet::Greenlet;
use crate::switch::thread::report;
use crate::switch::{exit, transfer};
use crate::sys::context::Context;
use crate::sys::stack::Pages;

/// Starts nobody by a switch: it waits for its turn from the beginning.
struct Launched;

impl Hub {
    /// Makes a greenlet that runs `job` when it is its turn.
    ///
    /// `job` is given what is to be raised before it begins, must not unwind, and returns what is to be done
    /// after the locals of the greenlet have been dropped.
    ///
    /// # Safety
    /// What `job` borrows lives until the greenlet is dead.
    #[inline]
    pub(crate) unsafe fn launch<D: FnOnce()>(
        &self,
        name: Option<Box<str>>,
        pages: Pages,
        site: &'static Location<'static>,
        job: impl FnOnce(Option<Payload>) -> D,
    ) -> Greenlet<()> {
        assert!(
            !self.is_closed(),
            "no greenlet can be spawned any more: this thread is ending"
        );
        let thread = self.thread();
        let birth = Birth {
            name,
            parent: Some(NonNull::from(&thread.main)),
            site,
            pages,
        };
        let control = thread.new_control(Family::of::<Launched>(), birth);
        // SAFETY: just made; the count that came with it is the hub's.
        let control = unsafe { control.as_ref() };
        // SAFETY: caller's promise.
        let body = unsafe { Body::new_unchecked::<_, Start<D>>(thread, job) };
        control.body.set(Some(body));
        self.enqueue(control);
        Greenlet::of(control)
    }

    /// Starts one whose turn it is for the first time; false if it cannot be, or is dead.
    #[cold]
    #[inline(never)]
    pub(super) fn start(&self, control: ControlRef) -> bool {
        // SAFETY: what is in the queue is kept, until it is released below.
        let pending = unsafe { control.as_ref() };
        if pending.phase.get() == Phase::Pending {
            match transfer::bind(self.thread(), pending) {
                Ok(()) => {
                    pending.wait.set(Wait::Switch);
                    return true;
                }
                Err(refusal) => {
                    let reason = format!("{pending} could not be started: {refusal}");
                    pending.raise.set(Some(Box::new(reason)));
                    exit::bury_pending(self.thread(), pending);
                    if pending.strong.get() == 1
                        && let Some(reason) = failure(pending)
                    {
                        report(format_args!("nobody joined it"), reason);
                    }
                }
            }
        }
        if !pending.is_given_up() {
            exit::release(control);
        }
        false
    }
}

/// Why one that has ended was never started, if it was not killed. It is kept where what is raised in a greenlet
/// lies; nothing is raised in one that has ended.
pub(crate) fn failure(control: &Control) -> Option<Payload> {
    control.raise.take()
}

/// The entry of a greenlet that the hub runs.
struct Start<D>(PhantomData<D>);

impl<D: FnOnce(), F: FnOnce(Option<Payload>) -> D> Enter<F> for Start<D> {
    unsafe fn enter(control: *const ()) -> *const Context {
        // SAFETY: the context was bound with the control block, which stays while the greenlet runs.
        let me: &'static Control = unsafe { &*control.cast::<Control>() };
        // SAFETY: a thread outlives its greenlets.
        let thread = unsafe { me.thread.as_ref() };
        let body = me.body.take().expect("bound with a body");
        // SAFETY: this entry stands in the body that holds an `F`.
        let job: F = unsafe { body.take(thread) };
        let raised = match me.alert.get() {
            0 => None,
            _ => transfer::on_arrival(thread, me),
        };
        let after = job(raised);
        exit::clear_out(me);
        after();
        let next = || {
            me.wait.set(Wait::Switch);
            Hub::here().next_after_end()
        };
        &exit::finish_in_hub(thread, me, next).context
    }
}
