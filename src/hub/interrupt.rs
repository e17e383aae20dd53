//! Raising something in a greenlet that waits: kills and deadlines.
//!
//! | where it waits | what happens |
//! |---|---|
//! | parked, or ready | raised there, at its turn |
//! | in `switch`, `next`, `send` | raised there, at its turn; a switch to it is refused until then |
//! | in `yield_` | raised at its first wait after it was asked again |
//! | in a destructor while unwinding, or shielded | raised at its first wait after that, in the hub or at a switch |
//! | the same, under a deadline that was set there | that deadline is raised there, at its turn |
//! | it has not started | a kill drops its closure |
//!
//! Where nobody can tell who unwinds (`switch::unwinding`), what is to be raised is left for later as well, and raised as
//! soon as nobody does (law 10).

use super::Hub;
use super::deadline::{self, Expired};
use crate::switch::control::{Control, Family, Payload, Phase, Wait, alert};
use crate::switch::exit::{self, GreenletExit};
use crate::switch::thread::say;
use std::thread::panicking;

/// What has become of a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    /// It is dead.
    Dead,
    /// It has been told, or will be.
    Told,
    /// It runs, and is the one who asks.
    Myself,
    /// Nothing can be unwound in this program.
    Impossible,
}

impl Hub {
    /// Tells a greenlet that the hub runs to end. It ends at its turn.
    pub(crate) fn kill(&self, control: &Control) -> Kill {
        match control.phase.get() {
            Phase::Dead => return Kill::Dead,
            Phase::Pending => {
                exit::bury_pending(self.thread(), control);
                return Kill::Dead;
            }
            Phase::Started => {}
        }
        if cfg!(panic = "abort") {
            say(format_args!(
                "{control} cannot be killed: this program is built with panic = \"abort\", so nothing can be unwound"
            ));
            return Kill::Impossible;
        }
        if self.thread().current().is(control) {
            return Kill::Myself;
        }
        if self.can_interrupt(control) {
            self.raise_at(control, Box::new(GreenletExit));
        } else {
            exit::defer(control, Box::new(GreenletExit));
            self.look_later();
        }
        Kill::Told
    }

    /// Whether something may be raised in `control`, which waits.
    pub(super) fn can_interrupt(&self, control: &Control) -> bool {
        control.wait.get() != Wait::Yield && control.can_be_raised_in()
    }

    /// Where an end of a stretch may be raised in `control`, which waits: if the stretch was begun in the middle of so many
    /// unwindings at least.
    pub(super) fn depth_to_interrupt(&self, control: &Control) -> Option<u8> {
        let may_be = control.wait.get() != Wait::Yield && !control.shielded.get();
        may_be.then(|| control.depth()).flatten()
    }

    /// Whether it waits, in the hub or for somebody to switch to it, and not for the next question.
    fn waits(&self, control: &Control) -> bool {
        let elsewhere = control.wait.get() == Wait::Switch && control.phase.get() == Phase::Started;
        control.is_in_hub() || elsewhere && !self.thread().current().is(control)
    }

    /// Raises `payload` in `control`, which waits somewhere, at its turn. An exit comes before all else.
    pub(super) fn raise_at(&self, control: &Control, payload: Payload) {
        let (payload, lost) = match control.raise.take() {
            Some(first) if first.is::<GreenletExit>() => (first, Some(payload)),
            other => (payload, other),
        };
        control.tell(payload);
        if let Some(lost) = lost.and_then(|lost| self.put_off(control, lost)) {
            exit::lost_to_an_exit(control, lost);
        }
        if control.wait.get() != Wait::Ready {
            // Whatever it waited for will not come any more: nobody may bring it.
            control.expects.set(Family::TURN);
            self.enqueue(control);
        }
    }

    /// What was to be raised in `control` is not, because something else is, or cannot be there: a deadline that has passed
    /// stays due, whoever catches what is raised may still be under it. Anything else is given back.
    pub(super) fn put_off(&self, control: &Control, payload: Payload) -> Option<Payload> {
        let expired = match payload.downcast::<Expired>() {
            Ok(expired) => expired,
            Err(other) => return Some(other),
        };
        if !deadline::untell(control, &expired) {
            return Some(expired);
        }
        self.leave_for_later(control, alert::OVERDUE);
        None
    }

    /// Remembers that something is due in `control`.
    pub(super) fn leave_for_later(&self, control: &Control, bit: u8) {
        control.raise_alert(bit);
        self.look_later();
    }

    /// Something could not be raised. If that may be because somebody unwinds, all are looked at when nobody does any
    /// more, once. If it lies in the one that it is for, that one finds it before its next wait.
    pub(super) fn look_later(&self) {
        self.late.set(self.late.get() || panicking());
    }

    /// Raises what was left for later because somebody unwound, when nobody does.
    pub(super) fn raise_late(&self) {
        if !self.late.get() || panicking() {
            return;
        }
        self.late.set(false);
        let thread = self.thread();
        for control in thread.all().chain([&thread.main]) {
            let due = control.alert.get() & (alert::OVERDUE | alert::DEFERRED);
            if due == 0 || !self.waits(control) || !self.can_interrupt(control) {
                continue;
            }
            match exit::take_deferred(control) {
                Some(payload) => self.raise_at(control, payload),
                None => deadline::raise_due(self, control),
            }
        }
    }
}
