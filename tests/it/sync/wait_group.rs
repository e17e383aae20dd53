//! Waiting until so many things are done: Go's tests of `WaitGroup`.

use std::cell::Cell;

use greenlet::sync::WaitGroup;
use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, sleep, spawn, yield_now};

use crate::support::{complaint, run};
use crate::sync::{LONG, MS, settle};

#[test]
fn it_waits_for_all_and_again() {
    run(|| {
        let group = WaitGroup::new();
        group.wait();
        for round in 0..4 {
            let done = std::rc::Rc::new(Cell::new(0));
            for n in 0..16 {
                let (pending, done) = (group.begin(), done.clone());
                spawn(move || {
                    (0..n % 3).for_each(|_| yield_now());
                    done.set(done.get() + 1);
                    drop(pending);
                });
            }
            assert_eq!(group.pending(), 16);
            group.wait();
            assert_eq!((done.get(), group.pending()), (16, 0), "round {round}");
        }
        assert!(format!("{group:?}").contains("pending: 0"));
        assert!(format!("{:?}", group.begin()).contains("Pending"));
    });
}

#[test]
fn what_begins_something_may_begin_more() {
    run(|| {
        let group = WaitGroup::new();
        let first = group.begin();
        spawn(move || {
            yield_now();
            let second = first.clone();
            drop(first);
            yield_now();
            drop(second);
        });
        let waits = [group.clone(), group.clone()].map(|group| spawn(move || group.wait()));
        settle();
        group.wait();
        waits.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn one_that_is_killed_or_panics_is_done() {
    run(|| {
        let group = WaitGroup::new();
        let pending = group.begin();
        let killed = spawn(move || {
            sleep(LONG);
            drop(pending);
        });
        settle();
        assert_eq!(timeout(MS, || group.wait()), Err(Elapsed));
        killed.kill();
        group.wait();
        let pending = group.begin();
        assert_eq!(
            complaint(move || {
                let _pending = pending;
                panic!("planted");
            }),
            "planted"
        );
        group.wait();
    });
}

/// One that is called and killed calls nobody who has come since.
#[test]
fn a_killed_one_wakes_nobody_who_waits_for_more() {
    run(|| {
        let group = WaitGroup::new();
        let pending = group.begin();
        let killed = spawn({
            let group = group.clone();
            move || group.wait()
        });
        settle();
        drop(pending);
        let more = group.begin();
        assert!(killed.start_kill());
        assert_eq!(
            timeout(5 * MS, || group.wait()),
            Err(Elapsed),
            "more is pending"
        );
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
        drop(more);
    });
}
