//! `std::sync::Mutex` for greenlets of one thread.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, TryLockError, TryLockResult};

use super::lock::{Calm, Lock, as_std_guards, as_std_locks};
use crate::switch::thread::Thread;

/// A value that one greenlet at a time may use, also across waits.
///
/// It is handed on in order of arrival. Without waits in between no greenlet of one thread sees another at work,
/// so a `RefCell` is enough there; this is for changes that wait half-way.
///
/// ```
/// use greenlet::sync::Mutex;
///
/// let balance = Mutex::new(100);
/// greenlet::scope(|scope| {
///     for _ in 0..3 {
///         scope.spawn(|| {
///             let mut balance = balance.lock().unwrap();
///             let read = *balance;
///             greenlet::yield_now();
///             *balance = read - 10;
///         });
///     }
/// });
/// assert_eq!(*balance.lock().unwrap(), 70);
/// ```
///
/// It stays on its thread; see [`remote::Mutex`](super::remote) for one that does not.
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<greenlet::sync::Mutex<()>>();
/// ```
///
/// # Differences from std
/// Neither `Send` nor `Sync`. Fair. Locking it twice panics at once; a guard counts for the greenlet that took it, wherever
/// it is by then. It is poisoned when a greenlet unwinds that has it, also by a kill or a deadline; for an exception see
/// [caveats](crate::manual::caveats).
pub struct Mutex<T: ?Sized> {
    lock: Lock,
    value: UnsafeCell<T>,
}

/// The right to use the value of a [`Mutex`]. There is one for each time that the lock was taken.
///
/// It unlocks when it is dropped, which is once:
///
/// ```compile_fail,E0382
/// let mutex = greenlet::sync::Mutex::new(1);
/// let guard = mutex.lock().unwrap();
/// drop(guard);
/// drop(guard);
/// ```
#[must_use = "dropped at once, it unlocks at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    calm: Calm,
}

impl<T> Mutex<T> {
    /// One that is not locked.
    #[track_caller]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            lock: Lock::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// The value, if it is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        let Mutex { lock, value } = self;
        lock.poison().result(value.into_inner())
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
    #[inline(always)]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.lock.acquire();
        self.lock.poison().result(self.guard())
    }

    /// The right to use the value, if nobody has it.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If it is locked; the guard, if it is poisoned.
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if !self.lock.try_acquire() {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.lock.poison().result(self.guard())?)
    }

    /// For one that has just taken the lock: a guard for each time that `Lock` gives it away.
    #[inline(always)]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            calm: Calm::now(),
        }
    }

    /// The value, which nobody else can have.
    ///
    /// # Errors
    /// The reference, if it is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.lock.poison().result(self.value.get_mut())
    }

    /// Whether a greenlet has unwound that had it.
    pub fn is_poisoned(&self) -> bool {
        self.lock.poison().get()
    }

    /// Says that the value is good again.
    pub fn clear_poison(&self) {
        self.lock.poison().clear();
    }

    fn look(&self) -> Option<MutexGuard<'_, T>> {
        (Thread::is_possible() && self.lock.try_acquire()).then(|| self.guard())
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

/// Unlocks. The next one runs later, when the value has been let go of.
impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.mutex.lock.poison().leave(self.calm);
        self.mutex.lock.release();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: whoever has a guard has the lock (`guard`), and lends the value no longer than the guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; and the guard is borrowed for as long, so there is no other reference.
        unsafe { &mut *self.mutex.value.get() }
    }
}

as_std_guards!(MutexGuard);
as_std_locks!(Mutex);
