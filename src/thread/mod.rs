//! The names of `std::thread`: threads that are greenlets.
//!
//! Code changes `use std::thread` to `use greenlet::thread` and stays as it is. [`spawn`] needs no `Send`, and
//! all greenlets of one OS thread take turns: one of them that computes for long keeps the others waiting
//! (see [`offload`](crate::offload)).
//!
//! # Differences from std
//! - `JoinHandle` and `Scope` stay on their OS thread. [`Thread`], which unparks, may go anywhere.
//! - `thread_local!` is std's, and one for each OS thread: its greenlets share it. Storage for each greenlet is
//!   [`greenlet_local!`](crate::greenlet_local), and its key [`LocalKey`](crate::LocalKey).
//! - [`Builder::stack_size`] takes no less than a greenlet needs, and says how much that is; std takes more than was
//!   asked for. A stack is taken at the first turn: where there is none, `join` says so, not `spawn`.
//! - [`panicking`] is std's as well. It tells of the greenlet that asks, also while destructors of another one wait in the
//!   middle of an unwinding: see [caveats](crate::manual::caveats).

pub use crate::spawn::{
    Builder, JoinHandle, Scope, ScopedJoinHandle, StackSize, Thread, current, park, park_timeout,
    scope, spawn, yield_now,
};
pub use crate::switch::greenlet::GreenletId as ThreadId;
pub use crate::time::{sleep, sleep_until};
pub use std::thread::{Result, available_parallelism, panicking};
