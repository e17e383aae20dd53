//! What greenlets of several threads wait on, and threads that have no greenlets: all of it is `Send` and `Sync`.
//!
//! Whoever waits here parks its greenlet only; on a plain thread, which has a main greenlet and nothing else, that
//! blocks the thread. While a greenlet waits here it can be woken from outside, so it is never reported as part of a
//! deadlock.
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
//! Each is a state of `states` in a `crossing`; both are run by a model checker.

pub mod channel;
pub(crate) mod crossing;
mod event;
mod mutex;
pub mod oneshot;
mod semaphore;
pub(crate) mod states;

use crate::hub::Hub;
use crate::hub::desk::{Knocker, Ticket};
use crate::sys::clock::Moment;
pub(crate) use crossing::Who;
use crossing::{Bell, Sleeper};

pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::{Permit, Semaphore};

/// A crossing whose bells wake greenlets.
pub(crate) type Crossing<S, const LINES: usize> = crossing::Crossing<S, Knocker, LINES>;

pub(crate) fn myself() -> Who {
    let hub = Hub::here();
    (std::ptr::from_ref(hub).addr(), hub.thread().current().id)
}

impl Bell for Knocker {
    fn ring(&self) {
        self.wake();
    }
}

/// The greenlet that runs, about to wait for other threads.
pub(crate) struct Parker {
    hub: &'static Hub,
    ticket: Ticket,
    purpose: &'static &'static str,
    deadline: Option<Moment>,
}

impl Parker {
    /// # Panics
    /// If the hub cannot have a poller: then nobody could wake it.
    pub(crate) fn new(purpose: &'static &'static str, deadline: Option<Moment>) -> Parker {
        let hub = Hub::here();
        let ticket = hub.enrol();
        let ticket = ticket.unwrap_or_else(|error| {
            panic!(
                "{} {purpose}, and cannot be woken by other threads: {error}",
                hub.thread().current()
            )
        });
        Parker {
            hub,
            ticket,
            purpose,
            deadline,
        }
    }
}

impl Parker {
    /// One that stands in other lines as well.
    pub(crate) fn of_select() -> Parker {
        Parker::new(&"waits for one of several things", None)
    }
}

impl Sleeper for Parker {
    type Bell = Knocker;

    fn bell(&self) -> Knocker {
        self.ticket.knocker()
    }

    fn who(&self) -> Who {
        myself()
    }

    fn sleep(&self) -> bool {
        self.hub.park_until(self.purpose, self.deadline)
    }
}
