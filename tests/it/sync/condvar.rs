//! std's tests of `Condvar`, over whatever the module around this one has.

use std::time::{Duration, Instant};

use super::{Condvar, Mutex, Shared, mpsc, sleep, spawn};
use crate::support::run;

const MS: Duration = Duration::from_millis(1);

type Pair = Shared<(Mutex<u32>, Condvar)>;

fn pair() -> Pair {
    Shared::new((Mutex::new(0), Condvar::new()))
}

/// Sets the value in a while.
fn sets(pair: &Pair, value: u32) {
    let pair = pair.clone();
    spawn(move || {
        sleep(2 * MS);
        *pair.0.lock().unwrap() = value;
        pair.1.notify_one();
    });
}

#[test]
fn with_nobody_there_nothing_happens() {
    run(|| {
        let condvar = Condvar::default();
        condvar.notify_one();
        condvar.notify_all();
        assert!(format!("{condvar:?}").contains("Condvar"));
    });
}

#[test]
fn one_is_told() {
    run(|| {
        let pair = pair();
        let mut guard = pair.0.lock().unwrap();
        sets(&pair, 1);
        while *guard == 0 {
            guard = pair.1.wait(guard).unwrap();
        }
        assert_eq!(*guard, 1);
    });
}

#[test]
fn all_are_told() {
    run(|| {
        let pair = pair();
        let (done, told) = mpsc::channel();
        let all: Vec<_> = (0..5)
            .map(|_| {
                let (pair, done) = (pair.clone(), done.clone());
                spawn(move || {
                    let mut count = pair.0.lock().unwrap();
                    *count += 1;
                    if *count == 5 {
                        done.send(()).unwrap();
                    }
                    while *count != 0 {
                        count = pair.1.wait(count).unwrap();
                    }
                })
            })
            .collect();
        told.recv().unwrap();
        *pair.0.lock().unwrap() = 0;
        pair.1.notify_all();
        all.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn while_a_condition_holds() {
    run(|| {
        let pair = pair();
        sets(&pair, 1);
        let guard = pair.0.lock().unwrap();
        let guard = pair.1.wait_while(guard, |value| *value == 0).unwrap();
        let guard = pair.1.wait_while(guard, |value| *value == 0).unwrap();
        assert_eq!(*guard, 1);
    });
}

#[test]
fn a_limit_is_not_early() {
    run(|| {
        let pair = pair();
        let mut guard = pair.0.lock().unwrap();
        // It may return for no reason.
        loop {
            let begin = Instant::now();
            let (locked, result) = pair.1.wait_timeout(guard, 3 * MS).unwrap();
            guard = locked;
            if result.timed_out() {
                assert!(begin.elapsed() >= 3 * MS);
                break;
            }
        }
        let begin = Instant::now();
        let (guard, result) = pair.1.wait_timeout_while(guard, 3 * MS, |_| true).unwrap();
        assert!(result.timed_out() && begin.elapsed() >= 3 * MS);
        let (guard, result) = pair.1.wait_timeout_while(guard, MS, |_| false).unwrap();
        assert!(!result.timed_out());
        let (guard, result) = pair
            .1
            .wait_timeout_while(guard, Duration::ZERO, |_| true)
            .unwrap();
        assert!(result.timed_out());
        drop(guard);
    });
}

#[test]
fn all_the_time_there_is_is_enough() {
    run(|| {
        let pair = pair();
        for value in 1..3 {
            let guard = pair.0.lock().unwrap();
            sets(&pair, value);
            let before = *guard;
            let condition = |now: &mut u32| *now == before;
            let limit = Duration::from_secs(3600);
            let (guard, result) = pair.1.wait_timeout_while(guard, limit, condition).unwrap();
            assert!(!result.timed_out());
            assert_eq!(*guard, value);
        }
    });
}

#[test]
fn a_mutex_that_is_poisoned_meanwhile_is_an_error() {
    run(|| {
        let pair = pair();
        let guard = pair.0.lock().unwrap();
        let theirs = pair.clone();
        let died = spawn(move || {
            let mut guard = theirs.0.lock().unwrap();
            *guard = 1;
            theirs.1.notify_one();
            std::panic::resume_unwind(Box::new("planted"));
        });
        let guard = pair.1.wait_while(guard, |value| *value == 0);
        assert_eq!(*guard.unwrap_err().into_inner(), 1);
        assert!(died.join().is_err());
    });
}
