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
//! [a while](IDLE), and ends. Where there is no lender to be had, the count stays where it is, and whoever leaves is told.
//!
//! The flag by which std notices a panic within a panic hook is of the thread as well. It is down when a hook goes on that
//! has let others run: then a panic in it calls the hook again, where std aborts.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, panicking};
use std::time::Duration;

use super::context::Context;
use super::fork::Own;
use super::lock::lock;
use super::stack::{Pages, Stack, Stacks};
use super::tasks;

/// A loan has so much stack, in bytes. The unwinder of a debug build takes some twelve thousand.
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
        let most = aside.depth() == MOST;
        let Some(loan) = lender().borrow().filter(|_| !most) else {
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
    pub(crate) fn count(self, here: &Context) {
        for loan in self.0 {
            loan.begin(here);
            lender().keep(loan);
        }
    }
}

/// An unwinding that counts on the thread that it is begun on, until it is ended on any other. It is never freed: there
/// are as many as greenlets have waited at once in the middle of an unwinding.
struct Loan {
    context: Context,
    stack: Stack,
    /// Who has begun it, or ends it.
    back: Cell<*const Context>,
}

// SAFETY: it is begun, kept and ended by one thread after the other: it passes between them under the lock of the books.
// Nothing on its stack belongs to a thread: there are frames of this module, of the unwinder and of `catch_unwind`, of
// which the last takes one off the count of the thread that it runs on.
unsafe impl Send for Loan {}
// SAFETY: as above: only one has it at a time.
unsafe impl Sync for Loan {}

impl Loan {
    fn new(stacks: &Stacks) -> io::Result<&'static Loan> {
        Ok(Box::leak(Box::new(Loan {
            context: Context::unbound(),
            stack: stacks.take(Pages::checked(STACK)?, 0)?,
            back: Cell::new(ptr::null()),
        })))
    }

    /// One more on the count of this thread.
    fn begin(&'static self, here: &Context) {
        self.back.set(here);
        let argument = ptr::from_ref(self).cast();
        // SAFETY: the stack is its own for good, and nothing is on it: it is new, or has ended.
        let bound = unsafe { self.context.bind(&self.stack, unwind, argument) };
        bound.expect("a context that shares its thread needs nothing but a stack");
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
        resume_unwind(Box::new(()))
    }));
    drop(unwound);
    loan.back.get()
}

struct Wait(&'static Loan);

impl Drop for Wait {
    fn drop(&mut self) {
        // SAFETY: the loan runs; whoever has begun it waits in `begin`.
        unsafe { Context::switch(&raw const self.0.context, self.0.back.get()) };
    }
}

/// Where loans are kept, and the thread that begins the first ones.
struct Lender {
    books: Mutex<Books>,
    changed: Condvar,
}

#[derive(Default)]
struct Books {
    /// Those that have been begun, and can be ended by whoever needs that.
    begun: Vec<&'static Loan>,
    /// Those that the lender has ended, for the next time.
    ended: Vec<&'static Loan>,
    /// So many were begun by the lender and have not been ended by it.
    lent: usize,
    /// Somebody waits for one.
    wanted: bool,
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
    LENDER.or_make(|_| Lender {
        books: Mutex::default(),
        changed: Condvar::new(),
    })
}

/// Once there was no loan to be had. After that no share is set aside any more: one that stayed on the count might be taken
/// for that of somebody else.
static CLOSED: AtomicBool = AtomicBool::new(false);

impl Lender {
    /// A loan that has been begun, if one can be had.
    fn borrow(&'static self) -> Option<&'static Loan> {
        let mut books = lock(&self.books);
        while !CLOSED.load(Ordering::Relaxed) {
            if let Some(loan) = books.begun.pop() {
                return Some(loan);
            }
            books.wanted = true;
            books.works = books.works || self.open();
            if books.works {
                self.changed.notify_all();
                books = self.wait(books, None).0;
            }
        }
        None
    }

    /// Takes a loan that has been begun, for the next one.
    fn keep(&self, loan: &'static Loan) {
        let mut books = lock(&self.books);
        books.begun.push(loan);
        if books.works && books.are_balanced() {
            self.changed.notify_all();
        }
    }

    /// Starts the thread, or closes for good.
    fn open(&'static self) -> bool {
        let thread = thread::Builder::new().name("greenlet-lender".into());
        let works = thread.spawn(|| self.lend()).is_ok();
        CLOSED.store(!works, Ordering::Relaxed);
        works
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
    /// All that were lent have come back.
    fn are_balanced(&self) -> bool {
        self.begun.len() >= self.lent
    }

    /// Begins a loan, and as many more as have been lent already: where one greenlet waits in the middle of an unwinding,
    /// others may follow. If there is not one, the lender closes.
    fn begin_some(&mut self, here: &Context) {
        self.wanted = false;
        for _ in 0..self.lent.clamp(1, AT_ONCE) {
            let loan = match self.ended.pop() {
                Some(loan) => Ok(loan),
                None => Loan::new(&self.vault.0),
            };
            let Ok(loan) = loan else { break };
            loan.begin(here);
            self.begun.push(loan);
            self.lent += 1;
        }
        CLOSED.fetch_or(self.begun.is_empty(), Ordering::Relaxed);
    }

    /// Ends as many as the lender has begun, by which its count is what it was, and that of the process.
    fn end_all(&mut self, here: &Context) {
        let rest = self.begun.len() - self.lent;
        for loan in self.begun.drain(rest..) {
            loan.end(here);
            self.ended.push(loan);
        }
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
