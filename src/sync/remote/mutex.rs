//! `std::sync::Mutex` for greenlets of all threads.
//!
//! Whose turn it is says a semaphore with one permit. The value lies in a mutex of std, which whoever has the
//! permit finds unlocked. Who has it is written down, for one that would wait for itself. The poison is ours: std does not
//! know which greenlet unwinds.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{self, LockResult, PoisonError, TryLockError, TryLockResult};

use super::{Permit, Semaphore, myself};
use crate::hub::Hub;
use crate::switch::subject::Holder;
use crate::sync::lock::{Calm, or_poisoned};

/// A value that one greenlet at a time may use, of all threads, also across waits, in order of arrival.
///
/// ```
/// use greenlet::sync::remote::Mutex;
///
/// static TOTAL: Mutex<u32> = Mutex::new(0);
/// let thread = std::thread::spawn(|| *TOTAL.lock().unwrap() += 1);
/// *TOTAL.lock().unwrap() += 1;
/// thread.join().unwrap();
/// assert_eq!(*TOTAL.lock().unwrap(), 2);
/// ```
pub struct Mutex<T: ?Sized> {
    turn: Semaphore,
    /// Whoever has the turn writes it.
    poisoned: AtomicBool,
    value: sync::Mutex<T>,
}

/// The right to use the value of a [`Mutex`].
#[must_use = "dropped at once, it unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    // The value is let go of before the turn ends.
    value: sync::MutexGuard<'a, T>,
    holder: &'a Holder,
    poisoned: &'a AtomicBool,
    calm: Calm,
    _turn: Permit<'a>,
}

impl<T> Mutex<T> {
    /// One that is not locked.
    #[track_caller]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            turn: Semaphore::new(1),
            poisoned: AtomicBool::new(false),
            value: sync::Mutex::new(value),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// The value, if it is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        let poisoned = self.poisoned.into_inner();
        or_poisoned(value_of(self.value.into_inner()), poisoned)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until it is this greenlet's turn to have the value.
    ///
    /// # Parks
    /// Only if it is locked.
    ///
    /// # Cancellation
    /// It is not locked.
    ///
    /// # Errors
    /// The guard, if it is poisoned.
    ///
    /// # Panics
    /// If this greenlet has locked it already.
    /// And as [all that waits here](super#panics).
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let turn = self.turn.try_acquire().unwrap_or_else(|| {
            assert!(
                self.turn.holder().get() != myself(),
                "{} locks a mutex that it has locked already: it would wait for ever; drop the guard first",
                Hub::here().thread().current()
            );
            self.turn.acquire_alone()
        });
        self.guard(turn)
    }

    /// The right to use the value, if nobody has it.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If it is locked; the guard, if it is poisoned.
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let turn = self.turn.try_acquire().ok_or(TryLockError::WouldBlock)?;
        Ok(self.guard(turn)?)
    }

    fn guard<'a>(&'a self, turn: Permit<'a>) -> LockResult<MutexGuard<'a, T>> {
        self.turn.holder().set(myself());
        let guard = MutexGuard {
            value: value_of(self.value.lock()),
            holder: self.turn.holder(),
            poisoned: &self.poisoned,
            calm: Calm::now(),
            _turn: turn,
        };
        or_poisoned(guard, self.is_poisoned())
    }

    /// The value, which nobody else can have.
    ///
    /// # Errors
    /// The reference, if it is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let poisoned = self.is_poisoned();
        or_poisoned(value_of(self.value.get_mut()), poisoned)
    }

    /// Whether somebody has unwound that had it.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Relaxed)
    }

    /// Says that the value is good again.
    pub fn clear_poison(&self) {
        self.poisoned.store(false, Relaxed);
    }
}

/// Also if std calls it poisoned.
fn value_of<V>(locked: LockResult<V>) -> V {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// Unlocks.
impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.calm.is_over() {
            self.poisoned.store(true, Relaxed);
        }
        self.holder.set(0);
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = f.debug_struct("Mutex");
        match self.turn.try_acquire() {
            Some(_turn) => words.field("data", &&*value_of(self.value.lock())),
            None => words.field("data", &format_args!("<locked>")),
        };
        words
            .field("poisoned", &self.is_poisoned())
            .finish_non_exhaustive()
    }
}

impl<T: Default> Default for Mutex<T> {
    #[track_caller]
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    #[track_caller]
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}
