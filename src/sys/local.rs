//! One pointer for each OS thread: the door to everything floor 1 keeps there.
//!
//! The cell has no destructor and a constant initial value, so reading it is one load, it works in any
//! thread-local destructor, and a signal handler may read it. The `baton` backend copies it into the OS
//! thread of each greenlet, which is why it is the only thread-local of this crate that a switch sees.

use std::cell::Cell;
use std::ptr;

thread_local! {
    static POINTER: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// The pointer of this thread; null until [`set`] was called.
#[inline(always)]
pub(crate) fn get() -> *const () {
    POINTER.get()
}

/// Sets the pointer of this thread.
pub(crate) fn set(pointer: *const ()) {
    POINTER.set(pointer);
}
