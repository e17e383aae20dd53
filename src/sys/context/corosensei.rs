//! The portable backend: corosensei's coroutines, made symmetric by a dispatch loop.
//!
//! corosensei is asymmetric: a coroutine can only suspend to whoever resumed it. So a switch between two
//! contexts suspends to a loop on the native stack, with the target as its message, and the loop resumes
//! the target: two stack changes for one switch.
//!
//! ```text
//!   native stack:   switch(main, a) ─▶ loop { next = resume(next) until next is the native context }
//!   context a:      switch(a, b)    ─▶ suspend(b)      entry returns c ─▶ the loop goes on with c
//! ```

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::mem;
use std::ptr;

use corosensei::stack::{Stack as CorosenseiStack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::Entry;
use crate::sys::frames::Registers;
use crate::sys::stack::Stack;

/// The name of this backend.
pub(crate) const NAME: &str = "corosensei";
/// Whether what a signal has interrupted can be walked, wherever in a switch that was.
pub(crate) const CAN_WALK: bool = false;
/// Whether all contexts run on one OS thread.
pub(crate) const SHARES_THREAD: bool = true;
/// [`Context::fetch`] does nothing.
pub(crate) const FETCHES: bool = false;

type Target = *const Context;
/// Suspends with whom to resume, and returns whom to resume last.
type Body = Coroutine<(), Target, Target, Bounds>;

/// A coroutine, or the loop that resumes them (the native context has no coroutine).
pub(crate) struct Context {
    coroutine: UnsafeCell<Option<Box<Body>>>,
    yielder: Cell<*const Yielder<(), Target>>,
}

impl Context {
    pub(crate) fn native() -> Context {
        Context::unbound()
    }

    pub(crate) fn unbound() -> Context {
        Context {
            coroutine: UnsafeCell::new(None),
            yielder: Cell::new(ptr::null()),
        }
    }

    /// See the contract in [`super`].
    ///
    /// # Safety
    /// `stack` is used by no other context, and stays mapped until this context has been released.
    pub(crate) unsafe fn bind(
        &self,
        stack: &Stack,
        entry: Entry,
        arg: *const (),
    ) -> io::Result<()> {
        let this: *const Context = self;
        let body = move |yielder: &Yielder<(), Target>, ()| {
            // SAFETY: the context does not move and lives until it is released, which is after the end
            // of this body (contract of `bind`); `entry` is called once, on its own stack.
            unsafe {
                (*this).yielder.set(yielder);
                entry(arg)
            }
        };
        // SAFETY: the bounds are those of `stack`, which stays mapped (caller's promise). What `body`
        // borrows lives until `release`.
        let coroutine = unsafe { Coroutine::with_stack_unchecked(Bounds::of(stack), body) };
        // SAFETY: nothing runs in this context yet, so nobody else refers into the cell.
        unsafe { *self.coroutine.get() = Some(Box::new(coroutine)) };
        Ok(())
    }

    /// See the contract in [`super`].
    ///
    /// # Safety
    /// As for `direct::Context::switch`.
    #[inline]
    pub(crate) unsafe fn switch(from: *const Context, to: *const Context) {
        // SAFETY: `from` runs, so it lives.
        let yielder = unsafe { (*from).yielder.get() };
        if yielder.is_null() {
            // SAFETY: `from` is native, so this is the native stack; `to` is at rest (caller's promise).
            unsafe { dispatch(from, to) }
        } else {
            // SAFETY: `from` runs (caller's promise), so its yielder is alive on this very stack.
            unsafe { (*yielder).suspend(to) }
        }
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
        self.yielder.set(ptr::null());
        // SAFETY: nothing runs in the context any more (caller's promise).
        drop(unsafe { (*self.coroutine.get()).take() });
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
    /// Nobody switches to it again, and its stack is never used again.
    pub(crate) unsafe fn abandon(&self) {
        // SAFETY: it never runs again (caller's promise); forgetting it keeps corosensei from unwinding it.
        mem::forget(unsafe { (*self.coroutine.get()).take() });
    }
}

/// Resumes one context after the other until it is the native one's turn.
///
/// # Safety
/// Runs on the native stack; every context that comes back is at rest and alive.
unsafe fn dispatch(native: Target, first: Target) {
    let mut next = first;
    while !ptr::eq(next, native) {
        // SAFETY: `next` is at rest, so nobody else refers to its coroutine; it is bound (floor 1 binds
        // before it switches). The reference ends when the resume returns.
        next = unsafe {
            let coroutine = (*(*next).coroutine.get())
                .as_mut()
                .expect("a context at rest is bound");
            match coroutine.resume(()) {
                CoroutineResult::Yield(target) | CoroutineResult::Return(target) => target,
            }
        };
    }
}

/// The bounds of one of our stacks, in corosensei's terms. The stack itself stays with its greenlet.
struct Bounds {
    top: StackPointer,
    limit: StackPointer,
}

impl Bounds {
    fn of(stack: &Stack) -> Bounds {
        let pointer =
            |p: *mut u8| StackPointer::new(p as usize).expect("a mapped address is not null");
        Bounds {
            top: pointer(stack.top()),
            limit: pointer(stack.limit()),
        }
    }
}

// SAFETY: the region is mapped, larger than the minimum and ends in a guard (`sys::stack`).
unsafe impl CorosenseiStack for Bounds {
    fn base(&self) -> StackPointer {
        self.top
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}
