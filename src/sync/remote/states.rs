//! The states that threads wait for: what each of them is, and who is called when it changes.
//!
//! | state | lines | a call is |
//! |---|---|---|
//! | [`Messages`] | receivers, senders, those who select and would send | a hint: look again |
//! | [`Permits`] | those who want one | the permit itself |
//! | [`Flag`] | those who wait for it | the answer, also if the flag is down again |
//! | [`Stage`] | those who wait for its end | a hint |

use std::collections::VecDeque;

use super::crossing::Lines;

/// A channel. Those who wait to send leave their messages at the end of the queue: one is accepted as soon as
/// fewer than `capacity` are before it. In a rendezvous that is when it is taken. Then its sender is called, which
/// is the first in line: they stand there in the order of their messages.
///
/// One that selects cannot leave its message: two channels could accept two of them while it sleeps, and nobody but
/// itself can say which. It keeps it, is called when there is room or a receiver in line, and tries to put it then.
/// If somebody who would do so stands in line and could, then one is on its way: one is called whenever there comes room,
/// or a receiver, and the one that was called calls the next if there is more.
pub(crate) struct Messages<T> {
    queue: VecDeque<Letter<T>>,
    next: u64,
    capacity: usize,
    /// How many messages of a rendezvous are for those who were called. Where there is room nothing is promised: the one
    /// that was called may be of a thread that is busy.
    promised: usize,
    /// How many are not accepted; they are the last ones.
    waiting: usize,
    pub(crate) senders: usize,
    pub(crate) receivers: usize,
}

/// A message in a channel.
pub(crate) struct Letter<T> {
    /// They are numbered in order.
    number: u64,
    message: T,
    /// It is not accepted, and its sender waits for that.
    waits: bool,
}

pub(crate) const RECEIVERS: usize = 0;
pub(crate) const SENDERS: usize = 1;
/// Those who select and would send.
pub(crate) const OFFERS: usize = 2;
pub(crate) const LINES: usize = 3;

/// Why a message was not sent, or none received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NotNow,
    Disconnected,
}

/// A message on its way into a channel.
pub(crate) enum Parcel<T> {
    Here(T),
    /// In the queue, with this number.
    Left(u64),
    Gone,
}

impl<T> Messages<T> {
    pub(crate) fn new(capacity: usize) -> Messages<T> {
        Messages {
            queue: VecDeque::new(),
            next: 0,
            capacity,
            promised: 0,
            waiting: 0,
            senders: 1,
            receivers: 1,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len().min(self.capacity)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sends a message if there is room for it, or a receiver in line.
    pub(crate) fn try_put<B>(
        &mut self,
        message: T,
        lines: &mut Lines<B, LINES>,
    ) -> Result<(), (Refused, T)> {
        if self.receivers == 0 {
            return Err((Refused::Disconnected, message));
        }
        if !self.has_room(lines) {
            return Err((Refused::NotNow, message));
        }
        self.push(message, false);
        lines.call_one(RECEIVERS);
        self.promised += usize::from(self.capacity == 0);
        Ok(())
    }

    /// Room, or a receiver in line.
    fn has_room<B>(&self, lines: &Lines<B, LINES>) -> bool {
        self.queue.len() < self.capacity || !lines.is_empty(RECEIVERS)
    }

    /// One who selects could send now.
    pub(crate) fn invite<B>(&mut self, lines: &mut Lines<B, LINES>) {
        if self.has_room(lines) {
            lines.call_one(OFFERS);
        }
    }

    /// As [`try_put`](Self::try_put), for one who selects. It has come: if there is room for more, that is for others.
    pub(crate) fn put_offer<B>(
        &mut self,
        message: T,
        lines: &mut Lines<B, LINES>,
        called: bool,
    ) -> Result<(), (Refused, T)> {
        let outcome = self.try_put(message, lines);
        if called {
            self.invite(lines);
        }
        outcome
    }

    fn push(&mut self, message: T, waits: bool) -> u64 {
        let number = self.next;
        self.next += 1;
        self.queue.push_back(Letter {
            number,
            message,
            waits,
        });
        self.waiting += usize::from(waits);
        number
    }

    /// Brings a parcel on its way; whether it is accepted. None: not yet.
    pub(crate) fn put<B>(
        &mut self,
        parcel: &mut Parcel<T>,
        lines: &mut Lines<B, LINES>,
    ) -> Option<Result<(), Refused>> {
        if self.receivers == 0 {
            self.take_back(parcel, lines);
            return Some(match parcel {
                Parcel::Gone => Ok(()),
                _ => Err(Refused::Disconnected),
            });
        }
        match std::mem::replace(parcel, Parcel::Gone) {
            Parcel::Here(message) => match self.try_put(message, lines) {
                Ok(()) => return Some(Ok(())),
                Err((_, message)) => *parcel = Parcel::Left(self.push(message, true)),
            },
            Parcel::Left(number) if self.waits(number) => *parcel = Parcel::Left(number),
            _ => return Some(Ok(())),
        }
        None
    }

    /// Takes a parcel back out of the queue, unless it has been received.
    pub(crate) fn take_back<B>(&mut self, parcel: &mut Parcel<T>, lines: &mut Lines<B, LINES>) {
        let Parcel::Left(number) = *parcel else {
            return;
        };
        let place = self.place_of(number);
        let letter = place.and_then(|place| self.remove(place));
        if letter.as_ref().is_some_and(|letter| !letter.waits) {
            self.accept_next(lines);
            self.invite(lines);
        }
        *parcel = letter.map_or(Parcel::Gone, |letter| Parcel::Here(letter.message));
    }

    fn remove(&mut self, place: usize) -> Option<Letter<T>> {
        let letter = self.queue.remove(place)?;
        self.waiting -= usize::from(letter.waits);
        Some(letter)
    }

    fn place_of(&self, number: u64) -> Option<usize> {
        self.queue
            .binary_search_by_key(&number, |letter| letter.number)
            .ok()
    }

    fn waits(&self, number: u64) -> bool {
        let place = self.place_of(number);
        place.is_some_and(|place| self.queue[place].waits)
    }

    /// The next message. Its place is for the first of those who wait to send. `called`: it was called for this.
    pub(crate) fn take<B>(
        &mut self,
        lines: &mut Lines<B, LINES>,
        called: bool,
    ) -> Result<T, Refused> {
        if called {
            self.keep_promise();
        }
        match self.next_letter() {
            Some(letter) => {
                if letter.waits {
                    lines.call_one(SENDERS);
                }
                self.accept_next(lines);
                self.invite(lines);
                Ok(letter.message)
            }
            None if self.senders == 0 => Err(Refused::Disconnected),
            None => Err(Refused::NotNow),
        }
    }

    /// As [`take`](Self::take), for one who stands in line if there is nothing.
    pub(crate) fn take_in_line<B>(
        &mut self,
        lines: &mut Lines<B, LINES>,
        called: bool,
    ) -> Option<Result<T, Refused>> {
        match self.take(lines, called) {
            Err(Refused::NotNow) => {
                lines.call_one(OFFERS);
                None
            }
            outcome => Some(outcome),
        }
    }

    /// What is promised is left out; it stands before what waits.
    fn next_letter(&mut self) -> Option<Letter<T>> {
        let accepted = self.queue.len() - self.waiting;
        let place = if accepted > self.promised {
            0
        } else {
            accepted
        };
        self.remove(place)
    }

    /// One that was called has come, or nobody will.
    fn keep_promise(&mut self) {
        self.promised = self.promised.saturating_sub(1);
    }

    /// One that was accepted has gone: so is the one that comes into the last place.
    fn accept_next<B>(&mut self, lines: &mut Lines<B, LINES>) {
        let last = self.capacity.checked_sub(1);
        if let Some(letter) = last.and_then(|last| self.queue.get_mut(last))
            && std::mem::take(&mut letter.waits)
        {
            self.waiting -= 1;
            lines.call_one(SENDERS);
        }
    }

    /// Whether a receiver would be told something. If not, it stands in line, for one who selects as well.
    pub(crate) fn has_news<B>(&mut self, lines: &mut Lines<B, LINES>) -> bool {
        let has_news = self.queue.len() > self.promised || self.senders == 0;
        if !has_news {
            lines.call_one(OFFERS);
        }
        has_news
    }

    /// A receiver was called and takes nothing.
    pub(crate) fn pass_on<B>(&mut self, lines: &mut Lines<B, LINES>) {
        if self.queue.is_empty() || !lines.call_one(RECEIVERS) {
            self.keep_promise();
        }
    }

    pub(crate) fn sender_goes<B>(&mut self, lines: &mut Lines<B, LINES>) {
        self.senders -= 1;
        if self.senders == 0 {
            // Anybody takes what is left: who finds nothing is told that it was the end.
            self.promised = 0;
            lines.call_all(RECEIVERS);
        }
    }

    /// What nobody will receive, to be dropped outside the lock. What waits to be sent goes back.
    pub(crate) fn receiver_goes<B>(&mut self, lines: &mut Lines<B, LINES>) -> VecDeque<Letter<T>> {
        self.receivers -= 1;
        if self.receivers > 0 {
            return VecDeque::new();
        }
        lines.call_all(SENDERS);
        lines.call_all(OFFERS);
        let all = std::mem::take(&mut self.queue);
        let (waiting, left): (VecDeque<_>, _) = all.into_iter().partition(|letter| letter.waits);
        self.queue = waiting;
        self.promised = 0;
        left
    }
}

/// A semaphore.
pub(crate) struct Permits(pub(crate) usize);

impl Permits {
    /// Whether there is one for the asker; one who is called has it.
    pub(crate) fn take(&mut self, called: bool) -> Option<()> {
        if called {
            return Some(());
        }
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }

    pub(crate) fn give<B>(&mut self, lines: &mut Lines<B, 1>) {
        if !lines.call_one(0) {
            let more = self.0.checked_add(1);
            self.0 = more.expect("a semaphore with too many permits");
        }
    }

    /// What one has that was called, and was raised in.
    pub(crate) fn give_back<B>(&mut self, lines: &mut Lines<B, 1>, called: bool) {
        if called {
            self.give(lines);
        }
    }
}

/// An event.
pub(crate) struct Flag(pub(crate) bool);

impl Flag {
    pub(crate) fn is_up(&self, called: bool) -> Option<()> {
        (called || self.0).then_some(())
    }

    pub(crate) fn raise<B>(&mut self, lines: &mut Lines<B, 1>) {
        self.0 = true;
        lines.call_all(0);
    }
}

/// How far something is that is done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage<W> {
    New,
    /// Somebody does it.
    Runs(W),
    Done,
    /// The one who did it has panicked.
    Poisoned,
}

/// What there is to do for one who needs it done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToDo {
    Done,
    /// It is up to you; whether the last one panicked.
    Yours {
        poisoned: bool,
    },
    /// You are at it already.
    Within,
    Poisoned,
}

impl<W: Copy + PartialEq> Stage<W> {
    /// None: somebody else is at it. With `force` it does not matter that the last one has panicked.
    pub(crate) fn begin(&mut self, who: W, force: bool) -> Option<ToDo> {
        let poisoned = matches!(self, Stage::Poisoned);
        match *self {
            Stage::Done => Some(ToDo::Done),
            Stage::Poisoned if !force => Some(ToDo::Poisoned),
            Stage::Runs(runs) => (runs == who).then_some(ToDo::Within),
            Stage::New | Stage::Poisoned => {
                *self = Stage::Runs(who);
                Some(ToDo::Yours { poisoned })
            }
        }
    }

    pub(crate) fn end<B>(&mut self, stage: Stage<W>, lines: &mut Lines<B, 1>) {
        *self = stage;
        lines.call_all(0);
    }
}
