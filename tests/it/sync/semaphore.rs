//! Permits, within a thread and between threads: gevent's tests of `Semaphore` and `BoundedSemaphore`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::time::{Elapsed, timeout};
use greenlet::{JoinHandle, scope, spawn, yield_now};

use super::Semaphore;
use crate::support::{Log, complaint, run};
use crate::sync::{MS, end, settle};

/// One who takes a permit, says so, and gives it back.
fn takes(seats: &Rc<Semaphore>, log: &Log<u32>, number: u32) -> JoinHandle<()> {
    let (seats, log) = (seats.clone(), log.clone());
    let handle = spawn(move || {
        let _seat = seats.acquire();
        log.push(number);
    });
    settle();
    handle
}

#[test]
fn so_many_and_no_more() {
    run(|| {
        for size in [1, 2, 5] {
            let seats = Semaphore::new(size);
            let (taken, most) = (Cell::new(0), Cell::new(0));
            scope(|s| {
                for _ in 0..20 {
                    s.spawn(|| {
                        let _seat = seats.acquire();
                        taken.set(taken.get() + 1);
                        most.set(most.get().max(taken.get()));
                        yield_now();
                        taken.set(taken.get() - 1);
                    });
                }
            });
            assert_eq!((most.get(), seats.available()), (size, size));
        }
    });
}

#[test]
fn in_the_order_in_which_they_asked() {
    run(|| {
        let (seats, log) = (Rc::new(Semaphore::new(1)), Log::new());
        let seat = seats.acquire();
        let waiting = [0, 1, 2, 3].map(|n| takes(&seats, &log, n));
        drop(seat);
        waiting
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        assert_eq!(log.take(), [0, 1, 2, 3]);
    });
}

#[test]
fn what_is_given_back_while_others_wait_is_theirs() {
    run(|| {
        let (seats, log) = (Rc::new(Semaphore::new(1)), Log::new());
        let seat = seats.acquire();
        let waiting = takes(&seats, &log, 1);
        drop(seat);
        // It was handed on: trying does not overtake.
        assert!(seats.try_acquire().is_none());
        waiting.join().unwrap();
        // And where nobody waits, trying takes.
        assert!(seats.try_acquire().is_some());
    });
}

#[test]
fn none_at_all_is_for_one_who_releases() {
    run(|| {
        let seats = Rc::new(Semaphore::new(0));
        assert!(seats.try_acquire().is_none());
        let log = Log::new();
        let waiting = takes(&seats, &log, 1);
        seats.release();
        waiting.join().unwrap();
        assert_eq!(seats.available(), 1);
        seats.release();
        assert_eq!(seats.available(), 2);
        seats.acquire().forget();
        assert_eq!(seats.available(), 1);
        assert!(format!("{seats:?} {:?}", seats.acquire()).contains("available"));
    });
}

#[test]
fn a_limit_is_not_early_and_takes_nothing() {
    run(|| {
        let seats = Rc::new(Semaphore::new(1));
        let seat = seats.acquire();
        let begin = Instant::now();
        assert!(seats.acquire_timeout(2 * MS).is_none());
        assert!(seats.acquire_timeout(Duration::ZERO).is_none());
        assert!(begin.elapsed() >= 2 * MS);
        assert!(timeout(MS, || drop(seats.acquire())).is_err());
        let theirs = seats.clone();
        let long = spawn(move || theirs.acquire_timeout(Duration::MAX).is_some());
        settle();
        drop(seat);
        assert!(long.join().unwrap());
        assert_eq!(seats.available(), 1);
    });
}

#[test]
fn in_time_or_too_late_and_no_permit_is_lost() {
    run(|| {
        let seats = Rc::new(Semaphore::new(1));
        for _ in 0..5 {
            let seat = seats.acquire();
            let theirs = seats.clone();
            let raised = spawn(move || timeout(MS, || drop(theirs.acquire())));
            let theirs = seats.clone();
            let returned = spawn(move || theirs.acquire_timeout(MS).map(drop));
            settle();
            std::thread::sleep(2 * MS);
            drop(seat);
            let _either: Result<(), Elapsed> = raised.join().unwrap();
            let _either = returned.join().unwrap();
            assert_eq!(seats.available(), 1);
        }
    });
}

#[test]
fn a_killed_ones_permit_is_for_the_next() {
    run(|| {
        let (seats, log) = (Rc::new(Semaphore::new(1)), Log::new());
        let seat = seats.acquire();
        let [gone, first, second] = [0, 1, 2].map(|n| takes(&seats, &log, n));
        end(gone);
        drop(seat);
        // It has the permit, and does not know it yet.
        end(first);
        second.join().unwrap();
        assert_eq!(log.take(), [2]);
        assert_eq!(seats.available(), 1);
        let seat = seats.acquire();
        let last = takes(&seats, &log, 3);
        drop(seat);
        end(last);
        assert_eq!(seats.available(), 1);
    });
}

#[test]
fn a_wake_for_nothing_gives_no_permit() {
    run(|| {
        let (seats, log) = (Rc::new(Semaphore::new(1)), Log::new());
        let seat = seats.acquire();
        let waiting = takes(&seats, &log, 1);
        let _woken = waiting.thread();
        settle();
        assert!(!waiting.is_finished());
        // Woken for nothing, and given the permit before it looks.
        let again = takes(&seats, &log, 2);
        let _woken = again.thread();
        drop(seat);
        waiting.join().unwrap();
        again.join().unwrap();
        assert_eq!(seats.available(), 1);
    });
}

#[test]
fn a_panic_gives_the_permit_back() {
    run(|| {
        let seats = Semaphore::new(1);
        complaint(|| {
            let _seat = seats.acquire();
            panic!("planted");
        });
        assert_eq!(seats.available(), 1);
    });
}

#[test]
fn a_permit_may_be_given_back_by_another_greenlet() {
    run(|| {
        let seats = Semaphore::new(1);
        scope(|s| {
            let seat = seats.acquire();
            s.spawn(move || drop(seat));
            drop(seats.acquire());
        });
        assert_eq!(seats.available(), 1);
    });
}
