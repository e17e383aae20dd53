//! Deadlines: of one wait, and of everything that a greenlet does in a stretch of code.
//!
//! Both are a [`Timer`] that is taken back when the frame that set it is left (law 5). One for a wait wakes;
//! one for a stretch raises [`Expired`] where its greenlet waits, which unwinds to the stretch that it names
//! and no further.
//!
//! ```text
//!   within(1 s) ── within(5 s) ── read()        the alarm of the outer one goes off in `read`:
//!      ▲                ║           ║           Expired(outer) passes the inner one, destructors run,
//!      ╚════════════════╩═══════════╝           and the outer one returns its error
//! ```
//!
//! Stretches nest, and which one has expired is told by identity, never by time. What goes off while it may not be raised
//! (law 10) stays due, and is raised at the next wait after that, the outermost first. In a destructor that runs while its
//! greenlet unwinds, that is all but the stretches that were begun in this destructor.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};

use super::Hub;
use crate::data::timers::TimerKey;
use crate::switch::control::{Control, ControlRef, Payload, alert};
use crate::switch::exit;
use crate::switch::subject::Awaits;
use crate::sys::clock::Moment;
use crate::sys::context::Context;

/// What a timer does when its time has come.
#[derive(Clone, Copy)]
pub(crate) enum Alarm {
    /// Ends one wait. The frame that waits is not touched: it may have gone cold.
    Wake(ControlRef),
    /// Ends a stretch of code.
    Expire(NonNull<Stretch>),
}

/// Code that runs under a deadline. It lies in the frame that set it.
pub(crate) struct Stretch {
    id: u64,
    whose: ControlRef,
    outer: *const Stretch,
    /// In the middle of how many unwindings it was begun.
    depth: u8,
    expired: Cell<bool>,
    raised: Cell<bool>,
}

/// Unwinds to the stretch with this id.
pub(crate) struct Expired(u64);

impl Alarm {
    /// Fetches what `fire` touches.
    #[inline]
    pub(super) fn fetch(&self) {
        if let Alarm::Wake(whose) = self {
            Context::fetch(whose.as_ptr().cast_const().cast());
        }
    }

    /// The greenlet that set it.
    pub(super) fn whose(&self) -> ControlRef {
        match self {
            Alarm::Wake(whose) => *whose,
            // SAFETY: as in `fire`.
            Alarm::Expire(stretch) => unsafe { stretch.as_ref() }.whose,
        }
    }

    /// Whether the greenlet that set it can go on.
    pub(super) fn is_for_the_living(&self) -> bool {
        // SAFETY: as in `fire`.
        !unsafe { self.whose().as_ref() }.is_dead()
    }

    /// It goes off: called by the hub, which has taken its timer out.
    pub(super) fn fire(self, hub: &Hub) {
        match self {
            Alarm::Wake(whose) => hub.wake(whose),
            Alarm::Expire(stretch) => {
                // SAFETY: the frame that set the timer takes it back before it goes (`Timer`).
                let stretch = unsafe { stretch.as_ref() };
                stretch.expired.set(true);
                // SAFETY: that frame waits or runs, so its greenlet is not dead; or it was given up, and stays.
                let whose = unsafe { stretch.whose.as_ref() };
                if !whose.is_dead() {
                    raise_due(hub, whose);
                }
            }
        }
    }
}

/// A timer of the frame that this is in, taken back on every way out.
pub(super) struct Timer<'a> {
    hub: &'a Hub,
    key: TimerKey,
}

impl Timer<'_> {
    fn set(hub: &Hub, at: Moment, alarm: Alarm) -> Timer<'_> {
        Timer {
            hub,
            key: hub.set_timer(at, alarm),
        }
    }

    /// Takes it back; true if its time had come.
    fn has_gone_off(self) -> bool {
        let gone_off = !self.hub.cancel_timer(self.key);
        std::mem::forget(self);
        gone_off
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.hub.cancel_timer(self.key);
    }
}

impl Hub {
    /// Parks until somebody wakes this greenlet, or `deadline` has passed; true if it has.
    #[inline]
    pub(crate) fn park_until(
        &self,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> bool {
        self.park_about(purpose, Awaits::NOTHING, deadline)
    }

    /// The same for something that `awaits` tells of, which is there as long as it waits.
    #[inline]
    pub(crate) fn park_about(
        &self,
        purpose: &'static &'static str,
        awaits: Awaits,
        deadline: Option<Moment>,
    ) -> bool {
        let me = self.thread().current();
        let alarm = self.wake_at(me, deadline);
        self.before_waiting(me, purpose);
        me.awaits.set(awaits);
        let next = self.set_out(me, purpose);
        self.go_on_in(next, me);
        me.awaits.set(Awaits::NOTHING);
        self.raise_what_came(me, || ());
        alarm.is_some_and(Timer::has_gone_off)
    }

    /// While this is there, `me` is woken at `deadline`, if there is one.
    #[inline(always)]
    pub(super) fn wake_at(&self, me: &Control, deadline: Option<Moment>) -> Option<Timer<'_>> {
        let at = deadline.filter(|at| *at != Moment::NEVER)?;
        Some(Timer::set(self, at, Alarm::Wake(me.into())))
    }

    /// Runs `f` under a deadline. None: the deadline has passed, and `f` was unwound.
    pub(crate) fn within<R>(&self, at: Moment, f: impl FnOnce() -> R) -> Option<R> {
        let me = self.thread().current();
        let stretch = Stretch {
            id: self.next_stretch(),
            whose: NonNull::from(me),
            outer: me.deadline.get().cast(),
            // Where that cannot be told, nothing is raised before everybody has unwound.
            depth: me.depth_now().unwrap_or(0),
            expired: Cell::new(false),
            raised: Cell::new(false),
        };
        let outcome = {
            let _enter = Enter::into(me, &stretch);
            let alarm = Alarm::Expire(NonNull::from(&stretch));
            // A timer for never would hide that everybody waits for ever.
            let _timer = (at != Moment::NEVER).then(|| Timer::set(self, at, alarm));
            catch_unwind(AssertUnwindSafe(f))
        };
        let mine = |expired: &Expired| expired.0 == stretch.id;
        match outcome {
            Ok(value) => Some(value),
            Err(payload) if payload.downcast_ref().is_some_and(mine) => None,
            Err(payload) => exit::raise(payload),
        }
    }
}

/// Makes a stretch the innermost one of its greenlet, until it is left.
struct Enter<'a> {
    me: &'a Control,
    stretch: &'a Stretch,
}

impl<'a> Enter<'a> {
    fn into(me: &'a Control, stretch: &'a Stretch) -> Enter<'a> {
        me.deadline.set(ptr::from_ref(stretch).cast());
        Enter { me, stretch }
    }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        self.me.deadline.set(self.stretch.outer.cast());
    }
}

/// The stretches that `control` is in, the innermost first.
fn stretches(control: &Control) -> impl Iterator<Item = &Stretch> {
    let mut next = control.deadline.get().cast::<Stretch>();
    std::iter::from_fn(move || {
        // SAFETY: a stretch is in this list for as long as its frame is there (`Enter`).
        let stretch = unsafe { next.as_ref() }?;
        next = stretch.outer;
        Some(stretch)
    })
}

/// The stretches of `control` that have expired and have not been told, the innermost first.
fn due(control: &Control) -> impl Iterator<Item = &Stretch> {
    stretches(control).filter(|stretch| stretch.expired.get() && !stretch.raised.get())
}

/// What was to be raised for this stretch will not be. False if `control` is not in it.
pub(super) fn untell(control: &Control, expired: &Expired) -> bool {
    let stretch = stretches(control).find(|stretch| stretch.id == expired.0);
    stretch
        .inspect(|stretch| stretch.raised.set(false))
        .is_some()
}

/// What is due in `control`, to be raised there now: for the outermost of those that were begun in the middle of so many
/// unwindings at least. The others stay due.
pub(super) fn take_due(control: &Control, depth: u8) -> Option<Payload> {
    control.take_alert(alert::OVERDUE);
    let told = due(control).filter(|stretch| stretch.depth >= depth).last();
    if let Some(stretch) = told {
        stretch.raised.set(true);
    }
    if due(control).any(|stretch| stretch.depth < depth) {
        control.raise_alert(alert::OVERDUE);
    }
    told.map(|stretch| Box::new(Expired(stretch.id)) as Payload)
}

/// Raises what is due in `control`, which does not run, or leaves it due. What is to be raised there already
/// comes first, unless it is the end of a stretch within this one.
pub(super) fn raise_due(hub: &Hub, control: &Control) {
    let within = |depth: &u8| due(control).any(|stretch| stretch.depth >= *depth);
    let Some(depth) = hub.depth_to_interrupt(control).filter(within) else {
        return hub.leave_for_later(control, alert::OVERDUE);
    };
    match control.raise.take() {
        Some(first) if !first.is::<Expired>() => {
            control.raise.set(Some(first));
            hub.leave_for_later(control, alert::OVERDUE);
        }
        told => {
            // The outermost of those that are due is told, the others are passed on the way there.
            if let Some(expired) = told.and_then(|told| told.downcast::<Expired>().ok()) {
                untell(control, &expired);
            }
            if let Some(payload) = take_due(control, depth) {
                hub.raise_at(control, payload);
            }
        }
    }
}
