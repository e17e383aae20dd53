//! A channel for one message, between threads.

pub use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::channel::{self, bounded};
use crate::sync::select::Ready;

/// A channel for one message.
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = bounded(1);
    (Sender(sender), Receiver(receiver))
}

/// The end that the message goes in; see [`channel()`].
#[derive(Debug)]
pub struct Sender<T>(channel::Sender<T>);

/// The end that the message comes out of; see [`channel()`].
#[derive(Debug)]
pub struct Receiver<T>(channel::Receiver<T>);

impl<T> Sender<T> {
    /// Sends the message.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The message, if the receiver has gone.
    pub fn send(self, message: T) -> Result<(), T> {
        self.0.send(message).map_err(|unsent| unsent.0)
    }

    /// Whether the receiver has gone.
    pub fn is_disconnected(&self) -> bool {
        self.0.is_disconnected()
    }
}

impl<T> Receiver<T> {
    /// Waits for the message.
    ///
    /// # Parks
    /// Unless it has come.
    ///
    /// # Cancellation
    /// The message is dropped with the receiver; to keep it, wait by reference:
    /// [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Errors
    /// If the sender has gone and sent nothing.
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn recv(self) -> Result<T, RecvError> {
        self.0.recv()
    }

    /// Waits for the message, for `timeout` at most.
    ///
    /// # Parks
    /// Unless it has come.
    ///
    /// # Cancellation
    /// The message is not taken.
    ///
    /// # Errors
    /// If it did not come in time, or the sender has gone and left nothing.
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(timeout)
    }

    /// The message, if it has come.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If it has not come; whether it can.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }

    /// The same end as that of a channel.
    pub fn as_channel(&self) -> &channel::Receiver<T> {
        &self.0
    }
}

impl<T> Ready for &Receiver<T> {
    type Output = Result<T, RecvError>;

    fn take(&self, called: bool) -> Option<Result<T, RecvError>> {
        (&self.0).take(called)
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        (&self.0).stand(rest)
    }

    fn pass_on(&self) {
        (&self.0).pass_on();
    }
}
