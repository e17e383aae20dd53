//! The peers, a file each. A file holds one function per question, named after the question.
//!
//! For `handoff`, a peer inside this process is a function of the ring's length and the number of
//! hand-offs (a multiple of that length) which returns the nanoseconds per hand-off; a peer
//! outside is a function that builds its child program.

pub mod boost;
pub mod context;
pub mod generator;
pub mod go;
pub mod may;
#[cfg(feature = "ours")]
pub mod ours;
pub mod pair;
pub mod python;
pub mod yardstick;

/// Bytes of stack that every coroutine gets, where the peer leaves the choice.
pub const STACK: usize = 64 * 1024;
