//! The bodies over greenlets.

pub(super) use std::rc::Rc as Shared;

pub(super) use greenlet::sync::*;
pub(super) use greenlet::thread::{sleep, spawn, yield_now};

#[allow(clippy::duplicate_mod)]
#[path = "barrier.rs"]
mod barrier;
#[allow(clippy::duplicate_mod)]
#[path = "condvar.rs"]
mod condvars;
#[allow(clippy::duplicate_mod)]
#[path = "mpsc.rs"]
mod mpscs;
#[allow(clippy::duplicate_mod)]
#[path = "mutex.rs"]
mod mutexes;
#[allow(clippy::duplicate_mod)]
#[path = "once.rs"]
mod onces;
#[allow(clippy::duplicate_mod)]
#[path = "rwlock.rs"]
mod rwlocks;
