//! Stacks that are not ours: the baton backend runs each greenlet on an OS thread, which brings its own.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use super::{Pages, StackStats};
use crate::sys::clock::Moment;

/// The size to ask the OS thread for.
pub(crate) struct Stack {
    size: usize,
}

impl Stack {
    /// The size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The system knows them.
    pub(crate) fn ends(&self) -> Option<(usize, usize)> {
        None
    }

    /// The system alone knows how much is left: nearly all of it, where a hub rests.
    pub(crate) fn below(&self, _address: usize) -> usize {
        self.size
    }

    /// No guard of ours: std's own stack overflow message serves OS threads.
    pub(crate) fn guards(&self, _address: usize) -> bool {
        false
    }
}

/// Counts the stacks in use.
#[derive(Default)]
pub(crate) struct Stacks {
    in_use: Cell<usize>,
}

impl Stacks {
    pub(crate) fn take(&self, pages: Pages, _besides: usize) -> io::Result<Stack> {
        self.in_use.set(self.in_use.get() + 1);
        Ok(Stack {
            size: pages.bytes(),
        })
    }

    pub(crate) fn put(&self, _stack: Stack) {
        self.in_use.set(self.in_use.get() - 1);
    }

    pub(crate) fn freshen(&self, _stack: &Stack) {}

    pub(crate) fn leak(&self, _stack: Stack) {}

    pub(crate) fn trim(&self) {}

    pub(crate) fn settle(&self, _now: Moment) -> Option<Duration> {
        None
    }

    pub(crate) fn stats(&self) -> StackStats {
        StackStats {
            in_use: self.in_use.get(),
            ..StackStats::default()
        }
    }
}
