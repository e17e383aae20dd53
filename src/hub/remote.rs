//! The door as it is: a lock-free queue, and the bell of the hub's poller.

use super::door::{Door, Queue, Ring};
use crate::sys::poller::Bell;
use crossbeam_queue::SegQueue;
use std::sync::Arc;

/// Where other threads knock with keys `K`.
pub(crate) type Remote<K> = Door<SegQueue<K>, Arc<Bell>>;

impl<K> Queue for SegQueue<K> {
    type Key = K;

    #[inline]
    fn push(&self, key: K) {
        SegQueue::push(self, key);
    }

    #[inline]
    fn pop(&self) -> Option<K> {
        SegQueue::pop(self)
    }

    #[inline]
    fn is_empty(&self) -> bool {
        SegQueue::is_empty(self)
    }
}

impl Ring for Arc<Bell> {
    fn ring(&self) {
        Bell::ring(self);
    }
}

#[cfg(all(test, not(greenlet_loom)))]
mod tests {
    use super::*;
    use crate::sys::clock::Moment;
    use crate::sys::poller::{Events, Poller};
    use std::thread;
    use std::time::Duration;

    /// Real threads, a real queue and a real poller: every key comes once, and the hub misses no ring.
    #[test]
    fn a_hub_that_sleeps_whenever_it_can_answers_every_knock() {
        const KNOCKERS: u64 = 3;
        const KNOCKS: u64 = 20_000;
        const LONG: Duration = Duration::from_secs(30);
        let poller = Poller::new().unwrap();
        let door: Arc<Remote<(u64, u64)>> = Arc::new(Door::new(SegQueue::new(), poller.bell()));
        let knockers = [0, 1, 2].map(|knocker| {
            let door = door.clone();
            thread::spawn(move || {
                for number in 0..KNOCKS {
                    assert!(door.knock((knocker, number)));
                    if number % 8 == 0 {
                        thread::yield_now();
                    }
                }
            })
        });
        let mut events = Events::new();
        let mut next = [0; KNOCKERS as usize];
        while next.iter().sum::<u64>() < KNOCKERS * KNOCKS {
            while let Some((knocker, number)) = door.answer() {
                assert_eq!(number, next[knocker as usize], "in the order of knocking");
                next[knocker as usize] += 1;
            }
            let done = next.iter().sum::<u64>() == KNOCKERS * KNOCKS;
            if !done && door.fall_asleep() {
                let begin = Moment::now();
                poller.wait(&mut events, Some(LONG));
                assert!(begin.until(Moment::now()) < LONG, "a ring was lost");
                door.wake_up();
            }
        }
        for knocker in knockers {
            knocker.join().unwrap();
        }
        assert!(door.is_quiet());
        door.close();
        assert!(!door.knock((0, 0)));
        assert_eq!(door.answer(), None);
    }
}
