//! Locks that are never held across a wait, and that may stand in a static: std's. The models of `tests/loom`
//! have a file in the place of this one.

pub(crate) use std::sync::Mutex;
use std::sync::{MutexGuard, PoisonError};

/// What lies behind a lock, also after a panic: nobody who has it runs code of others.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
