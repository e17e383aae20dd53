//! Stackful green threads: any greenlet may switch to any other, at any call depth.
#![deny(unsafe_code)]

mod data;
#[allow(unsafe_code)]
mod generator;
mod switch;
mod sys;

pub use generator::{Coroutine, Generator, Yielder};
pub use switch::error::{ParentError, Refusal, RefusalKind, SwitchError, Undeliverable};
pub use switch::exit::{GreenletExit, shutdown};
pub use switch::greenlet::{Builder, Greenlet, GreenletId, WeakGreenlet, current};
pub use switch::local::LocalKey;
pub use switch::thread::{alive, blocks_in_use, stack_stats, trim_stacks};
pub use sys::stack::StackStats;

/// How this build switches stacks: `direct`, `corosensei` or `baton`.
pub const BACKEND: &str = sys::context::NAME;

/// Observers of switches.
pub mod trace {
    pub use crate::switch::trace::{Event, Tracer, get, set};
}
