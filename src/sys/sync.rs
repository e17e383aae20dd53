//! What threads share memory through: std's, or under `--cfg greenlet_loom` the model checker's.
//!
//! A protocol between threads that is built on these names alone can be run by `loom`, which tries every
//! order of steps and every stale value that the memory model allows: see `tests/loom`. It has a `cfg` of
//! our own, since `cfg(loom)` would turn on the models of other crates as well. Under it the crate compiles,
//! and only models run. A static cannot be modelled (nothing there has a `const` constructor): use std's.

#[cfg(greenlet_loom)]
#[allow(unused_imports, reason = "the models use more than the protocols do")]
pub(crate) use loom::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(greenlet_loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
