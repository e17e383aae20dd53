//! What greenlets of one thread wait on: `std::sync` again, channels, `select`, and gevent's set.
//!
//! | | |
//! |---|---|
//! | [`Mutex`], [`RwLock`], [`Condvar`], [`Barrier`], [`mpsc`] | std's, within one thread: nothing is `Send`, nothing is atomic, `Rc` works |
//! | [`Once`], [`OnceLock`], [`LazyLock`] | std's, between all threads: they stand in a static |
//! | [`channel`], [`oneshot`], [`select()`] | messages, and whatever happens first |
//! | [`Semaphore`], [`Event`], [`AsyncResult`], [`WaitGroup`], [`queue`] | gevent's and Go's |
//! | [`remote`] | between threads |
//!
//! Each of them is a state and one or two wait lists. Nothing is ever lost to a greenlet that is killed or runs out of time
//! while it waits: what it was called for goes to the next in line.

mod barrier;
mod chan;
pub mod channel;
mod condvar;
mod ends;
mod event;
mod lock;
pub mod mpsc;
#[allow(unsafe_code)]
mod mutex;
mod once;
pub mod oneshot;
pub mod queue;
pub mod remote;
mod rwlock;
mod select;
mod semaphore;
mod wait_group;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::{AsyncResult, Event};
pub use mutex::{Mutex, MutexGuard};
pub use once::{LazyLock, Once, OnceLock, OnceState};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use select::{Select, select};
pub(crate) use semaphore::Permits;
pub use semaphore::{Permit, Semaphore};
pub use std::sync::{Arc, Weak, atomic};
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
pub use wait_group::{Pending, WaitGroup};
