//! What the floor below asks of a hub: who runs next when a greenlet ends, what is due, and the end of the thread.

use super::seed::Turn;
use super::{Hub, launch, roll};
use crate::switch::control::{Control, Family, Payload, Phase, Wait};
use crate::switch::exit;
use crate::switch::thread::Upstairs;

impl Upstairs for Hub {
    fn end(&self) {
        self.io.end();
        self.desk.end();
    }

    fn run_others(&self, me: &Control) {
        self.leave(me);
    }

    fn next_after_end(&self) -> &'static Control {
        // What could not be raised in the one above it is raised when it can be.
        self.look_later();
        Hub::next_after_end(self)
    }

    fn take_due(&self, me: &Control) -> Option<Payload> {
        match me.wait.get() {
            // A deadline is not raised in `yield_`: whoever has asked gets an answer.
            Wait::Yield => exit::take_deferred(me),
            _ => self.due_in(me),
        }
    }

    fn bring_back(&self, me: &Control) {
        me.expects.set(Family::TURN);
        self.enqueue(me);
    }

    fn withdraw(&self, me: &Control) {
        self.ready.remove(Turn::of(me.into()));
    }

    fn grow_all(&self) {
        Hub::grow_all(self);
    }

    fn has_launched(&self, control: &Control) -> bool {
        control.family.is(Family::of::<launch::Launched>())
    }

    fn put_off(&self, control: &Control, payload: Payload) -> Option<Payload> {
        Hub::put_off(self, control, payload)
    }

    fn strike_out(&self, control: &Control) {
        Hub::strike_out(self, control.into());
    }

    /// What is ready will not run any more; it is ended with everything else that is suspended.
    fn close(&self) {
        self.closed.set(true);
        roll::leave(self);
        self.circles.end();
        self.desk.close();
        while let Some(turn) = self.ready.pop() {
            let control = turn.whose().unwrap_or_else(|seed| self.grow(seed));
            // SAFETY: what is in the queue is kept: by the hub, or by whoever may take it out.
            let held = unsafe { control.as_ref() };
            held.wait.set(Wait::Parked);
            if held.phase.get() == Phase::Pending {
                exit::bury_pending(self.thread(), held);
            }
            if held.is_dead() {
                exit::release(control);
            }
        }
    }
}
