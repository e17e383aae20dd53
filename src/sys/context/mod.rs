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

pub(crate) use backend::{Context, NAME};

/// What a context runs first; it returns the context to run next.
pub(crate) type Entry = unsafe fn(*const ()) -> *const Context;

// What the backends have in common, written down where the compiler checks it.
const _: () = {
    let _: fn() -> Context = Context::unbound;
    let _: fn() -> Context = Context::native;
    let _: unsafe fn(&Context, &Stack, Entry, *const ()) -> std::io::Result<()> = Context::bind;
    let _: unsafe fn(&Context, &Context) = Context::switch;
    let _: unsafe fn(&Context) = Context::release;
    let _: unsafe fn(&Context) = Context::abandon;
};
