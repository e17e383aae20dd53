//! The door of a hub: no knock is lost, no hub is rung out of a sleep twice.
//!
//! The queue of the model is lock-free on purpose. A queue in a mutex would order the two sides by its lock,
//! and the door would pass without its fences: `canary_without_fences_…` shows that here it does not.
//! A lost wake shows as a deadlock, which `loom` reports; the canaries look for it before anybody blocks,
//! since after a deadlock `loom` cannot unwind.

use crate::protocol::{Door, Queue, Ring};
use crate::sys::sync::{Arc, AtomicBool, AtomicUsize, Condvar, Mutex, Ordering::*};
use loom::model::Builder;
use loom::thread;

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
    type Key = usize;

    fn push(&self, key: usize) {
        let ticket = self.tail.fetch_add(1, AcqRel);
        self.places[ticket].store(key, Release);
    }

    fn pop(&self) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let head = self.head.load(Relaxed);
        self.head.store(head + 1, Relaxed);
        loop {
            match self.places[head].load(Acquire) {
                0 => thread::yield_now(),
                key => return Some(key),
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

/// The protocol, or one with a part left out.
trait Protocol: Send + Sync + 'static {
    fn knock(&self, key: usize) -> bool;
    fn answer(&self) -> Option<usize>;
    fn fall_asleep(&self) -> bool;
    fn wake_up(&self);
}

impl<Q: Queue<Key = usize> + Send + Sync + 'static> Protocol for Door<Q, Arc<Bell>> {
    fn knock(&self, key: usize) -> bool {
        Door::knock(self, key)
    }
    fn answer(&self) -> Option<usize> {
        Door::answer(self)
    }
    fn fall_asleep(&self) -> bool {
        Door::fall_asleep(self)
    }
    fn wake_up(&self) {
        Door::wake_up(self);
    }
}

type Real = Door<Tickets, Arc<Bell>>;

fn door() -> (Arc<Real>, Arc<Bell>) {
    let bell = Bell::new();
    (Arc::new(Door::new(Tickets::new(), bell.clone())), bell)
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
        assert!(door.is_quiet());
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
        door.close();
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
        door.close();
        answered.extend(std::iter::from_fn(|| door.answer()));
        // Answered in any case, but it may have learned only that the door is closed now.
        first.join().unwrap();
        let let_in = second.join().unwrap();
        assert!(!let_in || answered.contains(&2));
    });
}

/// A queue that never says that a key waits: the door without its second look (b).
struct Blind(Tickets);

impl Queue for Blind {
    type Key = usize;

    fn push(&self, key: usize) {
        self.0.push(key);
    }
    fn pop(&self) -> Option<usize> {
        self.0.pop()
    }
    fn is_empty(&self) -> bool {
        true
    }
}

#[test]
#[should_panic(expected = "a wake was lost")]
fn canary_without_the_second_look_a_wake_is_lost() {
    loom::model(|| {
        let bell = Bell::new();
        let door = Arc::new(Door::new(Blind(Tickets::new()), bell.clone()));
        who_sleeps_is_rung(&door, &bell);
    });
}

/// The door without its fences.
struct Unfenced {
    queue: Tickets,
    asleep: AtomicBool,
    bell: Arc<Bell>,
}

impl Protocol for Unfenced {
    fn knock(&self, key: usize) -> bool {
        self.queue.push(key);
        if self.asleep.load(Acquire) && self.asleep.swap(false, AcqRel) {
            self.bell.ring();
        }
        true
    }
    fn answer(&self) -> Option<usize> {
        self.queue.pop()
    }
    fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Release);
        self.queue.is_empty()
    }
    fn wake_up(&self) {
        self.asleep.store(false, Release);
    }
}

#[test]
#[should_panic(expected = "a wake was lost")]
fn canary_without_fences_a_wake_is_lost() {
    loom::model(|| {
        let bell = Bell::new();
        let door = Arc::new(Unfenced {
            queue: Tickets::new(),
            asleep: AtomicBool::new(false),
            bell: bell.clone(),
        });
        who_sleeps_is_rung(&door, &bell);
    });
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
                    queue.push(1);
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
