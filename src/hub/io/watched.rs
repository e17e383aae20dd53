//! Readiness without a call: what a `select` waits for.

use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;

use super::source::closed;
use super::state::State;
use super::{Direction, is_ready_now};
use crate::hub::Hub;

/// Something with a descriptor that a [`select`](crate::sync::select()) can wait for: sockets, pipes, children's streams,
/// and whatever stands in a [`Descriptor`](crate::io::Descriptor).
#[allow(private_interfaces)] // sealed: the hidden method speaks of the hub
pub trait Watchable {
    #[doc(hidden)]
    fn watched(&self) -> Watched<'_>;
}

/// A source that is waited for, and that somebody else calls then.
pub struct Watched<'a> {
    pub(super) fd: BorrowedFd<'a>,
    pub(super) state: &'a State,
    pub(super) closed: &'a Cell<bool>,
}

impl Watched<'_> {
    /// Whether a call would not wait, or fails. What is known may be stale, so the system is asked, unless it tells
    /// by an event.
    pub(crate) fn look(&self, direction: Direction) -> Option<io::Result<()>> {
        if self.closed.get() {
            return Some(Err(closed()));
        }
        if !self.state.is_ready(direction) && self.state.tells(direction) {
            return None;
        }
        let ready = is_ready_now(self.fd, direction);
        if !matches!(ready, Ok(true)) {
            self.state.found_nothing(Hub::here(), direction);
        }
        match ready {
            Ok(false) => None,
            outcome => Some(outcome.map(drop)),
        }
    }

    /// Stands in line while `rest` runs, which parks; whether there was an event.
    ///
    /// # Errors
    /// If it cannot be waited for; `rest` has not run then.
    pub(crate) fn stand(&self, direction: Direction, rest: &mut dyn FnMut()) -> io::Result<bool> {
        let hub = Hub::here();
        hub.check_open()?;
        self.state.register(&self.fd, hub, direction)?;
        let _awaited = hub.io.await_one(hub.thread().current(), self.state);
        let line = self.state.waiting(direction);
        Ok(line.stand(hub, &mut None, rest))
    }

    /// What is left is for the next in line.
    pub(crate) fn pass_on(&self, direction: Direction) {
        self.state.pass_on(Hub::here(), direction);
    }
}
