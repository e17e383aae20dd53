//! The hub, green threads and time: `src/hub`, `src/spawn`, `src/time.rs`.

mod cores;
mod faults;
pub(crate) mod fork;
mod handover;
mod killing;
mod mixing;
mod order;
mod remote;
mod scopes;
mod storm;
mod timeouts;
mod unwinding;
