//! Green threads: greenlets that the hub runs.
//!
//! [`spawn`] takes a closure that need not be `Send`: a greenlet never leaves its OS thread (law 7). It runs
//! when it is its turn, not before the spawner waits for something. What it leaves is kept for whoever joins.
//!
//! ```text
//!   spawn ──▶ ready ──▶ runs ⇄ parked ──▶ ended ──▶ join() gets Ok(value), or Err(payload)
//!               └── killed: the closure is dropped ──▶ Err(GreenletExit)
//! ```

use std::panic::Location;

use crate::hub::Hub;

#[allow(unsafe_code)]
mod builder;
mod handle;
#[allow(unsafe_code)]
mod job;
pub(crate) mod members;
mod park;
#[allow(unsafe_code)]
mod scope;
#[allow(unsafe_code)]
mod slot;

pub use builder::Builder;
pub use handle::JoinHandle;
pub(crate) use job::{no_memory, spawn_for};
pub use park::{Thread, current, park, park_timeout};
pub use scope::{Scope, ScopedJoinHandle, scope};

/// Runs `f` in a greenlet of its own, which waits without keeping others from running.
///
/// It begins when it is its turn. A handle that is dropped leaves it running. Returning from `main` ends what
/// still runs, as with threads.
///
/// ```
/// let handle = greenlet::spawn(|| 6 * 7);
/// assert_eq!(handle.join().unwrap(), 42);
/// ```
///
/// Nothing needs to be `Send`; but everything must be owned. To borrow, use [`scope`].
///
/// ```compile_fail,E0373
/// let name = String::from("borrowed");
/// greenlet::spawn(|| println!("{name}")).join().unwrap();
/// ```
///
/// ```compile_fail,E0597
/// let name = String::from("borrowed");
/// let borrowed = &name;
/// greenlet::spawn(move || println!("{borrowed}")).join().unwrap();
/// ```
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// let count = Rc::new(Cell::new(0));
/// let handles = [1, 2, 3].map(|n| {
///     let count = count.clone();
///     greenlet::spawn(move || count.set(count.get() + n))
/// });
/// handles.map(|handle| handle.join().unwrap());
/// assert_eq!(count.get(), 6);
/// ```
///
/// # Parks
/// No.
///
/// # Panics
/// If there is no memory for it, which [`Builder::spawn`] returns as an error; or if the thread-locals of this thread have
/// been destroyed.
#[track_caller]
#[inline]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    spawn_for(Location::caller(), f)
}

/// Lets everybody who is ready go first.
///
/// # Parks
/// Always, and is ready again at once.
///
/// # Panics
/// As [`sleep`](crate::sleep).
#[inline]
pub fn yield_now() {
    Hub::here().yield_now();
}
