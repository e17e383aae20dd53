//! The peers, a file each. A file holds one function per question, named after the question.
//!
//! For `handoff`, a peer inside this process is a function of the ring's length and the number of
//! hand-offs (a multiple of that length) which returns the nanoseconds per hand-off; a peer
//! outside is a function that builds its child program. For `yield_` and `spawn`, it is a function
//! of the number of tasks at a time and of all of them; for `timers`, of the number of tasks; for
//! `remote`, of the partner's core and the number of round trips. For `echo` and `http`, a peer is
//! a server that prints `listening on ADDRESS:PORT` and runs until it is killed, or a function that
//! builds or finds the program which is that server.

#[cfg(target_os = "linux")]
pub mod bare;
pub mod boost;
pub mod context;
#[cfg(target_os = "linux")]
pub mod examples;
pub mod generator;
pub mod go;
#[cfg(target_os = "linux")]
pub mod hyper;
pub mod may;
#[cfg(feature = "ours")]
pub mod ours;
pub mod pair;
pub mod python;
#[cfg(target_os = "linux")]
pub mod raw;
pub mod threads;
pub mod tokio;
pub mod yardstick;

/// Bytes of stack that every coroutine gets, where the peer leaves the choice.
pub const STACK: usize = 64 * 1024;
