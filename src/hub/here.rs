//! The hub of the thread that runs: found, begun at its first use, begun again after a fork.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::deadline::Alarm;
use super::{Hub, circle, desk, io, pace, roll};
use crate::data::fifo::Fifo;
use crate::data::timers::Timers;
use crate::switch::control::ControlRef;
use crate::switch::exit;
use crate::switch::thread::Thread;
use crate::sys::fork;

impl Hub {
    /// The hub of the thread that runs this.
    ///
    /// # Panics
    /// If the thread-locals of this thread have been destroyed.
    #[inline(always)]
    pub(crate) fn here() -> &'static Hub {
        let hub = Hub::of(Thread::here()).unwrap_or_else(Hub::begin);
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
            pace: pace::Pace::default(),
            timers: RefCell::new(Timers::new()),
            hands_on_timers: AtomicBool::new(false),
            io: io::Table::default(),
            desk: desk::Desk::default(),
            late: Cell::new(false),
            closed: Cell::new(false),
            circles: circle::Circles::default(),
            stretches: Cell::new(first_stretch()),
            lot: Cell::new(0),
            fetched: Cell::new(0),
            forks: Cell::new(fork::count()),
        }));
        let hub = Hub::here();
        roll::enter(hub);
        hub
    }

    /// The hub of a thread, if it has one.
    #[inline(always)]
    pub(super) fn of(thread: &Thread) -> Option<&Hub> {
        let hub = thread.upstairs()?;
        // SAFETY: nobody but `begin` moves in upstairs, and what moved in is a hub. It lives as long as
        // the thread; what is reached from here does not outlive the call that asked.
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
}

/// Stretches of different threads have different numbers: what ends one may be caught there, and raised in another.
fn first_stretch() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1 << 40, Ordering::Relaxed)
}
