//! Random programs of senders, receivers and selects, of kills and limits, over a few channels. Whatever happens:
//! nothing is lost, nothing is doubled, and what one sends to a channel with room arrives in order.
//!
//! Each message has a number. At the end it was received, or came back, or was dropped with one that was killed, or
//! is still in its channel: one of these, once. And one actor alone is compared with a queue, step by step.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use greenlet::sync::channel::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use greenlet::sync::select;
use greenlet::time::timeout;
use greenlet::{JoinHandle, spawn, yield_now};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::run;
use crate::sync::settle;

const CHANNELS: usize = 3;
const SHORT: Duration = Duration::from_micros(100);

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    TrySend(usize),
    SendWithin(usize),
    Receive(usize),
    TryReceive(usize),
    ReceiveWithin(usize),
    /// Receives from one, or sends to another.
    Select(usize, usize),
    /// As before, under a limit that raises.
    Limited(usize, usize),
    /// Receives from whichever.
    Any,
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    let one = || 0..CHANNELS;
    prop_oneof![
        one().prop_map(Step::Send),
        one().prop_map(Step::TrySend),
        one().prop_map(Step::SendWithin),
        one().prop_map(Step::Receive),
        one().prop_map(Step::TryReceive),
        one().prop_map(Step::ReceiveWithin),
        (one(), one()).prop_map(|(from, to)| Step::Select(from, to)),
        (one(), one()).prop_map(|(from, to)| Step::Limited(from, to)),
        Just(Step::Any),
        Just(Step::Yield),
    ]
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
    actor: usize,
    number: usize,
    fate: Cell<Fate>,
    ledger: Rc<Ledger>,
}

/// All that has happened.
#[derive(Default)]
struct Ledger {
    fates: RefCell<Vec<Vec<Fate>>>,
    /// Who sent what, in the order in which it was received from each channel.
    received: [RefCell<Vec<(usize, usize)>>; CHANNELS],
}

impl Drop for Message {
    fn drop(&mut self) {
        self.ledger.fates.borrow_mut()[self.number].push(self.fate.get());
    }
}

impl Ledger {
    fn message(self: &Rc<Ledger>, actor: usize) -> Message {
        let mut fates = self.fates.borrow_mut();
        fates.push(Vec::new());
        Message {
            actor,
            number: fates.len() - 1,
            fate: Cell::new(Fate::Dropped),
            ledger: self.clone(),
        }
    }

    fn received(&self, channel: usize, message: Message) {
        let entry = (message.actor, message.number);
        self.received[channel].borrow_mut().push(entry);
        message.fate.set(Fate::Received);
    }
}

fn back(message: Message) {
    message.fate.set(Fate::Back);
}

type Ends = Rc<Vec<(Sender<Message>, Receiver<Message>)>>;

/// One who runs a program.
#[derive(Clone)]
struct Actor {
    number: usize,
    ends: Ends,
    ledger: Rc<Ledger>,
}

impl Actor {
    fn step(&self, step: Step) {
        let message = || self.ledger.message(self.number);
        let (to, from) = (|n: usize| &self.ends[n].0, |n: usize| &self.ends[n].1);
        let received = |n, got: Option<Message>| {
            got.into_iter()
                .for_each(|message| self.ledger.received(n, message));
        };
        match step {
            Step::Send(n) => to(n).send(message()).unwrap_or_else(|error| back(error.0)),
            Step::TrySend(n) => match to(n).try_send(message()) {
                Ok(()) => {}
                Err(TrySendError::Full(left) | TrySendError::Disconnected(left)) => back(left),
            },
            Step::SendWithin(n) => to(n)
                .send_timeout(message(), SHORT)
                .unwrap_or_else(|error| back(error.into_inner())),
            Step::Receive(n) => received(n, from(n).recv().ok()),
            Step::TryReceive(n) => received(n, from(n).try_recv().ok()),
            Step::ReceiveWithin(n) => received(n, from(n).recv_timeout(SHORT).ok()),
            Step::Select(a, b) => self.select(a, b),
            Step::Limited(a, b) => {
                let _either = timeout(SHORT, || self.select(a, b));
            }
            Step::Any => {
                let all = self.ends.iter().map(|(_, receiver)| receiver);
                select()
                    .recv_any(all, |n, got| received(n, got.ok()))
                    .after(SHORT, || ())
                    .wait();
            }
            Step::Yield => yield_now(),
        }
    }

    /// What was not sent comes back.
    fn select(&self, a: usize, b: usize) {
        let mut message = Some(self.ledger.message(self.number));
        let got = select()
            .recv(&self.ends[a].1, |got| got.ok())
            .send(&self.ends[b].0, &mut message, |_| None)
            .wait();
        got.into_iter().for_each(|got| self.ledger.received(a, got));
        message.into_iter().for_each(back);
    }

    fn runs(self, program: Vec<Step>) -> JoinHandle<()> {
        spawn(move || program.into_iter().for_each(|step| self.step(step)))
    }
}

/// Runs the programs at once, kills some of them on the way, and all at the end. Then everything is accounted for.
fn all_at_once(rooms: &[usize], programs: Vec<Vec<Step>>, kills: &[(usize, usize)]) {
    let ledger = Rc::new(Ledger::default());
    let ends: Ends = Rc::new(rooms.iter().map(|room| bounded(*room)).collect());
    let actors: Vec<_> = programs
        .into_iter()
        .enumerate()
        .map(|(number, program)| {
            let (ends, ledger) = (ends.clone(), ledger.clone());
            Actor {
                number,
                ends,
                ledger,
            }
            .runs(program)
        })
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
        if let Err(payload) = actor.join() {
            assert!(payload.is::<greenlet::GreenletExit>());
        }
    }
    // What is left in the channels.
    for (n, (_, receiver)) in ends.iter().enumerate() {
        receiver
            .try_iter()
            .for_each(|message| ledger.received(n, message));
    }
    for (number, fates) in ledger.fates.borrow().iter().enumerate() {
        assert_eq!(fates.len(), 1, "message {number}: {fates:?}");
    }
    // Without room, what was left to one that is killed comes after what others have received meanwhile.
    let rooms = rooms.iter().zip(&ledger.received);
    for (_, received) in rooms.filter(|(room, _)| **room > 0) {
        let received = received.borrow();
        for (actor, _) in &*received {
            let theirs = received.iter().filter(|(who, _)| who == actor);
            assert!(
                theirs.is_sorted_by_key(|(_, number)| number),
                "out of order"
            );
        }
    }
    settle();
}

/// What one actor does alone is what a queue does.
fn as_a_queue(room: usize, steps: Vec<(bool, u32)>) {
    let (sender, receiver) = bounded(room);
    let mut model = VecDeque::new();
    for (sends, n) in steps {
        if sends {
            let fits = model.len() < room;
            let expected = if fits {
                Ok(())
            } else {
                Err(TrySendError::Full(n))
            };
            assert_eq!(sender.try_send(n), expected);
            if fits {
                model.push_back(n);
            }
        } else {
            let expected = model.pop_front().ok_or(TryRecvError::Empty);
            assert_eq!(receiver.try_recv(), expected);
        }
        assert_eq!(sender.len(), model.len());
        let first = select().recv(&receiver, |got| got.ok()).default(|| None);
        assert_eq!(first, model.pop_front());
        if let Some(n) = first
            && sender.try_send(n).is_ok()
        {
            model.push_back(n);
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
        rooms in vec(0..4_usize, CHANNELS),
        programs in vec(vec(step(), 0..25), 1..7),
        kills in vec((0..6_usize, 0..7_usize), 0..6),
    ) {
        run(move || all_at_once(&rooms, programs, &kills));
    }

    #[test]
    fn one_alone_sees_a_queue(
        room in 0..5_usize,
        steps in vec((any::<bool>(), any::<u32>()), 0..60),
    ) {
        run(move || as_a_queue(room, steps));
    }
}
