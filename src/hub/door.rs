//! The door of a hub, where other threads knock: wakes that come from outside.
//!
//! ```text
//!   knocker                                  hub
//!   leave the key            (1)             asleep = true            (a)
//!   fence                                    fence
//!   closed? then say so      (2)             a key waits? stay awake  (b)
//!   asleep? then ring        (2)             block in the poller; asleep = false; answer all keys
//! ```
//!
//! While the hub is awake a knock leaves its key and looks twice, without a system call; the hub answers between
//! two greenlets. Only who finds it asleep rings, and of several who do only the one that takes `asleep`
//! away: one wake, one `write`.
//!
//! Each side writes and then reads what the other has written. Release and acquire do not order that: either
//! store may still sit in its core's buffer while the other side reads the old value, and then the knocker
//! sees a hub awake, the hub sees no key, and it sleeps for ever. Two sequentially consistent fences are in
//! one order: if the knocker's comes first, (b) sees the key of (1); if the hub's comes first, (2) sees the
//! `true` of (a). One of them may be enough to stop the loss, and often both act: then the bell rings in
//! vain, which is legal (law 4). Closing is the same race with `closed` in the place of `asleep`, so a key
//! that was let in is found by the hub that drains after [`Door::close`].
//!
//! The one who rings takes `asleep` before it rings, and may be slow in between. Others then leave the
//! ringing to it: it comes. A ring that comes late, into the next sleep, is one in vain. `asleep` is taken
//! with acquire, and set with release, so that no earlier wait can have heard the ring of a later sleep.
//!
//! One key has a place beside the flags; those that come while it lies there, or before the queue is empty again, go to
//! the queue. So where calls come one at a time, a knock and its answer share one line of the caches and touch no queue.
//! The keys of one thread are answered in the order of its knocks: while its last one is in the queue, the next one
//! goes there as well, so its key beside the queue is older than those in it.
//!
//! A key may be stale when it is answered; it carries a generation, and the hub ignores the dead (law 8).

use crate::sys::sync::{AtomicBool, AtomicU64, Ordering, fence};
use std::num::NonZero;

/// What a knocker leaves.
type Key = NonZero<u64>;

/// Keys on their way to the hub: many push, the hub pops.
pub(crate) trait Queue {
    fn push(&self, key: Key);
    fn pop(&self) -> Option<Key>;
    fn is_empty(&self) -> bool;
}

/// What ends the sleep of a hub. A ring that nobody waits for is kept for the next wait.
pub(crate) trait Ring {
    fn ring(&self);
}

/// What both sides touch at each knock lies together.
#[repr(C)]
pub(crate) struct Door<Q, B> {
    asleep: AtomicBool,
    closed: AtomicBool,
    /// The key that is answered next; 0 is none.
    at_hand: AtomicU64,
    bell: B,
    queue: Q,
}

impl<Q: Queue, B: Ring> Door<Q, B> {
    pub(crate) fn new(queue: Q, bell: B) -> Self {
        Door {
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            at_hand: AtomicU64::new(0),
            bell,
            queue,
        }
    }

    /// Leaves a key for the hub, and wakes it if it sleeps. From any thread.
    ///
    /// True is a promise: the hub answers the key, if need be when it drains a closed door. False if the door
    /// is closed: nobody may answer any more. A key that came while it closed may be answered all the same.
    pub(crate) fn knock(&self, key: Key) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        self.leave(key);
        fence(Ordering::SeqCst); // with those of `fall_asleep` and `close`: see the module
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        if self.takes_the_ringing() {
            self.bell.ring();
        }
        true
    }

    fn leave(&self, key: Key) {
        let lay = || {
            self.at_hand
                .compare_exchange(0, key.get(), Ordering::Release, Ordering::Relaxed)
        };
        if !self.queue.is_empty() || lay().is_err() {
            self.queue.push(key);
        }
    }

    /// Whether the hub sleeps and nobody else is about to ring. The load comes first: the exchange takes the
    /// cache line away from everybody, also when there is no need. Where it fails it must write nothing, as a
    /// swap would: all `false` that a knocker leaves behind is followed by a ring.
    fn takes_the_ringing(&self) -> bool {
        let exchange = || {
            self.asleep
                .compare_exchange(true, false, Ordering::Acquire, Ordering::Relaxed)
        };
        self.asleep.load(Ordering::Relaxed) && exchange().is_ok()
    }

    /// What ends a sleep.
    pub(crate) fn bell(&self) -> &B {
        &self.bell
    }

    /// The next key. Hub only.
    #[inline]
    pub(crate) fn answer(&self) -> Option<Key> {
        if let Some(key) = self.take_at_hand() {
            return Some(key);
        }
        if self.queue.is_empty() {
            return None;
        }
        // Between the two looks a thread may have left one key here and then one there.
        self.take_at_hand().or_else(|| self.queue.pop())
    }

    #[inline]
    fn take_at_hand(&self) -> Option<Key> {
        let key = Key::new(self.at_hand.load(Ordering::Acquire))?;
        // Nobody else writes here while there is one.
        self.at_hand.store(0, Ordering::Relaxed);
        Some(key)
    }

    /// Whether no key waits. Cheap, and possibly late: for a hub that is awake.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.at_hand.load(Ordering::Relaxed) == 0 && self.queue.is_empty()
    }

    /// Before the hub blocks: from now on knocks ring. False if a key waits already, and then the hub must
    /// not block, and is awake as before. Hub only.
    #[must_use = "the hub must not block if a key waits"]
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst); // with that of `knock`
        let quiet = self.is_quiet();
        if !quiet {
            self.wake_up();
        }
        quiet
    }

    /// Whether the hub sleeps, and nobody has called it. From any thread.
    pub(crate) fn sleeps(&self) -> bool {
        self.asleep.load(Ordering::Acquire) && self.is_quiet()
    }

    /// After the hub has blocked, whatever woke it. Hub only.
    #[inline]
    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Lets nobody in any more. The keys that were let in are still to be answered, once: drain them after
    /// this. Hub only.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst); // with that of `knock`
    }
}
