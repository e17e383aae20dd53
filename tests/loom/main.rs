//! Models: the protocols between threads, run in every order of steps that the memory model allows.
//!
//! ```sh
//! RUSTFLAGS="--cfg greenlet_loom" cargo test --release --test loom
//! ```
//!
//! The sources under test are those of the crate. Every model has a canary, a protocol with a part left out,
//! in which `loom` must find the fault.
#![cfg(greenlet_loom)]

// The sources say `crate::sys::sync`.
#[path = "."]
mod sys {
    #[allow(unused_imports)]
    #[path = "../../src/sys/sync.rs"]
    pub(crate) mod sync;

    #[path = "lock.rs"]
    pub(crate) mod lock;

    /// A model does not fork.
    pub(crate) mod fork {
        pub(crate) fn count() -> u32 {
            0
        }
    }
}

#[allow(dead_code)]
#[path = "../../src/hub/door.rs"]
mod protocol;

mod door;

#[allow(dead_code)]
#[path = "../../src/sync/remote/crossing.rs"]
mod crossing;

#[allow(dead_code)]
#[path = "../../src/sync/remote/states.rs"]
mod states;

#[path = "crossing.rs"]
mod crossings;
