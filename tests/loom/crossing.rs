//! What threads wait for together: channels, permits, flags, things done once. A wake that is lost shows as a
//! deadlock, which `loom` reports.

use crate::crossing::{Bell, Crossing, Lines, Shared, Sleeper};
use crate::states::{
    Flag, LINES, Messages, OFFERS, Parcel, Permits, RECEIVERS, Refused, SENDERS, Stage, ToDo,
};
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
struct Parked(Chime, u64);

impl Parked {
    fn new() -> Parked {
        Parked::of(0)
    }

    /// The greenlet with this number. Only for one who stands in several lines is it told from others.
    fn of(number: u64) -> Parked {
        Parked(Chime(Arc::new((Mutex::new(false), Condvar::new()))), number)
    }

    /// The same, to stand in one line more.
    fn also(&self) -> Parked {
        Parked(self.bell(), self.who())
    }
}

impl Sleeper for Parked {
    type Bell = Chime;

    fn bell(&self) -> Chime {
        self.0.clone()
    }

    fn who(&self) -> u64 {
        self.1
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

    fn who(&self) -> u64 {
        self.0.who()
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

fn send(chan: &On<Messages<u32>, LINES>, message: u32) -> Result<(), Refused> {
    match chan.change(|messages, lines| messages.try_put(message, lines)) {
        Err((Refused::NotNow, message)) => send_later(chan, message),
        outcome => outcome.map_err(|(refused, _)| refused),
    }
}

fn send_later(chan: &On<Messages<u32>, LINES>, message: u32) -> Result<(), Refused> {
    let parcel = RefCell::new(Parcel::Here(message));
    let attempt = |messages: &mut Messages<u32>, lines: &mut _, _| {
        messages.put(&mut parcel.borrow_mut(), lines)
    };
    chan.wait_in_line(SENDERS, Parked::new, attempt, |_, _, _| ())
        .unwrap()
}

fn receive(
    chan: &On<Messages<u32>, LINES>,
    sleeper: impl FnOnce() -> Parked,
) -> Result<u32, Refused> {
    match chan.change(|messages, lines| messages.take(lines, false)) {
        Err(Refused::NotNow) => {
            let attempt = Messages::take_in_line;
            chan.wait_in_line(RECEIVERS, sleeper, attempt, |_, _, _| ())
                .unwrap()
        }
        outcome => outcome,
    }
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
fn send_at_once(chan: &On<Messages<u32>, LINES>, message: u32) -> bool {
    let parcel = RefCell::new(Parcel::Here(message));
    let attempt = |messages: &mut Messages<u32>, lines: &mut Lines<Chime, LINES>, _| {
        messages.put(&mut parcel.borrow_mut(), lines)
    };
    let take_back = |messages: &mut Messages<u32>, lines: &mut Lines<Chime, LINES>, _| {
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
        let chan = over::<Messages<u32>, LINES>(Messages::new(1));
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

type Chan = On<Messages<u32>, LINES>;

/// The frame of an arm that receives; whether it was called.
fn stand_to_receive(chan: &Chan, me: &Parked, rest: &mut dyn FnMut()) -> bool {
    let look =
        |messages: &mut Messages<u32>, lines: &mut _| messages.has_news(lines).then_some(false);
    chan.stand_while(RECEIVERS, me.also(), look, rest, |_, _, _| ())
}

/// The frame of an arm that sends. The message has gone if it was sent.
fn stand_to_send(
    chan: &Chan,
    me: &Parked,
    message: &mut Option<u32>,
    rest: &mut dyn FnMut(),
) -> bool {
    let look = |messages: &mut Messages<u32>, lines: &mut _| {
        let refused = messages.try_put(message.take()?, lines).err();
        let (why, left) = refused.unzip();
        *message = left;
        (why != Some(Refused::NotNow)).then_some(false)
    };
    chan.stand_while(OFFERS, me.also(), look, rest, |_, _, _| ())
}

/// A select with one arm, that receives.
fn select_to_receive(chan: &Chan, me: u64) -> Result<u32, Refused> {
    let me = Parked::of(me);
    let mut called = false;
    loop {
        match chan.change(|messages, lines| messages.take(lines, called)) {
            Err(Refused::NotNow) => {}
            outcome => return outcome,
        }
        called = stand_to_receive(chan, &me, &mut || {
            me.sleep();
        });
    }
}

/// Tries to send; whether that is settled.
fn offer(chan: &Chan, message: &mut Option<u32>, called: bool) -> Option<Result<(), Refused>> {
    let offered = message.take()?;
    match chan.change(|messages, lines| messages.put_offer(offered, lines, called)) {
        Ok(()) => Some(Ok(())),
        Err((Refused::NotNow, left)) => {
            *message = Some(left);
            None
        }
        Err((refused, _)) => Some(Err(refused)),
    }
}

/// A select with one arm, that sends.
fn select_to_send(chan: &Chan, me: u64, message: u32) -> Result<(), Refused> {
    let me = Parked::of(me);
    let mut message = Some(message);
    let mut outcome = offer(chan, &mut message, false);
    loop {
        if let Some(outcome) = outcome {
            return outcome;
        }
        let called = stand_to_send(chan, &me, &mut message, &mut || {
            me.sleep();
        });
        if message.is_none() {
            return Ok(());
        }
        outcome = offer(chan, &mut message, called);
    }
}

/// What came of a select that sends and receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    Sent,
    Received(u32),
}

/// A select that sends into the one and receives from the other, which may be the same.
fn select_both(to: &Chan, from: &Chan, me: u64, number: u32, receives_first: bool) -> Chosen {
    let me = Parked::of(me);
    let mut message = Some(number);
    let (mut may_send, mut may_receive) = (false, false);
    loop {
        // Called for both: one is taken, and the other call is for others.
        if let Some(Ok(())) = offer(to, &mut message, std::mem::take(&mut may_send)) {
            if may_receive {
                from.change(Messages::pass_on);
            }
            return Chosen::Sent;
        }
        let called = std::mem::take(&mut may_receive);
        if let Ok(got) = from.change(|messages, lines| messages.take(lines, called)) {
            return Chosen::Received(got);
        }
        let rest = &mut || {
            me.sleep();
        };
        match receives_first {
            true => {
                may_receive = stand_to_receive(from, &me, &mut || {
                    may_send = stand_to_send(to, &me, &mut message, rest);
                });
            }
            false => {
                may_send = stand_to_send(to, &me, &mut message, &mut || {
                    may_receive = stand_to_receive(from, &me, rest);
                });
            }
        }
        if message.is_none() {
            if may_receive {
                from.change(Messages::pass_on);
            }
            return Chosen::Sent;
        }
    }
}

#[test]
fn a_select_that_sends_meets_one_who_receives() {
    for capacity in [0, 1] {
        bounded(4, move || {
            let chan = over(Messages::new(capacity));
            (0..capacity as u32).for_each(|n| send(&chan, n).unwrap());
            let theirs = chan.clone();
            let sends = thread::spawn(move || select_to_send(&theirs, 1, 7).unwrap());
            (0..capacity as u32).for_each(|n| assert_eq!(receive(&chan, Parked::new), Ok(n)));
            assert_eq!(receive(&chan, Parked::new), Ok(7));
            sends.join().unwrap();
        });
    }
}

#[test]
fn a_select_that_sends_learns_that_nobody_receives() {
    bounded(4, || {
        let chan = over(Messages::new(0));
        let theirs = chan.clone();
        let sends = thread::spawn(move || select_to_send(&theirs, 1, 7));
        drop(chan.change(Messages::receiver_goes));
        assert_eq!(sends.join().unwrap(), Err(Refused::Disconnected));
    });
}

/// The place alone is enough; nobody stands in line for the message.
#[test]
fn a_select_that_sends_learns_of_room() {
    bounded(4, || {
        let chan = over(Messages::new(1));
        send(&chan, 1).unwrap();
        let theirs = chan.clone();
        let sends = thread::spawn(move || select_to_send(&theirs, 1, 7).unwrap());
        assert_eq!(receive(&chan, Parked::new), Ok(1));
        sends.join().unwrap();
        assert_eq!(chan.look(Messages::len), 1);
    });
}

/// They are called one for each place, or call each other.
#[test]
fn of_two_selects_that_send_none_is_forgotten() {
    for capacity in [0, 1] {
        bounded(2, move || {
            let chan = over(Messages::new(capacity));
            (0..capacity as u32).for_each(|n| send(&chan, n).unwrap());
            let senders = [1, 2].map(|n| {
                let theirs = chan.clone();
                thread::spawn(move || select_to_send(&theirs, n, 10 * n as u32).unwrap())
            });
            let all = (0..capacity + 2).map(|_| receive(&chan, Parked::new).unwrap());
            assert_eq!(all.sum::<u32>(), 30);
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
        });
    }
}

/// What was sent has been received, or is there for the next one who receives: as much as two that select at the same
/// time can know of each other. One of them has sent.
fn nothing_is_lost(chosen: [(u32, Chosen); 2], chans: &[&Chan]) {
    let sent = chosen.iter().filter(|(_, chosen)| *chosen == Chosen::Sent);
    let mut sent: Vec<_> = sent.map(|(number, _)| *number).collect();
    let received = chosen.iter().filter_map(|(_, chosen)| match chosen {
        Chosen::Received(number) => Some(*number),
        Chosen::Sent => None,
    });
    let take = |chan: &Chan| chan.change(|messages, lines| messages.take(lines, false));
    let left = chans
        .iter()
        .flat_map(|chan| std::iter::from_fn(|| take(chan).ok()));
    let mut got: Vec<_> = received.chain(left).collect();
    sent.sort_unstable();
    got.sort_unstable();
    assert_eq!(sent, got);
    assert!(!sent.is_empty());
}

/// Each sends to the other and receives from it, in a channel for each direction.
#[test]
fn two_selects_meet() {
    for order in 0..4 {
        bounded(2, move || {
            let (there, back) = (over(Messages::new(0)), over(Messages::new(0)));
            let (theirs, also) = (there.clone(), back.clone());
            let other = thread::spawn(move || select_both(&theirs, &also, 1, 10, order % 2 == 0));
            let mine = select_both(&back, &there, 2, 20, order / 2 == 0);
            let both = [(10, other.join().unwrap()), (20, mine)];
            nothing_is_lost(both, &[&there, &back]);
        });
    }
}

/// The same in one channel: none deals with itself, and they do not miss each other.
#[test]
fn two_that_send_and_receive_in_one_channel_meet() {
    for order in 0..4 {
        bounded(2, move || {
            let chan = over(Messages::new(0));
            let theirs = chan.clone();
            let other = thread::spawn(move || select_both(&theirs, &theirs, 1, 10, order % 2 == 0));
            let mine = select_both(&chan, &chan, 2, 20, order / 2 == 0);
            let both = [(10, other.join().unwrap()), (20, mine)];
            nothing_is_lost(both, &[&chan]);
        });
    }
}

/// One that only sends and one that only receives, both by a select, cannot both be elsewhere: it is received.
#[test]
fn a_select_that_sends_meets_one_that_receives() {
    bounded(4, || {
        let chan = over(Messages::new(0));
        let theirs = chan.clone();
        let sends = thread::spawn(move || select_to_send(&theirs, 1, 7).unwrap());
        assert_eq!(select_to_receive(&chan, 2), Ok(7));
        sends.join().unwrap();
    });
}

/// One that is called and does something else: the room is for the next.
#[test]
fn a_call_to_send_that_is_not_used_is_passed_on() {
    for capacity in [0, 1] {
        bounded(2, move || {
            let chan = over(Messages::new(capacity));
            (0..capacity as u32).for_each(|n| send(&chan, n).unwrap());
            let (theirs, others) = (chan.clone(), chan.clone());
            let fickle = thread::spawn(move || {
                let me = Parked::of(1);
                let mut message = Some(5);
                // It is raised in at once, wherever it stands.
                let called = stand_to_send(&theirs, &me, &mut message, &mut thread::yield_now);
                if called {
                    theirs.change(Messages::invite);
                }
                message.is_none()
            });
            let patient = thread::spawn(move || select_to_send(&others, 2, 7).unwrap());
            let mut sum = 0;
            (0..=capacity).for_each(|_| sum += receive(&chan, Parked::new).unwrap());
            if fickle.join().unwrap() {
                sum += receive(&chan, Parked::new).unwrap() - 5;
            }
            patient.join().unwrap();
            assert_eq!(sum, 7);
        });
    }
}

/// Without that, nobody comes to one who receives.
#[test]
#[should_panic(expected = "a wake was lost")]
fn canary_a_call_to_send_that_is_not_passed_on_is_lost() {
    loom::model(|| {
        let chan = over::<Messages<u32>, LINES>(Messages::new(0));
        let [first, second, third] = [1, 2, 3].map(Parked::of);
        let (mut one, mut other, mut came) = (Some(1), Some(2), false);
        stand_to_send(&chan, &first, &mut one, &mut || {
            came = stand_to_send(&chan, &second, &mut other, &mut || {
                stand_to_receive(&chan, &third, &mut || ());
            });
        });
        assert!(came, "a wake was lost");
    });
}

/// What an arm of a select for a permit does; whether it has one.
#[test]
fn a_permit_comes_to_one_who_selects_or_stays() {
    bounded(3, || {
        let gate = over(Permits(0));
        let (theirs, others) = (gate.clone(), gate.clone());
        let selects = thread::spawn(move || {
            let parked = Parked::of(1);
            let look = |permits: &mut Permits, _: &mut _| permits.take(false).map(|()| true);
            let rest = || {
                parked.sleep();
            };
            assert!(theirs.stand_while(0, parked.also(), look, rest, Permits::give_back));
            // It chooses something else.
            theirs.change(Permits::give);
        });
        let waits = thread::spawn(move || {
            assert!(acquire(&others, Parked::new));
            others.change(Permits::give);
        });
        gate.change(Permits::give);
        selects.join().unwrap();
        waits.join().unwrap();
        assert_eq!(gate.look(|permits| permits.0), 1);
    });
}

/// What a select does: it looks, stands in line, and looks again.
#[test]
fn who_looks_again_in_line_is_not_forgotten() {
    bounded(3, || {
        let chan = over::<Messages<u32>, LINES>(Messages::new(1));
        let theirs = chan.clone();
        let sender = thread::spawn(move || send(&theirs, 7).unwrap());
        assert_eq!(select_to_receive(&chan, 1), Ok(7));
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
            if let Some(ToDo::Yours { .. }) = once.wait(0, Parked::new, attempt, |_, _, _| ()) {
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
                let look = |_: &mut Flag, _: &mut _| None;
                let called = flag.stand_while(0, Parked::new(), look, raised, |_, _, _| ());
                assert!(called, "a wake was lost");
            }
        }
    });
}
