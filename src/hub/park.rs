//! Parking, waking, and the loop that whoever parks runs.
//!
//! ```text
//!            ┌────────────── wake ──────────────┐
//!            │                                  ▼
//!   runs ──park──▶ Parked                     Ready ──its turn──▶ runs
//!     └──────────────── yield_now ──────────────▲
//! ```
//!
//! The order is first in, first out. I/O and timers are looked at when nobody is ready, and after [`TURNS`] turns, or
//! when all have had theirs who were ready at the last look; where turns are long, so much more often that it comes to
//! about [`PATIENCE`]. After a rest it is not known how long turns are: the clock is asked after the first few, and ever
//! less often. So nobody starves, and a crowd of short turns pays next to nothing for it.
//!
//! A wake is a hint (law 4): whoever waits looks again at what it waits for.

use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::thread::{self, panicking};
use std::time::Duration;

use super::deadline::Alarm;
use super::seed::Turn;
use super::{Hub, alone, lateness};
use crate::data::timers::Timers;
use crate::switch::control::{Control, ControlRef, Family, Payload, Phase, Wait, alert};
use crate::switch::subject::Awaits;
use crate::switch::thread::say;
use crate::switch::{exit, transfer};
use crate::sys::clock::Moment;
use crate::sys::context::{Context, SHARES_THREAD};

/// The most turns between two looks at the clock, and at I/O and timers unless a look has brought more.
const TURNS: u32 = 61;
/// The most in any case.
const TURNS_IN_A_CROWD: u32 = 1024;
/// After so many turns after a rest the clock is asked: one more than one wait takes.
const FIRST: u32 = 2;
/// For so many turns at once their frames are fetched, and for as many after them the control blocks that say where
/// those are.
const BATCH: u32 = 4;
/// One that waits for a source counts as so many more: a processor that is asked for more than some twenty lines at once
/// forgets some, and the calls of the system that the others make drive out those of the last.
const WEIGHT_OF_A_SOURCE: u32 = 1;
/// So many cache lines hold the frame of a yield.
const LINES_OF_A_YIELD: usize = 2;
/// So many hold those of a wait.
const LINES_OF_A_WAIT: usize = 5;
/// So many hold those of a call of a source, and the begin of a buffer that lies right above them.
const LINES_OF_A_CALL: usize = 7;
/// So many bytes from the begin of a source lies what its owner keeps beside it, how long a call may wait; a guess.
const BESIDE_A_SOURCE: isize = -16;
/// How many alarms are taken out of the timers before they go off.
const AT_A_TIME: usize = 16;
/// How long ready greenlets may keep I/O and timers waiting, about.
const PATIENCE: Duration = Duration::from_millis(1);

/// How many turns there are between two looks at I/O and timers, and between two at the clock.
///
/// The thread of the hub alone writes to it. Others may look: what stands still while the hub does not rest is kept
/// from working.
pub(super) struct Pace {
    left: AtomicU32,
    stride: Cell<u32>,
    /// After so many turns there is a look: all who were ready at the last one have had theirs. What happens meanwhile to
    /// those who have not could only be told in vain.
    most: Cell<u32>,
    /// Turns since I/O and timers were looked at, up to the beginning of this stride.
    done: Cell<u32>,
    /// In nanoseconds.
    looked: AtomicU64,
    rests: AtomicBool,
    /// It rests until other threads call it.
    waits_for_others: AtomicBool,
}

/// A glance at the pace of a hub, from any thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pulse {
    left: u32,
    pub(crate) looked: Moment,
    /// It waits for something to happen.
    pub(crate) rests: bool,
    /// It waits for other threads, and for nothing else.
    pub(super) waits_for_others: bool,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            left: AtomicU32::new(FIRST),
            stride: Cell::new(FIRST),
            most: Cell::new(TURNS),
            done: Cell::new(0),
            looked: AtomicU64::new(Moment::now().nanos()),
            rests: AtomicBool::new(false),
            waits_for_others: AtomicBool::new(false),
        }
    }
}

impl Pace {
    /// A turn more; true if it is time to look at the clock.
    fn step(&self) -> bool {
        !self.step_if_within()
    }

    /// A turn more, unless it is time to look at the clock.
    #[inline(always)]
    fn step_if_within(&self) -> bool {
        let left = self.left.load(Relaxed);
        if left != 0 {
            self.left.store(left - 1, Relaxed);
        }
        left != 0
    }

    pub(super) fn pulse(&self) -> Pulse {
        Pulse {
            left: self.left.load(Relaxed),
            looked: self.looked(),
            rests: self.rests.load(Relaxed),
            waits_for_others: self.waits_for_others.load(Relaxed),
        }
    }

    /// When the hub last looked at the clock.
    #[inline(always)]
    pub(super) fn looked(&self) -> Moment {
        Moment::from_nanos(self.looked.load(Relaxed))
    }

    /// At the end of a stride: true if it is time to look at I/O and timers. Otherwise the next stride is as long as
    /// turns fit into what is left of [`PATIENCE`], but no more than four times this one, and no more than [`TURNS`]: they
    /// may get longer.
    fn is_over(&self, now: Moment) -> bool {
        let (stride, done) = (self.stride.get(), self.done.get() + self.stride.get());
        self.done.set(done);
        let took = self.looked().until(now);
        let fit = fitting(done, took, PATIENCE.saturating_sub(took));
        let most = self.most.get();
        let over = done >= most || fit == 0;
        if !over {
            let longest = TURNS.min(most - done);
            self.stride.set(fit.min(4 * stride).min(longest));
            self.left.store(self.stride.get(), Relaxed);
        }
        over
    }

    /// After a look in the middle of work: the next one comes when [`PATIENCE`] is over, if turns stay as they are.
    fn looked_in_between(&self, now: Moment) {
        let took = self.looked().until(now).max(PATIENCE);
        self.begin(
            now,
            fitting(self.done.get(), took, PATIENCE).clamp(1, TURNS),
        );
    }

    /// After a look: so many are ready.
    fn looked_at(&self, ready: usize) {
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        self.most.set(ready.clamp(TURNS, TURNS_IN_A_CROWD));
    }

    /// After a rest, when there was no work.
    fn rested(&self, now: Moment) {
        self.begin(now, FIRST);
    }

    fn begin(&self, now: Moment, stride: u32) {
        self.stride.set(stride);
        self.done.set(0);
        self.left.store(stride, Relaxed);
        self.looked.store(now.nanos(), Relaxed);
    }
}

/// How many turns fit into a time, if so many took so long.
fn fitting(turns: u32, took: Duration, time: Duration) -> u32 {
    let fit = u128::from(turns) * time.as_nanos() / took.as_nanos().max(1);
    u32::try_from(fit).unwrap_or(u32::MAX)
}

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
        let is_awaited = exit::Waiting::for_end_of(me).is_some();
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

    /// In a crowd each switch misses the caches, that of addresses as well, and here it is known who comes next. The
    /// processor waits for several addresses at a time, but only if they are asked for together.
    #[inline(always)]
    fn look_ahead(&self) {
        match self.fetched.get() {
            0 => self.fetch_next(),
            left => self.fetched.set(left - 1),
        }
    }

    /// Before the turn of `next`, for whom there is nothing left to fetch.
    #[inline(never)]
    fn fetch_others(&self, next: ControlRef) -> ControlRef {
        self.fetch_next();
        next
    }

    #[inline]
    fn fetch_next(&self) {
        if !self.thread().is_crowded() {
            return self.fetched.set(BATCH - 1);
        }
        let next = |place: u32| self.ready.peek(place as usize);
        let (mut count, mut weight) = (0, 0);
        while weight < BATCH
            && let Some(turn) = next(count)
        {
            if let Ok(control) = turn.whose() {
                // SAFETY: what is in the queue is kept (`admit`), also one that is dead.
                weight += fetch_where_it_goes_on(unsafe { control.as_ref() }, turn.is_yield());
            }
            weight += 1;
            count += 1;
        }
        self.fetched.set(count.saturating_sub(1));
        for turn in (count..2 * count).map_while(next) {
            match turn.whose() {
                Ok(control) if turn.is_yield() => Control::fetch_first_line(control),
                Ok(control) => Control::fetch(control),
                Err(seed) => Context::fetch(seed.as_ptr().cast_const().cast()),
            }
        }
    }

    /// A look at the clock, and at I/O and timers if it is time.
    #[cold]
    #[inline(never)]
    fn glance(&self) {
        let now = Moment::now();
        if self.pace.is_over(now) {
            self.look(now);
        }
    }

    fn look(&self, now: Moment) {
        self.pace.looked_in_between(now);
        self.thread().look_again_for_memory();
        self.come_in();
        self.ring_alarms(now);
        self.io.poll(self, Some(Duration::ZERO));
        self.raise_late();
        self.pace.looked_at(self.ready.len());
    }

    /// Nobody is ready, and has been `since`: waits for what happens next. If that takes long, it looks for circles, and
    /// for somebody who could come.
    #[cold]
    #[inline(never)]
    fn rest(&self, since: &mut Option<Moment>) {
        self.raise_late();
        self.thread().look_again_for_memory();
        self.come_in();
        let begin = Moment::now();
        self.ring_alarms(begin);
        let since = *since.get_or_insert(begin);
        let look = self.circles.look_at(since);
        let next = self.timers.borrow().next().map(Moment::from_nanos);
        let for_others = next.is_none() && self.io.awaited() == 0;
        let ask = for_others.then(|| alone::ask_at(since, begin));
        if !self.ready.is_empty() {
            // Where some timer is always due, this is the only look at I/O.
            self.io.poll(self, Some(Duration::ZERO));
        } else if for_others && self.desk.enrolled() == 0 {
            self.everybody_waits(None);
        } else {
            self.pace.waits_for_others.store(for_others, Relaxed);
            self.sleep_until(begin, [next, look, ask].into_iter().flatten().min());
        }
        let now = Moment::now();
        self.pace.rested(now);
        self.come_in();
        self.ring_alarms(now);
        self.pace.looked_at(self.ready.len());
        let is_time = |at: Option<Moment>| at.is_some_and(|at| at <= now) && self.ready.is_empty();
        if is_time(look) {
            self.look_for_circles(now);
        }
        if is_time(ask) {
            self.ask_for_others();
        }
    }

    /// Sleeps until something happens, or `next`.
    fn sleep_until(&self, now: Moment, next: Option<Moment>) {
        let settles = self.thread().stacks.settle(now);
        let next = next.map(|next| now.until(next));
        let timeout = next.into_iter().chain(settles).min();
        self.pace.rests.store(true, Relaxed);
        // Without descriptors the poller has nothing to say. With any it has, also of those for which nobody waits now.
        // Where greenlets are threads, whoever calls could not know which of them sleeps for all.
        let parks = self.io.registered() == 0 && (SHARES_THREAD || !self.desk.has_door());
        if self.desk.fall_asleep(parks) {
            match timeout {
                _ if !parks => self.io.poll(self, timeout),
                Some(timeout) => thread::park_timeout(timeout),
                None => thread::park(),
            }
        }
        self.desk.wake_up();
        self.pace.rests.store(false, Relaxed);
    }

    /// Wakes those that other threads have called.
    fn come_in(&self) {
        while let Some(control) = self.desk.answer() {
            self.wake(control);
        }
    }

    /// Lets every alarm go off whose time has come.
    #[inline]
    fn ring_alarms(&self, now: Moment) {
        if !self.timers.borrow().is_empty() {
            self.ring_those_due(now);
        }
    }

    /// Some at a time: what the next ones will touch has mostly gone cold, and is fetched meanwhile.
    #[inline(never)]
    fn ring_those_due(&self, now: Moment) {
        let mut due = [const { None }; AT_A_TIME];
        loop {
            let count = self.with_timers(|timers| take_due(timers, now, &mut due));
            due[..count]
                .iter_mut()
                .filter_map(Option::take)
                .for_each(|alarm| alarm.fire(self));
            if count < AT_A_TIME {
                return;
            }
        }
    }

    /// What is due in `me`, before it waits.
    pub(super) fn due_in(&self, me: &Control) -> Option<Payload> {
        if me.shielded.get() || me.alert.get() & (alert::DEFERRED | alert::OVERDUE) == 0 {
            return None;
        }
        exit::take_deferred(me).or_else(|| super::deadline::take_due(me, me.depth_now()?))
    }
}

/// Fetches what a greenlet touches when it goes on, whose control block is there. Returns for how many more it counts.
#[inline(always)]
fn fetch_where_it_goes_on(control: &Control, has_yielded: bool) -> u32 {
    let (context, source) = (&control.context, control.source.get());
    // SAFETY: what is in the queue is kept (`admit`), and what a context holds can be read.
    unsafe {
        if has_yielded {
            Context::look_ahead_to::<LINES_OF_A_YIELD>(context);
            return 0;
        }
        if source.is_null() {
            Context::look_ahead_to::<LINES_OF_A_WAIT>(context);
            Context::fetch(control.owes.get());
            return 0;
        }
        Context::look_ahead_to::<LINES_OF_A_CALL>(context);
    }
    control.awaits.get().fetch();
    Context::fetch(source);
    Context::fetch(source.wrapping_byte_offset(BESIDE_A_SOURCE));
    WEIGHT_OF_A_SOURCE
}

/// Takes out alarms whose time has come, as many as there is room for; returns how many.
#[inline]
fn take_due(timers: &mut Timers<Alarm>, now: Moment, due: &mut [Option<Alarm>]) -> usize {
    let mut count = 0;
    while count < due.len()
        && let Some((at, alarm)) = timers.expire(now.nanos())
    {
        if lateness::is_on() {
            lateness::note(at, now);
        }
        alarm.fetch();
        due[count] = Some(alarm);
        count += 1;
    }
    count
}

#[cfg(all(test, not(greenlet_loom)))]
mod tests {
    use super::*;

    /// The longest time between two looks in half a second of turns that take so long, of which the first ones come after
    /// a rest; and how many looks at the clock there were for each at I/O.
    fn looks(turn: impl Fn(u32) -> Duration) -> (Duration, f64) {
        let (pace, begin) = (Pace::default(), Moment::from_nanos(0));
        pace.rested(begin);
        let (mut now, mut last, mut longest) = (begin, begin, Duration::ZERO);
        let (mut clocks, mut looks) = (0, 0);
        for number in 0.. {
            if begin.until(now) > Duration::from_millis(500) {
                break;
            }
            if pace.step() {
                clocks += 1;
                if pace.is_over(now) {
                    longest = longest.max(last.until(now));
                    last = now;
                    looks += 1;
                    pace.looked_in_between(now);
                }
            }
            now = now.after(turn(number));
        }
        (longest, f64::from(clocks) / f64::from(looks))
    }

    #[test]
    fn io_and_timers_are_looked_at_every_millisecond_however_long_turns_are() {
        for micros in [20, 50, 99, 100, 300, 499, 500, 501, 999, 1000, 3000] {
            let turn = Duration::from_micros(micros);
            let (longest, clocks) = looks(|_| turn);
            // A stride is one turn longer than it says.
            assert!(longest <= PATIENCE + 2 * turn, "{turn:?}: {longest:?}");
            assert!(clocks < 4.0, "{turn:?}: {clocks} looks at the clock");
        }
    }

    /// Many are ready, and after the first short turns they take long.
    #[test]
    fn turns_that_get_long_are_noticed_within_a_stride() {
        for short in [10, 100, 500, 1000] {
            let (pace, begin) = (Pace::default(), Moment::from_nanos(0));
            pace.rested(begin);
            pace.looked_at(2000);
            let (mut now, mut long) = (begin, 0);
            for number in 0.. {
                if pace.step() && pace.is_over(now) {
                    break;
                }
                let turn = if number < short { 0 } else { 1_000_000 };
                long += u32::from(number >= short);
                now = now.after(Duration::from_nanos(turn));
            }
            assert!(long <= TURNS + 1, "{short}: {long} long turns");
        }
    }

    #[test]
    fn short_turns_pay_for_one_look_in_sixty() {
        let (longest, clocks) = looks(|_| Duration::from_nanos(10));
        assert!(longest < Duration::from_micros(1), "{longest:?}");
        assert!(clocks < 1.1, "{clocks}");
    }
}
