//! A lock that greenlets of any thread wait for: one at a time uses a standard stream.
//!
//! The holder may take it again. When it is free, the one who waits longest is knocked for, and looks again
//! (law 4); somebody who comes in between may have it first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use crate::hub::Hub;
use crate::hub::desk::Knocker;
use crate::sys::lock::lock;

/// Whose turn it is.
pub(super) struct Turn(Mutex<State>);

struct State {
    /// The number of the greenlet whose turn it is.
    holder: Option<u64>,
    /// How often it has taken it.
    depth: usize,
    tickets: u64,
    waiting: VecDeque<(u64, Knocker)>,
}

/// It is the turn of the one who has this. At the very end of a thread nobody can wait for one, and goes without.
pub(super) struct Taken(Option<&'static Turn>);

impl Turn {
    pub(super) const fn new() -> Turn {
        Turn(Mutex::new(State {
            holder: None,
            depth: 0,
            tickets: 0,
            waiting: VecDeque::new(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Waits for one's turn.
    ///
    /// # Panics
    /// If it cannot be waited for: the system has no descriptors left for a poller.
    pub(super) fn take(&'static self) -> Taken {
        let Some(hub) = Hub::here_to_the_end() else {
            return Taken(None);
        };
        let me = hub.thread().current().id;
        if self.try_take(me) {
            return Taken(Some(self));
        }
        let (_ticket, knocker) = hub
            .enrol()
            .expect("a poller is needed to wait for a standard stream");
        let _queued = self.queue(knocker);
        while !self.try_take(me) {
            hub.park(&"waits for a standard stream");
        }
        Taken(Some(self))
    }

    fn try_take(&self, me: u64) -> bool {
        let mut state = self.state();
        let free = state.holder.is_none_or(|holder| holder == me);
        if free {
            state.holder = Some(me);
            state.depth += 1;
        }
        free
    }

    fn queue(&self, knocker: Knocker) -> Queued<'_> {
        let mut state = self.state();
        state.tickets += 1;
        let number = state.tickets;
        state.waiting.push_back((number, knocker));
        Queued { turn: self, number }
    }

    fn knock(&self) {
        let first = self.state().waiting.front().map(|first| first.1.clone());
        if let Some(knocker) = first {
            knocker.wake();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(turn) = self.0 else { return };
        let mut state = turn.state();
        state.depth -= 1;
        if state.depth == 0 {
            state.holder = None;
            drop(state);
            turn.knock();
        }
    }
}

/// One who waits; leaves the queue on every way out (law 5).
struct Queued<'a> {
    turn: &'a Turn,
    number: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut state = self.turn.state();
        state.waiting.retain(|waits| waits.0 != self.number);
        let free = state.holder.is_none();
        drop(state);
        if free {
            // One that was knocked for and is raised in: the next one looks.
            self.turn.knock();
        }
    }
}
