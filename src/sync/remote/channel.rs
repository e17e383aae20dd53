//! Channels between threads: [`sync::channel`](crate::sync::channel), and both ends may go anywhere.
//!
//! Those who wait are called in the order in which they came, one for each message. Whoever asks first takes it, since the
//! thread of the one that was called may be busy; who comes too late for its message keeps its place in line.

use std::cell::RefCell;
use std::sync::Arc;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use super::Crossing;
use super::crossing::Lines;
use super::states::{LINES, Messages, OFFERS, Parcel, RECEIVERS, Refused, SENDERS};
pub use crate::sync::channel::SendTimeoutError;
use crate::sync::ends::received;
use crate::sync::select::{Inlet, Ready};
use crate::sys::clock::Moment;

type Chan<T> = Crossing<Messages<T>, LINES>;

/// The end that messages go in.
pub struct Sender<T> {
    chan: Arc<Chan<T>>,
}

/// The end that messages come out of.
pub struct Receiver<T> {
    chan: Arc<Chan<T>>,
}

/// A channel that holds `capacity` messages; with 0, a sender waits for somebody who receives.
#[track_caller]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let messages = Messages::new(capacity);
    let chan = Arc::new(Crossing::over(messages));
    let receiver = Receiver {
        chan: Arc::clone(&chan),
    };
    (Sender { chan }, receiver)
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
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.put(message, None)
            .map_err(|unsent| SendError(unsent.into_inner()))
    }

    /// Sends a message if there is room for it, or a receiver that waits.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The message, if there is no room or no receiver is left.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let outcome = self
            .chan
            .change(|messages, lines| messages.try_put(message, lines));
        outcome.map_err(unsent)
    }

    /// As [`send`](Self::send), for `timeout` at most.
    ///
    /// # Parks
    /// Only if the channel is full.
    ///
    /// # Errors
    /// The message, if there was no room in time or no receiver is left.
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.put(message, Some(Moment::now().after(timeout)))
    }

    /// As [`send`](Self::send), until `deadline`.
    ///
    /// # Parks
    /// Only if the channel is full.
    ///
    /// # Errors
    /// As [`send_timeout`](Self::send_timeout).
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.put(message, Some(Moment::of(deadline)))
    }

    fn put(&self, message: T, deadline: Option<Moment>) -> Result<(), SendTimeoutError<T>> {
        match self.try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(message)) => {
                Err(SendTimeoutError::Disconnected(message))
            }
            Err(TrySendError::Full(message)) => self.put_later(message, deadline),
        }
    }

    /// Leaves the message, and stands in line in the same step: who is first there has the first message.
    fn put_later(&self, message: T, deadline: Option<Moment>) -> Result<(), SendTimeoutError<T>> {
        let parcel = RefCell::new(Parcel::Here(message));
        let parker = || {
            self.chan
                .parker(&"sends to a channel between threads that is full", deadline)
        };
        let attempt = |messages: &mut Messages<T>, lines: &mut _, _| {
            messages.put(&mut parcel.borrow_mut(), lines)
        };
        let take_back = |messages: &mut Messages<T>, lines: &mut _, _| {
            messages.take_back(&mut parcel.borrow_mut(), lines);
        };
        let outcome = self.chan.wait_in_line(SENDERS, parker, attempt, take_back);
        match (outcome, parcel.into_inner()) {
            (Some(Err(_)), Parcel::Here(message)) => Err(SendTimeoutError::Disconnected(message)),
            (None, Parcel::Here(message)) => Err(SendTimeoutError::Timeout(message)),
            _ => Ok(()),
        }
    }

    /// How many messages wait in the channel.
    pub fn len(&self) -> usize {
        self.chan.look(Messages::len)
    }

    /// Whether no message waits in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the next sender would have to wait, unless a receiver does.
    pub fn is_full(&self) -> bool {
        self.chan
            .look(|messages| messages.len() >= messages.capacity())
    }

    /// How many messages there is room for; None if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        capacity(&self.chan)
    }

    /// Whether no receiver is left.
    pub fn is_disconnected(&self) -> bool {
        self.chan.look(|messages| messages.receivers == 0)
    }

    /// Whether both are ends of one channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.chan, &other.chan)
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
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn recv(&self) -> Result<T, RecvError> {
        self.take(None).map_err(|_| RecvError)
    }

    /// Takes the next message, if there is one, or a sender that waits.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// If the channel is empty; whether a sender is left.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.chan
            .change(|messages, lines| messages.take(lines, false))
            .map_err(|refused| match refused {
                Refused::NotNow => TryRecvError::Empty,
                Refused::Disconnected => TryRecvError::Disconnected,
            })
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
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.take(Some(Moment::now().after(timeout)))
    }

    /// As [`recv`](Self::recv), until `deadline`.
    ///
    /// # Parks
    /// Only if the channel is empty.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.take(Some(Moment::of(deadline)))
    }

    fn take(&self, deadline: Option<Moment>) -> Result<T, RecvTimeoutError> {
        match self.try_recv() {
            Ok(message) => Ok(message),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => self.take_later(deadline),
        }
    }

    fn take_later(&self, deadline: Option<Moment>) -> Result<T, RecvTimeoutError> {
        let parker = || {
            self.chan
                .parker(&"receives from a channel between threads", deadline)
        };
        let attempt = Messages::take_in_line;
        let outcome = self.chan.wait_in_line(RECEIVERS, parker, attempt, pass_on);
        match outcome {
            Some(Ok(message)) => Ok(message),
            Some(Err(_)) => Err(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The messages, until no sender is left.
    ///
    /// # Parks
    /// The iterator does, as [`recv`](Self::recv).
    ///
    /// # Panics
    /// As [all that waits here](super#panics).
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
        self.chan.look(Messages::len)
    }

    /// Whether no message waits in the channel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages there is room for; None if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        capacity(&self.chan)
    }

    /// Whether no sender is left. There may still be messages.
    pub fn is_disconnected(&self) -> bool {
        self.chan.look(|messages| messages.senders == 0)
    }

    /// Whether both are ends of one channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.chan, &other.chan)
    }
}

fn unsent<T>((why, message): (Refused, T)) -> TrySendError<T> {
    match why {
        Refused::NotNow => TrySendError::Full(message),
        Refused::Disconnected => TrySendError::Disconnected(message),
    }
}

fn pass_on<T, B>(messages: &mut Messages<T>, lines: &mut Lines<B, LINES>, called: bool) {
    if called {
        messages.pass_on(lines);
    }
}

fn capacity<T>(chan: &Chan<T>) -> Option<usize> {
    Some(chan.look(Messages::capacity)).filter(|room| *room != usize::MAX)
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.chan.change(|messages, _| messages.senders += 1);
        Sender {
            chan: Arc::clone(&self.chan),
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        self.chan.change(|messages, _| messages.receivers += 1);
        Receiver {
            chan: Arc::clone(&self.chan),
        }
    }
}

/// Receivers take what is there, and learn that no more will come.
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.chan.change(Messages::sender_goes);
    }
}

/// Senders get back what they have, and nobody will take what is there.
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.chan.change(Messages::receiver_goes);
        drop(left);
    }
}

impl<T> Ready for &Receiver<T> {
    type Output = Result<T, RecvError>;

    fn take(&self, called: bool) -> Option<Result<T, RecvError>> {
        match self
            .chan
            .change(|messages, lines| messages.take(lines, called))
        {
            Ok(message) => Some(Ok(message)),
            Err(Refused::Disconnected) => Some(Err(RecvError)),
            Err(Refused::NotNow) => None,
        }
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        // What came between the last look and now has called nobody.
        let look =
            |messages: &mut Messages<T>, lines: &mut _| messages.has_news(lines).then_some(false);
        self.chan.stand_while(RECEIVERS, look, rest, pass_on)
    }

    fn pass_on(&self) {
        self.chan.change(Messages::pass_on);
    }
}

impl<T> Inlet for Sender<T> {
    type Message = T;

    fn put(&self, message: T, called: bool) -> Result<(), TrySendError<T>> {
        let outcome = self
            .chan
            .change(|messages, lines| messages.put_offer(message, lines, called));
        outcome.map_err(unsent)
    }

    fn stand(&self, message: &mut Option<T>, rest: &mut dyn FnMut()) -> bool {
        let look = |messages: &mut Messages<T>, lines: &mut _| {
            let refused = messages.try_put(message.take()?, lines).err();
            let (why, left) = refused.unzip();
            *message = left;
            // Otherwise it has been sent, or will be refused.
            (why != Some(Refused::NotNow)).then_some(false)
        };
        let lost = |messages: &mut Messages<T>, lines: &mut _, called| {
            if called {
                messages.invite(lines);
            }
        };
        self.chan.stand_while(OFFERS, look, rest, lost)
    }

    fn pass_on(&self) {
        self.chan.change(Messages::invite);
    }
}

received!();
