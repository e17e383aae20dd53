//! What greenlets of several threads wait on, and threads that have no greenlets: all of it is `Send` and `Sync`.
//!
//! Whoever waits here parks its greenlet only; on a plain thread, which has a main greenlet and nothing else, that
//! blocks the thread. While a greenlet waits here it can be woken from outside: a deadlock is reported only if no thread
//! is left that could do that, or of a circle of locks; see [the manual](crate::manual::hub).
//!
//! ```
//! use greenlet::sync::remote;
//!
//! let (sender, receiver) = remote::channel::bounded(1);
//! let thread = std::thread::spawn(move || sender.send(42));
//! assert_eq!(receiver.recv(), Ok(42)); // other greenlets of this thread would run meanwhile
//! thread.join().unwrap().unwrap();
//! ```
//!
//! [`select`](crate::sync::select()) waits for channels, permits and events of other threads as for those of its own:
//! `.on(&receiver, …)`, `.on(&semaphore, …)`, `.on(&event, …)`, `.send(&sender, …)`.
//!
//! # Panics
//! What has to wait here panics if its hub has no poller yet and the system has no descriptor left for one: nobody could
//! wake it.
//!
//! Each is a state of `states` in a `crossing`; both are run by a model checker.

pub mod channel;
pub(crate) mod crossing;
mod event;
mod mutex;
pub mod oneshot;
mod semaphore;
pub(crate) mod states;

use std::cell::{Cell, RefCell};
use std::mem::offset_of;
use std::ops::Deref;

use crate::hub::Hub;
use crate::hub::circle::Abroad;
use crate::hub::desk::{Knocker, Ticket};
use crate::switch::subject::{Awaits, Holder, Known, Subject};
use crate::sys::clock::Moment;
use crate::sys::fork;
use crate::sys::lock::Mutex as Guarded;
use crossing::{Bell, Lines, Sleeper};

pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::{Permit, Semaphore};

/// A crossing whose bells wake greenlets, and who waits there can tell what it is.
pub(crate) struct Crossing<S, const LINES: usize> {
    crossing: crossing::Crossing<S, Knocker, LINES>,
    subject: Subject,
}

impl<S, const LINES: usize> Crossing<S, LINES> {
    #[track_caller]
    pub(crate) const fn over(state: S) -> Self {
        Crossing {
            crossing: crossing::Crossing::over(Guarded::new(crossing::Shared::new(state))),
            subject: Subject::new(offset_of!(Self, subject), size_of::<Self>()),
        }
    }

    /// The number of the greenlet that alone can end the waits here, if that is known.
    pub(crate) fn holder(&self) -> &Holder {
        self.subject.holder()
    }

    /// The greenlet that runs, about to wait here.
    ///
    /// # Panics
    /// As [`Parker::new`].
    pub(crate) fn parker(
        &self,
        purpose: &'static &'static str,
        deadline: Option<Moment>,
    ) -> Parker {
        Parker {
            awaits: self.subject.awaits(),
            ..Parker::new(purpose, deadline)
        }
    }

    /// The same where one greenlet alone may be able to end the wait, and is named.
    pub(crate) fn parker_bound(&self, purpose: &'static &'static str) -> Parker {
        let parker = self.parker(purpose, None);
        Parker {
            _abroad: Some(parker.hub.bind_abroad()),
            ..parker
        }
    }

    /// The greenlet that runs stands in `line`, and in others, while `rest` runs: an arm of a select.
    ///
    /// # Panics
    /// As [`Parker::new`].
    pub(crate) fn stand_while(
        &self,
        line: usize,
        look: impl FnOnce(&mut S, &mut Lines<Knocker, LINES>) -> Option<bool>,
        rest: impl FnOnce(),
        lost: impl Fn(&mut S, &mut Lines<Knocker, LINES>, bool),
    ) -> bool {
        let parker = Parker::new(&"waits for one of several things", None);
        let hub = parker.hub;
        let rest = || hub.also_awaiting(self.subject.awaits(), rest);
        self.crossing.stand_while(line, parker, look, rest, lost)
    }
}

impl<S, const LINES: usize> Deref for Crossing<S, LINES> {
    type Target = crossing::Crossing<S, Knocker, LINES>;

    fn deref(&self) -> &Self::Target {
        &self.crossing
    }
}

/// The number of the greenlet that runs, which no other greenlet of this process has.
pub(crate) fn myself() -> u64 {
    Hub::here().thread().current().id
}

impl Bell for Knocker {
    fn ring(&self) {
        self.wake();
    }

    /// All but the main greenlet, which goes on in both.
    fn is_left_behind(&self, who: u64) -> bool {
        Hub::here().thread().main.id != who
    }
}

/// The greenlet that runs, about to wait for other threads.
pub(crate) struct Parker {
    hub: &'static Hub,
    enrolled: RefCell<(Ticket, Knocker)>,
    forks: Cell<u32>,
    purpose: &'static &'static str,
    deadline: Option<Moment>,
    awaits: Awaits,
    _abroad: Option<Abroad<'static>>,
}

impl Parker {
    /// # Panics
    /// If the hub cannot have a poller: then nobody could wake it.
    fn new(purpose: &'static &'static str, deadline: Option<Moment>) -> Parker {
        let hub = Hub::here();
        Parker {
            hub,
            enrolled: RefCell::new(enrol(hub, purpose)),
            forks: Cell::new(fork::count()),
            purpose,
            deadline,
            awaits: Awaits::NOTHING,
            _abroad: None,
        }
    }
}

/// # Panics
/// If the hub cannot have a poller: then nobody could wake it.
fn enrol(hub: &Hub, purpose: &str) -> (Ticket, Knocker) {
    hub.enrol().unwrap_or_else(|error| {
        panic!(
            "{} {purpose}, and cannot be woken by other threads: {error}",
            hub.thread().current()
        )
    })
}

impl Sleeper for Parker {
    type Bell = Knocker;

    fn bell(&self) -> Knocker {
        if self.forks.replace(fork::count()) != fork::count() {
            // The door of before is the parent's.
            self.enrolled.replace(enrol(self.hub, self.purpose));
        }
        self.enrolled.borrow().1.clone()
    }

    fn who(&self) -> u64 {
        myself()
    }

    fn sleep(&self) -> bool {
        self.hub
            .park_about(self.purpose, self.awaits, self.deadline)
    }

    fn rest<R>(&self, leave: &dyn Fn(), rest: impl FnOnce() -> R) -> R {
        let key = self.enrolled.borrow().0.key();
        self.hub.leaving(key, leave, rest)
    }
}
