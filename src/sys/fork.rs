//! How often this process is the child of a fork that it came from.
//!
//! What a process shares with its parent after a fork (an epoll set above all) must not be touched by the
//! child: it would change the parent's. Whoever owns such a thing compares this number with the one it began
//! with.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// The number of forks between the process that first asked and this one.
#[inline(always)]
pub(crate) fn count() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Begins to count. A `vfork`, or a raw `clone`, is not noticed.
pub(crate) fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        // SAFETY: the handler does nothing but add to an atomic, which is allowed in a child of a process
        // with several threads.
        unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    });
}

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
