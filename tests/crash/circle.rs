//! Scenarios with a circle: some greenlets wait for each other, and others wait for what may come.

use std::process;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use greenlet::sync::remote::channel::{Sender, bounded};
use greenlet::sync::{Mutex, RwLock};
use greenlet::{JoinHandle, scope, sleep, time, yield_now};

use crate::hub::thread_named;
use crate::say;

const MS: Duration = Duration::from_millis(1);
/// Long enough for a look.
pub(crate) const REST: Duration = Duration::from_millis(1600);

/// Runs a scenario of this module, if it has that name.
pub(crate) fn run(scenario: &str) -> bool {
    match scenario {
        "circle_with_main" => with_main(),
        "circle_that_main_waits_for" => that_main_waits_for(),
        "circle_with_a_guard_in_other_hands" => with_a_guard_in_other_hands(),
        "circle_without_main" => without_main(),
        "circle_on_a_busy_thread" => on_a_busy_thread(),
        "circle_with_writer" => with_writer(),
        "circle_at_end_of_scope" => at_end_of_scope(),
        "circle_of_nobody" => of_nobody(),
        "circle_with_deadline" => with_deadline(),
        "circle_that_main_waits_for_a_while" => that_main_waits_for_a_while(),
        "circle_killed_in_time" => killed_in_time(),
        _ => return false,
    }
    true
}

/// Poison does not matter.
#[inline(never)]
fn locks_both(first: &Mutex<()>, second: &Mutex<()>) {
    let _first = first.lock();
    yield_now();
    let _second = second.lock();
    std::hint::black_box(());
}

/// A greenlet that waits for another thread, which does nothing until it is told to.
pub(crate) struct Patient {
    waits: JoinHandle<u32>,
    tell: mpsc::Sender<()>,
}

impl Patient {
    pub(crate) fn new() -> Patient {
        let (sender, receiver) = bounded(1);
        let (tell, told) = mpsc::channel();
        thread::spawn(move || idle(&sender, &told));
        let builder = greenlet::thread::Builder::new().name("patient".into());
        let waits = builder.spawn(move || receiver.recv().unwrap()).unwrap();
        yield_now();
        Patient { waits, tell }
    }

    pub(crate) fn end(self) {
        self.tell.send(()).unwrap();
        say(&format!("patience: {}", self.waits.join().unwrap()));
    }
}

fn idle(sender: &Sender<u32>, told: &mpsc::Receiver<()>) {
    if told.recv().is_ok() {
        sender.send(1).unwrap();
    }
}

/// Two greenlets that have locked one mutex each and wait for that of the other.
fn circle() -> [JoinHandle<()>; 2] {
    let (a, b) = (Rc::new(Mutex::new(())), Rc::new(Mutex::new(())));
    let first = thread_named("first", {
        let (a, b) = (a.clone(), b.clone());
        move || locks_both(&a, &b)
    });
    let second = thread_named("second", move || locks_both(&b, &a));
    (0..3).for_each(|_| yield_now());
    [first, second]
}

/// Ends the program after a look or two, though main waits.
fn exit_later() {
    drop(thread_named("exits", || {
        sleep(2 * REST);
        process::exit(7);
    }));
}

fn with_main() {
    let _patient = Patient::new();
    let (a, b) = (Rc::new(Mutex::new(())), Rc::new(Mutex::new(())));
    drop(thread_named("second", {
        let (a, b) = (a.clone(), b.clone());
        move || locks_both(&b, &a)
    }));
    exit_later();
    locks_both(&a, &b);
}

/// It is told while main waits, and once.
fn that_main_waits_for() {
    let patient = Patient::new();
    let [first, second] = circle();
    let joins = thread_named("joins", move || first.wait());
    drop(thread_named("kills", move || {
        (0..2).for_each(|_| sleep(REST));
        second.kill();
    }));
    joins.wait();
    patient.end();
}

/// Main has locked what it waits for, and given the guard to one who goes on.
fn with_a_guard_in_other_hands() {
    let patient = Patient::new();
    let mutex = Mutex::new(());
    scope(|s| {
        let guard = mutex.lock().unwrap();
        s.spawn(move || {
            sleep(2 * REST);
            drop(guard);
        });
        s.spawn(|| drop(mutex.lock())).join().unwrap();
    });
    patient.end();
}

fn without_main() {
    let patient = Patient::new();
    let [first, second] = circle();
    (0..2).for_each(|_| sleep(REST));
    first.kill();
    second.join().unwrap();
    // Another one is told as well.
    let [first, second] = circle();
    sleep(REST);
    second.kill();
    first.join().unwrap();
    patient.end();
}

/// Something happens all the time, and nothing that would end the circle.
fn on_a_busy_thread() {
    let [first, second] = circle();
    let mut ticks = time::interval(5 * MS);
    (0..600).for_each(|_| drop(ticks.tick()));
    first.kill();
    second.join().unwrap();
}

fn with_writer() {
    let patient = Patient::new();
    let shared = Rc::new(RwLock::new(()));
    let place = Rc::new(Mutex::new(()));
    let (theirs, its) = (shared.clone(), place.clone());
    let writer = thread_named("writer", move || {
        let _written = theirs.write().unwrap();
        yield_now();
        drop(its.lock());
    });
    let reader = thread_named("reader", move || {
        let _locked = place.lock().unwrap();
        yield_now();
        drop(shared.read());
    });
    sleep(REST);
    writer.kill();
    reader.join().unwrap();
    patient.end();
}

fn at_end_of_scope() {
    exit_later();
    let [first, _second] = circle();
    scope(|s| {
        s.spawn(|| first.wait());
    });
}

/// Many wait, and all for what may come.
fn of_nobody() {
    let patient = Patient::new();
    let Patient { waits, tell } = patient;
    let mutex = Rc::new(Mutex::new(()));
    let others = [(); 3].map(|()| {
        let mutex = mutex.clone();
        thread_named("other", move || drop(mutex.lock()))
    });
    let main = mutex.lock().unwrap();
    thread_named("tells", move || {
        sleep(REST);
        tell.send(()).unwrap();
    });
    say(&format!("patience: {}", waits.join().unwrap()));
    drop(main);
    others.map(|other| other.join().unwrap());
}

/// It ends by itself.
fn with_deadline() {
    let patient = Patient::new();
    let (a, b) = (Rc::new(Mutex::new(())), Rc::new(Mutex::new(())));
    let first = thread_named("first", {
        let (a, b) = (a.clone(), b.clone());
        move || locks_both(&a, &b)
    });
    let second = thread_named("second", move || {
        let late = time::timeout(REST, || locks_both(&b, &a));
        say(&format!("late: {}", late.is_err()));
    });
    first.join().unwrap();
    second.join().unwrap();
    patient.end();
}

/// Main ends its wait by itself.
fn that_main_waits_for_a_while() {
    let patient = Patient::new();
    let [first, second] = circle();
    let late = time::timeout(REST, || first.wait());
    say(&format!("late: {}", late.is_err()));
    second.kill();
    first.join().unwrap();
    patient.end();
}

fn killed_in_time() {
    let patient = Patient::new();
    let [first, second] = circle();
    let killer = thread_named("killer", move || {
        sleep(500 * MS);
        say(&format!("killed: {}", second.kill()));
    });
    first.join().unwrap();
    killer.join().unwrap();
    sleep(REST);
    patient.end();
}
