//! Greenlets that borrow.

use std::cell::Cell;
use std::time::Duration;

use greenlet::time::{Elapsed, timeout};
use greenlet::{Greenlet, GreenletExit, Undeliverable, scope, sleep, spawn, yield_now};

use crate::support::{Drops, Log, act, caught_as, complaint, own, run};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn they_borrow_and_have_ended_when_it_returns() {
    run(|| {
        let mut numbers = vec![1, 2, 3];
        let sum = Cell::new(0);
        scope(|s| {
            for number in &mut numbers {
                let sum = &sum;
                s.spawn(move || {
                    sleep(MS);
                    *number *= 2;
                    sum.set(sum.get() + *number);
                });
            }
        });
        assert_eq!((numbers, sum.get()), (vec![2, 4, 6], 12));
    });
}

#[test]
fn results_may_borrow() {
    run(|| {
        let text = String::from("a b c");
        let words = scope(|s| {
            s.spawn(|| text.split(' ').collect::<Vec<_>>())
                .join()
                .unwrap()
        });
        assert_eq!(words, ["a", "b", "c"]);
    });
}

#[test]
fn they_may_spawn_more() {
    run(|| {
        let count = Cell::new(0);
        scope(|s| {
            s.spawn(|| {
                sleep(MS);
                s.spawn(|| {
                    sleep(MS);
                    count.set(count.get() + 1);
                });
                count.set(count.get() + 1);
            });
        });
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn a_panic_that_nobody_joins_is_one_of_the_scope() {
    run(|| {
        let words = complaint(|| {
            scope(|s| {
                s.spawn(|| panic!("in a child"));
            });
        });
        assert_eq!(words, "a scoped greenlet panicked");
        let words = complaint(|| {
            scope(|s| {
                let kept = s.spawn(|| panic!("in a child"));
                sleep(MS);
                assert!(kept.is_finished());
            });
        });
        assert_eq!(words, "a scoped greenlet panicked");
    });
}

#[test]
fn a_panic_that_is_joined_is_not() {
    run(|| {
        let joined = scope(|s| s.spawn(|| panic!("in a child")).join().is_err());
        assert!(joined);
    });
}

#[test]
fn a_panic_of_the_body_kills_them_first() {
    run(|| {
        let log = Log::new();
        let words = complaint(|| {
            scope(|s| {
                s.spawn(|| {
                    let _act = act(own!(log => move || {
                        sleep(MS);
                        log.push("unwound");
                    }));
                    sleep(LONG);
                });
                yield_now();
                panic!("the body");
            });
        });
        assert_eq!(words, "the body");
        assert_eq!(log.take(), ["unwound"]);
    });
}

#[test]
fn a_timeout_of_the_body_kills_them_first() {
    run(|| {
        let ended = Cell::new(false);
        let outcome = timeout(2 * MS, || {
            scope(|s| {
                s.spawn(|| {
                    let _act = act(|| sleep(MS));
                    sleep(LONG);
                });
                s.spawn(|| ended.set(true));
                sleep(LONG);
            });
        });
        assert_eq!(outcome, Err(Elapsed));
        assert!(ended.get());
    });
}

#[test]
fn the_closing_wait_is_not_cut_short() {
    run(|| {
        let ended = Cell::new(false);
        let outcome = timeout(MS, || {
            scope(|s| {
                s.spawn(|| {
                    sleep(6 * MS);
                    ended.set(true);
                });
            });
            assert!(ended.get());
            sleep(LONG);
        });
        assert_eq!(
            outcome,
            Err(Elapsed),
            "it was raised at the first wait after"
        );
        assert!(ended.get());
    });
}

#[test]
fn a_kill_in_the_closing_wait_is_late() {
    run(|| {
        let log = Log::new();
        let owner = spawn(own!(log => move || {
            let local = Cell::new(0);
            scope(|s| {
                s.spawn(|| {
                    sleep(4 * MS);
                    local.set(1);
                });
            });
            log.push(local.get());
            sleep(LONG);
        }));
        yield_now();
        sleep(MS);
        assert!(owner.kill());
        assert_eq!(log.take(), [1]);
        assert!(owner.join().is_err());
    });
}

#[test]
fn a_child_may_be_killed() {
    run(|| {
        scope(|s| {
            let child = s.spawn(|| sleep(LONG));
            yield_now();
            assert!(child.kill());
            assert!(child.join().is_err());
            let pending = s.spawn(|| 1);
            pending.start_kill();
        });
        // Dead, it still stands in the queue.
        yield_now();
    });
}

#[test]
fn a_pending_child_is_dropped_before_what_it_borrows() {
    run(|| {
        let log = Log::new();
        let words = complaint(|| {
            let borrowed = String::from("still here");
            scope(|s| {
                let slow = act(own!(log => {
                    move || {
                        sleep(MS);
                        log.push("captures dropped");
                    }
                }));
                let borrowed = &borrowed;
                s.spawn(move || {
                    let _slow = &slow;
                    assert_eq!(borrowed, "still here");
                });
                panic!("before it ran");
            });
        });
        assert_eq!(words, "before it ran");
        assert_eq!(log.take(), ["captures dropped"]);
    });
}

#[test]
fn a_shutdown_unwinds_who_waits_at_the_end() {
    run(|| {
        let drops = Drops::new();
        let (frame, child) = (drops.token(), drops.token());
        let waits = spawn(move || {
            let _frame = frame;
            scope(|s| {
                s.spawn(|| {
                    let _child = child;
                    sleep(LONG);
                });
            });
        });
        (0..2).for_each(|_| yield_now());
        greenlet::shutdown();
        assert_eq!(drops.count(), 2);
        assert!(waits.join().unwrap_err().is::<GreenletExit>());
    });
}

#[test]
fn what_ends_below_who_waits_at_the_end_is_told_after_the_scope() {
    run(|| {
        let below = Greenlet::new(|n: u32| n);
        scope(|s| {
            let asks = s.spawn(|| below.switch(1));
            s.spawn(move || {
                sleep(MS);
                asks.start_kill();
            });
        });
        assert!(below.is_dead());
        caught_as::<Undeliverable, _>(yield_now);
    });
}
