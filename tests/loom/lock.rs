//! What stands in the place of `src/sys/lock.rs` here.

pub(crate) use loom::sync::{Arc, Mutex};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
