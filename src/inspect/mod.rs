//! Seeing into hubs: what every greenlet is doing, in a program that runs or is stuck.
//!
//! ```
//! use greenlet::{inspect, spawn, thread, yield_now};
//!
//! let parked = spawn(thread::park);
//! yield_now();
//! let dump = inspect::dump();
//! let seen = dump.find(parked.id()).expect("it has not ended");
//! assert_eq!(seen.waits(), Some("is parked"));
//! assert!(dump.to_string().contains("is parked (spawned at "));
//! parked.kill();
//! ```
//!
//! | | |
//! |---|---|
//! | [`dump`], [`dump_with`] | the greenlets of this thread |
//! | [`dump_all`], [`dump_all_with`] | those of all threads, whatever they do |
//! | [`on_signal`] | the same on standard error, when a signal comes |
//! | [`serve`] | the same for other processes; the example `top` shows it |
//! | [`census`], [`stacks`] | how deep stacks are used, by where greenlets are spawned |
//!
//! No greenlet is run, woken or changed by any of these. Other threads answer in the handler of a signal, `SIGURG`:
//! so one that is stuck in a loop or in a system call answers as one that works does. From such a dump everything
//! is as it was at that moment; only when a thread was just changing its list of greenlets or its timers, part of it
//! can be missing, and is counted in [`Dump::missed`]. A thread that blocks that signal does not answer, and its
//! dump says so. A system call of that thread that cannot be restarted ends with `EINTR`, as with any signal; std
//! repeats those, but not reads and writes of its sockets with a timeout. Do not call these functions in a signal
//! handler: they allocate. [`on_signal`] has a thread for that.
//!
//! # Backtraces
//!
//! Those of greenlets that do not run are there on Linux, x86_64 and aarch64 (with glibc), with the backend `direct`;
//! elsewhere they are empty, and all else is the same. A glibc before 2.35 takes a lock of the loader to look up how
//! functions unwind: there a thread that hangs while it loads a library may keep a dump waiting. A dump keeps addresses;
//! names are looked up when it is printed, and then remembered.
//!
//! # After a crash
//!
//! `src/inspect/greenlets.py`, which comes with the crate, is a script for gdb. In a process that it is attached to, or in a
//! core, `greenlets` lists the greenlets of all threads, and `greenlet 7` shows the calls of one:
//!
//! ```text
//! (gdb) source greenlets.py
//! (gdb) greenlets
//! (gdb) greenlet 7
//! ```

mod census;
mod json;
mod serve;
mod signal;

use crate::hub::Hub;
use crate::hub::dump::dump_of;
use crate::hub::roll;
use crate::hub::seen::Wish;

pub use crate::hub::calls::{Call, Calls};
pub use crate::hub::dump::{Dump, Seen, StackUse, WaitObject};
pub use crate::hub::seen::State;
pub use census::{Site, Stacks, census, stacks};
pub use serve::{Served, serve};
pub use signal::on_signal;

/// What a dump is to contain besides what is known of each greenlet anyway.
///
/// ```
/// use greenlet::inspect::{self, Options};
///
/// let dump = inspect::dump_with(Options::new().frames(false).stacks(false));
/// assert!(dump.greenlets()[0].frames().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options {
    wish: Wish,
}

impl Options {
    /// Everything.
    pub fn new() -> Options {
        Options {
            wish: Wish {
                frames: true,
                touched: true,
            },
        }
    }

    /// Whether stacks are walked: some microseconds for each greenlet.
    pub fn frames(mut self, frames: bool) -> Options {
        self.wish.frames = frames;
        self
    }

    /// Whether the system is asked how deep each stack was used: about a microsecond for each greenlet.
    pub fn stacks(mut self, stacks: bool) -> Options {
        self.wish.touched = stacks;
        self
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

/// What the greenlets of this thread are doing.
///
/// # Parks
/// No.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn dump() -> Dump {
    dump_with(Options::new())
}

/// As [`dump`], with a choice of what it contains.
///
/// # Parks
/// No.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn dump_with(options: Options) -> Dump {
    Hub::here().dump(options.wish)
}

/// What the greenlets of all threads are doing: of those that have ever waited or spawned, and have not ended.
///
/// # Parks
/// No. It blocks until each thread has answered, or has not begun to within half a second.
pub fn dump_all() -> Vec<Dump> {
    dump_all_with(Options::new())
}

/// As [`dump_all`], with a choice of what they contain.
///
/// # Parks
/// No. It blocks as [`dump_all`] does.
pub fn dump_all_with(options: Options) -> Vec<Dump> {
    let me = roll::number_of_this_thread();
    let faces = roll::faces().into_iter();
    let dump = |face: roll::Face| match Hub::here_if_open() {
        Some(hub) if face.number == me => hub.dump(options.wish),
        _ => dump_of(&face, options.wish),
    };
    faces.map(dump).collect()
}
