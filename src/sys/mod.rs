//! Floor 0, the machine: switching stacks, mapping stacks, telling an overflow apart from a bug; polling; the
//! clock.
//!
//! Nothing here knows what a greenlet is. Four parts are seams, where another backend fits:
//!
//! | seam | what a backend provides | backends |
//! |---|---|---|
//! | [`context`] | `Context::{native, unbound, bind, switch, look_ahead, look_ahead_to, fetch, registers, release, abandon}` | `direct`, `corosensei`, `baton` |
//! | [`stack`] | `Stacks::{take, put, trim, settle, freshen, leak, stats}`, `Stack::{top, limit, ends, below, guards}` | `arena`, `borrowed` (baton) |
//! | [`poller`] | `Poller::{add, change, remove, wait, bell, leave_behind}`, `Bell::ring`, `Events`, `SHORT_READ_DRAINS` | `epoll`, `kqueue` |
//! | [`clock`] | `Moment::{now, of}` | the machine's (a simulated one has its room here) |
//!
//! The backends are chosen by `cfg` and by nothing else, and the same tests run over all of them. [`sync`] is
//! std's atomics and locks, or a model checker's.

#[allow(unsafe_code)]
pub(crate) mod child;
pub(crate) mod clock;
#[allow(unsafe_code)]
pub(crate) mod context;
#[allow(unsafe_code)]
pub(crate) mod fd;
#[allow(unsafe_code)]
pub(crate) mod fork;
#[allow(unsafe_code)]
pub(crate) mod frames;
pub(crate) mod local;
pub(crate) mod lock;
#[allow(unsafe_code)]
pub(crate) mod memory;
#[allow(unsafe_code)]
pub(crate) mod overflow;
#[allow(unsafe_code)]
pub(crate) mod panics;
#[allow(unsafe_code)]
pub(crate) mod poller;
#[allow(unsafe_code)]
pub(crate) mod signals;
#[allow(unsafe_code)]
pub(crate) mod stack;
pub(crate) mod sync;
#[allow(unsafe_code)]
pub(crate) mod tasks;
