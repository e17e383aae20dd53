//! `std::sync::RwLock` for greenlets of one thread.
//!
//! Readers and writers take turns: while a writer waits no further reader comes in, and when a writer leaves, the
//! readers that wait by then come before the next writer. So neither starves.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::mem::offset_of;
use std::ops::{Deref, DerefMut};
use std::sync::{LockResult, TryLockError, TryLockResult};

use super::lock::{Calm, Poison, as_std_guards, as_std_locks};
use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Party;

/// A value that many may read or one may change, also across waits.
///
/// # Differences from std
/// Neither `Send` nor `Sync`. Fair to both sides. Poisoned as [`Mutex`](super::Mutex) is, by writers.
#[repr(C)]
pub struct RwLock<T: ?Sized> {
    gate: Gate,
    poison: Poison,
    value: RefCell<T>,
}

/// Who is in, and who waits at which door. Those who want to write wait for the writer, or for all readers; those who
/// want to read for the writer, or for those who want to write: if one of these never can, none of them can.
struct Gate {
    readers: Cell<usize>,
    /// The number of who writes, or 0.
    writer: Cell<u64>,
    /// The party are those who want to write.
    to_read: WaitList<(), Party>,
    /// The party are the readers.
    to_write: WaitList<(), Party>,
}

/// A reader's place among those who have the lock.
type Place = u32;

fn my_number() -> u64 {
    Hub::here().thread().current().id
}

impl Gate {
    #[track_caller]
    const fn new() -> Gate {
        Gate {
            readers: Cell::new(0),
            writer: Cell::new(0),
            to_read: WaitList::of_all_within(offset_of!(Gate, to_read), size_of::<Gate>()),
            to_write: WaitList::of_all_within(offset_of!(Gate, to_write), size_of::<Gate>()),
        }
    }

    fn try_read(&self) -> Option<Place> {
        let open = self.writer.get() == 0 && !self.to_write.has_parked();
        open.then(|| self.let_me_read())
    }

    fn let_me_read(&self) -> Place {
        let place = self.take_place();
        self.let_one_read();
        place
    }

    /// The one who runs reads from now on.
    fn take_place(&self) -> Place {
        self.to_write.all().enter(my_number())
    }

    fn try_write(&self) -> bool {
        let free = self.writer.get() == 0 && self.readers.get() == 0;
        if free {
            self.let_write(my_number());
        }
        free
    }

    fn read(&self) -> Place {
        loop {
            if let Some(place) = self.try_read() {
                return place;
            }
            let hub = Hub::here();
            let give_back = || self.let_one_go();
            let purpose = &"waits to read what is locked";
            hub.bind();
            if self.to_read.wait_or(hub, purpose, None, give_back) {
                return self.take_place();
            }
        }
    }

    fn write(&self) {
        while !self.try_write() {
            let hub = Hub::here();
            let wants = Wants::to_write(self);
            let give_back = || self.leave_write();
            let purpose = &"waits to write what is locked";
            hub.bind();
            let called = self.to_write.wait_or(hub, purpose, None, give_back);
            wants.no_more();
            if called {
                return;
            }
        }
    }

    fn leave_read(&self, place: Place) {
        self.to_write.all().leave(place);
        self.let_one_go();
    }

    /// A reader leaves, or one that was let in and never came.
    fn let_one_go(&self) {
        self.readers.set(self.readers.get() - 1);
        if self.readers.get() == 0 && !self.next_writer() {
            self.waiting_readers();
        }
    }

    fn leave_write(&self) {
        self.let_write(0);
        if !self.waiting_readers() && self.readers.get() == 0 {
            self.next_writer();
        }
    }

    fn let_one_read(&self) {
        self.readers.set(self.readers.get() + 1);
    }

    fn let_write(&self, who: u64) {
        self.writer.set(who);
        self.to_read.holder().set(who);
        self.to_write.holder().set(who);
    }

    fn next_writer(&self) -> bool {
        if self.to_write.is_empty() {
            return false;
        }
        let next = self.to_write.call_one(Hub::here());
        next.into_iter().for_each(|who| self.let_write(who));
        next.is_some()
    }

    /// Lets all in who wait to read by now; false if nobody does.
    fn waiting_readers(&self) -> bool {
        let before = self.readers.get();
        while !self.to_read.is_empty() && self.to_read.call_one(Hub::here()).is_some() {
            self.let_one_read();
        }
        self.readers.get() > before
    }
}

/// A writer that waits. If it is raised in, the readers behind it wait for nobody, unless there is another one.
struct Wants<'a> {
    gate: &'a Gate,
    place: Place,
}

impl<'a> Wants<'a> {
    fn to_write(gate: &'a Gate) -> Wants<'a> {
        Wants {
            gate,
            place: gate.to_read.all().enter(my_number()),
        }
    }

    fn no_more(self) {
        self.leave();
        std::mem::forget(self);
    }

    fn leave(&self) {
        self.gate.to_read.all().leave(self.place);
    }
}

impl Drop for Wants<'_> {
    fn drop(&mut self) {
        self.leave();
        let Gate {
            writer, to_write, ..
        } = self.gate;
        if writer.get() == 0 && !to_write.has_parked() {
            self.gate.waiting_readers();
        }
    }
}

/// The right to read the value of a [`RwLock`].
#[must_use = "dropped at once, it unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    gate: &'a Gate,
    place: Place,
    value: Ref<'a, T>,
}

/// The right to change the value of a [`RwLock`].
#[must_use = "dropped at once, it unlocks at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    calm: Calm,
    value: RefMut<'a, T>,
}

impl<T> RwLock<T> {
    /// One that is not locked.
    #[track_caller]
    pub const fn new(value: T) -> RwLock<T> {
        RwLock {
            gate: Gate::new(),
            poison: Poison::new(),
            value: RefCell::new(value),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// The value, if it is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        let RwLock { poison, value, .. } = self;
        poison.result(value.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until the value may be read.
    ///
    /// # Parks
    /// Only if somebody writes, or waits to.
    ///
    /// # Cancellation
    /// It is not locked.
    ///
    /// # Errors
    /// The guard, if it is poisoned.
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let place = self.gate.read();
        self.poison.result(self.read_guard(place))
    }

    /// Waits until the value may be changed.
    ///
    /// # Parks
    /// Only if it is locked.
    ///
    /// # Cancellation
    /// It is not locked.
    ///
    /// # Errors
    /// The guard, if it is poisoned.
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.gate.write();
        self.poison.result(self.write_guard())
    }

    /// The right to read, if nobody writes or waits to.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If it cannot be read now; the guard, if it is poisoned.
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let Some(place) = self.gate.try_read() else {
            return Err(TryLockError::WouldBlock);
        };
        Ok(self.poison.result(self.read_guard(place))?)
    }

    /// The right to change, if it is not locked.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If it is locked; the guard, if it is poisoned.
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if !self.gate.try_write() {
            return Err(TryLockError::WouldBlock);
        }
        Ok(self.poison.result(self.write_guard())?)
    }

    fn read_guard(&self, place: Place) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard {
            gate: &self.gate,
            place,
            value: self.value.borrow(),
        }
    }

    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard {
            lock: self,
            calm: Calm::now(),
            value: self.value.borrow_mut(),
        }
    }

    /// The value, which nobody else can have.
    ///
    /// # Errors
    /// The reference, if it is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.poison.result(self.value.get_mut())
    }

    /// Whether a greenlet has unwound that could change it.
    pub fn is_poisoned(&self) -> bool {
        self.poison.get()
    }

    /// Says that the value is good again.
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// As everybody who reads: whoever shows the value may wait.
    fn look(&self) -> Option<RwLockReadGuard<'_, T>> {
        let place = self.gate.try_read()?;
        Some(self.read_guard(place))
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns it into the right to read, without a moment in which somebody else might write. Others who wait to read
    /// come in as well.
    ///
    /// # Parks
    /// No.
    pub fn downgrade(guard: RwLockWriteGuard<'a, T>) -> RwLockReadGuard<'a, T> {
        let lock = guard.lock;
        let place = lock.gate.let_me_read();
        // It leaves, and finds a reader there.
        drop(guard);
        lock.read_guard(place)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.gate.leave_read(self.place);
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.poison.leave(self.calm);
        self.lock.gate.leave_write();
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

as_std_guards!(RwLockReadGuard);
as_std_guards!(RwLockWriteGuard);
as_std_locks!(RwLock);
