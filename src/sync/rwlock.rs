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
use crate::hub::wait::{Place, WaitList};
use crate::switch::subject::Subject;

/// A value that many may read or one may change, also across waits.
///
/// # Differences from std
/// Neither `Send` nor `Sync`. Fair to both sides. Poisoned as [`Mutex`](super::Mutex) is, by writers: too much rather
/// than too little while another greenlet waits in the middle of its unwinding, but for what is locked meanwhile.
#[repr(C)]
pub struct RwLock<T: ?Sized> {
    gate: Gate,
    poison: Poison,
    value: RefCell<T>,
}

/// Who is in, and who waits at which door. The holder of both lists is the writer, and that of those who want to write
/// also the reader, if there is one alone.
struct Gate {
    readers: Cell<usize>,
    /// The numbers of all readers, one upon the other (exclusive or): of one alone it is the number.
    their_numbers: Cell<u64>,
    /// The number of who writes, or 0.
    writer: Cell<u64>,
    to_read: WaitList<(), Subject>,
    to_write: WaitList<(), Subject>,
}

fn my_number() -> u64 {
    Hub::here().thread().current().id
}

impl Gate {
    #[track_caller]
    const fn new() -> Gate {
        Gate {
            readers: Cell::new(0),
            their_numbers: Cell::new(0),
            writer: Cell::new(0),
            to_read: WaitList::within(offset_of!(Gate, to_read), size_of::<Gate>()),
            to_write: WaitList::within(offset_of!(Gate, to_write), size_of::<Gate>()),
        }
    }

    /// In whose name one has come in, if so.
    fn try_read(&self) -> Option<u64> {
        let open = self.writer.get() == 0 && !self.to_write.has_parked();
        open.then(|| self.let_me_read())
    }

    /// One comes in, and is told in whose name.
    fn let_me_read(&self) -> u64 {
        let who = my_number();
        self.let_read(who);
        who
    }

    fn try_write(&self) -> bool {
        let free = self.writer.get() == 0 && self.readers.get() == 0;
        if free {
            self.let_write(my_number());
        }
        free
    }

    /// Returns in whose name one has come in.
    fn read(&self) -> u64 {
        loop {
            if let Some(who) = self.try_read() {
                return who;
            }
            let (hub, who) = (Hub::here(), my_number());
            let give_back = || self.leave_read(who);
            let purpose = &"waits to read what is locked";
            let _bound = hub.bind();
            if self
                .to_read
                .wait_at(Place::Last, hub, purpose, None, give_back)
            {
                return who;
            }
        }
    }

    fn write(&self) {
        while !self.try_write() {
            let hub = Hub::here();
            let gone = Gone(self);
            let give_back = || self.leave_write();
            let purpose = &"waits to write what is locked";
            let _bound = hub.bind();
            let called = self
                .to_write
                .wait_at(Place::Last, hub, purpose, None, give_back);
            std::mem::forget(gone);
            if called {
                return;
            }
        }
    }

    fn leave_read(&self, who: u64) {
        self.readers.set(self.readers.get() - 1);
        self.note_reader(who);
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

    fn let_read(&self, who: u64) {
        self.readers.set(self.readers.get() + 1);
        self.note_reader(who);
    }

    /// One has come, or gone.
    fn note_reader(&self, who: u64) {
        self.their_numbers.set(self.their_numbers.get() ^ who);
        self.say_who_is_in();
    }

    fn let_write(&self, who: u64) {
        self.writer.set(who);
        self.say_who_is_in();
    }

    fn say_who_is_in(&self) {
        let writer = self.writer.get();
        self.to_read.holder().set(writer);
        self.to_write.holder().set(match self.readers.get() {
            1 if writer == 0 => self.their_numbers.get(),
            _ => writer,
        });
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
        while !self.to_read.is_empty()
            && let Some(who) = self.to_read.call_one(Hub::here())
        {
            self.let_read(who);
        }
        self.readers.get() > before
    }
}

/// A writer that waits. If it is raised in, the readers behind it wait for nobody, unless there is another one.
struct Gone<'a>(&'a Gate);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if self.0.writer.get() == 0 && !self.0.to_write.has_parked() {
            self.0.waiting_readers();
        }
    }
}

/// The right to read the value of a [`RwLock`].
#[must_use = "dropped at once, it unlocks at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    who: u64,
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
        let who = self.gate.read();
        self.poison.result(self.read_guard(who))
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
        let Some(who) = self.gate.try_read() else {
            return Err(TryLockError::WouldBlock);
        };
        Ok(self.poison.result(self.read_guard(who))?)
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

    fn read_guard(&self, who: u64) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard {
            lock: self,
            who,
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

    fn look(&self) -> Option<Ref<'_, T>> {
        self.value.try_borrow().ok()
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
        let who = lock.gate.let_me_read();
        // It leaves, and finds a reader there.
        drop(guard);
        lock.read_guard(who)
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.gate.leave_read(self.who);
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
