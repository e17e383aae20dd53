//! Parking, waking, and the loop that whoever parks runs.
//!
//! ```text
//!            ┌────────────── wake ──────────────┐
//!            │                                  ▼
//!   runs ──park──▶ Parked                     Ready ──its turn──▶ runs
//!     └──────────────── yield_now ──────────────▲
//! ```
//!
//! The order is first in, first out. When nobody is ready, and [every so often](super::pace) otherwise, the loop
//! [looks](super::rest) at I/O and timers.
//!
//! A wake is a hint (law 4): whoever waits looks again at what it waits for.

use std::thread::panicking;

use super::Hub;
use super::seed::Turn;
use crate::switch::control::{Control, ControlRef, Family, Payload, Phase, Wait, alert};
use crate::switch::subject::Awaits;
use crate::switch::thread::say;
use crate::switch::waiting::Waiting;
use crate::switch::{exit, transfer};
use crate::sys::clock::Moment;

/// The loop, and what is done on arrival, run in the frame of whoever waits, and must not unwind into it.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        say(format_args!("a hub has panicked; aborting"));
        std::process::abort();
    }
}

impl Hub {
    /// Waits until somebody [wakes](Self::wake) this greenlet, or for no reason at all.
    ///
    /// What was thrown at it meanwhile, by a kill or a deadline, is raised here.
    #[inline]
    pub(crate) fn park(&self, purpose: &'static &'static str) {
        let me = self.thread().current();
        self.before_waiting(me, purpose);
        let next = self.set_out(me, purpose);
        self.go_on_and_raise(next, me);
    }

    /// The same for one that stands in line, until `deadline` at the most: what came for it is kept until it stands
    /// nowhere any more, and is [raised](Self::raise_what_came) then.
    pub(crate) fn rest_until(&self, purpose: &'static &'static str, deadline: Moment) {
        let me = self.thread().current();
        let _alarm = self.wake_at(me, Some(deadline));
        me.set_panics_aside();
        // Most of those who wait for the first of several things wait for nobody who is known.
        if me.waits_for_known() {
            self.bind();
        }
        let next = self.set_out(me, purpose);
        self.go_on_in(next, me);
    }

    /// Before one stands in line: raises what is due.
    pub(crate) fn before_resting(&self, purpose: &'static &'static str) {
        self.raise_what_is_due(self.thread().current(), purpose);
    }

    /// Act one of a wait: `me` is parked. Returns in whom to go on; that is `me` if its turn has come already. It does
    /// not unwind.
    #[inline(always)]
    pub(super) fn set_out(&self, me: &Control, purpose: &'static &'static str) -> ControlRef {
        me.purpose.set(purpose);
        me.since.set(self.pace.looked().nanos());
        me.turns.set(me.turns.get().wrapping_add(1));
        me.wait.set(Wait::Parked);
        me.expects.set(Family::TURN);
        self.choose(me, None)
    }

    /// Act two: others run until it is the turn of `me`. What came for it is kept.
    ///
    /// Inline, and so should be those who call it, up to where the greenlet's own code waits: a processor expects a
    /// function to return to where one was called last, and that was on another stack.
    #[inline(always)]
    pub(super) fn go_on_in(&self, next: ControlRef, me: &Control) {
        self.switch(next, me);
        if me.has_news() {
            self.keep_what_came(me);
        }
    }

    /// Acts two and three, for one that stands in no line.
    #[inline(always)]
    fn go_on_and_raise(&self, next: ControlRef, me: &Control) {
        self.switch(next, me);
        if me.has_news() {
            self.keep_what_came(me);
            self.raise_what_came(me, || ());
        }
    }

    /// `next` is not borrowed: it may end, and go, before `me` goes on.
    #[inline(always)]
    fn switch(&self, next: ControlRef, me: &Control) {
        if next != ControlRef::from(me) {
            transfer::give_way(self.thread(), me, next);
        }
        me.count_panics_again();
    }

    /// Act three, by one that stands in line no more: raises what came. `lost` comes first, which passes on what it was
    /// called for.
    #[inline(always)]
    pub(crate) fn raise_what_came(&self, me: &Control, lost: impl FnOnce()) {
        if me.is_told() {
            lost();
            self.raise_now(me);
        }
    }

    /// Lets everybody who is ready go first.
    #[inline]
    pub(crate) fn yield_now(&self) {
        let me = self.thread().current();
        self.before_waiting(me, "yields");
        me.turns.set(me.turns.get().wrapping_add(1));
        // It stands in the queue a little later, behind those whom a look calls now. That runs no code of the user.
        me.wait.set(Wait::Ready);
        me.expects.set(Family::TURN);
        let next = self.choose(me, Some(Turn::of_yield(me.into())));
        self.go_on_and_raise(next, me);
    }

    /// Makes a greenlet ready that is parked; others are left alone.
    #[inline]
    pub(crate) fn wake(&self, control: ControlRef) {
        // SAFETY: whoever may wake a greenlet was told of it by that greenlet, which takes that back before
        // it ends (law 5), or holds a count.
        let control = unsafe { control.as_ref() };
        if control.wait.get() == Wait::Parked {
            self.enqueue(control);
        }
    }

    /// It is ready, whatever it waited for.
    #[inline(always)]
    pub(super) fn enqueue(&self, control: &Control) {
        control.wait.set(Wait::Ready);
        self.ready.push(Turn::of(control.into()));
    }

    /// The rare things: something is due before it waits, or it cannot wait here, or it unwinds.
    #[inline(always)]
    pub(super) fn before_waiting(&self, me: &Control, purpose: &str) {
        self.raise_what_is_due(me, purpose);
        me.set_panics_aside();
    }

    #[inline(always)]
    fn raise_what_is_due(&self, me: &Control, purpose: &str) {
        if me.alert.get() != 0 || self.closed.get() || self.thread().is_ending_all() {
            self.due_before_waiting(me, purpose);
        }
    }

    #[cold]
    #[inline(never)]
    fn due_before_waiting(&self, me: &Control, purpose: &str) {
        if self.closed.get() || self.has_caught_its_end(me) {
            self.nowhere_to_wait(me, purpose);
        }
        if let Some(payload) = self.due_in(me) {
            exit::raise(payload);
        }
    }

    /// Whether `shutdown` waits for the end of `me`, which has been told, and is not about to.
    fn has_caught_its_end(&self, me: &Control) -> bool {
        let is_awaited = Waiting::for_end_of(me).is_some();
        self.thread().is_ending_all() && is_awaited && !panicking()
    }

    /// The thread is at its end. What has caught its exit and wants to wait is told again, by main. A destructor
    /// that wants to wait is given up with its greenlet.
    fn nowhere_to_wait(&self, me: &Control, purpose: &str) -> ! {
        let (thread, main) = (self.thread(), &self.thread().main);
        while !me.is_main() {
            me.expects.set(Family::TURN);
            transfer::hop(thread, me, main.into(), false);
            let raised = transfer::on_arrival(thread, me);
            if let Some(payload) = raised
                && !panicking()
            {
                exit::raise(payload);
            }
        }
        panic!(
            "{me} cannot wait ({purpose}): its thread is ending; wait before its thread-locals are destroyed"
        );
    }

    /// Goes on in whoever is ready, and returns when somebody goes on in `me`.
    pub(super) fn leave(&self, me: &Control) {
        me.set_panics_aside();
        let next = self.choose(me, None);
        self.switch(next, me);
    }

    /// Who runs when `me` does not, who may have a turn later. It does not unwind.
    ///
    /// This is on the way of every wait. So whatever is not the common case is somewhere else, and called last: nothing
    /// has to be kept for afterwards.
    #[inline(always)]
    fn choose(&self, me: &Control, later: Option<Turn>) -> ControlRef {
        match self.first_that_goes_on() {
            Some(next) => self.take_turn(next, later),
            None => self.choose_at_leisure(me, later),
        }
    }

    /// The first in the queue, if it has only to go on, and nothing is to be looked at before.
    #[inline(always)]
    fn first_that_goes_on(&self) -> Option<ControlRef> {
        let control = self.ready.first()?.whose().ok()?;
        // SAFETY: what is in the queue is kept: by the hub, or by whoever may take it out.
        let goes_on = unsafe { control.as_ref() }.phase.get() == Phase::Started;
        (goes_on && self.pace.step_if_within()).then_some(control)
    }

    /// It is the turn of `next`, the first in the queue.
    #[inline(always)]
    fn take_turn(&self, next: ControlRef, later: Option<Turn>) -> ControlRef {
        match later {
            Some(later) => _ = self.ready.rotate(later),
            None => self.ready.skip(),
        }
        // SAFETY: as in `first_that_goes_on`; it stays until it has run.
        unsafe { next.as_ref() }.wait.set(Wait::Switch);
        match self.fetched.get() {
            0 => self.fetch_others(next),
            left => {
                self.fetched.set(left - 1);
                next
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn choose_at_leisure(&self, me: &Control, later: Option<Turn>) -> ControlRef {
        let hub_is_broken = AbortOnUnwind;
        let next = self.next(later);
        if !next.is(me) {
            self.look_ahead();
        }
        std::mem::forget(hub_is_broken);
        next.into()
    }

    /// Something has come for `me`, or its wait was cut short by a throw or a kill, not by its turn.
    #[cold]
    #[inline(never)]
    fn keep_what_came(&self, me: &Control) {
        let hub_is_broken = AbortOnUnwind;
        // What is done on arrival may wait for something else.
        me.awaits.set(Awaits::NOTHING);
        if let Some(payload) = transfer::on_arrival(self.thread(), me) {
            me.tell(payload);
        }
        std::mem::forget(hub_is_broken);
    }

    #[cold]
    #[inline(never)]
    fn raise_now(&self, me: &Control) -> ! {
        me.take_alert(alert::RAISE);
        exit::raise(me.raise.take().expect("announced"))
    }

    /// Whose turn it is, when `later`, if there is one, has been put at the end. Polls until there is somebody.
    #[inline(always)]
    fn next(&self, later: Option<Turn>) -> &'static Control {
        match self.first_ready(later) {
            Ok(control) => control,
            Err(nobody) => self.next_later(nobody),
        }
    }

    #[cold]
    #[inline(never)]
    fn next_later(&self, mut nobody: bool) -> &'static Control {
        let mut since = None;
        loop {
            if nobody {
                self.rest(&mut since);
            }
            match self.first_ready(None) {
                Ok(control) => return control,
                Err(still) => nobody = still,
            }
        }
    }

    /// Puts `later` at the end, if there is one, and takes a turn. If there is none to be taken: whether nobody is ready,
    /// or one that could not run.
    #[inline(always)]
    fn first_ready(&self, later: Option<Turn>) -> Result<&'static Control, bool> {
        if self.pace.step() {
            self.glance();
        }
        let first = match later {
            Some(later) => Some(self.ready.rotate(later)),
            None => self.ready.pop(),
        };
        let Some(turn) = first else {
            return Err(true);
        };
        match turn.whose() {
            // SAFETY: as in `admit`; it is not dead, and stays until it has run.
            Ok(control) if self.admit(control) => Ok(unsafe { &*control.as_ptr() }),
            Ok(_) => Err(false),
            Err(seed) => self.sprout(seed).ok_or(false),
        }
    }

    /// Whether it can run: it is suspended, or can be started. By address, because one that is dead goes here.
    #[inline(always)]
    fn admit(&self, control: ControlRef) -> bool {
        // SAFETY: what is in the queue is kept: by the hub, or by whoever may take it out.
        let suspended = unsafe { control.as_ref() };
        if suspended.phase.get() == Phase::Started {
            suspended.wait.set(Wait::Switch);
            return true;
        }
        self.start(control)
    }

    /// The same for a greenlet that ends.
    pub(super) fn next_after_end(&self) -> &'static Control {
        let next = self.next(None);
        self.look_ahead();
        next
    }

    /// What is due in `me`, before it waits.
    pub(super) fn due_in(&self, me: &Control) -> Option<Payload> {
        if me.shielded.get() || me.alert.get() & (alert::DEFERRED | alert::OVERDUE) == 0 {
            return None;
        }
        exit::take_deferred(me).or_else(|| super::deadline::take_due(me, me.depth_now()?))
    }
}
