//! The door of a hub: no knock is lost, no hub is rung out of a sleep twice.
//!
//! The queue of the model is lock-free on purpose. A queue in a mutex would order the two sides by its lock,
//! and the door would pass without its fences: `canary_without_fences_…` shows that here it does not.
//! A lost wake shows as a deadlock, which `loom` reports; the canaries look for it before anybody blocks,
//! since after a deadlock `loom` cannot unwind.

use crate::protocol::{Door, Queue, Ring};
use crate::sys::sync::{Arc, AtomicBool, AtomicUsize, Condvar, Mutex, Ordering::*, fence};
use loom::model::Builder;
use loom::thread;
use std::num::NonZero;

type Key = NonZero<u64>;

fn key(number: usize) -> Key {
    Key::new(number as u64).unwrap()
}

fn number(key: Key) -> usize {
    key.get() as usize
}

/// As many keys as a model pushes.
const PLACES: usize = 3;

/// Keys in the order of their tickets: what an unbounded lock-free queue does, within one block of it.
struct Tickets {
    tail: AtomicUsize,
    head: AtomicUsize,
    /// 0 until the key is there.
    places: [AtomicUsize; PLACES],
}

impl Tickets {
    fn new() -> Self {
        Tickets {
            tail: AtomicUsize::new(0),
            head: AtomicUsize::new(0),
            places: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }
}

impl Queue for Tickets {
    fn push(&self, key: Key) {
        let ticket = self.tail.fetch_add(1, AcqRel);
        self.places[ticket].store(number(key), Release);
    }

    fn pop(&self) -> Option<Key> {
        if self.is_empty() {
            return None;
        }
        let head = self.head.load(Relaxed);
        self.head.store(head + 1, Relaxed);
        loop {
            match self.places[head].load(Acquire) {
                0 => thread::yield_now(),
                there => return Some(key(there)),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.head.load(Relaxed) == self.tail.load(Acquire)
    }
}

/// A bell that keeps a ring until somebody waits for it, as the poller's does.
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
    rings: AtomicUsize,
}

impl Bell {
    fn new() -> Arc<Bell> {
        Arc::new(Bell {
            rung: Mutex::new(false),
            heard: Condvar::new(),
            rings: AtomicUsize::new(0),
        })
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.heard.wait(rung).unwrap();
        }
        *rung = false;
    }
}

impl Ring for Arc<Bell> {
    fn ring(&self) {
        self.rings.fetch_add(1, Relaxed);
        *self.rung.lock().unwrap() = true;
        self.heard.notify_one();
    }
}

/// The protocol, or one with a part left out. Here a key is its number.
trait Protocol: Send + Sync + 'static {
    fn knock(&self, number: usize) -> bool;
    fn answer(&self) -> Option<usize>;
    fn fall_asleep(&self) -> bool;
    fn wake_up(&self);
}

struct Real(Door<Tickets, Arc<Bell>>);

impl Protocol for Real {
    fn knock(&self, number: usize) -> bool {
        self.0.knock(key(number))
    }
    fn answer(&self) -> Option<usize> {
        self.0.answer().map(number)
    }
    fn fall_asleep(&self) -> bool {
        self.0.fall_asleep()
    }
    fn wake_up(&self) {
        self.0.wake_up();
    }
}

fn door() -> (Arc<Real>, Arc<Bell>) {
    let bell = Bell::new();
    let door = Door::new(Tickets::new(), bell.clone());
    (Arc::new(Real(door)), bell)
}

fn knocker<P: Protocol>(door: &Arc<P>, key: usize) -> thread::JoinHandle<()> {
    let door = door.clone();
    thread::spawn(move || assert!(door.knock(key)))
}

/// Answers keys until `done` says that it has been enough, and sleeps when there are none.
fn hub<P: Protocol>(door: &P, bell: &Bell, mut done: impl FnMut(usize) -> bool) {
    loop {
        while let Some(key) = door.answer() {
            if done(key) {
                return;
            }
        }
        if door.fall_asleep() {
            bell.wait();
            door.wake_up();
        }
    }
}

/// Done when both keys, 1 and 2, were answered.
fn both() -> impl FnMut(usize) -> bool {
    let mut sum = 0;
    move |key| {
        sum += key;
        sum == 3
    }
}

/// Every order of steps, with at most this many switches away from a thread that could go on.
fn bounded(switches: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(switches);
    builder.check(model);
}

#[test]
fn a_hub_that_goes_to_sleep_hears_a_knock() {
    loom::model(|| {
        let (door, bell) = door();
        let knocker = knocker(&door, 1);
        hub(&*door, &bell, |key| key == 1);
        knocker.join().unwrap();
    });
}

/// The same seen from outside: a hub that has gone to sleep was rung. Blocks nobody.
fn who_sleeps_is_rung<P: Protocol>(door: &Arc<P>, bell: &Bell) {
    let knocker = knocker(door, 1);
    let asleep = door.fall_asleep();
    knocker.join().unwrap();
    assert!(!asleep || bell.rings.load(Relaxed) == 1, "a wake was lost");
}

#[test]
fn a_hub_that_has_gone_to_sleep_is_rung() {
    loom::model(|| {
        let (door, bell) = door();
        who_sleeps_is_rung(&door, &bell);
    });
}

#[test]
fn of_two_knocks_none_is_lost() {
    bounded(3, || {
        let (door, bell) = door();
        let knockers = [1, 2].map(|key| knocker(&door, key));
        hub(&*door, &bell, both());
        knockers
            .into_iter()
            .for_each(|knocker| knocker.join().unwrap());
    });
}

/// The hub's timeout passes: it wakes without a ring, and sleeps again, while a knocker has taken `asleep`
/// and not yet rung.
#[test]
fn a_sleep_that_ends_by_itself_loses_no_knock() {
    bounded(3, || {
        let (door, bell) = door();
        let knockers = [1, 2].map(|key| knocker(&door, key));
        if door.fall_asleep() {
            door.wake_up();
        }
        hub(&*door, &bell, both());
        knockers
            .into_iter()
            .for_each(|knocker| knocker.join().unwrap());
    });
}

#[test]
fn one_sleep_is_ended_by_one_ring() {
    loom::model(|| {
        let (door, bell) = door();
        assert!(door.fall_asleep());
        let knockers = [1, 2].map(|key| knocker(&door, key));
        knockers
            .into_iter()
            .for_each(|knocker| knocker.join().unwrap());
        assert_eq!(bell.rings.load(Relaxed), 1);
        bell.wait();
        door.wake_up();
        let keys = [door.answer(), door.answer()];
        assert!(keys == [Some(1), Some(2)] || keys == [Some(2), Some(1)]);
        assert!(door.0.is_quiet());
    });
}

#[test]
fn a_hub_that_is_awake_is_not_rung() {
    loom::model(|| {
        let (door, bell) = door();
        let knockers = [1, 2].map(|key| knocker(&door, key));
        let early = door.answer().is_some();
        knockers
            .into_iter()
            .for_each(|knocker| knocker.join().unwrap());
        let late = std::iter::from_fn(|| door.answer()).count();
        assert_eq!(late + usize::from(early), 2);
        assert_eq!(bell.rings.load(Relaxed), 0);
    });
}

/// Keys are `place * 10 + generation`. The greenlet of generation 1 has timed out and its place was given to
/// generation 2, while its waker is on the way.
#[test]
fn the_wake_of_a_dead_token_is_ignored_and_hides_no_other() {
    const DEAD: usize = 11;
    const LIVE: usize = 12;
    bounded(3, || {
        let (door, bell) = door();
        let knockers = [DEAD, LIVE].map(|key| knocker(&door, key));
        let (mut woken, mut ignored) = (0, 0);
        hub(&*door, &bell, |key| {
            if key == LIVE {
                woken += 1;
            } else {
                ignored += 1;
            }
            woken == 1
        });
        knockers
            .into_iter()
            .for_each(|knocker| knocker.join().unwrap());
        let rest: Vec<_> = std::iter::from_fn(|| door.answer()).collect();
        assert_eq!(
            rest.len() + ignored,
            1,
            "the dead one came once, sooner or later"
        );
        assert!(rest.iter().all(|&key| key == DEAD));
    });
}

#[test]
fn what_was_let_in_is_found_by_the_hub_that_closes() {
    loom::model(|| {
        let (door, _bell) = door();
        let knockers = [1, 2].map(|key| {
            let door = door.clone();
            thread::spawn(move || door.knock(key).then_some(key))
        });
        door.0.close();
        let drained: Vec<_> = std::iter::from_fn(|| door.answer()).collect();
        for knocker in knockers {
            if let Some(key) = knocker.join().unwrap() {
                assert!(drained.contains(&key), "let in, and not answered");
            }
        }
        assert!(!door.knock(1));
    });
}

/// The hub answers the first key, perhaps after a sleep, and closes while the second one comes.
#[test]
fn a_hub_that_closes_after_its_sleep_finds_what_was_let_in() {
    bounded(3, || {
        let (door, bell) = door();
        let [first, second] = [1, 2].map(|key| {
            let door = door.clone();
            thread::spawn(move || door.knock(key))
        });
        let mut answered = vec![];
        hub(&*door, &bell, |key| {
            answered.push(key);
            key == 1
        });
        door.0.close();
        answered.extend(std::iter::from_fn(|| door.answer()));
        // Answered in any case, but it may have learned only that the door is closed now.
        first.join().unwrap();
        let let_in = second.join().unwrap();
        assert!(!let_in || answered.contains(&2));
    });
}

#[test]
fn what_was_written_before_a_knock_is_seen_after_its_answer() {
    bounded(3, || {
        let (door, _bell) = door();
        let written = [1, 2].map(|number| {
            let (door, written) = (door.clone(), Arc::new(AtomicUsize::new(0)));
            let there = written.clone();
            thread::spawn(move || {
                there.store(number, Relaxed);
                assert!(door.knock(number));
            });
            written
        });
        for _ in 0..2 {
            if let Some(number) = door.answer() {
                assert_eq!(written[number - 1].load(Relaxed), number, "an old value");
            }
        }
    });
}

/// The keys of one thread are answered in the order of its knocks; `door` has one knocker.
fn in_order<P: Protocol>(door: &Arc<P>) {
    let knocker = {
        let door = door.clone();
        thread::spawn(move || (1..=PLACES).for_each(|number| assert!(door.knock(number))))
    };
    let early: Vec<_> = (0..PLACES).filter_map(|_| door.answer()).collect();
    knocker.join().unwrap();
    let late = std::iter::from_fn(|| door.answer());
    let answered: Vec<_> = early.into_iter().chain(late).collect();
    assert_eq!(answered, [1, 2, 3], "out of order");
}

#[test]
fn keys_of_one_thread_are_answered_in_the_order_of_its_knocks() {
    loom::model(|| in_order(&door().0));
}

/// One has the place beside the queue, and the others come while it is taken away.
#[test]
fn keys_of_two_threads_come_once_each() {
    bounded(3, || {
        let (door, _bell) = door();
        assert!(door.knock(3));
        let knockers = [1, 2].map(|key| knocker(&door, key));
        let early: Vec<_> = (0..2).filter_map(|_| door.answer()).collect();
        knockers
            .into_iter()
            .for_each(|knocker| knocker.join().unwrap());
        let late = std::iter::from_fn(|| door.answer());
        let mut answered: Vec<_> = early.into_iter().chain(late).collect();
        assert_eq!(answered[0], 3);
        answered.sort_unstable();
        assert_eq!(answered, [1, 2, 3]);
    });
}

/// The door that looks at the place beside the flags once for each answer.
struct Hasty {
    at_hand: AtomicUsize,
    queue: Tickets,
}

impl Protocol for Hasty {
    fn knock(&self, number: usize) -> bool {
        let lay = || self.at_hand.compare_exchange(0, number, Release, Relaxed);
        if !self.queue.is_empty() || lay().is_err() {
            self.queue.push(key(number));
        }
        true
    }
    fn answer(&self) -> Option<usize> {
        match self.at_hand.load(Acquire) {
            0 => self.queue.pop().map(number),
            number => {
                self.at_hand.store(0, Relaxed);
                Some(number)
            }
        }
    }
    fn fall_asleep(&self) -> bool {
        unreachable!()
    }
    fn wake_up(&self) {
        unreachable!()
    }
}

#[test]
#[should_panic(expected = "out of order")]
fn canary_with_one_look_beside_the_queue_keys_are_out_of_order() {
    loom::model(|| {
        let (at_hand, queue) = (AtomicUsize::new(0), Tickets::new());
        in_order(&Arc::new(Hasty { at_hand, queue }));
    });
}

/// The door without its fences, or without its second look (b).
struct Partial {
    queue: Tickets,
    asleep: AtomicBool,
    bell: Arc<Bell>,
    fenced: bool,
    looks_again: bool,
}

impl Partial {
    fn fence(&self) {
        if self.fenced {
            fence(SeqCst);
        }
    }
}

impl Protocol for Partial {
    fn knock(&self, number: usize) -> bool {
        self.queue.push(key(number));
        self.fence();
        if self.asleep.load(Acquire) && self.asleep.swap(false, AcqRel) {
            self.bell.ring();
        }
        true
    }
    fn answer(&self) -> Option<usize> {
        self.queue.pop().map(number)
    }
    fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Release);
        self.fence();
        !self.looks_again || self.queue.is_empty()
    }
    fn wake_up(&self) {
        self.asleep.store(false, Release);
    }
}

fn with_a_part_left_out(fenced: bool, looks_again: bool) {
    loom::model(move || {
        let bell = Bell::new();
        let door = Arc::new(Partial {
            queue: Tickets::new(),
            asleep: AtomicBool::new(false),
            bell: bell.clone(),
            fenced,
            looks_again,
        });
        who_sleeps_is_rung(&door, &bell);
    });
}

#[test]
fn with_fences_and_a_second_look_no_wake_is_lost() {
    with_a_part_left_out(true, true);
}

#[test]
#[should_panic(expected = "a wake was lost")]
fn canary_without_the_second_look_a_wake_is_lost() {
    with_a_part_left_out(true, false);
}

#[test]
#[should_panic(expected = "a wake was lost")]
fn canary_without_fences_a_wake_is_lost() {
    with_a_part_left_out(false, true);
}

/// The door that looks at `closed` only before it lets a key in.
#[test]
#[should_panic(expected = "let in, and not answered")]
fn canary_without_the_second_look_at_closed_a_key_is_lost() {
    loom::model(|| {
        let queue = Arc::new(Tickets::new());
        let closed = Arc::new(AtomicBool::new(false));
        let knocker = {
            let (queue, closed) = (queue.clone(), closed.clone());
            thread::spawn(move || {
                let open = !closed.load(SeqCst);
                if open {
                    queue.push(key(1));
                }
                open
            })
        };
        closed.store(true, SeqCst);
        let drained = queue.pop().is_some();
        assert!(
            !knocker.join().unwrap() || drained,
            "let in, and not answered"
        );
    });
}
