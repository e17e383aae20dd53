//! The door as it is: a lock-free queue, and two ways to end a sleep.
//!
//! A hub that has descriptors sleeps in its poller, and is rung for by the bell of that. One that has none parks
//! its thread, as std does, and is unparked: there is less to do on both sides. It says how it sleeps before it
//! says that it does, so whoever takes the ringing knows. One that is slow to ring may find it in a later sleep of
//! the other kind: that ring is one in vain, or is kept for later, and the later sleep has ringers of its own.

use super::door::{Door, Queue, Ring};
use crate::data::register::Key;
use crate::sys::poller::Bell;
use crossbeam_queue::SegQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, Thread};

/// Where other threads knock.
pub(crate) type Remote = Door<SegQueue<Key>, Doorbell>;

/// What ends a sleep of a hub.
pub(crate) struct Doorbell {
    bell: Arc<Bell>,
    thread: Thread,
    parks: AtomicBool,
}

impl Doorbell {
    /// For the hub of this thread.
    pub(crate) fn new(bell: Arc<Bell>) -> Doorbell {
        Doorbell {
            bell,
            thread: thread::current(),
            parks: AtomicBool::new(false),
        }
    }

    /// The next sleep is one of a parked thread, or one in the poller.
    pub(crate) fn set(&self, parks: bool) {
        self.parks.store(parks, Relaxed);
    }
}

impl Queue for SegQueue<Key> {
    #[inline]
    fn push(&self, key: Key) {
        SegQueue::push(self, key);
    }

    #[inline]
    fn pop(&self) -> Option<Key> {
        SegQueue::pop(self)
    }

    #[inline]
    fn is_empty(&self) -> bool {
        SegQueue::is_empty(self)
    }
}

impl Ring for Doorbell {
    fn ring(&self) {
        match self.parks.load(Relaxed) {
            true => self.thread.unpark(),
            false => self.bell.ring(),
        }
    }
}

#[cfg(all(test, not(greenlet_loom)))]
mod tests {
    use super::*;
    use crate::sys::clock::Moment;
    use crate::sys::poller::{Events, Poller};
    use std::thread;
    use std::time::Duration;

    /// The key of a knock, and its inverse.
    fn key(knocker: u64, number: u64) -> Key {
        Key::new((knocker + 1) << 32 | number).unwrap()
    }

    fn knock(key: Key) -> (u64, u64) {
        ((key.get() >> 32) - 1, u64::from(key.get() as u32))
    }

    /// Real threads, a real queue and a real poller: every key comes once, and the hub misses no ring.
    #[test]
    fn a_hub_that_sleeps_whenever_it_can_answers_every_knock() {
        const KNOCKERS: u64 = 3;
        const KNOCKS: u64 = 20_000;
        const LONG: Duration = Duration::from_secs(30);
        let poller = Poller::new().unwrap();
        let doorbell = Doorbell::new(poller.bell());
        let door: Arc<Remote> = Arc::new(Door::new(SegQueue::new(), doorbell));
        let knockers = [0, 1, 2].map(|knocker| {
            let door = door.clone();
            thread::spawn(move || {
                for number in 0..KNOCKS {
                    assert!(door.knock(key(knocker, number)));
                    if number % 8 == 0 {
                        thread::yield_now();
                    }
                }
            })
        });
        let mut events = Events::new();
        let mut next = [0; KNOCKERS as usize];
        let mut sleeps = 0;
        while next.iter().sum::<u64>() < KNOCKERS * KNOCKS {
            while let Some((knocker, number)) = door.answer().map(knock) {
                assert_eq!(number, next[knocker as usize], "in the order of knocking");
                next[knocker as usize] += 1;
            }
            let done = next.iter().sum::<u64>() == KNOCKERS * KNOCKS;
            // One way and the other, in turn.
            sleeps += 1;
            let parks = sleeps % 2 == 0;
            door.bell().set(parks);
            if !done && door.fall_asleep() {
                let begin = Moment::now();
                match parks {
                    true => thread::park_timeout(LONG),
                    false => poller.wait(&mut events, Some(LONG)),
                }
                assert!(begin.until(Moment::now()) < LONG, "a ring was lost");
                door.wake_up();
            }
        }
        for knocker in knockers {
            knocker.join().unwrap();
        }
        assert!(door.is_quiet());
        door.close();
        assert!(!door.knock(key(0, 0)));
        assert_eq!(door.answer(), None);
    }
}
