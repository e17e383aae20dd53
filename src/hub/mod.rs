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
//! | [`here`], [`upstairs`] | the hub of this thread; what the floor below asks of it |
//! | [`park`] | parking, waking, the loop (law 2) |
//! | [`pace`], [`rest`] | when the loop looks at the clock and at what may have happened, and where it waits for that |
//! | [`ahead`] | fetching what the next turns touch |
//! | [`interrupt`] | raising something in a greenlet that waits: kills, deadlines |
//! | [`deadline`] | alarms, stretches of code under a deadline |
//! | [`wait`] | wait lists |
//! | [`io`] | sources: what can be read or written, and who waits for it (law 3) |
//! | [`door`], [`remote`], [`desk`] | the way in for other threads |
//! | [`launch`], [`seed`] | greenlets that the hub runs, and those that have not had a turn |
//! | [`lateness`] | how late alarms go off |
//! | [`report`], [`alone`] | what is said when everybody waits for ever, and whether another thread could end that |
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
use crate::switch::thread::Thread;
use crate::sys::clock::Moment;

#[allow(unsafe_code)]
mod ahead;
mod alone;
pub(crate) mod calls;
pub(crate) mod circle;
#[allow(unsafe_code)]
pub(crate) mod deadline;
#[allow(unsafe_code)]
pub(crate) mod desk;
mod door;
pub(crate) mod dump;
#[allow(unsafe_code)]
mod here;
pub(crate) mod interrupt;
pub(crate) mod io;
pub(crate) mod lateness;
#[allow(unsafe_code)]
pub(crate) mod launch;
pub(crate) mod pace;
#[allow(unsafe_code)]
mod park;
mod remote;
mod report;
mod rest;
#[allow(unsafe_code)]
pub(crate) mod roll;
#[allow(unsafe_code)]
mod seed;
#[allow(unsafe_code)]
pub(crate) mod seen;
#[allow(unsafe_code)]
mod upstairs;
#[allow(unsafe_code)]
pub(crate) mod wait;

use deadline::Alarm;
use seed::Turn;

/// The hub of one OS thread.
pub(crate) struct Hub {
    thread: NonNull<Thread>,
    ready: Fifo<Turn>,
    pace: pace::Pace,
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
