//! Green threads with stacks: ordinary blocking code, thousands of it in one thread.
//!
//! Code that says `use greenlet::{net, thread, …}` where it said `use std::{net, thread, …}` stays as it is, and
//! what would block the thread lets another greenlet run. There is nothing to set up.
//!
//! ```
//! use greenlet::net::{TcpListener, TcpStream};
//! use std::io::{Read, Write};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let address = listener.local_addr()?;
//! let server = greenlet::spawn(move || {
//!     for stream in listener.incoming() {
//!         let mut stream = stream.expect("a connection");
//!         greenlet::spawn(move || stream.write_all(b"hello"));
//!     }
//! });
//! let mut text = String::new();
//! TcpStream::connect(address)?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! server.kill();
//! # std::io::Result::Ok(())
//! ```
//!
//! Underneath lies a port of Python's greenlet: any greenlet may switch to any other, at any call depth, with
//! values, parents, throw, kill, tracing and locals.
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
//! | | |
//! |---|---|
//! | [`spawn`], [`scope`], [`JoinHandle`] | green threads: joined, killed, borrowing |
//! | [`sync`] | locks, channels, `select`, queues, events: what greenlets wait on |
//! | [`time`] | sleeping, deadlines, intervals |
//! | [`net`], [`os::unix::net`], [`io`], [`fs`], [`process`], [`signal`], [`thread`] | std again |
//! | [`group`] | groups and pools: joined, killed, mapped over together |
//! | [`future`] | futures in greenlets, and greenlets as futures |
//! | [`inspect`] | what every greenlet is doing, in a program that runs or is stuck |
//! | [`monitor`] | who keeps its thread for too long |
//! | [`offload`], [`per_core`] | other threads: for what blocks, and for more cores |
//! | [`Greenlet`] | explicit greenlets: states, switching, throwing, killing, parents, dropping |
//! | [`Generator`], [`Coroutine`] | conversations with one other side, from any depth of calls |
//! | [`greenlet_local!`], [`trace`] | storage for each greenlet; who switches to whom |
//! | [`manual`] | the hub, porting from std, cancellation, caveats, and greenlet's rules one by one |
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
pub mod fs;
pub mod future;
#[allow(unsafe_code)]
mod generator;
pub mod group;
mod hub;
pub mod inspect;
pub mod io;
pub mod monitor;
pub mod net;
mod offload;
pub mod os;
pub mod process;
pub mod signal;
#[cfg(feature = "tracing")]
mod spans;
mod spawn;
mod switch;
pub mod sync;
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
    #[cfg(feature = "tracing")]
    pub use crate::spans::follow_spans;
    pub use crate::switch::trace::{Event, Tracer, get, set};
}

/// What does not fit the description of one item.
pub mod manual {
    #[doc = include_str!("manual/cancellation.md")]
    pub mod cancellation {}
    #[doc = include_str!("manual/caveats.md")]
    pub mod caveats {}
    #[doc = include_str!("manual/hub.md")]
    pub mod hub {}
    #[doc = include_str!("manual/porting.md")]
    pub mod porting {}
    #[doc = include_str!("manual/rules.md")]
    pub mod rules {}
}

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
