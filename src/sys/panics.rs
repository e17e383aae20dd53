//! std's panic count, taken along by whoever leaves a thread in the middle of an unwinding.
//!
//! std counts for each OS thread how many panics are on their way, and `thread::panicking()` asks whether that is zero. A
//! context that is left in the middle of an unwinding leaves its share of the count behind: then everybody else on that
//! thread seems to unwind, a lock that is dropped there is poisoned, and nobody can tell any more in whom something may be
//! raised. So its share is [set aside](set_aside) when it leaves, and [counted again](Aside::count) when it goes on.
//!
//! std lets nobody write to the count. It goes up where an unwinding begins, and down where one is caught: on whichever
//! thread that is. So what is moved are unwindings. A [`Loan`] is a context that waits in a destructor in the middle of an
//! unwinding of its own, and nobody needs the thread that it began on:
//!
//! ```text
//!                          count of the thread                         count of the lender
//!                                                 a loan is begun        0 → 1
//!   unwinds, and leaves      1 → 0                 ◀── the loan ends here ──╯
//!   others run               0      panicking() is false for them
//!   goes on                  0 → 1  a loan is begun here, and kept for the next who leaves
//!   has unwound              1 → 0
//! ```
//!
//! The first loans are begun on a thread of their own, the lender, which takes them back when nobody has needed them for
//! [a while](IDLE), gives their memory back, and ends. Where there is no loan to be had, the count stays where it is, and
//! whoever leaves is told.
//!
//! The flag by which std notices a panic within a panic hook is of the thread as well. It is down when a hook goes on that
//! has let others run: then a panic in it calls the hook again, where std aborts.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, panicking};
use std::time::Duration;

use super::context::Context;
use super::fork::{self, Own};
use super::lock::lock;
use super::stack::{Pages, Stack, Stacks};
use super::tasks;

/// A loan has so much stack, in bytes. In a release build the unwinder touches little more than a page of it.
const STACK: usize = 64 * 1024;
/// No greenlet is in the middle of so many unwindings at once: if there seem to be more, std counts in another way.
pub(crate) const MOST: u8 = 100;
/// The lender begins at most so many loans at once.
const AT_ONCE: usize = 256;
/// The lender takes back what nobody has needed for so long.
const IDLE: Duration = Duration::from_secs(1);

/// A share of the panic count that has been set aside: a loan that has ended for each.
pub(crate) struct Aside(Vec<&'static Loan>);

/// Takes everything off the panic count of this thread, on which `here` runs. None if that cannot be done: then it is as
/// it was.
#[cold]
pub(crate) fn set_aside(here: &Context) -> Option<Aside> {
    let mut aside = Aside(Vec::new());
    while panicking() {
        let can_be = aside.depth() < MOST;
        let Some(loan) = can_be.then(|| lender().borrow()).flatten() else {
            aside.count(here);
            return None;
        };
        loan.end(here);
        aside.0.push(loan);
    }
    Some(aside)
}

impl Aside {
    /// In the middle of how many unwindings that was: of one, and of one more for each that a destructor has begun in
    /// between.
    pub(crate) fn depth(&self) -> u8 {
        u8::try_from(self.0.len()).expect("there are at most so many")
    }

    /// Puts it back on the count of this thread, on which `here` runs.
    #[cold]
    pub(crate) fn count(mut self, here: &Context) {
        for loan in self.0.drain(..) {
            loan.begin(here);
            lender().keep(loan);
        }
    }
}

/// Whoever it was of never goes on.
impl Drop for Aside {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|loan| lender().write_off(loan));
    }
}

/// An unwinding that counts on the thread that it is begun on, until it is ended on any other. What is left of one that is
/// not needed any more has no stack, and is used again.
struct Loan {
    context: Context,
    stack: Cell<Option<Stack>>,
    /// Who has begun it, or ends it.
    back: Cell<*const Context>,
    /// Its process has been forked so often when it was made.
    forks: u32,
}

// SAFETY: it is begun, kept and ended by one thread after the other: it passes between them under the lock of the books.
// Nothing on its stack belongs to a thread: there are frames of this module, of the unwinder and of `catch_unwind`, of
// which the last takes one off the count of the thread that it runs on.
unsafe impl Send for Loan {}
// SAFETY: as above: only one has it at a time.
unsafe impl Sync for Loan {}

impl Loan {
    fn new() -> &'static Loan {
        Box::leak(Box::new(Loan {
            context: Context::unbound(),
            stack: Cell::new(None),
            back: Cell::new(ptr::null()),
            forks: fork::count(),
        }))
    }

    /// Whether it stands in the books of this process, and not of one that this is a child of.
    fn is_ours(&self) -> bool {
        self.forks == fork::count()
    }

    /// One more on the count of this thread.
    fn begin(&'static self, here: &Context) {
        self.back.set(here);
        let stack = self
            .stack
            .take()
            .expect("whoever begins it has given it one");
        let argument = ptr::from_ref(self).cast();
        // SAFETY: the stack is its own, and nothing is on it: it is new, or the loan has ended. It stays until the next end.
        let bound = unsafe { self.context.bind(&stack, unwind, argument) };
        bound.expect("a context that shares its thread needs nothing but a stack");
        self.stack.set(Some(stack));
        // SAFETY: `here` runs (caller's promise); the context has just been bound, and comes back from `Wait::drop`.
        unsafe { Context::switch(here, &raw const self.context) };
    }

    /// One less on the count of this thread. It has been begun.
    fn end(&'static self, here: &Context) {
        self.back.set(here);
        // SAFETY: `here` runs (caller's promise); the context waits in `Wait::drop`, comes back at its end, and runs no
        // more.
        unsafe {
            Context::switch(here, &raw const self.context);
            self.context.release();
        }
    }
}

/// What a loan does: it unwinds, and waits in the middle of that.
unsafe fn unwind(loan: *const ()) -> *const Context {
    // SAFETY: bound with a loan, which is never freed.
    let loan: &'static Loan = unsafe { &*loan.cast::<Loan>() };
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _wait = Wait(loan);
        begin_to_unwind()
    }));
    drop(unwound);
    loan.back.get()
}

/// A function of its own: where the count of one thread lies must not be remembered for that of another.
#[inline(never)]
fn begin_to_unwind() {
    resume_unwind(Box::new(()))
}

struct Wait(&'static Loan);

impl Drop for Wait {
    fn drop(&mut self) {
        // SAFETY: the loan runs; whoever has begun it waits in `begin`.
        unsafe { Context::switch(&raw const self.0.context, self.0.back.get()) };
    }
}

/// Where loans are kept, and the thread that begins the first ones.
#[derive(Default)]
struct Lender {
    books: Mutex<Books>,
    changed: Condvar,
}

/// Of the loans that were begun by the lender, each has been begun and is kept here, or has ended and is somebody's share.
#[derive(Default)]
struct Books {
    /// Those that have been begun, and can be ended by whoever needs that.
    begun: Vec<&'static Loan>,
    /// Those that have ended and are nobody's, for the next time.
    ended: Vec<&'static Loan>,
    /// So many were begun by the lender and have not been ended by it.
    lent: usize,
    /// Somebody waits for one.
    wanted: bool,
    /// How often there was none.
    refused: usize,
    /// The lender has a thread.
    works: bool,
    vault: Vault,
}

/// The stacks of all loans.
#[derive(Default)]
struct Vault(Stacks);

// SAFETY: it is used under the lock of the books, by one thread at a time.
unsafe impl Send for Vault {}

/// That of this process. The child of a fork begins with empty books: the thread stays with the parent, and may have had
/// the lock.
fn lender() -> &'static Lender {
    static LENDER: Own<Lender> = Own::new();
    LENDER.get()
}

impl Lender {
    /// A loan that has been begun, if one can be had.
    fn borrow(&'static self) -> Option<&'static Loan> {
        let mut books = lock(&self.books);
        let refused = books.refused;
        loop {
            let loan = books.begun.pop();
            if loan.is_some() || books.refused != refused {
                return loan;
            }
            if !books.works {
                self.open()?;
                books.works = true;
            }
            books.wanted = true;
            self.changed.notify_all();
            books = self.wait(books, None).0;
        }
    }

    /// Takes a loan that has been begun, for the next one. One of the parent of a fork is nobody's here, and is left as it
    /// is.
    fn keep(&self, loan: &'static Loan) {
        if loan.is_ours() {
            self.change(|books| books.begun.push(loan));
        }
    }

    /// Takes a loan that has ended and will not be begun any more by whoever had it.
    fn write_off(&self, loan: &'static Loan) {
        if loan.is_ours() {
            self.change(|books| {
                books.ended.push(loan);
                books.lent -= 1;
            });
        }
    }

    /// The lender is told when nobody has a loan any more.
    fn change(&self, change: impl FnOnce(&mut Books)) {
        let mut books = lock(&self.books);
        change(&mut books);
        if books.works && books.are_balanced() {
            self.changed.notify_all();
        }
    }

    /// Starts the thread, if there can be one.
    fn open(&'static self) -> Option<()> {
        let thread = thread::Builder::new().name("greenlet-lender".into());
        thread.spawn(|| self.lend()).ok().map(drop)
    }

    /// What the thread does: begins loans for those who want some, and ends them when nobody has needed any for a while.
    fn lend(&self) {
        let _aside = tasks::stand_aside();
        let here = Context::native();
        let mut books = lock(&self.books);
        loop {
            if books.wanted {
                books.begin_some(&here);
                self.changed.notify_all();
            }
            let patience = books.are_balanced().then_some(IDLE);
            let (woken, in_vain) = self.wait(books, patience);
            books = woken;
            if in_vain && books.are_balanced() && !books.wanted {
                return books.end_all(&here);
            }
        }
    }

    /// Waits for a change of the books; the second is true if `patience` is over.
    fn wait<'a>(
        &self,
        books: MutexGuard<'a, Books>,
        patience: Option<Duration>,
    ) -> (MutexGuard<'a, Books>, bool) {
        let Some(patience) = patience else {
            let woken = self.changed.wait(books);
            return (woken.unwrap_or_else(PoisonError::into_inner), false);
        };
        let woken = self.changed.wait_timeout(books, patience);
        let (woken, outcome) = woken.unwrap_or_else(PoisonError::into_inner);
        (woken, outcome.timed_out())
    }
}

impl Books {
    /// Nobody has a share set aside.
    fn are_balanced(&self) -> bool {
        self.begun.len() == self.lent
    }

    /// Begins a loan, and as many more as have been lent already: where one greenlet waits in the middle of an unwinding,
    /// others may follow.
    fn begin_some(&mut self, here: &Context) {
        self.wanted = false;
        for _ in 0..self.lent.clamp(1, AT_ONCE) {
            let Ok(loan) = self.one_more() else { break };
            loan.begin(here);
            self.begun.push(loan);
            self.lent += 1;
        }
        if self.begun.is_empty() {
            self.refused += 1;
        }
    }

    /// A loan with a stack, to be begun.
    fn one_more(&mut self) -> io::Result<&'static Loan> {
        let loan = self.ended.pop().unwrap_or_else(Loan::new);
        let stack = match loan.stack.take() {
            Some(stack) => Ok(stack),
            None => Pages::checked(STACK).and_then(|pages| self.vault.0.take(pages, 0)),
        };
        match stack {
            Ok(stack) => {
                loan.stack.set(Some(stack));
                Ok(loan)
            }
            Err(error) => {
                self.ended.push(loan);
                Err(error)
            }
        }
    }

    /// Ends all that the lender has begun, by which its count is what it was, and that of the process. Then no loan has
    /// begun, and none is anybody's: the stacks are not needed.
    fn end_all(&mut self, here: &Context) {
        for loan in self.begun.drain(..) {
            loan.end(here);
            self.ended.push(loan);
        }
        let stacks = self.ended.iter().filter_map(|loan| loan.stack.take());
        stacks.for_each(|stack| self.vault.0.put(stack));
        self.vault = Vault::default();
        (self.lent, self.works) = (0, false);
    }
}

#[cfg(all(test, not(any(greenlet_baton, miri))))]
mod tests {
    use super::*;

    /// Runs `f` in a destructor, in the middle of an unwinding.
    fn amid_unwinding(f: impl FnMut()) {
        struct AtLast<F: FnMut()>(F);
        impl<F: FnMut()> Drop for AtLast<F> {
            fn drop(&mut self) {
                (self.0)();
            }
        }
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _last = AtLast(f);
            resume_unwind(Box::new("planted"))
        }));
        assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"planted"));
    }

    #[test]
    fn whoever_unwinds_does_not_seem_to_until_it_goes_on() {
        let here = Context::native();
        amid_unwinding(|| {
            assert!(panicking());
            let aside = set_aside(&here).unwrap();
            assert_eq!(aside.depth(), 1);
            assert!(!panicking());
            aside.count(&here);
            assert!(panicking());
        });
        assert!(!panicking());
    }

    #[test]
    fn there_is_nothing_to_set_aside_for_one_who_does_not_unwind() {
        let here = Context::native();
        let aside = set_aside(&here).unwrap();
        assert_eq!(aside.depth(), 0);
        aside.count(&here);
        assert!(!panicking());
    }

    #[test]
    fn unwindings_within_unwindings_are_counted() {
        let here = Context::native();
        amid_unwinding(|| {
            amid_unwinding(|| {
                let aside = set_aside(&here).unwrap();
                assert_eq!(aside.depth(), 2);
                // Somebody else unwinds meanwhile.
                amid_unwinding(|| {
                    let theirs = set_aside(&here).unwrap();
                    assert_eq!(theirs.depth(), 1);
                    theirs.count(&here);
                });
                assert!(!panicking());
                aside.count(&here);
            });
            assert!(panicking());
        });
        assert!(!panicking());
    }

    #[test]
    fn many_threads_set_theirs_aside_at_once() {
        let all_have = std::sync::Barrier::new(32);
        let unwinds = || {
            let here = Context::native();
            amid_unwinding(|| {
                let aside = set_aside(&here).unwrap();
                all_have.wait();
                assert!(!panicking());
                aside.count(&here);
            });
            assert!(!panicking());
        };
        thread::scope(|scope| (0..32).for_each(|_| _ = scope.spawn(unwinds)));
    }

    #[test]
    fn the_lender_ends_when_nobody_needs_it() {
        let here = Context::native();
        amid_unwinding(|| set_aside(&here).unwrap().count(&here));
        // Other tests may need it meanwhile.
        let ended = (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            let books = lock(&lender().books);
            !books.works && books.begun.is_empty() && books.lent == 0
        });
        assert!(ended);
    }
}
