//! Scenarios in which greenlets wait for other threads, and no thread is left that could come.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use greenlet::group::wait_any;
use greenlet::sync::remote::{self, Mutex};
use greenlet::sync::{Once, Semaphore, channel};
use greenlet::{future, inspect, monitor, offload, scope, sleep, spawn, yield_now};

use crate::hub::thread_named;
use crate::say;

const MS: Duration = Duration::from_millis(1);
/// Longer than it takes until somebody asks whether anybody can come.
const REST: Duration = Duration::from_millis(1600);

/// Runs a scenario of this module, if it has that name.
pub(crate) fn run(scenario: &str) -> bool {
    match scenario {
        "alone_with_an_idle_way_in" => with_an_idle_way_in(),
        "alone_with_both_ends" => {
            let (_sender, receiver) = remote::channel::bounded::<()>(1);
            let _ = receiver.recv();
        }
        "alone_with_locks_of_threads" => with_locks_of_threads(),
        "alone_with_what_is_done_once" => with_what_is_done_once(),
        "alone_with_a_future" => alone_with_a_future(),
        "alone_with_a_future_that_is_woken" => with_a_future_that_is_woken(),
        "alone_in_two_threads" => in_two_threads(),
        "alone_on_all_cores" => on_all_cores(),
        "circle_through_threads" => circle_through_threads(),
        "knots_through_threads" => knots_through_threads(),
        "no_circle_through_threads" => no_circle_through_threads(),
        "no_circle_after_long_turns" => no_circle_after_long_turns(),
        "not_alone_beside_a_timer" => beside_a_timer(),
        "not_alone_beside_a_plain_thread" => beside_a_plain_thread(),
        "alone_when_the_last_thread_has_gone" => when_the_last_thread_has_gone(),
        "alone_beside_threads_of_the_crate" => beside_threads_of_the_crate(),
        "alone_with_a_waker_that_is_dropped" => with_a_waker_that_is_dropped(),
        "not_alone_in_a_crowd" => in_a_crowd(),
        "not_alone_after_a_fork" => after_a_fork(),
        "alone_with_a_channel_that_somebody_knows" => with_a_channel_that_somebody_knows(),
        _ => return false,
    }
    true
}

/// One waits for another thread, and there is none; so who waits for something else waits for ever.
fn with_an_idle_way_in() {
    let (sender, receiver) = remote::channel::bounded::<()>(1);
    drop(thread_named("patient", move || drop(receiver.recv())));
    let (rendezvous, _receiver) = channel::bounded(0);
    let sent = catch_unwind(AssertUnwindSafe(|| rendezvous.send(1)));
    say(&format!("a deadlock: {}", sent.is_err()));
    drop(sender);
}

fn locks_both(first: &Mutex<()>, second: &Mutex<()>) {
    let _first = first.lock();
    yield_now();
    let _second = second.lock();
}

/// A circle of locks that threads share, within one thread; another one goes on meanwhile.
fn with_locks_of_threads() {
    static A: Mutex<()> = Mutex::new(());
    static B: Mutex<()> = Mutex::new(());
    drop(thread_named("first", || locks_both(&A, &B)));
    drop(thread_named("second", || locks_both(&B, &A)));
    thread::spawn(|| loop {
        thread::sleep(MS);
    });
    sleep(REST);
}

/// Who does it waits for a lock, and who has the lock waits until it is done.
fn with_what_is_done_once() {
    static ONCE: Once = Once::new();
    static LOCK: Mutex<()> = Mutex::new(());
    drop(thread_named("has the lock", || {
        let _locked = LOCK.lock();
        yield_now();
        ONCE.call_once(|| ());
    }));
    drop(thread_named("does it", || {
        ONCE.call_once(|| drop(LOCK.lock()));
    }));
    sleep(REST);
}

/// Another thread is there, and is not asked: nobody has the waker.
fn alone_with_a_future() {
    thread::spawn(|| loop {
        thread::sleep(MS);
    });
    future::block_on(pending::<()>());
}

fn with_a_future_that_is_woken() {
    let (sender, receiver) = remote::channel::bounded(1);
    let other = thread::spawn(move || {
        thread::sleep(2 * REST);
        sender.send(1).unwrap();
    });
    let woken = future::block_on(async { spawn(move || receiver.recv()).await });
    say(&format!("{:?}", woken.unwrap()));
    other.join().unwrap();
}

/// Two threads have what the other one needs. Each says so, and lets go of what it had.
fn in_two_threads() {
    static A: Mutex<()> = Mutex::new(());
    static B: Mutex<()> = Mutex::new(());
    let (tell, told) = remote::channel::bounded(2);
    let other = move || {
        let _b = B.lock();
        tell.send(()).unwrap();
        sleep(50 * MS);
        drop(A.lock());
    };
    let _other = thread::spawn(move || catch_unwind(other));
    let _a = A.lock();
    told.recv().unwrap();
    drop(B.lock());
}

/// Two cores lock crosswise; their caller waits for both. The first that is told lets go, and the other one goes on.
fn on_all_cores() {
    static LOCKS: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];
    let outcome = catch_unwind(|| {
        greenlet::per_core(2, |core| {
            let _first = LOCKS[core].lock();
            sleep(50 * MS);
            drop(LOCKS[1 - core].lock());
        })
    });
    say(&format!("a deadlock: {}", outcome.is_err()));
}

fn named_thread(name: &str, f: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name(name.into()).spawn(f).unwrap();
}

/// Two threads lock crosswise, one of them in a helper that it joins. A third goes on, and so nobody is alone.
fn circle_through_threads() {
    static A: Mutex<()> = Mutex::new(());
    static B: Mutex<()> = Mutex::new(());
    named_thread("one", || {
        let _a = A.lock();
        sleep(100 * MS);
        thread_named("helper", || drop(B.lock())).join().unwrap();
    });
    named_thread("two", || {
        let _b = B.lock();
        sleep(300 * MS);
        drop(A.lock());
    });
    thread::sleep(6 * REST);
}

/// The one waits for one of two who cannot end; the other one for two, of whom one cannot.
fn knots_through_threads() {
    static A: Mutex<()> = Mutex::new(());
    static B: Mutex<()> = Mutex::new(());
    named_thread("one", || {
        let _a = A.lock();
        sleep(100 * MS);
        let helpers = [(); 2].map(|()| thread_named("helper", || drop(B.lock())));
        wait_any(&helpers);
    });
    named_thread("two", || {
        let _b = B.lock();
        sleep(300 * MS);
        scope(|s| {
            s.spawn(|| sleep(20 * REST));
            s.spawn(|| drop(A.lock()));
        });
    });
    thread::sleep(6 * REST);
}

/// As before, but the second has a time limit, and lets go. In the end everybody has had everything.
fn no_circle_through_threads() {
    static A: Mutex<()> = Mutex::new(());
    static B: Mutex<()> = Mutex::new(());
    let (tell, told) = remote::channel::bounded(2);
    let done = tell.clone();
    named_thread("one", move || {
        let _a = A.lock();
        sleep(100 * MS);
        drop(B.lock());
        done.send("one").unwrap();
    });
    named_thread("two", move || {
        let b = B.lock();
        sleep(300 * MS);
        let late = greenlet::time::timeout(2 * REST, || drop(A.lock()));
        assert!(late.is_err());
        drop(b);
        drop(A.lock());
        tell.send("two").unwrap();
    });
    let mut both = [told.recv().unwrap(), told.recv().unwrap()];
    both.sort();
    say(&format!("{both:?}"));
}

/// One locks both, the other one after the other. In between they compute for longer than it takes to get suspicious,
/// so that their hubs know late when they began to wait.
fn no_circle_after_long_turns() {
    static A: Mutex<()> = Mutex::new(());
    static B: Mutex<()> = Mutex::new(());
    let both = thread::Builder::new().name("both".into());
    let both = both.spawn(|| {
        thread::sleep(100 * MS);
        let _a = A.lock();
        let _b = B.lock();
        thread::sleep(2 * REST);
    });
    let b = B.lock();
    thread::sleep(2 * REST);
    drop(b);
    drop(A.lock());
    both.unwrap().join().unwrap();
    say("each had what it wanted");
}

fn beside_a_timer() {
    let (sender, receiver) = remote::channel::bounded(1);
    let other = thread::spawn(move || {
        sleep(2 * REST);
        sender.send(1).unwrap();
    });
    say(&format!("received {}", receiver.recv().unwrap()));
    other.join().unwrap();
}

fn beside_a_plain_thread() {
    let (sender, receiver) = remote::channel::bounded(1);
    let other = thread::spawn(move || {
        thread::sleep(2 * REST);
        sender.send(1).unwrap();
    });
    say(&format!("received {}", receiver.recv().unwrap()));
    other.join().unwrap();
}

fn when_the_last_thread_has_gone() {
    let (_sender, receiver) = remote::channel::bounded::<()>(1);
    thread::spawn(|| thread::sleep(REST));
    let _ = receiver.recv();
}

/// One that watches, one that answers who looks, one that waits for work: none of them wakes anybody.
fn beside_threads_of_the_crate() {
    let path = std::env::temp_dir().join(format!("greenlet-alone-{}", std::process::id()));
    let _served = inspect::serve(&path).unwrap();
    monitor::watch(Duration::from_secs(60)).unwrap().for_ever();
    offload(|| ());
    let (_sender, receiver) = remote::channel::bounded::<()>(1);
    let _ = receiver.recv();
}

/// A thread has a waker for a while, and does not use it. There is a thread that could do anything, all the time.
fn with_a_waker_that_is_dropped() {
    thread::spawn(|| loop {
        thread::sleep(MS);
    });
    future::block_on(poll_fn(|context| {
        let waker = context.waker().clone();
        thread::spawn(move || {
            thread::sleep(100 * MS);
            drop(waker);
        });
        Poll::<()>::Pending
    }));
}

/// Many hubs begin to rest at the same time, and ask at the same time, and just then a message comes, from one that
/// sleeps as soon as it has sent it.
fn in_a_crowd() {
    let (answer, answers) = remote::channel::unbounded();
    let hubs: Vec<_> = (0..60)
        .map(|number: usize| {
            let (sender, receiver) = remote::channel::bounded::<()>(1);
            let answer = answer.clone();
            thread::spawn(move || {
                while receiver.recv().is_ok() {
                    answer.send(number).unwrap();
                }
            });
            sender
        })
        .collect();
    for round in 0..4 {
        hubs.iter().for_each(|hub| hub.send(()).unwrap());
        hubs.iter().for_each(|_| _ = answers.recv().unwrap());
        sleep(Duration::from_micros(999_900 + 300 * round));
        hubs[13 * round as usize].send(()).unwrap();
        answers.recv().unwrap();
    }
}

/// What nobody could wake in the parent hides nothing in the child, and counts for nobody there.
fn after_a_fork() {
    future::block_on(async {
        // SAFETY: the child goes on in this greenlet.
        let child = unsafe { libc::fork() };
        if child != 0 {
            let mut status = 0;
            // SAFETY: waits for the child.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            return say(&format!("status {status}"));
        }
        let (sender, receiver) = remote::channel::bounded(1);
        thread::spawn(move || {
            thread::sleep(300 * MS);
            sender.send(1).unwrap();
            std::mem::forget(sender);
        });
        drop(spawn(move || {
            receiver.recv().unwrap();
            std::process::exit(0);
        }));
        pending().await
    });
}

/// Of those who wait, one has a sender, and one a permit.
fn with_a_channel_that_somebody_knows() {
    let (sender, receiver) = channel::bounded(1);
    let semaphore = Rc::new(Semaphore::new(1));
    drop(thread_named("has a permit", {
        let semaphore = semaphore.clone();
        move || {
            let permit = semaphore.acquire();
            let (_end, never) = channel::bounded::<()>(0);
            let _ = never.recv();
            drop(permit);
            sender.send(1).unwrap();
        }
    }));
    drop(thread_named("wants a permit", move || {
        drop(semaphore.acquire());
    }));
    let _ = receiver.recv();
}
