//! Greenlets that the hub runs: they are started by their turn, and leave nothing to their parent.
//!
//! The hub holds a count of each until it has ended. It is given back by the greenlet itself, last thing;
//! for one that never ran, by whoever finds it dead in the queue. One that was given up is kept for ever.
//! Before it has a control block there is nothing to count: it is a [seed](super::seed), which the queue has.

use std::io;
use std::num::NonZero;
use std::panic::Location;
use std::ptr::NonNull;

use super::Hub;
use super::seed::{Planted, Seed, Turn};
use crate::switch::body::{self, Enter};
use crate::switch::control::{Control, ControlRef, Payload, Phase, Wait};
use crate::switch::error::{Refusal, RefusalKind};
use crate::switch::{exit, transfer};
use crate::sys::context::Context;
use crate::sys::stack::Pages;

/// Starts nobody by a switch: it waits for its turn from the beginning.
pub(super) struct Launched;

/// What a greenlet does that the hub runs.
pub(crate) trait Job {
    /// `control` is its greenlet, from now on.
    fn grown(&self, control: &Control);

    /// Runs it, after something was raised, if that is given. It must not unwind. Returns what is to be done after
    /// the locals of the greenlet have been dropped.
    fn run(self, raised: Option<Payload>) -> impl FnOnce();
}

impl<J: Job> Job for Box<J> {
    fn grown(&self, control: &Control) {
        (**self).grown(control);
    }

    fn run(self, raised: Option<Payload>) -> impl FnOnce() {
        (*self).run(raised)
    }
}

impl Hub {
    /// Has a greenlet run `job` when it is its turn; returns its number. With a name it has a control block at once, which has
    /// been [provided](crate::switch::thread::Thread::provide_controls). None if there is no memory; then `job` has been dropped.
    ///
    /// # Safety
    /// What `job` borrows lives until the greenlet is dead.
    #[inline]
    pub(crate) unsafe fn launch<J: Job>(
        &self,
        name: Option<Box<str>>,
        pages: Pages,
        site: &'static Location<'static>,
        job: J,
    ) -> Option<u64> {
        assert!(
            !self.is_closed(),
            "no greenlet can be spawned any more: this thread is ending"
        );
        let thread = self.thread();
        // SAFETY: caller's promise; a box fits.
        let (seed, id) = unsafe {
            match const { body::fits::<Planted<J>>() } {
                true => self.plant(pages, site, job)?,
                false => {
                    let job = thread.bodies.boxed(job, thread.promised())?;
                    self.plant(pages, site, job)?
                }
            }
        };
        match name {
            None => self.sow(seed),
            Some(name) => self.grow_at_once(seed, name),
        }
        Some(id)
    }

    /// In the order of numbers: whoever is older comes first.
    #[cold]
    fn grow_at_once(&self, seed: NonNull<Seed>, name: Box<str>) {
        self.grow_all();
        // SAFETY: planted just now.
        let control = unsafe { self.grow_named(seed, Some(name)) };
        self.ready.push(Turn::of(control));
    }

    /// It is the first turn of one that was asked for before; false if it cannot start, or is dead.
    #[cold]
    #[inline(never)]
    pub(super) fn start(&self, control: ControlRef) -> bool {
        // SAFETY: what is in the queue is kept, until it is let go of.
        let phase = unsafe { control.as_ref() }.phase.get();
        match phase {
            Phase::Pending => self.set_up(control),
            _ => Self::let_go(control),
        }
    }

    /// Starts one that is pending; false if it cannot be. By address: it may go.
    #[inline]
    pub(super) fn set_up(&self, control: ControlRef) -> bool {
        // SAFETY: as above.
        let pending = unsafe { control.as_ref() };
        match transfer::bind(self.thread(), pending) {
            Ok(()) => {
                pending.wait.set(Wait::Switch);
                true
            }
            Err(refusal) => {
                pending.raise.set(Some(Box::new(NoStack::of(&refusal))));
                exit::bury_pending(self.thread(), pending);
                Self::let_go(control)
            }
        }
    }

    /// One that is dead is in the queue no more.
    fn let_go(control: ControlRef) -> bool {
        // SAFETY: the hub counts until here.
        if !unsafe { control.as_ref() }.is_given_up() {
            exit::release(control);
        }
        false
    }
}

/// Why a greenlet was never started: the system's error. The words for it are made when somebody wants them: a million
/// may have to be told, and there is no memory.
#[derive(Clone, Copy)]
pub(crate) struct NoStack {
    code: NonZero<i32>,
}

impl NoStack {
    fn of(refusal: &Refusal) -> NoStack {
        let code = match refusal.kind() {
            RefusalKind::NoStack(error) => error.raw_os_error().and_then(NonZero::new),
            _ => None,
        };
        let code = code.unwrap_or(const { NonZero::new(libc::ENOMEM).expect("not 0") });
        NoStack { code }
    }

    pub(crate) fn error(self) -> io::Error {
        io::Error::from_raw_os_error(self.code.get())
    }
}

/// Why one whose closure is dropped was never started, if it was not killed. It is kept where what is raised in a
/// greenlet lies; nothing is raised in one that has ended.
pub(crate) fn failure(control: &Control) -> Option<NoStack> {
    let payload = control.raise.take()?;
    payload.downcast_ref().copied()
}

/// The entry of a greenlet that the hub runs.
pub(super) struct Start<J>(std::marker::PhantomData<J>);

impl<J: Job> Enter<Planted<J>> for Start<J> {
    unsafe fn enter(control: *const ()) -> *const Context {
        // SAFETY: the context was bound with the control block, which stays while the greenlet runs.
        let me: &'static Control = unsafe { &*control.cast::<Control>() };
        // SAFETY: a thread outlives its greenlets.
        let thread = unsafe { me.thread.as_ref() };
        let body = me.body.take().expect("bound with a body");
        // SAFETY: this entry stands in the body that holds what was planted with a `J`.
        let job = unsafe { body.take::<Planted<J>>(thread) }.job;
        let raised = match me.alert.get() {
            0 => None,
            _ => transfer::on_arrival(thread, me),
        };
        let after = job.run(raised);
        let is_one_of_many = thread.is_crowded();
        if is_one_of_many {
            me.fetch_the_rest();
        }
        exit::clear_out(me);
        after();
        if is_one_of_many {
            me.fetch_neighbours();
        }
        let next = || {
            me.wait.set(Wait::Switch);
            Hub::here().next_after_end()
        };
        &exit::finish_in_hub(thread, me, next).context
    }
}
