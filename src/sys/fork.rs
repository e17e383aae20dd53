//! How often this process is the child of a fork that it came from.
//!
//! What a process shares with its parent after a fork (an epoll set above all) must not be touched by the
//! child: it would change the parent's. Whoever owns such a thing compares this number with the one it began
//! with. What is shared by all threads of a process, and used under a lock, is an [`Own`]: another thread may
//! hold that lock at the fork, and in the child it is held for ever.

use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// The number of forks between the process that first asked and this one.
#[inline(always)]
pub(crate) fn count() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Begins to count. A `vfork`, or a raw `clone`, is not noticed.
///
/// Two threads may both begin, and then a fork counts twice, which is as good. A lock here could be held at
/// the fork, and the child would find it so for ever.
pub(crate) fn watch() {
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if !WATCHING.load(Ordering::Acquire) {
        // SAFETY: the handler does nothing but add to an atomic, which is allowed in a child of a process
        // with several threads.
        unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        WATCHING.store(true, Ordering::Release);
    }
}

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// What each process has for itself. A child of a fork makes its own, and never touches that of its parent.
pub(crate) struct Own<T>(AtomicPtr<Made<T>>);

struct Made<T> {
    thing: T,
    forks: u32,
}

impl<T: Send + Sync> Own<T> {
    pub(crate) const fn new() -> Own<T> {
        Own(AtomicPtr::new(ptr::null_mut()))
    }

    /// The thing of this process, made if need be, with that of the parent at hand. Without a lock: a fork may
    /// come at any time. Several threads may make one; one is kept.
    pub(crate) fn or_make(&self, make: impl Fn(Option<&T>) -> T) -> &T {
        watch();
        loop {
            let there = self.0.load(Ordering::Acquire);
            // SAFETY: null, or leaked below; the last one is freed with this, the others never.
            let before: Option<&Made<T>> = unsafe { there.as_ref() };
            if let Some(made) = before.filter(|made| made.forks == count()) {
                return &made.thing;
            }
            let made = Box::into_raw(Box::new(Made {
                thing: make(before.map(|made| &made.thing)),
                forks: count(),
            }));
            let kept = self
                .0
                .compare_exchange(there, made, Ordering::AcqRel, Ordering::Relaxed);
            if kept.is_err() {
                // SAFETY: made above, and nobody has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }
}

impl<T: Send + Sync + Default> Own<T> {
    /// The thing of this process: a new one in each.
    pub(crate) fn get(&self) -> &T {
        self.or_make(|_| T::default())
    }
}

/// A copy of what the parent has behind a lock, unless somebody had that at the fork.
pub(crate) fn inherited<T: Clone + Default>(parents: Option<&Mutex<T>>) -> Mutex<T> {
    let theirs = parents.and_then(|parents| parents.try_lock().ok());
    Mutex::new(theirs.map_or_else(T::default, |theirs| theirs.clone()))
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        let made = *self.0.get_mut();
        // SAFETY: as in `or_make`; nobody else has this any more.
        if unsafe { made.as_ref() }.is_some_and(|made| made.forks == count()) {
            // SAFETY: made by this process, and nobody has a reference: they do not outlive this.
            drop(unsafe { Box::from_raw(made) });
        }
    }
}
