//! Floor 2, the hub: who runs next, who waits for what.
//!
//! There is one for each OS thread, made at its first use there, and **there is no hub greenlet**: whoever
//! parks looks for the next one that is ready and switches straight to it. If none is ready it polls, right
//! there, on its own stack; if what becomes ready is itself, it just returns. On a thread's native stack the
//! same code runs, so a plain `fn main()` may spawn and block.
//!
//! ```text
//!   park ──▶ ready queue ──▶ next ─── somebody else ──▶ one switch
//!              ▲  empty │      └────── myself ────────▶ return
//!              │        ▼
//!              └── poll: the door, timers, events
//! ```
//!
//! | module | what lives there |
//! |---|---|
//! | [`park`] | parking, waking, the loop (law 2) |
//! | [`interrupt`] | raising something in a greenlet that waits: kills, deadlines |
//! | [`deadline`] | alarms, stretches of code under a deadline |
//! | [`wait`] | wait lists |
//! | [`io`] | sources: what can be read or written, and who waits for it (law 3) |
//! | [`door`], [`remote`], [`desk`] | the way in for other threads |
//! | [`launch`], [`seed`] | greenlets that the hub runs, and those that have not had a turn |
//! | [`lateness`] | how late alarms go off |
//! | [`report`] | what is said when everybody waits for ever |
//! | [`circle`] | the same of some, who wait for each other |
//! | [`dump`], [`calls`] | the same, for people and programs |
//! | [`seen`] | what can be seen of greenlets without running them |
//! | [`roll`] | all hubs of the process, and how they are asked |
//!
//! No borrow is held across a switch, a callback or a destructor (law 6). Nothing here is `Send` but what
//! comes in through the door (law 7).

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

use crate::data::fifo::Fifo;
use crate::data::timers::{TimerKey, Timers};
use crate::switch::control::{Control, ControlRef, Family, Payload, Phase, Wait};
use crate::switch::exit;
use crate::switch::thread::{Thread, Upstairs};
use crate::sys::clock::Moment;
use crate::sys::fork;

mod alone;
pub(crate) mod calls;
pub(crate) mod circle;
pub(crate) mod deadline;
pub(crate) mod desk;
mod door;
pub(crate) mod dump;
pub(crate) mod interrupt;
pub(crate) mod io;
pub(crate) mod lateness;
pub(crate) mod launch;
pub(crate) mod park;
mod remote;
mod report;
pub(crate) mod roll;
mod seed;
pub(crate) mod seen;
pub(crate) mod wait;

use deadline::Alarm;
use seed::Turn;

/// The hub of one OS thread.
pub(crate) struct Hub {
    thread: NonNull<Thread>,
    ready: Fifo<Turn>,
    pace: park::Pace,
    timers: RefCell<Timers<Alarm>>,
    /// The timers are being changed: a signal handler must not look at them.
    hands_on_timers: AtomicBool,
    io: io::Table,
    desk: desk::Desk,
    /// Somebody has something coming that could not be raised while somebody unwinds.
    late: Cell<bool>,
    /// The thread ends: nobody is scheduled any more.
    closed: Cell<bool>,
    circles: circle::Circles,
    stretches: Cell<u64>,
    lot: Cell<u64>,
    /// For so many turns what they touch has been fetched.
    fetched: Cell<u32>,
    forks: Cell<u32>,
}

impl Hub {
    /// The hub of the thread that runs this.
    ///
    /// # Panics
    /// If the thread-locals of this thread have been destroyed.
    #[inline(always)]
    pub(crate) fn here() -> &'static Hub {
        let hub = match Thread::here().upstairs() {
            // SAFETY: nobody but `begin` moves in upstairs, and what moved in is a hub. It lives as long as
            // the thread; what is reached from here does not outlive the call that asked.
            Some(hub) => unsafe { &*std::ptr::from_ref(hub).cast::<Hub>() },
            None => Hub::begin(),
        };
        if hub.forks.get() != fork::count() {
            hub.begin_again();
        }
        hub
    }

    /// As [`here`](Self::here). None at the very end of the thread, when its thread-locals have been destroyed.
    #[inline(always)]
    pub(crate) fn here_to_the_end() -> Option<&'static Hub> {
        Thread::is_possible().then(Hub::here)
    }

    /// The hub of the thread that runs this, if it has one.
    pub(crate) fn here_if_any() -> Option<&'static Hub> {
        Thread::here_if_any()?.upstairs()?;
        Some(Hub::here())
    }

    /// The same, if it is not at its end.
    pub(crate) fn here_if_open() -> Option<&'static Hub> {
        Hub::here_if_any().filter(|hub| !hub.closed.get())
    }

    #[cold]
    fn begin() -> &'static Hub {
        fork::watch();
        let thread = Thread::here();
        thread.move_in(Box::new(Hub {
            thread: NonNull::from(thread),
            ready: Fifo::new(),
            pace: park::Pace::default(),
            timers: RefCell::new(Timers::new()),
            hands_on_timers: AtomicBool::new(false),
            io: io::Table::default(),
            desk: desk::Desk::default(),
            late: Cell::new(false),
            closed: Cell::new(false),
            circles: circle::Circles::default(),
            stretches: Cell::new(0),
            lot: Cell::new(0),
            fetched: Cell::new(0),
            forks: Cell::new(fork::count()),
        }));
        let hub = Hub::here();
        roll::enter(hub);
        hub
    }

    /// The hub of a thread, if it has one.
    fn of(thread: &Thread) -> Option<&Hub> {
        let hub = thread.upstairs()?;
        // SAFETY: as in `here`.
        Some(unsafe { &*std::ptr::from_ref(hub).cast::<Hub>() })
    }

    /// In the child of a fork: everything that waited in the hub stays behind with the parent, as other
    /// threads do. The poller is a new one. The main greenlet stays, as its stack does: it looks again at what
    /// it waits for (law 4).
    #[cold]
    fn begin_again(&self) {
        self.forks.set(fork::count());
        roll::enter_again(self);
        self.grow_all();
        while self.ready.pop().is_some() {}
        self.io.begin_again();
        self.desk.begin_again();
        let me = self.thread().current();
        for control in self.thread().all() {
            if control.is_in_hub() && !control.is(me) {
                exit::leave_behind(self.thread(), control);
            }
        }
        self.with_timers(|timers| timers.retain(Alarm::is_for_the_living));
        let main = &self.thread().main;
        if main.is_in_hub() && !main.is(me) {
            self.enqueue(main);
        }
    }

    #[inline(always)]
    pub(crate) fn thread(&self) -> &'static Thread {
        // SAFETY: the thread owns this hub.
        unsafe { self.thread.as_ref() }
    }

    /// The greenlet that runs now.
    #[inline(always)]
    pub(crate) fn current(&self) -> ControlRef {
        NonNull::from(self.thread().current())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    fn set_timer(&self, at: Moment, alarm: Alarm) -> TimerKey {
        self.with_timers(|timers| timers.insert(at.nanos(), alarm))
    }

    /// False if its time had come.
    fn cancel_timer(&self, key: TimerKey) -> bool {
        self.with_timers(|timers| timers.remove(key))
    }

    /// Changes the timers. That they are borrowed is not enough for a signal handler to know: a flag that nobody
    /// else reads meanwhile may never be written.
    #[inline]
    fn with_timers<R>(&self, f: impl FnOnce(&mut Timers<Alarm>) -> R) -> R {
        self.hands_on_timers.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let outcome = f(&mut self.timers.borrow_mut());
        compiler_fence(Ordering::SeqCst);
        self.hands_on_timers.store(false, Ordering::Relaxed);
        outcome
    }

    /// One of `count`, drawn by lot; 0 if there is none. By turns would not do: whoever asks every second time would
    /// see every second number only.
    #[inline]
    pub(crate) fn draw(&self, count: u32) -> u32 {
        // Knuth's linear congruential generator; its high half is good enough.
        let next = self.lot.get().wrapping_mul(6_364_136_223_846_793_005);
        let next = next.wrapping_add(1_442_695_040_888_963_407);
        self.lot.set(next);
        (((next >> 32) * u64::from(count)) >> 32) as u32
    }

    fn next_stretch(&self) -> u64 {
        self.stretches.set(self.stretches.get() + 1);
        self.stretches.get()
    }
}

/// What the hub of a thread has on its hands; see [`hub_stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubStats {
    /// Timers that are set.
    pub timers: usize,
    /// Descriptors that are registered with the poller.
    pub descriptors: usize,
    /// Greenlets that wait for a descriptor.
    pub awaited: usize,
    /// Greenlets that other threads may wake.
    pub enrolled: usize,
}

/// What the hub of this thread has on its hands, for leak checks.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn hub_stats() -> HubStats {
    let hub = Hub::here();
    HubStats {
        timers: hub.timers.borrow().len(),
        descriptors: hub.io.registered(),
        awaited: hub.io.awaited(),
        enrolled: hub.desk.enrolled(),
    }
}

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

    fn is_given_up(&self, control: &Control) {
        self.strike_out(control.into());
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
