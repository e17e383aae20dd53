//! What threads wait for together: channels, permits, flags, things done once. A wake that is lost shows as a
//! deadlock, which `loom` reports.

use crate::crossing::{Bell, Crossing, Lines, Shared, Sleeper};
use crate::states::{Flag, Messages, Parcel, Permits, RECEIVERS, Refused, SENDERS, Stage, Turn};
use crate::sys::lock::{Arc, Mutex};
use loom::model::Builder;
use loom::sync::Condvar;
use loom::sync::atomic::{AtomicUsize, Ordering::*};
use loom::thread;
use std::cell::RefCell;

/// A bell that keeps a ring until somebody waits for it, as the hub of a greenlet does.
#[derive(Clone)]
struct Chime(Arc<(Mutex<bool>, Condvar)>);

impl Bell for Chime {
    fn ring(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }
}

/// A greenlet that waits until it is rung for.
struct Parked(Chime);

impl Parked {
    fn new() -> Parked {
        Parked(Chime(Arc::new((Mutex::new(false), Condvar::new()))))
    }
}

impl Sleeper for Parked {
    type Bell = Chime;

    fn bell(&self) -> Chime {
        self.0.clone()
    }

    fn sleep(&self) -> bool {
        let (rung, heard) = &*self.0.0;
        let mut rung = rung.lock().unwrap();
        while !*rung {
            rung = heard.wait(rung).unwrap();
        }
        *rung = false;
        false
    }
}

/// A greenlet whose time is over as soon as it waits.
struct Late(Parked);

impl Sleeper for Late {
    type Bell = Chime;

    fn bell(&self) -> Chime {
        self.0.bell()
    }

    fn sleep(&self) -> bool {
        thread::yield_now();
        true
    }
}

type On<S, const LINES: usize> = Arc<Crossing<S, Chime, LINES>>;

fn over<S, const LINES: usize>(state: S) -> On<S, LINES> {
    Arc::new(Crossing::over(Mutex::new(Shared::new(state))))
}

fn send(chan: &On<Messages<u32>, 2>, message: u32) -> Result<(), Refused> {
    match chan.change(|messages, lines| messages.try_put(message, lines)) {
        Err((Refused::NotNow, message)) => send_later(chan, message),
        outcome => outcome.map_err(|(refused, _)| refused),
    }
}

fn send_later(chan: &On<Messages<u32>, 2>, message: u32) -> Result<(), Refused> {
    let parcel = RefCell::new(Parcel::Here(message));
    let attempt = |messages: &mut Messages<u32>, lines: &mut _, _| {
        messages.put(&mut parcel.borrow_mut(), lines)
    };
    chan.wait_in_line(SENDERS, Parked::new, attempt, |_, _, _| ())
        .unwrap()
}

fn receive(chan: &On<Messages<u32>, 2>, sleeper: impl FnOnce() -> Parked) -> Result<u32, Refused> {
    let attempt = |messages: &mut Messages<u32>, lines: &mut Lines<Chime, 2>, called| match messages
        .take(lines, called)
    {
        Err(Refused::NotNow) => None,
        outcome => Some(outcome),
    };
    chan.wait(RECEIVERS, sleeper, attempt, |_, _, _| ())
        .unwrap()
}

fn acquire<Z: Sleeper<Bell = Chime>>(gate: &On<Permits, 1>, sleeper: impl FnOnce() -> Z) -> bool {
    let attempt = |permits: &mut Permits, _: &mut _, called| permits.take(called);
    gate.wait(0, sleeper, attempt, Permits::give_back).is_some()
}

/// Every order of steps, with at most this many switches away from a thread that could go on.
fn bounded(switches: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(model);
}

#[test]
fn a_message_arrives() {
    for capacity in [0, 1] {
        bounded(4, move || {
            let chan = over(Messages::new(capacity));
            let theirs = chan.clone();
            let sender = thread::spawn(move || send(&theirs, 7));
            assert_eq!(receive(&chan, Parked::new), Ok(7));
            assert_eq!(sender.join().unwrap(), Ok(()));
        });
    }
}

#[test]
fn messages_arrive_in_order_though_there_is_no_room() {
    for capacity in [0, 1] {
        bounded(3, move || {
            let chan = over(Messages::new(capacity));
            let theirs = chan.clone();
            let sender = thread::spawn(move || (1..=3).for_each(|n| send(&theirs, n).unwrap()));
            (1..=3).for_each(|n| assert_eq!(receive(&chan, Parked::new), Ok(n)));
            sender.join().unwrap();
        });
    }
}

#[test]
fn of_two_senders_none_is_forgotten() {
    for capacity in [0, 1] {
        bounded(2, move || {
            let chan = over(Messages::new(capacity));
            let senders = [1, 2].map(|n| {
                let theirs = chan.clone();
                thread::spawn(move || send(&theirs, n).unwrap())
            });
            let both = receive(&chan, Parked::new).unwrap() + receive(&chan, Parked::new).unwrap();
            assert_eq!(both, 3);
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
        });
    }
}

/// The one who is told is the one whose message was taken, though another one was quicker to stand in line.
#[test]
fn of_two_senders_each_is_told_of_its_own_message() {
    for capacity in [0, 1] {
        bounded(3, move || {
            let chan = over(Messages::new(capacity));
            (0..capacity as u32).for_each(|n| send(&chan, n).unwrap());
            let senders = [10, 20].map(|n| {
                let theirs = chan.clone();
                thread::spawn(move || send(&theirs, n).unwrap())
            });
            let all = (0..capacity + 2).map(|_| receive(&chan, Parked::new).unwrap());
            assert_eq!(all.sum::<u32>(), 30);
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
        });
    }
}

#[test]
fn who_waits_to_send_learns_that_nobody_receives() {
    bounded(4, || {
        let chan = over(Messages::new(0));
        let theirs = chan.clone();
        let sender = thread::spawn(move || send(&theirs, 7));
        drop(chan.change(Messages::receiver_goes));
        assert_eq!(sender.join().unwrap(), Err(Refused::Disconnected));
    });
}

#[test]
fn who_waits_to_receive_learns_that_nobody_sends() {
    bounded(4, || {
        let chan = over(Messages::<u32>::new(1));
        let theirs = chan.clone();
        let receiver = thread::spawn(move || receive(&theirs, Parked::new));
        chan.change(Messages::sender_goes);
        assert_eq!(receiver.join().unwrap(), Err(Refused::Disconnected));
    });
}

/// Sends, and gives it up as soon as it waits; whether it was sent.
fn send_at_once(chan: &On<Messages<u32>, 2>, message: u32) -> bool {
    let parcel = RefCell::new(Parcel::Here(message));
    let attempt = |messages: &mut Messages<u32>, lines: &mut Lines<Chime, 2>, _| {
        messages.put(&mut parcel.borrow_mut(), lines)
    };
    let take_back = |messages: &mut Messages<u32>, lines: &mut Lines<Chime, 2>, _| {
        messages.take_back(&mut parcel.borrow_mut(), lines);
    };
    let sleeper = || Late(Parked::new());
    chan.wait_in_line(SENDERS, sleeper, attempt, take_back)
        .is_some()
}

/// It is for the next sender, who is told.
#[test]
fn a_place_is_not_lost_to_one_that_is_late() {
    bounded(2, || {
        let chan = over::<Messages<u32>, 2>(Messages::new(1));
        send(&chan, 1).unwrap();
        let (theirs, others) = (chan.clone(), chan.clone());
        let late = thread::spawn(move || send_at_once(&theirs, 2));
        let patient = thread::spawn(move || send(&others, 3).unwrap());
        assert_eq!(receive(&chan, Parked::new), Ok(1));
        if late.join().unwrap() {
            receive(&chan, Parked::new).unwrap();
        }
        patient.join().unwrap();
        receive(&chan, Parked::new).unwrap();
        assert_eq!(chan.look(Messages::len), 0);
    });
}

/// What a select does: it looks, stands in line, and looks again.
#[test]
fn who_looks_again_in_line_is_not_forgotten() {
    bounded(3, || {
        let chan = over::<Messages<u32>, 2>(Messages::new(1));
        let theirs = chan.clone();
        let sender = thread::spawn(move || send(&theirs, 7).unwrap());
        let take = |called| chan.change(|messages, lines| messages.take(lines, called));
        let mut taken = take(false);
        while taken.is_err() {
            let parked = Parked::new();
            let bell = parked.bell();
            let sleeper = Parked(parked.bell());
            let rest = || {
                if chan.look(Messages::has_news) {
                    bell.ring();
                }
                parked.sleep();
            };
            taken = take(chan.stand_while(RECEIVERS, sleeper, rest, |_, _, _| ()));
        }
        assert_eq!(taken, Ok(7));
        sender.join().unwrap();
    });
}

#[test]
fn one_permit_is_had_by_one_at_a_time() {
    bounded(3, || {
        let gate = over(Permits(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let enter = |gate: &On<Permits, 1>, inside: &AtomicUsize| {
            assert!(acquire(gate, Parked::new));
            assert_eq!(inside.fetch_add(1, Relaxed), 0);
            inside.fetch_sub(1, Relaxed);
            gate.change(Permits::give);
        };
        let others = [(); 2].map(|()| {
            let (gate, inside) = (gate.clone(), inside.clone());
            thread::spawn(move || enter(&gate, &inside))
        });
        others.into_iter().for_each(|other| other.join().unwrap());
        enter(&gate, &inside);
        assert_eq!(gate.look(|permits| permits.0), 1);
    });
}

/// The permit is given to one whose time has just passed: it takes it, or leaves it.
#[test]
fn a_permit_is_not_lost_to_one_that_is_late() {
    bounded(4, || {
        let gate = over(Permits(0));
        let theirs = gate.clone();
        let late = thread::spawn(move || acquire(&theirs, || Late(Parked::new())));
        gate.change(Permits::give);
        let has = late.join().unwrap();
        assert_eq!(gate.look(|permits| permits.0), usize::from(!has));
    });
}

#[test]
fn who_waits_for_a_flag_sees_it_raised() {
    bounded(4, || {
        let flag = over(Flag(false));
        let theirs = flag.clone();
        let waiter = thread::spawn(move || {
            let attempt = |flag: &mut Flag, _: &mut _, called| flag.is_up(called);
            theirs.wait(0, Parked::new, attempt, |_, _, _| ())
        });
        flag.change(Flag::raise);
        assert_eq!(waiter.join().unwrap(), Some(()));
    });
}

/// What is done once, by whoever comes first; the other waits until it is done.
#[test]
fn two_who_need_it_done_find_it_done_once() {
    bounded(4, || {
        let once = over(Stage::New);
        let count = Arc::new(AtomicUsize::new(0));
        let need = |once: &On<Stage<u32>, 1>, count: &AtomicUsize, me| {
            let attempt = |stage: &mut Stage<u32>, _: &mut _, _| stage.begin(me, false);
            if let Some(Turn::Yours { .. }) = once.wait(0, Parked::new, attempt, |_, _, _| ()) {
                count.fetch_add(1, Relaxed);
                once.change(|stage, lines| stage.end(Stage::Done, lines));
            }
            assert_eq!(count.load(Relaxed), 1);
        };
        let other = {
            let (once, count) = (once.clone(), count.clone());
            thread::spawn(move || need(&once, &count, 1))
        };
        need(&once, &count, 2);
        other.join().unwrap();
    });
}

/// Looking and standing in line as two steps: what changes in between is missed. It is found without blocking:
/// the flag is up, and nobody was called.
#[test]
#[should_panic(expected = "a wake was lost")]
fn canary_who_looks_before_it_stands_in_line_is_forgotten() {
    loom::model(|| {
        let flag = over::<Flag, 1>(Flag(false));
        let theirs = flag.clone();
        let raiser = thread::spawn(move || theirs.change(Flag::raise));
        let up = flag.look(|flag| flag.is_up(false));
        let raised = || raiser.join().unwrap();
        match up {
            Some(()) => raised(),
            None => {
                let called = flag.stand_while(0, Parked::new(), raised, |_, _, _| ());
                assert!(called, "a wake was lost");
            }
        }
    });
}
