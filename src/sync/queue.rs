//! Queues: gevent's `Queue`, `LifoQueue`, `PriorityQueue` and `JoinableQueue`.
//!
//! A queue is one thing that all who use it share, by reference or in an `Rc`. Every queue counts what was taken
//! and is not done, so every queue can be joined. For ends that disconnect, see [`channel`](super::channel).

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::mem::offset_of;
use std::time::Duration;

use super::chan::{Chan, Store, Unsent};
use crate::data::ring::Ring;
use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::switch::subject::Subject;
use crate::sys::clock::{Moment, has_passed};

/// A queue, first in, first out, unless `S` says otherwise.
///
/// ```
/// use greenlet::sync::queue::Queue;
///
/// let jobs = Queue::bounded(10);
/// greenlet::scope(|scope| {
///     let worker = scope.spawn(|| {
///         while let Some(job) = jobs.get() {
///             let _: u32 = job; // work
///             jobs.task_done();
///         }
///     });
///     (0..100).for_each(|job| jobs.put(job).unwrap());
///     jobs.join();
///     jobs.close();
///     worker.join().unwrap();
/// });
/// ```
#[repr(C)]
pub struct Queue<T, S = Fifo<T>> {
    chan: Chan<T, Counted<S>>,
    done: Cell<usize>,
    joiners: WaitList<(), Subject>,
}

/// The last in is the first out.
pub type LifoQueue<T> = Queue<T, Lifo<T>>;

/// The smallest is the first out, as in Python.
pub type PriorityQueue<T> = Queue<T, Heap<T>>;

/// How items lie in a [`Queue`].
pub trait Order<T>: Store<T> + Default {}

impl<T, S: Store<T> + Default> Order<T> for S {}

/// The first in is the first out.
pub struct Fifo<T>(Ring<T>);

/// The last in is the first out.
pub struct Lifo<T>(RefCell<Vec<T>>);

/// The smallest is the first out. Comparing two items must neither come back to the queue
/// nor wait.
pub struct Heap<T>(RefCell<BinaryHeap<Reverse<T>>>);

impl<T> Default for Fifo<T> {
    fn default() -> Fifo<T> {
        Fifo(Ring::new())
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Lifo<T> {
        Lifo(RefCell::default())
    }
}

impl<T: Ord> Default for Heap<T> {
    fn default() -> Heap<T> {
        Heap(RefCell::default())
    }
}

impl<T> Store<T> for Fifo<T> {
    #[inline(always)]
    fn put(&self, item: T) {
        self.0.push(item);
    }

    #[inline(always)]
    fn take(&self) -> Option<T> {
        self.0.pop()
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Store<T> for Lifo<T> {
    fn put(&self, item: T) {
        self.0.borrow_mut().push(item);
    }

    fn take(&self) -> Option<T> {
        self.0.borrow_mut().pop()
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

impl<T: Ord> Store<T> for Heap<T> {
    fn put(&self, item: T) {
        self.0.borrow_mut().push(Reverse(item));
    }

    fn take(&self) -> Option<T> {
        self.0.borrow_mut().pop().map(|Reverse(item)| item)
    }

    fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// A store that knows how many items were ever put.
#[derive(Default)]
struct Counted<S> {
    store: S,
    count: Cell<usize>,
}

impl<S> Counted<S> {
    #[inline]
    fn one_more(&self) {
        self.count.set(self.count.get() + 1);
    }
}

impl<T, S: Store<T>> Store<T> for Counted<S> {
    #[inline]
    fn put(&self, item: T) {
        self.one_more();
        self.store.put(item);
    }

    #[inline]
    fn take(&self) -> Option<T> {
        self.store.take()
    }

    #[inline]
    fn pass(&self, item: T) -> T {
        self.one_more();
        item
    }

    #[inline]
    fn len(&self) -> usize {
        self.store.len()
    }
}

/// An item did not go into the queue; it is in here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// There was no room, in time.
    Full(T),
    /// The queue is closed.
    Closed(T),
}

impl<T> PutError<T> {
    /// The item.
    pub fn into_inner(self) -> T {
        match self {
            PutError::Full(item) | PutError::Closed(item) => item,
        }
    }
}

impl<T> Queue<T> {
    /// One that takes whatever is put.
    #[track_caller]
    pub fn unbounded() -> Queue<T> {
        Queue::with_room(usize::MAX)
    }

    /// One that holds `capacity` items; with 0, an item goes straight to somebody who waits for it.
    #[track_caller]
    pub fn bounded(capacity: usize) -> Queue<T> {
        Queue::with_room(capacity)
    }
}

impl<T, S: Order<T>> Queue<T, S> {
    /// One of any order that holds `capacity` items. Without a bound: `default`.
    ///
    /// ```
    /// use greenlet::sync::queue::PriorityQueue;
    ///
    /// let queue = PriorityQueue::with_room(3);
    /// [3, 1, 2].map(|n| queue.put(n).unwrap());
    /// assert_eq!(queue.get(), Some(1));
    /// ```
    #[track_caller]
    pub fn with_room(capacity: usize) -> Queue<T, S> {
        Queue {
            chan: Chan::new(capacity, Counted::default()),
            done: Cell::new(0),
            joiners: WaitList::within(offset_of!(Self, joiners), size_of::<Self>()),
        }
    }

    /// Puts an item in, when there is room for it.
    ///
    /// # Parks
    /// Only if it is full.
    ///
    /// # Cancellation
    /// The item is not put; it is dropped with the greenlet that had it.
    ///
    /// # Errors
    /// The item, if the queue is closed.
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.chan.put(item, None).map_err(PutError::from)
    }

    /// As [`put`](Self::put), for `timeout` at most.
    ///
    /// # Parks
    /// Only if it is full.
    ///
    /// # Errors
    /// The item, if there was no room in time or the queue is closed.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        let deadline = Moment::now().after(timeout);
        self.chan.put(item, Some(deadline)).map_err(PutError::from)
    }

    /// Puts an item in if there is room for it.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The item, if there is no room or the queue is closed.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.chan.try_put(item).map_err(PutError::from)
    }

    /// Takes an item out, when there is one; None if the queue is closed and empty.
    ///
    /// # Parks
    /// Only if it is empty.
    ///
    /// # Cancellation
    /// No item is taken.
    pub fn get(&self) -> Option<T> {
        self.chan.take(None)
    }

    /// As [`get`](Self::get), for `timeout` at most.
    ///
    /// # Parks
    /// Only if it is empty.
    ///
    /// # Cancellation
    /// No item is taken.
    ///
    /// # Errors
    /// If there was none in time, or the queue is closed and empty.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        let deadline = Moment::now().after(timeout);
        let item = self.chan.take(Some(deadline));
        item.ok_or_else(|| self.why_nothing())
    }

    /// Takes an item out, if there is one.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If it is empty; whether it is closed.
    pub fn try_get(&self) -> Result<T, GetError> {
        let item = self.chan.try_take(false);
        item.ok_or_else(|| self.why_nothing())
    }

    /// The items, until the queue is closed and empty.
    ///
    /// # Parks
    /// The iterator does, as [`get`](Self::get).
    pub fn iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.get())
    }

    /// Takes no more items. Those who wait for one are told when the last one has been taken.
    ///
    /// # Parks
    /// No.
    pub fn close(&self) {
        self.chan.close();
    }

    /// Whether it takes no more items.
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
    }

    /// How many items are in it.
    pub fn len(&self) -> usize {
        self.chan.len()
    }

    /// Whether no item is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the next who puts something in would have to wait.
    pub fn is_full(&self) -> bool {
        self.len() >= self.chan.capacity()
    }

    /// Says that an item that was taken is done.
    ///
    /// # Parks
    /// No.
    ///
    /// # Panics
    /// If it is called more often than items were put.
    pub fn task_done(&self) {
        assert!(
            self.unfinished() > 0,
            "task_done was called more often than items were put"
        );
        self.done.set(self.done.get() + 1);
        if self.unfinished() == 0 && !self.joiners.is_empty() {
            self.joiners.call_all(Hub::here());
        }
    }

    /// How many were put and are not done.
    pub fn unfinished(&self) -> usize {
        self.chan.store().count.get() - self.done.get()
    }

    /// Waits until all that was put is done.
    ///
    /// # Parks
    /// Unless all is done.
    ///
    /// # Cancellation
    /// Nothing changes.
    pub fn join(&self) {
        self.join_until(None);
    }

    /// As [`join`](Self::join), for `timeout` at most; true if all is done.
    ///
    /// # Parks
    /// Unless all is done.
    ///
    /// # Cancellation
    /// Nothing changes.
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_until(Some(Moment::now().after(timeout)))
    }

    fn join_until(&self, deadline: Option<Moment>) -> bool {
        while self.unfinished() > 0 {
            let purpose = &"joins a queue";
            if self.joiners.wait_together(Hub::here(), purpose, deadline) {
                return true;
            }
            if has_passed(deadline) {
                return self.unfinished() == 0;
            }
        }
        true
    }

    fn why_nothing(&self) -> GetError {
        match self.is_closed() {
            true => GetError::Closed,
            false => GetError::Empty,
        }
    }

    pub(super) fn chan(&self) -> &Chan<T, impl Store<T>> {
        &self.chan
    }
}

impl<T, S: Order<T>> Default for Queue<T, S> {
    #[track_caller]
    fn default() -> Queue<T, S> {
        Queue::with_room(usize::MAX)
    }
}

impl<T, S: Order<T>> fmt::Debug for Queue<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("unfinished", &self.unfinished())
            .finish_non_exhaustive()
    }
}

/// Why nothing was taken out of a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetError {
    /// There was nothing, in time.
    Empty,
    /// The queue is closed, and empty.
    Closed,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GetError::Empty => "the queue is empty",
            GetError::Closed => "the queue is closed",
        })
    }
}

impl std::error::Error for GetError {}

impl<T> From<Unsent<T>> for PutError<T> {
    fn from(unsent: Unsent<T>) -> PutError<T> {
        match unsent {
            Unsent::Full(item) => PutError::Full(item),
            Unsent::Closed(item) => PutError::Closed(item),
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutError::Full(_) => "Full(..)",
            PutError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutError::Full(_) => "the queue is full",
            PutError::Closed(_) => "the queue is closed",
        })
    }
}

impl<T> std::error::Error for PutError<T> {}
