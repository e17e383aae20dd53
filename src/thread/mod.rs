//! The names of `std::thread`: threads that are greenlets.
//!
//! Code changes `use std::thread` to `use greenlet::thread` and stays as it is. [`spawn`] needs no `Send`, and
//! all greenlets of one OS thread take turns: one of them that computes for long keeps the others waiting
//! (see [`offload`](crate::offload)).
//!
//! # Differences from std
//! - `JoinHandle` and `Scope` stay on their OS thread. [`Thread`], which unparks, may go anywhere.
//! - `thread_local!` is std's, and so is [`LocalKey`] here: one for each OS thread, which its greenlets share. Storage for each
//!   greenlet is [`greenlet_local!`](crate::greenlet_local), and its key [`greenlet::LocalKey`](crate::LocalKey).
//! - [`scope`] kills its greenlets when its closure panics; std waits for its threads.
//! - What asks without waiting ([`JoinHandle::is_finished`], `try_lock`, `try_recv`) lets nobody else run: a loop that asks until
//!   the answer changes needs a [`yield_now`].
//! - The thread keeps the name that it has; that of a greenlet is for messages. `spawn_unchecked`, which is unsafe, and what std
//!   has deprecated are left out.
//! - [`Builder::stack_size`] takes no less than a greenlet needs, and says how much that is; std takes more than was
//!   asked for. A stack is taken at the first turn: where there is none, `join` says so, not `spawn`.
//! - [`panicking`] is std's as well. It tells of the greenlet that asks, also while destructors of another one wait in the
//!   middle of an unwinding: see [caveats](crate::manual::caveats).

pub use crate::spawn::{
    Builder, JoinHandle, Scope, ScopedJoinHandle, Thread, current, park, park_timeout, scope,
    spawn, yield_now,
};
pub use crate::switch::greenlet::GreenletId as ThreadId;
pub use crate::time::{sleep, sleep_until};
pub use std::thread::{AccessError, LocalKey, Result, available_parallelism, panicking};
