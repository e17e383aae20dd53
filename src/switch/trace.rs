//! Observers of switches: greenlet's `settrace`.
//!
//! A tracer belongs to its OS thread. It runs in the greenlet that control has arrived in, after the stack
//! has changed and before the value or the exception is delivered. It may switch; what it is told about
//! those switches comes nested. A tracer that panics is removed, and its panic takes the place of the
//! delivery: it is raised in the greenlet that was switched to.
//!
//! A switch to a dead greenlet names the one that really receives, as greenlet does.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread::panicking;

use super::control::{Control, Payload, alert};
use super::greenlet::Greenlet;
use super::thread::{Thread, report};
use super::transfer::drop_contained;

/// What a thread calls for each switch and throw.
pub type Tracer = dyn Fn(&Event);

/// A change of the running greenlet.
#[derive(Clone)]
pub enum Event {
    /// `target` goes on with a value, or because the greenlet whose end it waited for has ended.
    Switch {
        /// Who ran before.
        origin: Greenlet<()>,
        /// Who runs now.
        target: Greenlet<()>,
    },
    /// Something is raised in `target`.
    Throw {
        /// Who ran before.
        origin: Greenlet<()>,
        /// Who runs now.
        target: Greenlet<()>,
    },
}

impl Event {
    /// Who ran before, and who runs now.
    pub fn ends(&self) -> (&Greenlet<()>, &Greenlet<()>) {
        match self {
            Event::Switch { origin, target } | Event::Throw { origin, target } => (origin, target),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Event::Switch { .. } => "Switch",
            Event::Throw { .. } => "Throw",
        };
        let (origin, target) = self.ends();
        f.debug_struct(name)
            .field("origin", origin)
            .field("target", target)
            .finish()
    }
}

/// Sets the tracer of this thread, or none, and returns the one before.
///
/// # Examples
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use greenlet::{Greenlet, trace};
///
/// let seen = Rc::new(RefCell::new(Vec::new()));
/// let log = seen.clone();
/// trace::set(Some(Rc::new(move |event: &trace::Event| {
///     let (origin, target) = event.ends();
///     log.borrow_mut().push((origin.id(), target.id()));
/// })));
/// let main = greenlet::current::<()>();
/// let g = Greenlet::new(|()| ());
/// g.switch(());
/// trace::set(None);
/// assert_eq!(*seen.borrow(), [(main.id(), g.id()), (g.id(), main.id())]);
/// ```
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn set(tracer: Option<Rc<Tracer>>) -> Option<Rc<Tracer>> {
    let thread = Thread::here();
    thread.tracing.set(u8::from(tracer.is_some()));
    thread.tracer.replace(tracer)
}

/// The tracer of this thread.
///
/// # Panics
/// As [`set`].
pub fn get() -> Option<Rc<Tracer>> {
    Thread::here().tracer.borrow().clone()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Switch,
    Throw,
}

/// Leaves an event for `target`, which tells the tracer on arrival.
#[inline(always)]
pub(crate) fn note(thread: &Thread, kind: Kind, origin: &Control, target: &Control) {
    if thread.tracing.get() != 0 {
        leave(thread, kind, origin, target);
    }
}

#[cold]
fn leave(thread: &Thread, kind: Kind, origin: &Control, target: &Control) {
    thread.event.set(Some(event(kind, origin, target)));
    target.raise_alert(alert::TRACE);
}

/// Tells the tracer what was noted.
pub(crate) fn tell(thread: &Thread, event: Event) -> Result<(), Payload> {
    let told = call(thread, &event);
    // The event may have the last handle to its origin, and something may be thrown where that is ended.
    let ended = catch_unwind(AssertUnwindSafe(|| drop(event)));
    told.and(ended)
}

/// Tells the tracer of something that needs no change of stacks.
pub(crate) fn tell_now(
    thread: &Thread,
    kind: Kind,
    origin: &Control,
    target: &Control,
) -> Result<(), Payload> {
    if thread.tracing.get() == 0 {
        return Ok(());
    }
    tell(thread, event(kind, origin, target))
}

fn event(kind: Kind, origin: &Control, target: &Control) -> Event {
    let (origin, target) = (Greenlet::of(origin), Greenlet::of(target));
    match kind {
        Kind::Switch => Event::Switch { origin, target },
        Kind::Throw => Event::Throw { origin, target },
    }
}

/// Calls the tracer; one that panics is removed.
fn call(thread: &Thread, event: &Event) -> Result<(), Payload> {
    // A count of its own: the tracer may replace itself.
    let Some(tracer) = thread.tracer.borrow().clone() else {
        return Ok(());
    };
    let told = catch_unwind(AssertUnwindSafe(|| tracer(event)));
    let Err(panic) = told else {
        // It may have removed itself, so that this is the last count.
        drop_contained(tracer);
        return Ok(());
    };
    drop_contained((set(None), tracer));
    if panicking() {
        report(
            format_args!("a tracer panicked while something unwinds"),
            panic,
        );
        return Ok(());
    }
    Err(panic)
}

/// As [`tell_now`], where nothing can be raised: a tracer that panics is removed, and reported.
pub(crate) fn tell_contained(thread: &Thread, kind: Kind, origin: &Control, target: &Control) {
    if let Err(panic) = tell_now(thread, kind, origin, target) {
        report(format_args!("a tracer panicked"), panic);
    }
}
