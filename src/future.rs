//! Futures in greenlets, and greenlets as futures.
//!
//! [`block_on`] runs a future in a greenlet and parks that greenlet only, while the future waits. Its wakers may be
//! used from any thread, so futures work that some other runtime drives from threads of its own: those of smol and
//! async-io as they are, those of tokio while a runtime of it is entered
//! (`let _entered = runtime.enter()`). The other way round, a [`JoinHandle`] is a future: an executor that runs in a
//! greenlet can await it.
//!
//! ```
//! let sum = greenlet::future::block_on(async {
//!     let handle = greenlet::spawn(|| 6 * 7);
//!     handle.await.unwrap() + 1
//! });
//! assert_eq!(sum, 43);
//! ```
//!
//! A waker that panics has the panic reported, and the hub runs on.

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use crate::hub::Hub;
use crate::hub::desk::Knocker;
use crate::spawn::{JoinHandle, spawn};
use crate::switch::thread::report;

/// Runs a future to its end, in this greenlet.
///
/// # Parks
/// While the future waits.
///
/// # Cancellation
/// The future is dropped.
///
/// # Panics
/// With a panic of the future. If the hub cannot have a poller: then nobody could wake it.
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    let hub = Hub::here();
    let (ticket, knocker) = hub.enrol().unwrap_or_else(|error| {
        panic!("a future cannot be waited for, since nobody could wake it: {error}")
    });
    let rung = Arc::new(AtomicBool::new(false));
    let alarm = || {
        Arc::new(FutureWaker {
            rung: Arc::clone(&rung),
            knocker: knocker.clone(),
        })
    };
    let mut kept = Weak::new();
    loop {
        // As long as somebody keeps a waker it is the same one.
        let waker = kept.upgrade().unwrap_or_else(alarm);
        kept = Arc::downgrade(&waker);
        let waker = Waker::from(waker);
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        drop(waker);
        let mut has_waited = false;
        loop {
            let is_kept = kept.strong_count() > 0;
            // Whoever has dropped the last one may have rung it first.
            fence(Ordering::Acquire);
            if rung.swap(false, Ordering::Acquire) {
                if !has_waited {
                    // It has woken itself, and may do so for ever.
                    hub.yield_now();
                }
                break;
            }
            has_waited = true;
            match is_kept {
                true => hub.park(&"waits for a future"),
                false => {
                    let _forlorn = hub.nobody_calls(&ticket);
                    hub.park(&"waits for a future that has kept no waker");
                }
            }
        }
    }
}

/// Runs a future in a greenlet of its own, as [`spawn`].
///
/// # Parks
/// No.
#[track_caller]
pub fn spawn_future<F>(future: F) -> JoinHandle<F::Output>
where
    F: IntoFuture + 'static,
    F::Output: 'static,
{
    spawn(move || block_on(future))
}

/// Wakes the greenlet that runs a future, also when nobody can do that any more: then it looks again.
struct FutureWaker {
    rung: Arc<AtomicBool>,
    knocker: Knocker,
}

impl Drop for FutureWaker {
    fn drop(&mut self) {
        self.knocker.wake();
    }
}

impl Wake for FutureWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::Release) {
            self.knocker.wake();
        }
    }
}

impl<R: 'static> IntoFuture for JoinHandle<R> {
    type Output = thread::Result<R>;
    type IntoFuture = Joined<R>;

    /// A future of what the greenlet leaves. It joins it from a small greenlet of its own; dropping it leaves both
    /// running.
    fn into_future(self) -> Joined<R> {
        Joined {
            handle: Some(self),
            place: Rc::default(),
        }
    }
}

/// The end of a greenlet, as a future; see [`JoinHandle`].
pub struct Joined<R> {
    handle: Option<JoinHandle<R>>,
    place: Rc<Place<R>>,
}

/// Where the outcome goes, and who is told.
struct Place<R> {
    outcome: std::cell::Cell<Option<thread::Result<R>>>,
    waker: std::cell::Cell<Option<Waker>>,
}

impl<R> Default for Place<R> {
    fn default() -> Place<R> {
        Place {
            outcome: std::cell::Cell::new(None),
            waker: std::cell::Cell::new(None),
        }
    }
}

impl<R> Unpin for Joined<R> {}

impl<R: 'static> Future for Joined<R> {
    type Output = thread::Result<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<thread::Result<R>> {
        if let Some(outcome) = self.place.outcome.take() {
            return Poll::Ready(outcome);
        }
        self.place.waker.set(Some(context.waker().clone()));
        if let Some(handle) = self.handle.take() {
            if handle.is_finished() {
                return Poll::Ready(handle.join());
            }
            let place = Rc::clone(&self.place);
            spawn(move || place.put(handle.join()));
        }
        Poll::Pending
    }
}

impl<R> Place<R> {
    fn put(&self, outcome: thread::Result<R>) {
        self.outcome.set(Some(outcome));
        if let Some(waker) = self.waker.take()
            && let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
        {
            report(format_args!("a waker has panicked"), payload);
        }
    }
}
