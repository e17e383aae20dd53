//! Random programs of senders, receivers and selects, of kills and limits, over a few channels. Whatever happens:
//! nothing is lost, nothing is doubled, and nothing is overtaken.
//!
//! Each message has a number. At the end it was received, or came back, or was dropped with one that was killed, or
//! is still in its channel: one of these, once. What comes out of a channel without end is compared with a queue at
//! every step. With room for some, it is known when a send began and when it had ended, but not when the message went
//! in; so whatever was in before another send began comes out before that. And one actor alone is compared with
//! queues, step by step.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::iter::once;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use greenlet::sync::channel::{Receiver, RecvError, SendError, Sender, TrySendError, bounded};
use greenlet::sync::select;
use greenlet::time::timeout;
use greenlet::{GreenletExit, JoinHandle, spawn, yield_now};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::run;
use crate::sync::{LONG, settle};

const CHANNELS: usize = 3;
const SHORT: Duration = Duration::from_micros(100);
const ENDLESS: usize = usize::MAX;

/// How long a select waits.
#[derive(Clone, Copy, Debug)]
enum Patience {
    Endless,
    None,
    Short,
    /// Then it is raised in.
    Raised,
}

impl Patience {
    /// What `f` leaves, if nothing was raised; it is told for how long to wait.
    fn within<R>(self, f: impl FnOnce(Duration) -> R) -> Option<R> {
        match self {
            Patience::Endless => Some(f(LONG)),
            Patience::None => Some(f(Duration::ZERO)),
            Patience::Short => Some(f(SHORT)),
            Patience::Raised => timeout(SHORT, || f(LONG)).ok(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    TrySend(usize),
    SendWithin(usize),
    /// Under a limit that raises: then the message is given up.
    SendLimited(usize),
    Receive(usize),
    TryReceive(usize),
    ReceiveWithin(usize),
    /// Receives from one, or sends to another.
    Select(usize, usize, Patience),
    /// Sends to one of two, which may be the same.
    Sends(usize, usize, Patience),
    /// Receives from whichever, or sends to one of two.
    Any(usize, usize, Patience),
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..CHANNELS;
    let patience = prop_oneof![
        Just(Patience::Endless),
        Just(Patience::None),
        Just(Patience::Short),
        Just(Patience::Raised),
    ];
    let select = (one(), one(), patience);
    prop_oneof![
        1 => one().prop_map(Step::Send),
        1 => one().prop_map(Step::TrySend),
        1 => one().prop_map(Step::SendWithin),
        1 => one().prop_map(Step::SendLimited),
        1 => one().prop_map(Step::Receive),
        1 => one().prop_map(Step::TryReceive),
        1 => one().prop_map(Step::ReceiveWithin),
        2 => select.clone().prop_map(|(a, b, patience)| Step::Select(a, b, patience)),
        2 => select.clone().prop_map(|(a, b, patience)| Step::Sends(a, b, patience)),
        2 => select.prop_map(|(a, b, patience)| Step::Any(a, b, patience)),
        1 => Just(Step::Yield),
    ]
}

fn room() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..4_usize, 1 => Just(ENDLESS)]
}

/// What has become of a message, so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Received,
    Back,
    Dropped,
}

/// A message. One that nobody has looked at is dropped.
struct Message {
    number: usize,
    fate: Cell<Fate>,
    ledger: Rc<Ledger>,
}

/// What is known of a message.
struct Entry {
    channel: usize,
    /// The sender had begun.
    began: usize,
    /// The sender had sent it.
    sent: Option<usize>,
    fates: Vec<Fate>,
}

/// All that has happened.
struct Ledger {
    rooms: Vec<usize>,
    entries: RefCell<Vec<Entry>>,
    now: Cell<usize>,
    /// How many receive from each channel, and may wait.
    receiving: [Cell<usize>; CHANNELS],
    /// What was received from each channel, in order.
    received: [RefCell<Vec<usize>>; CHANNELS],
    /// What must lie in each channel without end.
    queues: [RefCell<VecDeque<usize>>; CHANNELS],
}

impl Drop for Message {
    fn drop(&mut self) {
        self.ledger.entries.borrow_mut()[self.number]
            .fates
            .push(self.fate.get());
    }
}

impl Ledger {
    fn new(rooms: &[usize]) -> Ledger {
        Ledger {
            rooms: rooms.to_vec(),
            entries: RefCell::default(),
            now: Cell::new(0),
            receiving: Default::default(),
            received: Default::default(),
            queues: Default::default(),
        }
    }

    fn tick(&self) -> usize {
        self.now.set(self.now.get() + 1);
        self.now.get()
    }

    /// A message that is about to be sent.
    fn message(self: &Rc<Ledger>, channel: usize) -> Message {
        let mut entries = self.entries.borrow_mut();
        entries.push(Entry {
            channel,
            began: self.tick(),
            sent: None,
            fates: Vec::new(),
        });
        Message {
            number: entries.len() - 1,
            fate: Cell::new(Fate::Dropped),
            ledger: self.clone(),
        }
    }

    /// The sender knows that it has gone.
    fn sent(&self, number: usize) {
        let entry = &mut self.entries.borrow_mut()[number];
        entry.sent = Some(self.tick());
        if self.rooms[entry.channel] == ENDLESS {
            self.queues[entry.channel].borrow_mut().push_back(number);
        }
    }

    fn received(&self, channel: usize, message: Message) {
        if self.rooms[channel] == ENDLESS {
            let first = self.queues[channel].borrow_mut().pop_front();
            assert_eq!(first, Some(message.number), "it is not the first");
        }
        self.received[channel].borrow_mut().push(message.number);
        message.fate.set(Fate::Received);
    }

    /// How many messages for this channel are somewhere; how many of them have certainly been sent.
    fn alive(&self, channel: usize) -> (usize, usize) {
        let entries = self.entries.borrow();
        let theirs = entries.iter().filter(|entry| entry.channel == channel);
        let alive = theirs.filter(|entry| entry.fates.is_empty());
        alive.fold((0, 0), |(alive, sent), entry| {
            (alive + 1, sent + usize::from(entry.sent.is_some()))
        })
    }

    fn is_full(&self, channel: usize) {
        // The one that did not fit is still there.
        assert!(self.alive(channel).0 > self.rooms[channel], "it had room");
    }

    fn is_empty(&self, channel: usize) {
        // What is there may be for one that was called. Without room, such a one may have been killed since.
        let (sent, called) = (self.alive(channel).1, self.receiving[channel].get());
        assert!(
            sent <= called || self.rooms[channel] == 0,
            "it was not empty"
        );
    }

    /// One receives from these while the guard is there.
    fn receives(&self, channels: impl Iterator<Item = usize>) -> Receives<'_> {
        let receiving: Vec<_> = channels.map(|n| &self.receiving[n]).collect();
        receiving.iter().for_each(|it| it.set(it.get() + 1));
        Receives(receiving)
    }

    fn each_has_one_fate(&self) {
        for (number, entry) in self.entries.borrow().iter().enumerate() {
            assert_eq!(entry.fates.len(), 1, "message {number}: {:?}", entry.fates);
        }
    }

    /// Whatever was sent before another send began comes first.
    fn nothing_was_overtaken(&self, channel: usize) {
        let entries = self.entries.borrow();
        let mut began = 0;
        for number in &*self.received[channel].borrow() {
            let sent = entries[*number].sent.unwrap_or(usize::MAX);
            assert!(sent > began, "message {number} was overtaken");
            began = began.max(entries[*number].began);
        }
    }
}

struct Receives<'a>(Vec<&'a Cell<usize>>);

impl Drop for Receives<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|it| it.set(it.get() - 1));
    }
}

fn back(message: Message) {
    message.fate.set(Fate::Back);
}

type Ends = Rc<Vec<(Sender<Message>, Receiver<Message>)>>;

/// One who runs a program.
#[derive(Clone)]
struct Actor {
    ends: Ends,
    ledger: Rc<Ledger>,
}

impl Actor {
    fn to(&self, n: usize) -> &Sender<Message> {
        &self.ends[n].0
    }

    fn from(&self, n: usize) -> &Receiver<Message> {
        &self.ends[n].1
    }

    fn step(&self, step: Step) {
        match step {
            Step::Send(n) => self.sends(n, |message| {
                self.to(n).send(message).map_err(|error| error.0)
            }),
            Step::TrySend(n) => self.sends(n, |message| self.try_send(n, message)),
            Step::SendWithin(n) => self.sends(n, |message| {
                let sent = self.to(n).send_timeout(message, SHORT);
                sent.map_err(|error| error.into_inner())
            }),
            Step::SendLimited(n) => {
                let _late = timeout(SHORT, || self.step(Step::Send(n)));
            }
            Step::Receive(n) => {
                let _receives = self.ledger.receives(once(n));
                self.received(n, self.from(n).recv().ok());
            }
            Step::TryReceive(n) => {
                let got = self.from(n).try_recv().ok();
                if got.is_none() {
                    self.ledger.is_empty(n);
                }
                self.received(n, got);
            }
            Step::ReceiveWithin(n) => {
                let _receives = self.ledger.receives(once(n));
                self.received(n, self.from(n).recv_timeout(SHORT).ok());
            }
            Step::Select(a, b, patience) => self.select(a, b, patience),
            Step::Sends(a, b, patience) => self.select_sends(None, [a, b], patience),
            Step::Any(a, b, patience) => {
                let _receives = self.ledger.receives(0..CHANNELS);
                let all = self.ends.iter().map(|(_, receiver)| receiver);
                self.select_sends(Some(all.collect()), [a, b], patience);
            }
            Step::Yield => yield_now(),
        }
    }

    fn sends(&self, n: usize, send: impl FnOnce(Message) -> Result<(), Message>) {
        let message = self.ledger.message(n);
        let number = message.number;
        match send(message) {
            Ok(()) => self.ledger.sent(number),
            Err(message) => back(message),
        }
    }

    fn try_send(&self, n: usize, message: Message) -> Result<(), Message> {
        match self.to(n).try_send(message) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_)) => panic!("there are receivers"),
            Err(TrySendError::Full(message)) => {
                self.ledger.is_full(n);
                Err(message)
            }
        }
    }

    fn received(&self, n: usize, got: Option<Message>) {
        got.into_iter()
            .for_each(|message| self.ledger.received(n, message));
    }

    /// What was not sent comes back.
    fn select(&self, a: usize, b: usize, patience: Patience) {
        let _receives = self.ledger.receives(once(a));
        let mut message = Some(self.ledger.message(b));
        let number = message.as_ref().map(|message| message.number);
        patience.within(|limit| {
            select()
                .recv(self.from(a), |got| self.received(a, got.ok()))
                .send(self.to(b), &mut message, |_| {
                    number
                        .into_iter()
                        .for_each(|number| self.ledger.sent(number));
                })
                .after(limit, || ())
                .wait();
        });
        message.into_iter().for_each(back);
    }

    /// One message goes if it is said to go. One that is raised in may have sent one as well: it was taken before.
    fn select_sends(
        &self,
        from: Option<Vec<&Receiver<Message>>>,
        to: [usize; 2],
        patience: Patience,
    ) {
        let mut messages = to.map(|n| Some(self.ledger.message(n)));
        let numbers = messages
            .each_ref()
            .map(|it| it.as_ref().map_or(0, |it| it.number));
        let [first, second] = &mut messages;
        let chosen = patience.within(|limit| {
            let sent = |n: usize| {
                self.ledger.sent(numbers[n]);
                vec![n]
            };
            select()
                .send(self.to(to[0]), first, |_| sent(0))
                .recv_any(from.into_iter().flatten(), |n, got| {
                    self.received(n, got.ok());
                    vec![]
                })
                .send(self.to(to[1]), second, |_| sent(1))
                .after(limit, Vec::new)
                .wait()
        });
        let gone = (0..2).filter(|n| messages[*n].is_none());
        let gone: Vec<_> = gone.collect();
        assert_eq!(
            gone,
            chosen.unwrap_or_else(|| gone[..gone.len().min(1)].to_vec())
        );
        messages.into_iter().flatten().for_each(back);
    }

    fn runs(self, program: Vec<Step>) -> JoinHandle<()> {
        spawn(move || program.into_iter().for_each(|step| self.step(step)))
    }
}

/// Runs the programs at once, kills some of them on the way, and all at the end. Then everything is accounted for.
fn all_at_once(rooms: &[usize], programs: Vec<Vec<Step>>, kills: &[(usize, usize)]) {
    let ledger = Rc::new(Ledger::new(rooms));
    let ends: Ends = Rc::new(rooms.iter().map(|room| bounded(*room)).collect());
    let actor = Actor {
        ends: ends.clone(),
        ledger: ledger.clone(),
    };
    let programs = programs.into_iter();
    let actors: Vec<_> = programs
        .map(|program| actor.clone().runs(program))
        .collect();
    for (turns, who) in kills {
        (0..*turns).for_each(|_| yield_now());
        actors[who % actors.len()].start_kill();
    }
    greenlet::sleep(5 * SHORT);
    actors.iter().for_each(|actor| {
        actor.start_kill();
    });
    for actor in actors {
        if let Err(payload) = actor.join()
            && !payload.is::<GreenletExit>()
        {
            resume_unwind(payload);
        }
    }
    // What is left in the channels.
    for (n, (_, receiver)) in ends.iter().enumerate() {
        receiver
            .try_iter()
            .for_each(|message| ledger.received(n, message));
    }
    ledger.each_has_one_fate();
    // Without room, what was left to one that is killed comes after what others have received meanwhile.
    (0..CHANNELS)
        .filter(|n| rooms[*n] > 0)
        .for_each(|n| ledger.nothing_was_overtaken(n));
    settle();
}

/// What one does who is alone.
#[derive(Clone, Copy, Debug)]
enum Alone {
    /// Chooses from what is ready: receives from these, or sends to those.
    Select([bool; CHANNELS], [bool; CHANNELS]),
    DropSender(usize),
    DropReceiver(usize),
}

fn alone() -> impl Strategy<Value = Alone> {
    prop_oneof![
        30 => any::<([bool; CHANNELS], [bool; CHANNELS])>().prop_map(|(from, to)| Alone::Select(from, to)),
        1 => (0..CHANNELS).prop_map(Alone::DropSender),
        1 => (0..CHANNELS).prop_map(Alone::DropReceiver),
    ]
}

/// What a select has chosen.
#[derive(Debug)]
enum Choice {
    Received(usize, Result<usize, RecvError>),
    Sent(usize, Result<(), SendError<usize>>),
    Nothing,
}

/// A channel, and what is in it. One end or both may have gone.
struct Modelled {
    room: usize,
    sender: Option<Sender<usize>>,
    receiver: Option<Receiver<usize>>,
    model: VecDeque<usize>,
}

impl Modelled {
    fn new(room: usize) -> Modelled {
        let (sender, receiver) = bounded(room);
        Modelled {
            room,
            sender: Some(sender),
            receiver: Some(receiver),
            model: VecDeque::new(),
        }
    }

    /// A message, or the news that there will be none.
    fn may_receive(&self) -> bool {
        self.receiver.is_some() && (!self.model.is_empty() || self.sender.is_none())
    }

    fn may_send(&self) -> bool {
        self.sender.is_some() && (self.model.len() < self.room || self.receiver.is_none())
    }

    fn received(&mut self, got: Result<usize, RecvError>) {
        assert!(self.may_receive());
        assert_eq!(got, self.model.pop_front().ok_or(RecvError));
    }

    fn sent(&mut self, message: usize, sent: Result<(), SendError<usize>>) {
        assert!(self.may_send());
        match self.receiver {
            None => assert_eq!(sent, Err(SendError(message))),
            Some(_) => {
                assert_eq!(sent, Ok(()));
                self.model.push_back(message);
            }
        }
    }

    /// Nobody can receive what is in there.
    fn drop_receiver(&mut self) {
        self.receiver = None;
        self.model.clear();
    }
}

/// Chooses from what is ready. The messages are there, in their slots.
fn choose(
    channels: &[Modelled; CHANNELS],
    from: [bool; CHANNELS],
    to: [bool; CHANNELS],
    messages: &mut [Option<usize>; CHANNELS],
) -> Choice {
    let from = |n: usize| channels[n].receiver.as_ref().filter(|_| from[n]);
    let to = |n: usize| channels[n].sender.as_ref().filter(|_| to[n]);
    let [a, b, c] = messages;
    select()
        .send(to(0), a, |sent| Choice::Sent(0, sent))
        .recv(from(0), |got| Choice::Received(0, got))
        .recv(from(1), |got| Choice::Received(1, got))
        .send(to(1), b, |sent| Choice::Sent(1, sent))
        .send(to(2), c, |sent| Choice::Sent(2, sent))
        .recv(from(2), |got| Choice::Received(2, got))
        .default(|| Choice::Nothing)
}

/// What one actor does alone is what queues do.
fn as_queues(rooms: [usize; CHANNELS], steps: Vec<Alone>) {
    let mut channels = rooms.map(Modelled::new);
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Alone::DropSender(n) => channels[n].sender = None,
            Alone::DropReceiver(n) => channels[n].drop_receiver(),
            Alone::Select(from, to) => {
                let mut messages = [0, 1, 2].map(|n| Some(CHANNELS * number + n));
                let mut expected = messages;
                match choose(&channels, from, to, &mut messages) {
                    Choice::Received(n, got) => {
                        assert!(from[n]);
                        channels[n].received(got);
                    }
                    Choice::Sent(n, sent) => {
                        assert!(to[n]);
                        expected[n] = None;
                        channels[n].sent(CHANNELS * number + n, sent);
                    }
                    Choice::Nothing => (0..CHANNELS).for_each(|n| {
                        assert!(!(from[n] && channels[n].may_receive()), "{n} has something");
                        assert!(!(to[n] && channels[n].may_send()), "{n} has room");
                    }),
                }
                assert_eq!(messages, expected);
            }
        }
        for channel in &channels {
            let length = channel.receiver.as_ref().map_or(0, Receiver::len);
            assert_eq!(length, channel.model.len());
        }
    }
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 200 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_is_lost_and_nothing_is_doubled(
        rooms in vec(room(), CHANNELS),
        programs in vec(vec(step(), 0..25), 1..7),
        kills in vec((0..6_usize, 0..7_usize), 0..6),
    ) {
        run(move || all_at_once(&rooms, programs, &kills));
    }

    #[test]
    fn one_alone_sees_queues(
        rooms in [room(), room(), room()],
        steps in vec(alone(), 0..60),
    ) {
        run(move || as_queues(rooms, steps));
    }
}
