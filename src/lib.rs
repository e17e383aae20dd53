//! Stackful green threads: any greenlet may switch to any other, at any call depth.
//!
//! A [`Greenlet`] is a function on a stack of its own. It runs when somebody [switches](Greenlet::switch) to
//! it, stops wherever it switches away, and goes on there when somebody switches back, with the value that
//! they bring. It is a port of Python's greenlet: parents, throw, kill, tracing and locals included.
//!
//! ```
//! use greenlet::{Greenlet, current};
//!
//! let main = current::<u32>();
//! let counter = Greenlet::new(move |mut step| {
//!     let mut sum = 0;
//!     loop {
//!         sum += step;
//!         step = main.switch(sum); // stops here, in the middle of a loop
//!     }
//! });
//! assert_eq!(counter.switch(1), 1);
//! assert_eq!(counter.switch(10), 11);
//! // Dropping the last handle unwinds it: its destructors run.
//! ```
//!
//! # Where to look
//!
//! - [`Greenlet`]: states, switching, throwing, killing, parents, dropping
//! - [`Generator`] and [`Coroutine`]: conversations with one other side, from any depth of calls
//! - [`greenlet_local!`]: storage for each greenlet
//! - [`trace`]: who switches to whom
//! - [`manual`]: caveats, and greenlet's rules one by one
//!
//! # Families
//!
//! What travels in a switch has one type, the `T` of [`Greenlet<T>`]: what you send, what comes back, what
//! the closure is given and what it returns. Everything that greenlet's rules say about results stays typed
//! that way: a result may go to any live ancestor, a switch to a dead greenlet may be forwarded. A handle is
//! a view: [`current`]`::<T>()` gives one of any type, and a switch is refused, with an error that names
//! both types, if the target does not wait for that type.
#![deny(unsafe_code)]

#[cfg(not(unix))]
compile_error!("greenlet needs a unix: stacks are mapped with mmap, and overflows come as signals");

mod cores;
mod data;
#[allow(unsafe_code)]
mod generator;
#[allow(unsafe_code)]
mod hub;

pub mod io;
pub mod net;
mod offload;
pub mod os;
#[allow(unsafe_code)]
mod spawn;
mod switch;
mod sys;
pub mod thread;
pub mod time;

pub use cores::per_core;
pub use generator::{Coroutine, Generator, Yielder};
pub use hub::{HubStats, hub_stats};
pub use offload::{PoolStats, offload, pool_stats};
pub use spawn::{JoinHandle, Scope, ScopedJoinHandle, scope, spawn, yield_now};
pub use switch::error::{ParentError, Refusal, RefusalKind, SwitchError, Undeliverable};
pub use switch::exit::{GreenletExit, shutdown};
pub use switch::greenlet::{Builder, Greenlet, GreenletId, WeakGreenlet, current};
pub use switch::local::LocalKey;
pub use switch::thread::{alive, blocks_in_use, stack_stats, trim_stacks};
pub use sys::stack::StackStats;
pub use time::sleep;

/// How this build switches stacks: `direct`, `corosensei` or `baton`.
pub const BACKEND: &str = sys::context::NAME;

/// Observers of switches: greenlet's `settrace`.
pub mod trace {
    pub use crate::switch::trace::{Event, Tracer, get, set};
}

/// What does not fit the description of one item.
pub mod manual {
    #[doc = include_str!("manual/caveats.md")]
    pub mod caveats {}
    #[doc = include_str!("manual/rules.md")]
    pub mod rules {}
}

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
