//! Channels with many senders and many receivers, within one thread.
//!
//! [`bounded`] holds so many messages and then makes senders wait; with no room at all, a message goes from one
//! greenlet to another and nowhere in between. [`unbounded`] never makes a sender wait. Both ends can be cloned;
//! each message goes to one receiver. Of those who wait, the one that has waited longest gets the next message, and nobody
//! takes it away meanwhile; who asks while there are more than that need not wait. When all ends of one kind have gone, the
//! other kind is told: receivers after they have taken what was sent, senders by an error that gives the message
//! back.
//!
//! ```
//! use greenlet::sync::channel;
//!
//! let (sender, receiver) = channel::bounded(2);
//! greenlet::spawn(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
//! assert_eq!(receiver.iter().sum::<i32>(), 6);
//! ```
//!
//! Without room, a sender that finds a waiting receiver leaves the message to it and goes on. If that one is killed
//! before its turn, the message is for the next who receives, which may be after later ones.
//!
//! Nothing in here is `Send`, and nothing is atomic. Between threads: [`remote::channel`](super::remote).

use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use super::chan::{Chan, Unsent};
use super::ends::received;
use crate::data::ring::Ring;
use crate::sys::clock::Moment;

/// What both ends share.
#[repr(C)]
struct Shared<T> {
    chan: Chan<T>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
}

/// The end that messages go in; see the [module](self).
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

/// The end that messages come out of; see the [module](self).
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
}

/// A channel that holds `capacity` messages; with 0, a sender waits for somebody who receives.
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        chan: Chan::new(capacity, Ring::new()),
        senders: Cell::new(1),
        receivers: Cell::new(1),
    });
    let receiver = Receiver {
        shared: Rc::clone(&shared),
    };
    (Sender { shared }, receiver)
}

/// A channel that holds whatever is sent.
#[track_caller]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

impl<T> Sender<T> {
    /// Sends a message, when there is room for it.
    ///
    /// # Parks
    /// Only if the channel is full.
    ///
    /// # Cancellation
    /// The message is not sent; it is dropped with the greenlet that had it.
    ///
    /// # Errors
    /// The message, if no receiver is left.
    #[inline(always)]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self.chan().put(message, None) {
            Ok(()) => Ok(()),
            Err(Unsent::Full(message) | Unsent::Closed(message)) => Err(SendError(message)),
        }
    }

    /// Sends a message if there is room for it, or a receiver that waits.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The message, if there is no room or no receiver is left.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.chan().try_put(message).map_err(TrySendError::from)
    }

    /// As [`send`](Self::send), for `timeout` at most.
    ///
    /// # Parks
    /// Only if the channel is full.
    ///
    /// # Errors
    /// The message, if there was no room in time or no receiver is left.
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.put_until(message, Moment::now().after(timeout))
    }

    /// As [`send`](Self::send), until `deadline`.
    ///
    /// # Parks
    /// Only if the channel is full.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.put_until(message, Moment::of(deadline))
    }

    fn put_until(&self, message: T, at: Moment) -> Result<(), SendTimeoutError<T>> {
        self.chan()
            .put(message, Some(at))
            .map_err(SendTimeoutError::from)
    }

    /// How many messages wait in the channel.
    pub fn len(&self) -> usize {
        self.chan().len()
    }

    /// Whether no message waits in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the next sender would have to wait, unless a receiver does.
    pub fn is_full(&self) -> bool {
        self.chan().len() >= self.chan().capacity()
    }

    /// How many messages there is room for; None if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        capacity(self.chan())
    }

    /// Whether no receiver is left.
    pub fn is_disconnected(&self) -> bool {
        self.chan().is_closed()
    }

    /// Whether both are ends of one channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    pub(super) fn chan(&self) -> &Chan<T> {
        &self.shared.chan
    }
}

impl<T> Receiver<T> {
    /// Takes the next message, when there is one.
    ///
    /// # Parks
    /// Only if the channel is empty.
    ///
    /// # Cancellation
    /// No message is taken.
    ///
    /// # Errors
    /// If the channel is empty and no sender is left.
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.chan().take(None).ok_or(RecvError)
    }

    /// Takes the next message, if there is one, or a sender that waits.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If the channel is empty; whether a sender is left.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let nothing = || match self.is_disconnected() {
            true => TryRecvError::Disconnected,
            false => TryRecvError::Empty,
        };
        self.chan().try_take(false).ok_or_else(nothing)
    }

    /// As [`recv`](Self::recv), for `timeout` at most.
    ///
    /// # Parks
    /// Only if the channel is empty.
    ///
    /// # Cancellation
    /// No message is taken.
    ///
    /// # Errors
    /// If none came in time, or the channel is empty and no sender is left.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.take_until(Moment::now().after(timeout))
    }

    /// As [`recv`](Self::recv), until `deadline`.
    ///
    /// # Parks
    /// Only if the channel is empty.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.take_until(Moment::of(deadline))
    }

    fn take_until(&self, at: Moment) -> Result<T, RecvTimeoutError> {
        let nothing = || match self.is_disconnected() {
            true => RecvTimeoutError::Disconnected,
            false => RecvTimeoutError::Timeout,
        };
        self.chan().take(Some(at)).ok_or_else(nothing)
    }

    /// The messages, until no sender is left.
    ///
    /// # Parks
    /// The iterator does, as [`recv`](Self::recv).
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// The messages that are there.
    ///
    /// # Parks
    /// No.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }

    /// How many messages wait in the channel.
    pub fn len(&self) -> usize {
        self.chan().len()
    }

    /// Whether no message waits in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages there is room for; None if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        capacity(self.chan())
    }

    /// Whether no sender is left. There may still be messages.
    pub fn is_disconnected(&self) -> bool {
        self.chan().is_closed()
    }

    /// Whether both are ends of one channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    pub(super) fn chan(&self) -> &Chan<T> {
        &self.shared.chan
    }
}

fn capacity<T>(chan: &Chan<T>) -> Option<usize> {
    Some(chan.capacity()).filter(|room| *room != usize::MAX)
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        let shared = Rc::clone(&self.shared);
        shared.senders.set(shared.senders.get() + 1);
        Sender { shared }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        let shared = Rc::clone(&self.shared);
        shared.receivers.set(shared.receivers.get() + 1);
        Receiver { shared }
    }
}

/// Receivers take what is there, and learn that no more will come.
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let left = self.shared.senders.get() - 1;
        self.shared.senders.set(left);
        if left == 0 {
            self.chan().close();
        }
    }
}

/// Senders get back what they have, and nobody will take what is there.
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.shared.receivers.get() - 1;
        self.shared.receivers.set(left);
        if left == 0 {
            self.chan().close();
            self.chan().clear();
        }
    }
}

received!();

/// A message was not sent within a time; it is in here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// There was no room in time.
    Timeout(T),
    /// No receiver is left.
    Disconnected(T),
}

impl<T> SendTimeoutError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(message) | SendTimeoutError::Disconnected(message) => message,
        }
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendTimeoutError::Timeout(_) => "Timeout(..)",
            SendTimeoutError::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendTimeoutError::Timeout(_) => "there was no room in the channel in time",
            SendTimeoutError::Disconnected(_) => "sending on a closed channel",
        })
    }
}

impl<T> std::error::Error for SendTimeoutError<T> {}

impl<T> From<Unsent<T>> for SendTimeoutError<T> {
    fn from(unsent: Unsent<T>) -> SendTimeoutError<T> {
        match unsent {
            Unsent::Full(message) => SendTimeoutError::Timeout(message),
            Unsent::Closed(message) => SendTimeoutError::Disconnected(message),
        }
    }
}

impl<T> From<Unsent<T>> for TrySendError<T> {
    fn from(unsent: Unsent<T>) -> TrySendError<T> {
        match unsent {
            Unsent::Full(message) => TrySendError::Full(message),
            Unsent::Closed(message) => TrySendError::Disconnected(message),
        }
    }
}

// A panic in between leaves no channel half-done.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}
