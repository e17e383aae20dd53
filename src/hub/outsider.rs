//! Threads that have no hub and have called one: as long as there is one of them, it may call again.
//!
//! Meanwhile no hub can find that nobody will come ([`alone`](super::alone)), so none need ask, and who waits for other
//! threads sleeps for as long as it takes. A limit would be one more timer for the system to set and take back, at each
//! sleep. When the last outsider ends, or becomes one of us, those who sleep are roused, and ask from then on.
//!
//! A hub that goes to sleep and an outsider that goes find each other as a hub and a knocker do
//! ([`door`](super::door)): the one says that it sleeps and then counts, the other counts itself out and then looks
//! who sleeps.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::roll;
use crate::sys::fork::Own;
use crate::sys::tasks::{self, Aside};

/// What a thread is, for as long as it lives.
struct Role(Cell<Part>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// It has not called anybody.
    Stranger,
    Outsider,
    /// It has a hub, or works for those that have one.
    Insider,
}

thread_local! {
    static ROLE: Role = const { Role(Cell::new(Part::Stranger)) };
}

impl Drop for Role {
    fn drop(&mut self) {
        self.become_insider();
    }
}

impl Role {
    fn become_insider(&self) {
        if self.0.replace(Part::Insider) == Part::Outsider {
            count_out();
        }
    }
}

/// This thread has no hub, and is about to call one.
pub(super) fn note_call() {
    // Who calls while its thread-locals are destroyed is about to end.
    let _ = ROLE.try_with(|role| {
        if role.0.get() == Part::Stranger {
            role.0.set(Part::Outsider);
            count().fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// This thread has a hub from now on, or works for those that have one.
pub(crate) fn stay_inside() {
    let _ = ROLE.try_with(Role::become_insider);
}

/// This thread stands aside, for as long as this is there.
pub(crate) fn stand_aside() -> Aside {
    stay_inside();
    tasks::stand_aside()
}

/// Whether there is any: asked by a hub that has said that it sleeps.
pub(super) fn is_there() -> bool {
    count().load(Ordering::Relaxed) > 0
}

fn count_out() {
    // A child of a fork counts from nothing.
    let less = |count: usize| Some(count.saturating_sub(1));
    let before = count().fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    if before == Ok(1) {
        roll::rouse_all();
    }
}

fn count() -> &'static AtomicUsize {
    static COUNT: Own<AtomicUsize> = Own::new();
    COUNT.or_make(|_| AtomicUsize::new(0))
}
