//! What a mutex is without its value: who has it, who waits for it, and whether it is poisoned.
//!
//! It is handed on: whoever unlocks gives it to the one who waits longest, which has it from then on, and finds
//! that out at its turn. So nobody is overtaken, and the holder is known at every moment: by that a deadlock is
//! told with names.

use std::cell::Cell;
use std::mem::offset_of;
use std::sync::{LockResult, PoisonError};
use std::thread::panicking;

use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Subject;
use crate::switch::thread::Thread;

/// Nobody has it.
const FREE: u64 = 0;

/// A lock without a value. It is given to one at a time: by `try_acquire` if it is free, and by `release`, which calls
/// the next one; that one's wait says that it was called. The guards of a mutex rely on it.
pub(super) struct Lock {
    /// Its holder is the one who has the lock.
    waiters: WaitList<(), Subject>,
    poison: Poison,
}

impl Lock {
    #[track_caller]
    pub(super) const fn new() -> Lock {
        Lock {
            waiters: WaitList::within(offset_of!(Lock, waiters), size_of::<Lock>()),
            poison: Poison::new(),
        }
    }

    pub(super) fn poison(&self) -> &Poison {
        &self.poison
    }

    #[inline(always)]
    pub(super) fn try_acquire(&self) -> bool {
        let free = self.waiters.holder().get() == FREE;
        if free {
            self.waiters.holder().set(Thread::here().current().id);
        }
        free
    }

    /// Waits until it has the lock.
    #[inline(always)]
    pub(super) fn acquire(&self) {
        if !self.try_acquire() {
            self.acquire_later();
        }
    }

    #[cold]
    #[inline(never)]
    fn acquire_later(&self) {
        let hub = Hub::here();
        let me = hub.thread().current();
        assert!(
            self.waiters.holder().get() != me.id,
            "{me} locks a mutex that it has locked already: it would wait for ever; drop the guard first, \
             whoever has it"
        );
        let purpose = &"waits for a mutex";
        let give_back = || self.release();
        hub.bind();
        while !self.waiters.wait_or(hub, purpose, None, give_back) && !self.try_acquire() {}
    }

    /// Gives it to the one who waits longest, or frees it.
    #[inline(always)]
    pub(super) fn release(&self) {
        match self.waiters.is_empty() {
            true => self.waiters.holder().set(FREE),
            false => self.hand_on(),
        }
    }

    #[cold]
    #[inline(never)]
    fn hand_on(&self) {
        let next = self.waiters.call_one(Hub::here());
        self.waiters.holder().set(next.unwrap_or(FREE));
    }
}

/// Whether somebody unwound while it changed a value: as in std, the guard was made by one who did not unwind yet.
pub(super) struct Poison(Cell<bool>);

/// What a guard remembers of the moment at which it was made: whether its greenlet unwound.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calm(bool);

impl Calm {
    #[inline(always)]
    pub(crate) fn now() -> Calm {
        Calm(!panicking())
    }

    /// Whether the greenlet unwinds that had the guard, because of something that began after it was made.
    #[inline(always)]
    pub(crate) fn is_over(self) -> bool {
        self.0 && panicking()
    }
}

impl Poison {
    pub(super) const fn new() -> Poison {
        Poison(Cell::new(false))
    }

    pub(super) fn get(&self) -> bool {
        self.0.get()
    }

    pub(super) fn clear(&self) {
        self.0.set(false);
    }

    /// A guard is dropped that could change the value.
    #[inline(always)]
    pub(super) fn leave(&self, calm: Calm) {
        if calm.is_over() {
            self.0.set(true);
        }
    }

    #[inline]
    pub(super) fn result<G>(&self, guard: G) -> LockResult<G> {
        or_poisoned(guard, self.0.get())
    }
}

#[inline]
pub(crate) fn or_poisoned<V>(value: V, poisoned: bool) -> LockResult<V> {
    match poisoned {
        true => Err(PoisonError::new(value)),
        false => Ok(value),
    }
}

/// What guards have as std's have it: they show their value, and what a panic may have left half-done is told by
/// poison. Trait impls only.
macro_rules! as_std_guards {
    ($guard:ident) => {
        impl<T: ?Sized> std::panic::UnwindSafe for $guard<'_, T> {}
        impl<T: ?Sized> std::panic::RefUnwindSafe for $guard<'_, T> {}

        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&**self, f)
            }
        }

        impl<T: ?Sized + std::fmt::Display> std::fmt::Display for $guard<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&**self, f)
            }
        }
    };
}

/// What a lock has as std's has it, into which one can `look` for its value. Trait impls only.
macro_rules! as_std_locks {
    ($lock:ident) => {
        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $lock<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut words = f.debug_struct(stringify!($lock));
                match self.look() {
                    Some(value) => words.field("data", &&*value),
                    None => words.field("data", &format_args!("<locked>")),
                };
                words
                    .field("poisoned", &self.is_poisoned())
                    .finish_non_exhaustive()
            }
        }

        impl<T: Default> Default for $lock<T> {
            #[track_caller]
            fn default() -> $lock<T> {
                $lock::new(T::default())
            }
        }

        impl<T> From<T> for $lock<T> {
            #[track_caller]
            fn from(value: T) -> $lock<T> {
                $lock::new(value)
            }
        }

        // What a panic may have left half-done is told by poison.
        impl<T: ?Sized> std::panic::UnwindSafe for $lock<T> {}
        impl<T: ?Sized> std::panic::RefUnwindSafe for $lock<T> {}
    };
}

pub(super) use {as_std_guards, as_std_locks};
