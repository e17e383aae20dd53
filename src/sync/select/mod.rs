//! Waiting for whatever happens first.
//!
//! To wait for several things is to stand in several lists and to park once. Only one that is parked is called,
//! so within a thread an arm that has been served is the only one. Other threads call whoever stands in line, parked or
//! not, and several of them may do so: what they call for can be passed on, and is. What cannot be undone is done
//! within the thread only: a message is taken out of the frame of one that is parked, or is sent by the greenlet itself.
//! So there is one such arm at most, and it is chosen.
//!
//! Each arm is a frame of its own, which leaves its list on every way out (law 5); nothing is allocated, but by the arms for
//! other threads.

mod arms;
mod inlet;
mod ready;

use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::channel::{Receiver, RecvError, SendError};
use super::event::Event;
use super::semaphore::{Permit, Semaphore};
use crate::hub::Hub;
use crate::hub::io::{Direction, Watchable};
use crate::spawn::JoinHandle;
use crate::sys::clock::Moment;
use arms::{After, Any, Arms, Nothing, On, Or, Send};
pub(super) use inlet::Inlet;
use ready::Readiness;
pub(super) use ready::Ready;

/// Waits for whatever happens first: begins to name the things to wait for.
///
/// ```
/// use greenlet::sync::{channel, select};
/// use std::time::Duration;
///
/// let (jobs, next_job) = channel::unbounded();
/// let (stop, stopped) = channel::unbounded::<()>();
/// greenlet::spawn(move || jobs.send(7).map(|()| drop(stop)));
/// let answer = select()
///     .recv(&next_job, |job| job.ok())
///     .recv(&stopped, |_| None)
///     .after(Duration::from_secs(5), || None)
///     .wait();
/// assert_eq!(answer, Some(7));
/// ```
///
/// Each arm says what may happen and what is to be done then. One arm is chosen, the first that is ready from a place
/// drawn by lot, so that none starves; if it had to wait, what came first. Its closure runs after the others have been left. Where closures would need
/// the same things, let the arms name the outcome, and match on it:
///
/// ```
/// # use greenlet::sync::{channel, select};
/// # let (numbers, number) = channel::unbounded();
/// # let (words, word) = channel::unbounded();
/// # numbers.send(1).unwrap();
/// # words.send("one").unwrap();
/// enum Got { Number(u32), Word(&'static str) }
///
/// match select().recv(&number, |n| Got::Number(n.unwrap())).recv(&word, |w| Got::Word(w.unwrap())).wait() {
///     Got::Number(n) => assert_eq!(n, 1),
///     Got::Word(w) => assert_eq!(w, "one"),
/// }
/// ```
pub fn select<R>() -> Select<Nothing, R> {
    Select {
        arms: Nothing,
        _outcome: PhantomData,
    }
}

/// Things to wait for; see [`select()`].
#[must_use = "nothing happens before `wait`, or `default`"]
pub struct Select<A, R> {
    arms: A,
    _outcome: PhantomData<fn() -> R>,
}

impl<A: Arms<R>, R> Select<A, R> {
    fn or<B>(self, arm: B) -> Select<Or<A, B>, R> {
        Select {
            arms: Or(self.arms, arm),
            _outcome: PhantomData,
        }
    }

    /// The next message of a channel; an error if no sender is left. With None this arm is never chosen.
    pub fn recv<'a, T, F>(
        self,
        receiver: impl Into<Option<&'a Receiver<T>>>,
        then: F,
    ) -> Select<Or<A, On<&'a Receiver<T>, F>>, R>
    where
        F: FnOnce(Result<T, RecvError>) -> R,
    {
        self.or(On::new(receiver.into(), then))
    }

    /// The next message of one of several channels, and which of them that is.
    pub fn recv_any<'a, T, F>(
        self,
        receivers: impl IntoIterator<Item = &'a Receiver<T>>,
        then: F,
    ) -> Select<Or<A, Any<'a, T, F>>, R>
    where
        F: FnOnce(usize, Result<T, RecvError>) -> R,
    {
        self.or(Any::new(receivers.into_iter().collect(), then))
    }

    /// Room for a message in a channel, or somebody who takes it; an error with the message if no receiver is
    /// left. If another arm is chosen, or this greenlet is killed, the message stays where it is. Without
    /// a message this arm is never chosen.
    ///
    /// The channel may be one [between threads](crate::sync::remote::channel) as well. Then this greenlet keeps its message
    /// until it is its turn, so that only one of several such arms sends; those who wait in
    /// [`send`](crate::sync::remote::channel::Sender::send) have left theirs in the channel, and go first: while
    /// they keep the channel full, it is not the turn of this arm. Without room at all it meets whoever receives, also one
    /// that selects. If that one does something else in the same moment, the message stays in the channel for the next
    /// receiver.
    ///
    /// ```
    /// use greenlet::sync::{remote, select};
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = remote::channel::bounded(0);
    /// let thread = std::thread::spawn(move || receiver.recv());
    /// let mut message = Some(7);
    /// let sent = select()
    ///     .send(&sender, &mut message, |sent| sent.is_ok())
    ///     .after(Duration::from_secs(5), || false)
    ///     .wait();
    /// assert!(sent);
    /// assert_eq!(thread.join().unwrap(), Ok(7));
    /// ```
    pub fn send<'a, S: Inlet, F>(
        self,
        sender: impl Into<Option<&'a S>>,
        message: &'a mut Option<S::Message>,
        then: F,
    ) -> Select<Or<A, Send<'a, S, F>>, R>
    where
        F: FnOnce(Result<(), SendError<S::Message>>) -> R,
    {
        self.or(Send::new(sender.into(), message, then))
    }

    /// A permit of a semaphore.
    pub fn acquire<'a, F>(
        self,
        semaphore: impl Into<Option<&'a Semaphore>>,
        then: F,
    ) -> Select<Or<A, On<&'a Semaphore, F>>, R>
    where
        F: FnOnce(Permit<'a>) -> R,
    {
        self.or(On::new(semaphore.into(), then))
    }

    /// An event that is set.
    pub fn event<'a, F>(
        self,
        event: impl Into<Option<&'a Event>>,
        then: F,
    ) -> Select<Or<A, On<&'a Event, F>>, R>
    where
        F: FnOnce(()) -> R,
    {
        self.or(On::new(event.into(), then))
    }

    /// The end of a greenlet. Joining it does not wait then.
    pub fn join<'a, T, F>(
        self,
        handle: impl Into<Option<&'a JoinHandle<T>>>,
        then: F,
    ) -> Select<Or<A, On<&'a JoinHandle<T>, F>>, R>
    where
        F: FnOnce(()) -> R,
    {
        self.or(On::new(handle.into(), then))
    }

    /// That there is something to read, or the end, or an error: a read would not wait. Somebody else may be faster.
    ///
    /// The closure gets an error if that can never be, as for a descriptor that is closed. A file is always ready.
    ///
    /// ```
    /// use greenlet::sync::{channel, select};
    /// use std::io::{Read, Write};
    ///
    /// let (mut reader, mut writer) = greenlet::io::pipe()?;
    /// let (stop, stopped) = channel::bounded::<()>(1);
    /// greenlet::spawn(move || writer.write_all(b"x"));
    /// let goes_on = select()
    ///     .readable(&reader, |ready| ready.is_ok())
    ///     .recv(&stopped, |_| false)
    ///     .wait();
    /// assert!(goes_on);
    /// assert_eq!(reader.read(&mut [0; 8])?, 1);
    /// # drop(stop);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn readable<'a, T: Watchable + 'a, F>(
        self,
        thing: impl Into<Option<&'a T>>,
        then: F,
    ) -> Select<Or<A, On<Readiness<'a>, F>>, R>
    where
        F: FnOnce(io::Result<()>) -> R,
    {
        self.or(On::new(Readiness::of(thing.into(), Direction::Read), then))
    }

    /// As [`readable`](Self::readable), that a write would not wait.
    pub fn writable<'a, T: Watchable + 'a, F>(
        self,
        thing: impl Into<Option<&'a T>>,
        then: F,
    ) -> Select<Or<A, On<Readiness<'a>, F>>, R>
    where
        F: FnOnce(io::Result<()>) -> R,
    {
        self.or(On::new(Readiness::of(thing.into(), Direction::Write), then))
    }

    /// Whatever else can be waited for, with what it gives: an item of a [`Queue`](crate::sync::queue::Queue); and between
    /// threads a message of a [`remote::channel`](crate::sync::remote::channel) or a
    /// [`remote::oneshot`](crate::sync::remote::oneshot), a permit of a [`remote::Semaphore`](crate::sync::remote::Semaphore),
    /// a [`remote::Event`](crate::sync::remote::Event) that is set.
    ///
    /// ```
    /// use greenlet::sync::{remote, select};
    /// use std::time::Duration;
    ///
    /// static SEATS: remote::Semaphore = remote::Semaphore::new(0);
    /// static CLOSED: remote::Event = remote::Event::new();
    ///
    /// let thread = std::thread::spawn(|| SEATS.release());
    /// let seat = select()
    ///     .on(&SEATS, |permit| Some(permit))
    ///     .on(&CLOSED, |()| None)
    ///     .after(Duration::from_secs(5), || None)
    ///     .wait();
    /// assert!(seat.is_some());
    /// # thread.join().unwrap();
    /// ```
    pub fn on<T: Ready, F: FnOnce(T::Output) -> R>(
        self,
        thing: impl Into<Option<T>>,
        then: F,
    ) -> Select<Or<A, On<T, F>>, R> {
        self.or(On::new(thing.into(), then))
    }

    /// If nothing else has happened for so long, from now.
    pub fn after<F: FnOnce() -> R>(self, timeout: Duration, then: F) -> Select<Or<A, After<F>>, R> {
        self.or(After::new(Moment::now().after(timeout), then))
    }

    /// If nothing else has happened until then.
    pub fn at<F: FnOnce() -> R>(self, deadline: Instant, then: F) -> Select<Or<A, After<F>>, R> {
        self.or(After::new(Moment::of(deadline), then))
    }

    /// Waits until something happens.
    ///
    /// # Parks
    /// Unless one arm is ready.
    ///
    /// # Cancellation
    /// Nothing has been received, sent or taken.
    ///
    /// # Panics
    /// If there is no arm that could ever be chosen: it would wait for ever. If one is for other threads, and the system
    /// refuses the hub its poller. With a panic of the closure.
    pub fn wait(mut self) -> R {
        assert!(
            self.arms.is_open(),
            "a select over nothing: it would wait for ever; give it an arm, or a time limit"
        );
        let hub = Hub::here();
        if !self.choose(hub) {
            self.wait_for_one(hub);
        }
        self.finish()
    }

    /// What has happened by now; otherwise `f`.
    ///
    /// # Parks
    /// No.
    ///
    /// # Panics
    /// With a panic of the closure.
    pub fn default(mut self, f: impl FnOnce() -> R) -> R {
        match self.choose(Hub::here()) {
            true => self.finish(),
            false => f(),
        }
    }

    #[inline]
    fn choose(&mut self, hub: &Hub) -> bool {
        let count = self.arms.count();
        let first = hub.draw(count);
        self.arms.choose(first, count) || self.arms.choose(0, first)
    }

    fn wait_for_one(&mut self, hub: &Hub) {
        let at = self.arms.deadline();
        loop {
            let purpose = &"waits for one of several things";
            hub.before_resting(purpose);
            self.arms.stand(&mut || hub.rest_until(purpose, at));
            hub.raise_what_came(hub.thread().current(), || self.arms.pass_on());
            if self.arms.choose_sent() || self.arms.choose_called() || self.choose(hub) {
                return;
            }
            if at != Moment::NEVER && self.arms.choose_late(Moment::now()) {
                return;
            }
        }
    }

    #[inline]
    fn finish(mut self) -> R {
        self.arms.pass_on();
        self.arms.finish().expect("one was chosen")
    }
}
