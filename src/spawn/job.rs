//! A closure on its way into a greenlet of the hub, and what comes out of it on its way to whoever joins.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use super::handle::JoinHandle;
use super::slot::{Owed, Slot};
use crate::hub::{Hub, launch};
use crate::switch::control::{Control, Payload};
use crate::switch::exit;
use crate::sys::stack::Pages;

/// As [`spawn`], for somebody who has called there: a closure cannot say who has called it.
#[inline]
pub(crate) fn spawn_for<R: 'static>(
    site: &'static Location<'static>,
    f: impl FnOnce() -> R + 'static,
) -> JoinHandle<R> {
    let hub = Hub::here();
    let pages = hub.thread().default_pages();
    // SAFETY: `f` borrows nothing.
    let handle = unsafe { launch_in(hub, None, pages, site, f) };
    handle.unwrap_or_else(|_| no_memory(hub, site))
}

/// Nobody can be spawned, where an error cannot be returned. As in `failed_at`, the place is told in words.
#[cold]
#[inline(never)]
pub(crate) fn no_memory(hub: &Hub, site: &Location<'_>) -> ! {
    let alive = hub.thread().alive();
    panic!(
        "no memory for another greenlet, {alive} are alive (spawned at {site}): wait until some of them have ended, or \
         use `thread::Builder::spawn`, which returns an error"
    )
}

/// # Safety
/// What `f` and `R` borrow lives until the greenlet is dead and the handle is gone.
#[inline]
pub(super) unsafe fn launch_in<R>(
    hub: &Hub,
    name: Option<Box<str>>,
    pages: Pages,
    site: &'static Location<'static>,
    f: impl FnOnce() -> R,
) -> Result<JoinHandle<R>, NoMemory> {
    let (slot, owed) = Slot::new(hub.thread()).ok_or(NoMemory)?;
    let is_named = name.is_some();
    // SAFETY: caller's promise.
    let id = unsafe { hub.launch(name, pages, site, Job { f, owed }) };
    let id = id.ok_or(NoMemory)?;
    slot.joiners().holder().set(id);
    if is_named {
        // The name is there.
        slot.hold();
    }
    Ok(JoinHandle::to(slot))
}

/// There is none for another greenlet.
pub(super) struct NoMemory;

/// A closure and where its outcome goes. If it never runs, the closure is dropped before that is told.
struct Job<F, R> {
    f: F,
    owed: Owed<R>,
}

impl<R, F: FnOnce() -> R> launch::Job for Job<F, R> {
    #[inline]
    fn grown(&self, control: &Control) {
        self.owed.grown(control);
    }

    #[inline]
    fn run(self, raised: Option<Payload>) -> impl FnOnce() {
        let Job { f, owed } = self;
        let outcome = catch_unwind(AssertUnwindSafe(move || {
            if let Some(payload) = raised {
                exit::raise(payload);
            }
            f()
        }));
        move || owed.pay(outcome)
    }
}
