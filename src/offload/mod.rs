//! Work on other threads: what keeps a thread busy, or blocks it truly, and so must not run in a hub.
//!
//! [`offload`] hands a closure to a pool of worker threads that all hubs of the process share, and parks until
//! it has run. The pool grows on demand up to a bound and shrinks when it is idle; what comes while all
//! workers are busy waits in order.
//!
//! ```text
//!   greenlet ── offload(f) ──▶ queue ──▶ worker: f() ──▶ the result's place ──▶ knock ──▶ greenlet
//!      └─ killed meanwhile: leaves; the worker finds nobody, and drops the result
//! ```

mod pool;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::hub::Hub;
use crate::switch::exit;
use crate::switch::transfer::drop_contained;
use crate::sys::lock::lock;

use pool::Work;
pub use pool::{PoolStats, pool_stats};

/// Runs `f` on a worker thread, and waits for what it returns.
///
/// For computations that take long, and for calls that block in the system or in a library. There are up to
/// 512 workers (or what `GREENLET_WORKERS` says); one that is idle for five seconds goes. More work than that
/// waits in order of arrival.
///
/// ```
/// let sum = greenlet::offload(|| (1..=1_000_u64).sum::<u64>());
/// assert_eq!(sum, 500_500);
/// ```
///
/// # Parks
/// Always; but what is offloaded by such work itself runs in place, on its worker.
///
/// # Cancellation
/// The work is not cut short. If it has not begun it never runs; if it has, its result is dropped, on the
/// worker.
///
/// # Panics
/// With a panic of `f`. If no thread can be started and there is none, or the hub cannot have a poller: then
/// `f` has not run.
pub fn offload<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    match try_offload(f) {
        Ok(value) => value,
        Err(error) => panic!("nothing can be offloaded: {error}"),
    }
}

/// As [`offload`], with the errors of the system as errors.
///
/// # Errors
/// If no thread can be started and there is none, or the hub cannot have a poller. `f` has not run.
pub(crate) fn try_offload<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    match pool::is_worker() {
        true => Ok(f()),
        false => run_by(pool::submit, f),
    }
}

/// As [`try_offload`], on a thread of its own: for what waits for others, and would keep a worker from them.
///
/// # Errors
/// If no thread can be started, or the hub cannot have a poller. `f` has not run.
pub(crate) fn on_own_thread<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    let start = |work| {
        let builder = thread::Builder::new().name("greenlet-waiter".into());
        builder.spawn(work).map(drop)
    };
    run_by(start, f)
}

/// Waits for the result of `f`, which runs where `start` sees to it.
fn run_by<R: Send + 'static>(
    start: impl FnOnce(Work) -> io::Result<()>,
    f: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    let hub = Hub::here();
    let (_ticket, knocker) = hub.enrol()?;
    let place = Arc::new(Place(Mutex::new(State::Waiting)));
    let abandon = Abandon(&place);
    let work = {
        let place = Arc::clone(&place);
        move || {
            if place.is_abandoned() {
                return;
            }
            place.put(catch_unwind(AssertUnwindSafe(f)));
            knocker.knock();
        }
    };
    // What the system says of it (`EAGAIN`) is what a call says that would have to wait.
    let no_thread = |error| io::Error::other(format!("no thread can be started: {error}"));
    start(Box::new(work)).map_err(no_thread)?;
    let outcome = loop {
        if let Some(outcome) = place.take() {
            break outcome;
        }
        hub.park(&"waits for offloaded work");
    };
    std::mem::forget(abandon);
    match outcome {
        Ok(value) => Ok(value),
        Err(payload) => exit::raise(payload),
    }
}

/// As [`try_offload`] for a call that blocks in the system. Where nobody could run meanwhile, since this thread
/// has no hub, or none any more, it is made here.
///
/// # Errors
/// Those of `f`, and of [`try_offload`].
pub(crate) fn blocking<R: Send + 'static>(
    f: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    match Hub::here_if_open() {
        Some(_) => try_offload(f)?,
        None => f(),
    }
}

/// Runs `f` on a worker, and does not wait for it.
///
/// # Errors
/// As for [`try_offload`].
pub(crate) fn detach(f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    pool::submit(Box::new(f))
}

/// Where the result goes, seen from both threads.
struct Place<R>(Mutex<State<R>>);

enum State<R> {
    Waiting,
    Done(thread::Result<R>),
    Abandoned,
}

impl<R> Place<R> {
    fn swap(&self, state: State<R>) -> State<R> {
        let mut place = lock(&self.0);
        std::mem::replace(&mut place, state)
    }

    fn is_abandoned(&self) -> bool {
        let place = lock(&self.0);
        matches!(*place, State::Abandoned)
    }

    /// On the worker. If nobody waits any more, the outcome is dropped here.
    fn put(&self, outcome: thread::Result<R>) {
        let mut place = lock(&self.0);
        let unwanted = match &*place {
            State::Abandoned => Some(outcome),
            _ => {
                *place = State::Done(outcome);
                None
            }
        };
        drop(place);
        drop_contained(unwanted);
    }

    fn take(&self) -> Option<thread::Result<R>> {
        match self.swap(State::Waiting) {
            State::Done(outcome) => Some(outcome),
            _ => None,
        }
    }
}

/// The one who waits is raised in: what comes then is for nobody.
struct Abandon<'a, R>(&'a Place<R>);

impl<R> Drop for Abandon<'_, R> {
    fn drop(&mut self) {
        drop_contained(self.0.swap(State::Abandoned));
    }
}
