//! The names of `std::io`: its traits and types, which work with everything of this crate; pipes and standard
//! streams whose calls park the greenlet.
//!
//! The standard descriptors are not ours: the shell, and whoever else was started with them, has the same
//! open files, and would see it if they did not block any more. So they stay as they are.
//!
//! ```text
//!   read:   buffered? ─ no ─▶ ready? ─ no ─▶ park on a duplicate ─▶ ready? …
//!                               └─ yes ─▶ a worker reads, into the buffer of the process
//!   write:  a write that does not wait (Linux) ─ no room ─▶ park … ─ cannot be had ─▶ a worker writes
//! ```
//!
//! Between "ready" and the call somebody else may take what was there, and then the call waits. That is why a
//! worker makes it. What a worker reads for a greenlet that has been killed is for the next one that reads.
//!
//! What nothing here has a type for, an eventfd say, is waited for with [`readable`] or in a [`Descriptor`].
//!
//! # Differences from std
//! - [`stdin`] has a buffer of its own. Do not read through `std::io::stdin` as well.
//! - [`stdout`] is not buffered by lines: each call writes what it is given, and a `write!` is one call. So
//!   nothing is left behind at the end. `print!` and `eprint!` are std's: they may keep the thread waiting.
//! - `IsTerminal` can be implemented by std alone, so `is_terminal` is a method of each.
//! - There is no `FromRawFd`: `From<OwnedFd>` is the same, and safe.

/// What std has for each handle to a standard stream.
macro_rules! standard {
    ($handle:ident $(<$lifetime:lifetime>)?) => {
        impl $handle$(<$lifetime>)? {
            /// Whether it is a terminal.
            pub fn is_terminal(&self) -> bool {
                std::io::IsTerminal::is_terminal(&self.theirs)
            }
        }

        impl AsFd for $handle$(<$lifetime>)? {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.theirs.as_fd()
            }
        }

        impl AsRawFd for $handle$(<$lifetime>)? {
            fn as_raw_fd(&self) -> RawFd {
                self.theirs.as_raw_fd()
            }
        }

        impl std::fmt::Debug for $handle$(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($handle)).finish_non_exhaustive()
            }
        }
    };
}
use standard;

mod descriptor;
mod lock;
mod output;
mod pipe;
mod stdin;

pub use crate::hub::io::Watchable;
pub use descriptor::{Descriptor, readable, writable};
pub use output::{Stderr, StderrLock, Stdout, StdoutLock, stderr, stdout};
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use std::io::{
    BufRead, BufReader, BufWriter, Bytes, Chain, Cursor, Empty, Error, ErrorKind, IntoInnerError,
    IoSlice, IoSliceMut, IsTerminal, LineWriter, Lines, Read, Repeat, Result, Seek, SeekFrom, Sink,
    Split, Take, Write, WriterPanicked, copy, empty, prelude, read_to_string, repeat, sink,
};
pub use stdin::{Stdin, StdinLock, stdin};
