//! The names of `std::process`: children that are waited for, written to and read from while others run.
//!
//! ```text
//!   wait:              has it ended? ─ no ─▶ park on a descriptor that tells its end ─▶ has it ended? …
//!   wait_with_output:  one greenlet for each pipe, then wait
//! ```
//!
//! The status is taken by asking, never by waiting, so a wait that is cut short has taken nothing. If it was the last
//! one who could have, the child is an orphan, and is asked after when another one is begun.
//!
//! # Differences from std
//! - [`Child`] and its pipes belong to their OS thread; convert them (`From`, both ways) to hand them to another.
//! - [`exit`] ends the process at once, as std's does: no greenlet is unwound. See
//!   [`shutdown`](crate::shutdown).

mod child;
mod command;
mod ending;
mod orphan;

pub use child::{Child, ChildStderr, ChildStdin, ChildStdout};
pub use command::{Command, CommandExt};
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, Termination, abort, exit, id,
};
