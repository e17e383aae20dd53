//! The bodies over greenlets.

pub(super) use greenlet::process::{Child, Command, Stdio};
pub(super) use greenlet::sync::mpsc;
pub(super) use greenlet::thread;

#[allow(clippy::duplicate_mod)]
#[path = "process.rs"]
mod process;
#[allow(clippy::duplicate_mod)]
#[path = "thread.rs"]
mod threads;
