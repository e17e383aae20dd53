//! Sources: descriptors that greenlets wait for, and the one retry loop (law 3).
//!
//! A [`Source`] owns a thing with a descriptor. The descriptor is registered once, when somebody first has to
//! wait for it, edge-triggered and for both directions, and stays so for its whole life: no system call for
//! each wait. A thing that tells of each read that it can be written to, as an eventfd does, is registered
//! [step by step](Source::step_by_step), and level-triggered at first. What is known of its readiness, once
//! somebody has found something out, is two bits:
//!
//! ```text
//!               an event ──▶ ┌───────┐ ──▶ the call is made
//!                            │ ready │
//!      the call would block, └───────┘     it is not: park until there is an event
//!    or a read came back short
//! ```
//!
//! A short read of a stream says that it is drained, which saves the call that would say so. It says nothing
//! once the other side has closed, or an error or urgent data is there: data and the end may come with one
//! event, so that event is remembered (`CLOSED`), and from then on only the call itself counts. Nor does a short read
//! of a Unix socket that a message with descriptors has ended, which the call says, or of what may keep messages or
//! lines apart: pipes, terminals, other kinds of sockets.
//!
//! Events carry a key with a generation (law 8): one for a source that has gone, whose number and place may
//! belong to another one by now, is ignored.
//!
//! | module | what lives there |
//! |---|---|
//! | [`source`] | sources, and the retry loop |
//! | [`state`] | what is known of a source |
//! | [`limit`] | how long those may wait who use it |
//! | [`table`] | those that are registered, and the poller |
//! | [`watched`] | waiting without a call, for `select` |
//! | [`foreign`] | descriptors that are shared with other processes |
//! | [`descriptor`] | conversions that all types with a descriptor have |

pub(crate) mod descriptor;
pub(crate) mod foreign;
mod limit;
#[allow(unsafe_code)]
mod source;
#[allow(unsafe_code)]
mod state;
#[allow(unsafe_code)]
mod table;
mod watched;

pub(crate) use descriptor::descriptor;
pub(crate) use foreign::{count_call, is_ready_now, wait_for_foreign};
pub(crate) use limit::Limit;
pub(crate) use source::Source;
pub(super) use table::Table;
pub use watched::Watchable;
pub(crate) use watched::Watched;

use crate::sys::poller::Readiness;

/// Which way data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    #[inline]
    pub(super) fn bit(self) -> Readiness {
        match self {
            Direction::Read => Readiness::READ,
            Direction::Write => Readiness::WRITE,
        }
    }

    #[inline]
    pub(super) fn purpose(self) -> &'static &'static str {
        match self {
            Direction::Read => &"waits for something to read",
            Direction::Write => &"waits to write",
        }
    }
}
