//! The bodies over std and its threads: what they claim of std is true.

pub(super) use std::sync::Arc as Shared;
pub(super) use std::sync::*;
pub(super) use std::thread::{sleep, spawn, yield_now};

#[path = "barrier.rs"]
mod barrier;
#[path = "condvar.rs"]
mod condvars;
#[path = "mpsc.rs"]
mod mpscs;
#[path = "mutex.rs"]
mod mutexes;
#[path = "once.rs"]
mod onces;
#[path = "rwlock.rs"]
mod rwlocks;
