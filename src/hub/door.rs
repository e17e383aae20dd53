//! Placeholder.
use std::sync::atomic::{AtomicBool, Ordering, fence};
pub(crate) trait Queue<K> {
    fn push(&self, key: K);
    fn pop(&self) -> Option<K>;
    fn is_empty(&self) -> bool;
}
pub(crate) trait Ring {
    fn ring(&self);
}
pub(crate) struct Door<Q, B> {
    queue: Q,
    asleep: AtomicBool,
    closed: AtomicBool,
    bell: B,
}
impl<Q, B: Ring> Door<Q, B> {
    pub(crate) fn new(queue: Q, bell: B) -> Self {
        Door {
            queue,
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            bell,
        }
    }
    pub(crate) fn knock<K>(&self, key: K) -> bool
    where
        Q: Queue<K>,
    {
        if self.closed.load(Ordering::SeqCst) {
            return false;
        }
        self.queue.push(key);
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
        true
    }
    pub(crate) fn answer<K>(&self) -> Option<K>
    where
        Q: Queue<K>,
    {
        self.queue.pop()
    }
    pub(crate) fn fall_asleep<K>(&self) -> bool
    where
        Q: Queue<K>,
    {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.queue.is_empty() {
            true
        } else {
            self.asleep.store(false, Ordering::SeqCst);
            false
        }
    }
    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}
