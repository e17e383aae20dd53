//! The arms of a select, as one chain of frames: each stands in its line while the next one does, and the last
//! one parks.

#![allow(private_interfaces)] // sealed: the hidden methods speak of the hub

use super::inlet::Inlet;
use super::ready::Ready;
use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::sync::channel::{Receiver, RecvError, SendError, TrySendError};
use crate::sys::clock::Moment;

/// What there is to do with one arm, or several.
pub trait Arms<R> {
    /// How many take part when it is drawn where to begin.
    #[doc(hidden)]
    fn count(&self) -> u32;
    /// Whether one can ever be chosen.
    #[doc(hidden)]
    fn is_open(&self) -> bool;
    /// Chooses the first that is ready, of those with these numbers.
    #[doc(hidden)]
    fn choose(&mut self, from: u32, to: u32) -> bool;
    /// Chooses the one whose message somebody has: that cannot be undone. There is one at most.
    #[doc(hidden)]
    fn choose_sent(&mut self) -> bool {
        false
    }
    /// Chooses one that was called for what is there: that came first, and whoever brought it may have gone on.
    #[doc(hidden)]
    fn choose_called(&mut self) -> bool {
        false
    }
    /// Chooses one whose time has come.
    #[doc(hidden)]
    fn choose_late(&mut self, _now: Moment) -> bool {
        false
    }
    /// When the first of these times comes.
    #[doc(hidden)]
    fn deadline(&self) -> Moment {
        Moment::NEVER
    }
    /// Stands in line while `rest` runs, which parks.
    #[doc(hidden)]
    fn stand(&mut self, rest: &mut dyn FnMut());
    /// Calls that were not used are for others.
    #[doc(hidden)]
    fn pass_on(&mut self);
    /// What comes of the one that was chosen.
    #[doc(hidden)]
    fn finish(&mut self) -> Option<R>;
}

/// No arm.
pub struct Nothing;

/// One arm more.
pub struct Or<A, B>(pub(super) A, pub(super) B);

impl<R> Arms<R> for Nothing {
    fn count(&self) -> u32 {
        0
    }

    fn is_open(&self) -> bool {
        false
    }

    fn choose(&mut self, _: u32, _: u32) -> bool {
        false
    }

    fn stand(&mut self, rest: &mut dyn FnMut()) {
        rest();
    }

    fn pass_on(&mut self) {}

    fn finish(&mut self) -> Option<R> {
        None
    }
}

impl<R, A: Arms<R>, B: Arms<R>> Arms<R> for Or<A, B> {
    #[inline]
    fn count(&self) -> u32 {
        self.0.count() + self.1.count()
    }

    fn is_open(&self) -> bool {
        self.0.is_open() || self.1.is_open()
    }

    #[inline]
    fn choose(&mut self, from: u32, to: u32) -> bool {
        let before = self.0.count();
        self.0.choose(from, to)
            || self
                .1
                .choose(from.saturating_sub(before), to.saturating_sub(before))
    }

    fn choose_sent(&mut self) -> bool {
        self.0.choose_sent() || self.1.choose_sent()
    }

    fn choose_called(&mut self) -> bool {
        self.0.choose_called() || self.1.choose_called()
    }

    fn choose_late(&mut self, now: Moment) -> bool {
        self.0.choose_late(now) || self.1.choose_late(now)
    }

    fn deadline(&self) -> Moment {
        self.0.deadline().min(self.1.deadline())
    }

    fn stand(&mut self, rest: &mut dyn FnMut()) {
        let Or(first, second) = self;
        first.stand(&mut || second.stand(rest));
    }

    #[inline]
    fn pass_on(&mut self) {
        self.0.pass_on();
        self.1.pass_on();
    }

    #[inline]
    fn finish(&mut self) -> Option<R> {
        self.0.finish().or_else(|| self.1.finish())
    }
}

/// An arm for something that is there or not.
pub struct On<T: Ready, F> {
    thing: Option<T>,
    then: Option<F>,
    called: bool,
    outcome: Option<T::Output>,
}

impl<T: Ready, F> On<T, F> {
    pub(super) fn new(thing: Option<T>, then: F) -> On<T, F> {
        On {
            thing,
            then: Some(then),
            called: false,
            outcome: None,
        }
    }
}

impl<R, T: Ready, F: FnOnce(T::Output) -> R> Arms<R> for On<T, F> {
    #[inline]
    fn count(&self) -> u32 {
        1
    }

    fn is_open(&self) -> bool {
        self.thing.is_some()
    }

    #[inline]
    fn choose(&mut self, from: u32, to: u32) -> bool {
        if let Some(thing) = &self.thing
            && from == 0
            && to > 0
            && (self.called || thing.is_worth_a_try())
        {
            let called = std::mem::take(&mut self.called);
            self.outcome = thing.take(called);
            return self.outcome.is_some();
        }
        false
    }

    fn choose_called(&mut self) -> bool {
        self.called && self.choose(0, 1)
    }

    fn stand(&mut self, rest: &mut dyn FnMut()) {
        let Some(thing) = &self.thing else {
            return rest();
        };
        self.called = thing.stand(rest);
    }

    #[inline]
    fn pass_on(&mut self) {
        if self.called
            && let Some(thing) = &self.thing
        {
            thing.pass_on();
        }
    }

    #[inline]
    fn finish(&mut self) -> Option<R> {
        let outcome = self.outcome.take()?;
        self.then.take().map(|then| then(outcome))
    }
}

/// An arm that sends.
pub struct Send<'a, S: Inlet, F> {
    inlet: Option<&'a S>,
    message: &'a mut Option<S::Message>,
    then: Option<F>,
    sent: bool,
    called: bool,
    outcome: Option<Result<(), SendError<S::Message>>>,
}

impl<'a, S: Inlet, F> Send<'a, S, F> {
    pub(super) fn new(
        inlet: Option<&'a S>,
        message: &'a mut Option<S::Message>,
        then: F,
    ) -> Send<'a, S, F> {
        Send {
            inlet,
            message,
            then: Some(then),
            sent: false,
            called: false,
            outcome: None,
        }
    }
}

impl<R, S: Inlet, F> Arms<R> for Send<'_, S, F>
where
    F: FnOnce(Result<(), SendError<S::Message>>) -> R,
{
    #[inline]
    fn count(&self) -> u32 {
        1
    }

    fn is_open(&self) -> bool {
        self.inlet.is_some() && self.message.is_some()
    }

    #[inline]
    fn choose(&mut self, from: u32, to: u32) -> bool {
        if let Some(inlet) = self.inlet
            && from == 0
            && to > 0
            && let Some(message) = self.message.take()
        {
            match inlet.put(message, std::mem::take(&mut self.called)) {
                Ok(()) => self.outcome = Some(Ok(())),
                Err(TrySendError::Full(message)) => *self.message = Some(message),
                Err(TrySendError::Disconnected(message)) => {
                    self.outcome = Some(Err(SendError(message)))
                }
            }
        }
        self.outcome.is_some()
    }

    fn choose_sent(&mut self) -> bool {
        if self.sent {
            self.outcome = Some(Ok(()));
        }
        self.sent
    }

    fn choose_called(&mut self) -> bool {
        self.called && self.choose(0, 1)
    }

    fn stand(&mut self, rest: &mut dyn FnMut()) {
        let Some(inlet) = self.inlet.filter(|_| self.message.is_some()) else {
            return rest();
        };
        self.called = inlet.stand(self.message, rest);
        self.sent = self.message.is_none();
    }

    #[inline]
    fn pass_on(&mut self) {
        if self.called
            && let Some(inlet) = self.inlet
        {
            inlet.pass_on();
        }
    }

    #[inline]
    fn finish(&mut self) -> Option<R> {
        let outcome = self.outcome.take()?;
        self.then.take().map(|then| then(outcome))
    }
}

/// An arm for the first message of several channels.
pub struct Any<'a, T, F> {
    receivers: Vec<&'a Receiver<T>>,
    then: Option<F>,
    called: Option<usize>,
    outcome: Option<(usize, Result<T, RecvError>)>,
}

impl<'a, T, F> Any<'a, T, F> {
    pub(super) fn new(receivers: Vec<&'a Receiver<T>>, then: F) -> Any<'a, T, F> {
        Any {
            receivers,
            then: Some(then),
            called: None,
            outcome: None,
        }
    }
}

impl<R, T, F: FnOnce(usize, Result<T, RecvError>) -> R> Arms<R> for Any<'_, T, F> {
    fn count(&self) -> u32 {
        1
    }

    fn is_open(&self) -> bool {
        !self.receivers.is_empty()
    }

    fn choose(&mut self, from: u32, to: u32) -> bool {
        if from == 0 && to > 0 && !self.receivers.is_empty() {
            let count = self.receivers.len();
            let first = Hub::here().draw(count as u32) as usize;
            self.outcome = (first..count).chain(0..first).find_map(|number| {
                let outcome = self.receivers[number].take(false);
                outcome.map(|outcome| (number, outcome))
            });
        }
        self.outcome.is_some()
    }

    fn choose_called(&mut self) -> bool {
        if let Some(number) = self.called.take() {
            let outcome = self.receivers[number].take(true);
            self.outcome = outcome.map(|outcome| (number, outcome));
        }
        self.outcome.is_some()
    }

    fn stand(&mut self, rest: &mut dyn FnMut()) {
        let lines = self
            .receivers
            .iter()
            .map(|receiver| receiver.chan().receivers());
        self.called = WaitList::stand_in_all(lines, Hub::here(), rest);
    }

    fn pass_on(&mut self) {
        if let Some(number) = self.called {
            self.receivers[number].pass_on();
        }
    }

    fn finish(&mut self) -> Option<R> {
        let (number, outcome) = self.outcome.take()?;
        self.then.take().map(|then| then(number, outcome))
    }
}

/// An arm for the time.
pub struct After<F> {
    at: Moment,
    then: Option<F>,
    chosen: bool,
}

impl<F> After<F> {
    pub(super) fn new(at: Moment, then: F) -> After<F> {
        After {
            at,
            then: Some(then),
            chosen: false,
        }
    }
}

impl<R, F: FnOnce() -> R> Arms<R> for After<F> {
    #[inline]
    fn count(&self) -> u32 {
        0
    }

    fn is_open(&self) -> bool {
        true
    }

    #[inline]
    fn choose(&mut self, _: u32, _: u32) -> bool {
        false
    }

    fn choose_late(&mut self, now: Moment) -> bool {
        self.chosen = self.at <= now;
        self.chosen
    }

    fn deadline(&self) -> Moment {
        self.at
    }

    fn stand(&mut self, rest: &mut dyn FnMut()) {
        rest();
    }

    fn pass_on(&mut self) {}

    #[inline]
    fn finish(&mut self) -> Option<R> {
        self.chosen.then(|| self.then.take().map(|then| then()))?
    }
}
