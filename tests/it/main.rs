//! The integration tests: modules mirror `src`, and every test that greenlet (Python's) has and that can be
//! had in Rust has its counterpart here. `src/manual/rules.md` says which is which.

#[path = "../counting/mod.rs"]
mod counting;
#[path = "../runner/mod.rs"]
mod runner;
mod support;

mod backtraces;
mod contract;
mod fs;
mod future;
mod generators;
mod group;
mod hub;
mod inspect;
mod io;
mod killing;
mod leaks;
mod locals;
mod mirror;
mod misuse;
mod monitor;
mod net;
mod parents;
mod process;
mod signal;
#[cfg(feature = "tracing")]
mod spans;
mod stacks;
mod switching;
mod sync;
mod thread;
mod threads;
mod throwing;
mod tidy;
mod tracing;
