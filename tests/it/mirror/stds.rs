//! The bodies over std: what they claim of it is true.

pub(super) use std::process::{Child, Command, Stdio};
pub(super) use std::sync::mpsc;
pub(super) use std::thread;

#[path = "process.rs"]
mod process;
#[path = "thread.rs"]
mod threads;
