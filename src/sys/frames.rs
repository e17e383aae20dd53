//! Who called whom on a stack that does not run, and what that is called.
//!
//! The unwinder that comes with std walks the stack it is called on. Here it is called by a few instructions whose
//! unwind information says: "my caller has these registers", and names a record in memory. So it walks on from
//! there, be that a greenlet at rest, code that a signal has interrupted, or nothing but an address:
//!
//! ```text
//!   walk:    unwinder ◀─ visit ◀─ within(record) ◀┄┄ claimed ┄┄ the frames of the record
//!   symbols: std's Backtrace ◀─── within(record) ◀┄┄ claimed ┄┄ pc = any address, all other registers = a desert
//! ```
//!
//! The *desert* is a mapping of zeroes. Whatever the unwind information of that address says about where its
//! caller is stored, it is stored in the desert: it is zero, and the walk ends after one frame. So std symbolises
//! any address, on any thread, at any time, and what is kept of a stack is its addresses.
//!
//! A frame is the address that it goes on at, as in every backtrace: the call is just before.
//!
//! A walk that begins in the middle of code may stray. A fault ends it then, and nothing else (`rescue`).
//!
//! [`walk`] allocates nothing, and may be used in a signal handler where the C library finds unwind information
//! without a lock (glibc from 2.35 on). Nothing here runs, resumes or changes the stack that is looked at.

use std::sync::Arc;

#[cfg(all(
    target_os = "linux",
    not(miri),
    any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_env = "gnu")
    )
))]
#[path = "frames/unwinder.rs"]
mod walker;

#[cfg(not(all(
    target_os = "linux",
    not(miri),
    any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_env = "gnu")
    )
)))]
#[path = "frames/nothing.rs"]
mod walker;

pub(crate) use walker::{CAN_INTERRUPT, Elsewhere, Registers, here, rescue, symbols, walk};

/// What is known of one call: a frame is several, where calls were inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) name: Box<str>,
    /// `file:line:column`, if there is debug information.
    pub(crate) place: Option<Box<str>>,
}

/// The calls of one frame, the innermost first.
pub(crate) type Symbols = Arc<[Symbol]>;
