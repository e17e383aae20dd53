//! The oracle: an OS thread for each context, of which the one that holds the baton runs.
//!
//! Slow and obviously right: there is no assembly here and no stack of ours, so Miri and ThreadSanitizer
//! understand all of it. The pointer of [`local`] moves with the baton. A program's own thread-locals do
//! not, and neither does `std::thread::current()`.

use std::cell::UnsafeCell;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use super::Entry;
use crate::sys::frames::Registers;
use crate::sys::local;
use crate::sys::stack::Stack;

/// The name of this backend.
pub(crate) const NAME: &str = "baton";
/// Whether what a signal has interrupted can be walked, wherever in a switch that was.
pub(crate) const CAN_WALK: bool = false;
/// Whether all contexts run on one OS thread.
pub(crate) const SHARES_THREAD: bool = false;
/// [`Context::fetch`] does nothing.
pub(crate) const FETCHES: bool = false;

/// What an OS thread needs of its stack for itself, and sanitizers for their larger frames; in bytes.
const ROOM: usize = 1 << 20;

/// A context is a thread and the baton it waits for.
pub(crate) struct Context {
    baton: Arc<Baton>,
    thread: UnsafeCell<Option<JoinHandle<()>>>,
}

impl Context {
    pub(crate) fn native() -> Context {
        Context::unbound()
    }

    pub(crate) fn unbound() -> Context {
        Context {
            baton: Arc::default(),
            thread: UnsafeCell::new(None),
        }
    }

    /// See the contract in [`super`].
    ///
    /// # Safety
    /// This context is bound once, and lives until it has been released or abandoned.
    pub(crate) unsafe fn bind(
        &self,
        stack: &Stack,
        entry: Entry,
        arg: *const (),
    ) -> io::Result<()> {
        let baton = Arc::clone(&self.baton);
        let pointers = Pointers(local::get(), arg);
        let thread = thread::Builder::new()
            .stack_size(stack.size() + ROOM)
            .spawn(move || {
                baton.wait();
                let Pointers(thread, arg) = { pointers };
                local::set(thread);
                // SAFETY: called once, on the thread that stands for this context (contract of `bind`).
                let next = unsafe { entry(arg) };
                // SAFETY: the next context is at rest and alive (contract of `Entry`). Its baton is
                // held by an own count: the context itself may be gone as soon as it is passed.
                let next = unsafe { Arc::clone(&(*next).baton) };
                next.pass();
            })?;
        // SAFETY: nothing runs in this context yet, and only this OS thread holds the baton.
        unsafe { *self.thread.get() = Some(thread) };
        Ok(())
    }

    /// See the contract in [`super`].
    ///
    /// # Safety
    /// As for `direct::Context::switch`.
    pub(crate) unsafe fn switch(from: *const Context, to: *const Context) {
        // SAFETY: both live until the baton has been passed (caller's promise); their batons have counts of
        // their own, because a context may be gone as soon as another one runs.
        let (mine, theirs) = unsafe { (Arc::clone(&(*from).baton), Arc::clone(&(*to).baton)) };
        theirs.pass();
        mine.wait();
    }

    /// The registers it goes on with: nobody but the backend's own code knows them.
    ///
    /// # Safety
    /// None here.
    pub(crate) unsafe fn registers(&self) -> Option<Registers> {
        None
    }

    /// See the contract in [`super`].
    ///
    /// # Safety
    /// The context has ended.
    pub(crate) unsafe fn release(&self) {
        // SAFETY: the thread of this context passed its baton on for good (caller's promise).
        if let Some(thread) = unsafe { (*self.thread.get()).take() } {
            thread.join().expect("an entry does not unwind");
        }
    }

    /// Nothing to fetch here.
    ///
    /// # Safety
    /// None needed.
    pub(crate) unsafe fn look_ahead<const NEXT: usize>(_near: *const ()) {}

    /// Nothing to fetch here.
    pub(crate) fn fetch(_line: *const ()) {}

    /// Nothing to fetch here.
    ///
    /// # Safety
    /// None needed.
    pub(crate) unsafe fn look_ahead_to<const LINES: usize>(_near: *const Context) {}

    /// See the contract in [`super`].
    ///
    /// # Safety
    /// Nobody switches to it again.
    pub(crate) unsafe fn abandon(&self) {
        // SAFETY: only the holder of the baton touches contexts. The thread waits for ever.
        drop(unsafe { (*self.thread.get()).take() });
    }
}

/// What a context needs to know of the thread it stands in for.
struct Pointers(*const (), *const ());

// SAFETY: only the OS thread that holds the baton follows them.
unsafe impl Send for Pointers {}

#[derive(Default)]
struct Baton {
    here: Mutex<bool>,
    moved: Condvar,
}

impl Baton {
    fn pass(&self) {
        *self.here.lock().expect("nothing panics under this lock") = true;
        self.moved.notify_one();
    }

    fn wait(&self) {
        let mut here = self.here.lock().expect("nothing panics under this lock");
        while !*here {
            here = self
                .moved
                .wait(here)
                .expect("nothing panics under this lock");
        }
        *here = false;
    }
}
