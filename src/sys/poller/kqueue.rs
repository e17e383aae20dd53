//! Where there is no epoll: everything through the crate `polling`, which speaks kqueue.
//!
//! ```text
//!   add(fd, key):  keys[fd] = key    polling knows the descriptor by its number
//!   wait:          fd -> keys[fd]
//! ```
//!
//! `polling` takes a key of the size of a pointer, and ours has 64 bits everywhere; the table in between
//! keeps it whole. It is read before `wait` returns, so no event meets the key of a later registration.
//!
//! `polling` shows neither EOF nor errors of a kqueue, so here nothing is ever [`Readiness::CLOSED`], and a
//! short read proves nothing: readers go on until `EAGAIN`. Where `polling` shows more, it is passed on.
//!
//! Unlike an epoll, a kqueue of `polling` remembers a descriptor that was closed without being removed
//! (which law 8 forbids), and would refuse the next one of that number.

use super::{CAPACITY, RESERVED_KEY, Readiness, Trigger, is_closed, robbed};
use polling::{Event, PollMode};
use std::cell::RefCell;
use std::io::{self, Error, ErrorKind};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const SHORT_READ_DRAINS: bool = false;
/// Whether closing a descriptor takes it out of the poller.
pub(crate) const CLOSING_REMOVES: bool = false;

/// Three years. Some kernels refuse a timeout that is longer by far; a wait may end early then.
const LONGEST: Duration = Duration::from_secs(100_000_000);

pub(crate) struct Poller {
    bell: Arc<Bell>,
    /// By number of descriptor.
    keys: RefCell<Vec<u64>>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        let poller = polling::Poller::new()?;
        if !poller.supports_edge() {
            return Err(ErrorKind::Unsupported.into());
        }
        let rung = AtomicBool::new(false);
        Ok(Poller {
            bell: Arc::new(Bell { poller, rung }),
            keys: RefCell::new(Vec::new()),
        })
    }

    /// Watches a descriptor, once for its whole life, and for more than is asked: for both directions, and for edges.
    pub(crate) fn add(
        &self,
        fd: BorrowedFd<'_>,
        key: u64,
        _what: Readiness,
        _trigger: Trigger,
    ) -> io::Result<()> {
        if key == RESERVED_KEY {
            return Err(ErrorKind::InvalidInput.into());
        }
        let number = fd.as_raw_fd();
        let index = number as usize; // of an open descriptor: not negative
        // SAFETY: the descriptor is open (borrowed). Only its number is kept, and if it is closed before it
        // was removed, what comes of it is an event with a key that nobody answers to (law 8).
        let added = unsafe {
            self.bell
                .poller
                .add_with_mode(number, Event::all(index), PollMode::Edge)
        };
        if let Err(error) = added {
            if is_closed(self.bell.poller.as_raw_fd()) {
                robbed("its poller", &error);
            }
            return Err(error);
        }
        let mut keys = self.keys.borrow_mut();
        if keys.len() <= index {
            keys.resize(index + 1, RESERVED_KEY);
        }
        keys[index] = key;
        Ok(())
    }

    /// It is watched for everything.
    pub(crate) fn change(
        &self,
        _fd: BorrowedFd<'_>,
        _key: u64,
        _what: Readiness,
        _trigger: Trigger,
    ) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.bell.poller.delete(fd)?;
        self.keys.borrow_mut()[fd.as_raw_fd() as usize] = RESERVED_KEY;
        Ok(())
    }

    /// In the child of a fork. A kqueue stays with the parent, and its number is free here, or another's. An
    /// epoll is shared, and `polling` would take its own descriptors out of the parent's. So nothing is closed.
    pub(crate) fn leave_behind(self) {
        std::mem::forget(self);
    }

    /// Waits for an event, the bell or the timeout, and never shorter than the timeout otherwise.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) {
        events.raw.clear();
        events.list.clear();
        let timeout = timeout.map(|timeout| timeout.min(LONGEST));
        if let Err(error) = self.bell.poller.wait(&mut events.raw, timeout) {
            robbed("its poller", &error);
        }
        events.rung = self.bell.rung.swap(false, Ordering::SeqCst);
        let keys = self.keys.borrow();
        let known = |event: Event| {
            let key = *keys.get(event.key)?;
            (key != RESERVED_KEY).then_some((key, readiness(&event)))
        };
        events.list.extend(events.raw.iter().filter_map(known));
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }
}

/// Wakes the wait, or the next one, from any thread.
pub(crate) struct Bell {
    poller: polling::Poller,
    /// `polling` does not say whether a wait ended because of this.
    rung: AtomicBool,
}

impl Bell {
    pub(crate) fn ring(&self) {
        // Before the notification, so that the wait which it ends sees it.
        self.rung.store(true, Ordering::SeqCst);
        let notified = self.poller.notify();
        // Not every `notify` tells of a descriptor that is gone.
        if is_closed(self.poller.as_raw_fd()) {
            robbed("its bell", &Error::from_raw_os_error(libc::EBADF));
        }
        debug_assert!(notified.is_ok(), "{notified:?}");
    }
}

/// What a wait has brought.
pub(crate) struct Events {
    raw: polling::Events,
    list: Vec<(u64, Readiness)>,
    rung: bool,
}

impl Events {
    pub(crate) fn new() -> Events {
        let capacity = const { NonZeroUsize::new(CAPACITY).unwrap() };
        Events {
            raw: polling::Events::with_capacity(capacity),
            list: Vec::with_capacity(CAPACITY),
            rung: false,
        }
    }

    /// The keys of descriptors, and what has become possible with them; one may come twice.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> {
        self.list.iter().copied()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the bell was rung before the wait ended, and not heard before.
    #[cfg(test)]
    pub(crate) fn was_rung(&self) -> bool {
        self.rung
    }
}

fn readiness(event: &Event) -> Readiness {
    let has = |is, readiness| if is { readiness } else { Readiness::NONE };
    let broken = event.is_interrupt() || event.is_err() == Some(true);
    let closed = broken || event.is_priority();
    has(event.readable || closed, Readiness::READ)
        .union(has(event.writable || broken, Readiness::WRITE))
        .union(has(closed, Readiness::CLOSED))
}
