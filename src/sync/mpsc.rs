//! `std::sync::mpsc` for greenlets of one thread: many senders, one receiver.
//!
//! # Differences from std
//! - Nothing is `Send`. Between threads: [`remote::channel`](super::remote).
//! - What does not wait lets nobody else run: a loop that sends into a channel without a bound as long as there is a receiver, or
//!   that asks `try_recv` again and again, never ends. It needs a [`yield_now`](crate::yield_now).

use std::fmt;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use super::channel::{self, bounded, unbounded};
pub use super::channel::{IntoIter, Iter, TryIter};

/// A channel that holds whatever is sent.
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = unbounded();
    (Sender(sender), Receiver(receiver))
}

/// A channel that holds `bound` messages; with 0, a sender waits for somebody who receives.
#[track_caller]
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let (sender, receiver) = bounded(bound);
    (SyncSender(sender), Receiver(receiver))
}

/// The end of [`channel()`] that messages go in.
pub struct Sender<T>(channel::Sender<T>);

/// The end of [`sync_channel`] that messages go in.
pub struct SyncSender<T>(channel::Sender<T>);

/// The end that messages come out of.
pub struct Receiver<T>(channel::Receiver<T>);

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender(self.0.clone())
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> SyncSender<T> {
        SyncSender(self.0.clone())
    }
}

impl<T> Sender<T> {
    /// Sends a message.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The message, if the receiver has gone.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.0.send(message)
    }
}

impl<T> SyncSender<T> {
    /// Sends a message, when there is room for it.
    ///
    /// # Parks
    /// Only if the channel is full.
    ///
    /// # Cancellation
    /// The message is not sent; it is dropped with the greenlet that had it.
    ///
    /// # Errors
    /// The message, if the receiver has gone.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.0.send(message)
    }

    /// Sends a message if there is room for it, or the receiver waits.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The message, if there is no room or the receiver has gone.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(message)
    }
}

impl<T> Receiver<T> {
    /// Takes the next message, when there is one.
    ///
    /// # Parks
    /// Only if there is none.
    ///
    /// # Cancellation
    /// No message is taken.
    ///
    /// # Errors
    /// If there is none and no sender is left.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.0.recv()
    }

    /// Takes the next message, if there is one.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If there is none; whether a sender is left.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }

    /// As [`recv`](Self::recv), for `timeout` at most.
    ///
    /// # Parks
    /// Only if there is none.
    ///
    /// # Cancellation
    /// No message is taken.
    ///
    /// # Errors
    /// If none came in time, or there is none and no sender is left.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(timeout)
    }

    /// As [`recv`](Self::recv), until `deadline`.
    ///
    /// # Parks
    /// Only if there is none.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.0.recv_deadline(deadline)
    }

    /// The messages, until no sender is left.
    ///
    /// # Parks
    /// The iterator does, as [`recv`](Self::recv).
    pub fn iter(&self) -> Iter<'_, T> {
        self.0.iter()
    }

    /// The messages that are there.
    ///
    /// # Parks
    /// No.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        self.0.try_iter()
    }

    /// The same end for [`select`](super::select()).
    pub fn as_channel(&self) -> &channel::Receiver<T> {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        self.0.into_iter()
    }
}
