//! Floor 0, the machine: switching stacks, mapping stacks, telling an overflow apart from a bug; the clock.
//!
//! Nothing here knows what a greenlet is. Three parts are seams, where another backend fits:
//!
//! | seam | what a backend provides | backends |
//! |---|---|---|
//! | [`context`] | `Context::{native, unbound, bind, switch, look_ahead, release, abandon}` | `direct`, `corosensei`, `baton` |
//! | [`stack`] | `Stacks::{take, put, trim, stats}`, `Stack::{top, limit}` | `arena`, `borrowed` (baton) |
//! | [`clock`] | `Moment::{now, of}` | the machine's (a simulated one has its room here) |
//!
//! The backends are chosen by `cfg` and by nothing else, and the same tests run over all of them.

#[allow(dead_code, reason = "the hub uses it")]
pub(crate) mod clock;
#[allow(unsafe_code)]
pub(crate) mod context;
pub(crate) mod local;
#[allow(unsafe_code)]
pub(crate) mod overflow;
#[allow(unsafe_code)]
pub(crate) mod stack;
