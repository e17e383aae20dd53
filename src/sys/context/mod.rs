//! Seam 1: what runs on a stack of its own, and the one switch between two of them (law 1).
//!
//! A [`Context`] is a stack pointer at rest. Its life:
//!
//! ```text
//!  unbound ──bind(stack, entry, arg)──▶ at rest ◀──switch──▶ running
//!                                                              │ entry returns the context to run next
//!  unbound ◀──release── ended ◀────────────────────────────────┘
//! ```
//!
//! The contract, the same for every backend:
//!
//! - [`Context::switch`]`(from, to)` stores the caller in `from` and goes on in `to`. It returns when
//!   somebody switches to `from`. It is symmetric: no context is another one's resumer.
//! - `entry(arg)` runs on the new stack at the first switch. It must not unwind. What it returns is the
//!   context that runs next; after that the stack may be used again, but not before the next context runs
//!   (law 11: nobody frees the stack it stands on).
//! - A backtrace taken inside ends cleanly at the entry (`direct`, `baton`) or goes on into the native
//!   stack (`corosensei`).
//! - `SHARES_THREAD` says whether all contexts run on one OS thread, and so share std's thread-locals and its
//!   panic count.
//! - `FETCHES` says whether it fetches cache lines ahead: only there does it matter how a control block lies in them.
//! - `switch` takes addresses, not references: while it waits, what it switched to may come to its end.
//! - Nothing is allocated by `switch`. Neither the signal mask nor the floating-point control words are
//!   switched: they belong to the OS thread.
//!
//! | backend | one switch is | used |
//! |---|---|---|
//! | `direct` | one stack change, inline | x86_64 and aarch64 unix |
//! | `corosensei` | a suspend and a resume through the native stack | other architectures, `--cfg greenlet_corosensei` |
//! | `baton` | a hand-over between two OS threads | Miri, `--cfg greenlet_baton` |

use crate::sys::stack::Stack;

#[cfg(any(greenlet_baton, miri))]
mod baton;
#[cfg(any(greenlet_baton, miri))]
use baton as backend;

#[cfg(all(
    not(any(greenlet_baton, miri)),
    any(
        greenlet_corosensei,
        not(any(target_arch = "x86_64", target_arch = "aarch64"))
    )
))]
mod corosensei;
#[cfg(all(
    not(any(greenlet_baton, miri)),
    any(
        greenlet_corosensei,
        not(any(target_arch = "x86_64", target_arch = "aarch64"))
    )
))]
use corosensei as backend;

#[cfg(not(any(
    greenlet_baton,
    miri,
    greenlet_corosensei,
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
)))]
mod direct;
#[cfg(not(any(
    greenlet_baton,
    miri,
    greenlet_corosensei,
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
)))]
use direct as backend;

pub(crate) use backend::{CAN_WALK, Context, FETCHES, NAME, SHARES_THREAD};

/// What a context runs first; it returns the context to run next.
pub(crate) type Entry = unsafe fn(*const ()) -> *const Context;

// What the backends have in common, written down where the compiler checks it.
const _: () = {
    let _: fn() -> Context = Context::unbound;
    let _: fn() -> Context = Context::native;
    let _: unsafe fn(&Context, &Stack, Entry, *const ()) -> std::io::Result<()> = Context::bind;
    let _: unsafe fn(*const Context, *const Context) = Context::switch;
    let _: unsafe fn(*const Context) = Context::look_ahead_to::<1>;
    let _: fn(*const ()) = Context::fetch;
    let _: unsafe fn(&Context) -> Option<crate::sys::frames::Registers> = Context::registers;
    let _: unsafe fn(&Context) = Context::release;
    let _: unsafe fn(&Context) = Context::abandon;
};

#[cfg(test)]
mod tests {
    //! The contract, run over whichever backend this build has.

    use std::cell::Cell;

    use super::*;
    use crate::sys::stack::{Pages, Stacks};

    /// Two contexts, and what the bound one sees.
    struct Pair {
        native: Context,
        bound: Context,
        log: Cell<u64>,
    }

    impl Pair {
        fn new() -> Box<Pair> {
            Box::new(Pair {
                native: Context::native(),
                bound: Context::unbound(),
                log: Cell::new(0),
            })
        }

        fn run(&self, entry: Entry, rounds: usize) {
            let stacks = Stacks::default();
            let stack = stacks.take(Pages::default_size(), 0).unwrap();
            // SAFETY: a fresh stack; the pair does not move; the entry is one of this module.
            unsafe {
                self.bound
                    .bind(&stack, entry, std::ptr::from_ref(self).cast())
                    .unwrap();
                (0..rounds).for_each(|_| Context::switch(&self.native, &self.bound));
                self.bound.release();
            }
            stacks.put(stack);
        }
    }

    /// Counts, switches back, counts again and ends, naming the native context as the next.
    unsafe fn twice(pair: *const ()) -> *const Context {
        // SAFETY: bound with a pair that outlives the switches.
        let pair = unsafe { &*pair.cast::<Pair>() };
        pair.log.set(pair.log.get() + 1);
        // SAFETY: the native context is suspended in `run`.
        unsafe { Context::switch(&pair.bound, &pair.native) };
        pair.log.set(pair.log.get() + 10);
        &pair.native
    }

    #[test]
    fn it_starts_stops_goes_on_and_ends() {
        let pair = Pair::new();
        pair.run(twice, 2);
        assert_eq!(pair.log.get(), 11);
    }

    #[test]
    fn an_ended_context_can_be_bound_again() {
        let pair = Pair::new();
        (0..100).for_each(|_| pair.run(twice, 2));
        assert_eq!(pair.log.get(), 1100);
    }

    /// Keeps more values alive across a switch than there are registers of either kind.
    unsafe fn hoarder(pair: *const ()) -> *const Context {
        // SAFETY: as in `twice`.
        let pair = unsafe { &*pair.cast::<Pair>() };
        let integers: [u64; 24] = std::array::from_fn(|i| std::hint::black_box(i as u64 * 7 + 1));
        let floats: [f64; 24] = std::array::from_fn(|i| std::hint::black_box(i as f64 + 0.5));
        // SAFETY: as in `twice`.
        unsafe { Context::switch(&pair.bound, &pair.native) };
        let kept = integers
            .iter()
            .enumerate()
            .all(|(i, &n)| n == i as u64 * 7 + 1)
            && floats.iter().enumerate().all(|(i, &x)| x == i as f64 + 0.5);
        pair.log.set(u64::from(kept));
        &pair.native
    }

    #[test]
    fn registers_in_use_survive_a_switch() {
        let pair = Pair::new();
        let mine: [u64; 24] = std::array::from_fn(|i| std::hint::black_box(i as u64 * 3));
        pair.run(hoarder, 2);
        assert_eq!(pair.log.get(), 1);
        assert!(mine.iter().enumerate().all(|(i, &n)| n == i as u64 * 3));
    }

    #[cfg(all(target_arch = "x86_64", not(any(greenlet_baton, miri))))]
    mod control_words {
        use super::*;
        use std::arch::asm;

        const TOWARDS_ZERO: u32 = 0x6000;

        fn mxcsr() -> u32 {
            let mut word = 0_u32;
            // SAFETY: stores the control word.
            unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
            word
        }

        fn set_mxcsr(word: u32) {
            // SAFETY: changes the rounding only; no floating-point code runs before it is put back.
            unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack)) };
        }

        fn x87() -> u16 {
            let mut word = 0_u16;
            // SAFETY: stores the control word.
            unsafe { asm!("fnstcw [{}]", in(reg) &raw mut word, options(nostack)) };
            word
        }

        unsafe fn rounder(pair: *const ()) -> *const Context {
            // SAFETY: as in `twice`.
            let pair = unsafe { &*pair.cast::<Pair>() };
            set_mxcsr(mxcsr() | TOWARDS_ZERO);
            pair.log.set(u64::from(x87()));
            &pair.native
        }

        #[test]
        fn belong_to_the_thread_and_are_not_switched() {
            let before = mxcsr();
            let pair = Pair::new();
            pair.run(rounder, 1);
            let after = mxcsr();
            set_mxcsr(before);
            assert_eq!(after & TOWARDS_ZERO, TOWARDS_ZERO);
            assert_eq!(pair.log.get(), u64::from(x87()));
        }
    }
}
