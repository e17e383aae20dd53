//! Deadlines for stretches of code.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::time::{Elapsed, sleep_until, timeout, timeout_at};
use greenlet::{
    Generator, Greenlet, GreenletExit, JoinHandle, SwitchError, current, scope, sleep, spawn,
    yield_now,
};

use crate::support::{Log, Place, act, caught, caught_as, own, raise, run, text};

const MS: Duration = Duration::from_millis(1);
const NANO: Duration = Duration::from_nanos(1);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn what_is_quick_enough_returns() {
    run(|| {
        assert_eq!(timeout(LONG, || 1), Ok(1));
        assert_eq!(
            timeout(LONG, || {
                sleep(MS);
                2
            }),
            Ok(2)
        );
        assert_eq!(timeout(Duration::MAX, || 3), Ok(3));
    });
}

#[test]
fn what_is_too_slow_is_unwound() {
    run(|| {
        let (begin, dropped) = (Instant::now(), Rc::new(Cell::new(false)));
        let outcome = timeout(5 * MS, || {
            let _act = act(own!(dropped => move || dropped.set(true)));
            sleep(LONG);
        });
        assert_eq!(outcome, Err(Elapsed));
        assert!(begin.elapsed() >= 5 * MS);
        assert!(dropped.get());
    });
}

#[test]
fn no_time_at_all_ends_it_at_the_first_wait() {
    run(|| {
        assert_eq!(timeout(Duration::ZERO, || 1), Ok(1), "it never waits");
        assert_eq!(timeout(Duration::ZERO, || sleep(LONG)), Err(Elapsed));
        let past = Instant::now() - MS;
        assert_eq!(timeout_at(past, || sleep(LONG)), Err(Elapsed));
    });
}

#[test]
fn the_inner_one_ends_the_inner_one() {
    run(|| {
        let outcome = timeout(LONG, || timeout(MS, || sleep(LONG)));
        assert_eq!(outcome, Ok(Err(Elapsed)));
    });
}

#[test]
fn the_outer_one_passes_through_the_inner_one() {
    run(|| {
        let log = Log::new();
        let outcome = timeout(MS, || {
            let inner = timeout(LONG, || sleep(LONG));
            log.push(inner);
        });
        assert_eq!(outcome, Err(Elapsed));
        assert_eq!(log.take(), []);
    });
}

#[test]
fn both_at_once_is_the_outer_one() {
    run(|| {
        let at = Instant::now() + 2 * MS;
        let outcome = timeout_at(at, || timeout_at(at, || sleep(LONG)));
        assert_eq!(outcome, Err(Elapsed));
    });
}

#[test]
fn it_is_raised_once() {
    run(|| {
        let outcome = timeout(MS, || {
            let _swallowed = catch_unwind(|| sleep(LONG)).unwrap_err();
            sleep(2 * MS);
            "went on"
        });
        assert_eq!(outcome, Ok("went on"));
    });
}

#[test]
fn the_clock_starts_when_it_is_set_not_when_the_turn_began() {
    run(|| {
        let begin = Instant::now();
        while begin.elapsed() < 5 * MS {}
        let (begin, outcome) = (Instant::now(), timeout(3 * MS, || sleep(LONG)));
        assert_eq!(outcome, Err(Elapsed));
        assert!(begin.elapsed() >= 3 * MS);
    });
}

#[test]
fn one_that_never_waits_is_not_cut_short_and_leaves_nothing_behind() {
    run(|| {
        let outcome = timeout(MS, || {
            let begin = Instant::now();
            while begin.elapsed() < 3 * MS {}
            1
        });
        assert_eq!(outcome, Ok(1));
        sleep(3 * MS);
    });
}

/// When an outer limit is to pass: so late that a busy machine does not let it and an inner one of a millisecond
/// pass in one turn.
fn far_from_now() -> Instant {
    Instant::now() + 1000 * MS
}

#[test]
fn a_destructor_may_wait_and_is_not_cut_short() {
    run(|| {
        let log = Log::new();
        let outer = far_from_now();
        let outcome = timeout_at(outer, || {
            timeout(MS, || {
                let _act = act(own!(log => move || {
                    sleep_until(outer + MS);
                    log.push("rolled back");
                }));
                sleep(LONG);
            })
        });
        // The outer one has passed meanwhile, and there is no wait left to raise it in.
        assert_eq!(outcome, Ok(Err(Elapsed)));
        assert_eq!(log.take(), ["rolled back"]);
    });
}

#[test]
fn what_has_passed_during_a_destructor_is_raised_at_the_next_wait() {
    run(|| {
        let outcome = timeout(4 * MS, || {
            let _inner = timeout(MS, || {
                let _act = act(|| sleep(8 * MS));
                sleep(LONG);
            });
            sleep(LONG);
        });
        assert_eq!(outcome, Err(Elapsed));
    });
}

#[test]
fn a_destructor_is_not_cut_short_after_a_switch_that_returned_an_error() {
    run(|| {
        let outer = far_from_now();
        let outcome = timeout_at(outer, || {
            timeout(MS, || {
                let _waits = act(move || sleep_until(outer + MS));
                let parks = Greenlet::new(|()| sleep(LONG));
                if let Err(SwitchError::Thrown(elapsed)) = parks.try_switch(()) {
                    std::panic::resume_unwind(elapsed);
                }
            })
        });
        assert_eq!(outcome, Ok(Err(Elapsed)));
    });
}

#[test]
fn a_panic_passes_through() {
    run(|| {
        let panic = caught(|| timeout(LONG, || panic!("inside")));
        assert_eq!(text(&*panic), "inside");
    });
}

#[test]
fn each_greenlet_has_its_own() {
    run(|| {
        let slow = spawn(|| timeout(MS, || sleep(LONG)));
        let quick = spawn(|| timeout(LONG, || sleep(3 * MS)));
        assert_eq!(slow.join().unwrap(), Err(Elapsed));
        assert_eq!(quick.join().unwrap(), Ok(()));
    });
}

#[test]
fn in_a_switch_it_is_raised_there() {
    run(|| {
        let parks = Greenlet::new(|()| sleep(LONG));
        let outcome = timeout(MS, || parks.switch(()));
        assert_eq!(outcome, Err(Elapsed));
        assert!(!parks.is_dead());
        assert!(parks.kill());
    });
}

#[test]
fn in_next_it_is_raised_there_and_the_item_waits_for_the_next_question() {
    run(|| {
        let mut slow = Generator::new(|y| {
            for n in 0..3 {
                sleep(4 * MS);
                y.yield_(n);
            }
        });
        assert_eq!(timeout(MS, || slow.next()), Err(Elapsed));
        assert_eq!(slow.next(), Some(0), "it was still at work");
        assert_eq!(timeout(MS, || slow.next()), Err(Elapsed));
        sleep(8 * MS);
        assert_eq!(slow.next(), Some(1), "it has been waiting with the item");
        assert_eq!(slow.next(), Some(2));
        assert_eq!(slow.next(), None);
    });
}

/// What `ask` does in a greenlet of its own. All that is due at the moment it is given, or just after, is due
/// in one look of the hub.
fn in_one_turn<R: 'static>(ask: impl FnOnce(Instant) -> R + 'static) -> R {
    // Long enough for a slow machine to get as far as waiting.
    let at = Instant::now() + 500 * MS;
    let asks = spawn(move || ask(at));
    yield_now();
    std::thread::sleep(510 * MS);
    asks.join().unwrap()
}

#[test]
fn an_item_and_a_deadline_in_one_turn() {
    run(|| {
        in_one_turn(|at| {
            let mut items = Generator::new(move |y| {
                sleep_until(at);
                (0..2).for_each(|n| y.yield_(n));
            });
            assert_eq!(timeout_at(at + NANO, || items.next()), Err(Elapsed));
            assert_eq!(items.next(), Some(0), "it has been waiting with the item");
            assert_eq!(items.next(), Some(1));
            assert_eq!(items.next(), None);
        });
    });
}

#[test]
fn an_end_and_a_deadline_in_one_turn() {
    run(|| {
        in_one_turn(|at| {
            let mut items = Generator::<()>::new(move |_| sleep_until(at));
            assert_eq!(timeout_at(at + NANO, || items.next()), Err(Elapsed));
            assert_eq!(items.next(), None);
        });
    });
}

#[test]
fn a_panic_and_a_deadline_in_one_turn() {
    run(|| {
        in_one_turn(|at| {
            let child = Greenlet::<()>::new(move |()| {
                sleep_until(at);
                raise("of the child");
            });
            assert_eq!(timeout_at(at + NANO, || child.switch(())), Err(Elapsed));
            assert_eq!(text(&*caught(|| sleep(LONG))), "of the child");
        });
    });
}

#[test]
fn whoever_yields_again_and_again_is_reached_with_and_without_others() {
    run(|| {
        for others in [0, 1, 100] {
            let others: Vec<_> = (0..others)
                .map(|_| {
                    spawn(|| {
                        loop {
                            yield_now()
                        }
                    })
                })
                .collect();
            let endless = timeout(MS, || {
                loop {
                    yield_now()
                }
            });
            assert!(matches!(endless, Err(Elapsed)));
            let within = timeout(LONG, || {
                timeout(MS, || {
                    loop {
                        yield_now()
                    }
                })
            });
            assert!(matches!(within, Ok(Err(Elapsed))));
            others.into_iter().for_each(|other| _ = other.kill());
        }
    });
}

#[test]
fn in_yield_it_waits_until_it_is_asked() {
    run(|| {
        let log = Log::new();
        let mut items = Generator::new(own!(log => move |y: greenlet::Yielder<u32>| {
            let outcome = timeout(2 * MS, || {
                y.yield_(1);
                log.push("asked again");
                sleep(LONG);
            });
            assert_eq!(outcome, Err(Elapsed));
            y.yield_(2);
        }));
        assert_eq!(items.next(), Some(1));
        sleep(5 * MS);
        assert_eq!(log.take(), [""; 0]);
        assert_eq!(items.next(), Some(2));
        assert_eq!(log.take(), ["asked again"]);
        drop(items);
    });
}

#[test]
fn what_has_passed_in_yield_is_raised_at_a_switch_too() {
    run(|| {
        let mut items = Generator::new(move |y: greenlet::Yielder<u32>| {
            let outcome = timeout(2 * MS, || {
                y.yield_(1);
                Greenlet::new(|()| sleep(LONG)).switch(());
            });
            assert_eq!(outcome, Err(Elapsed));
            y.yield_(2);
        });
        assert_eq!(items.next(), Some(1));
        sleep(5 * MS);
        assert_eq!(items.next(), Some(2));
    });
}

#[test]
fn what_has_passed_in_yield_is_not_raised_in_the_next_yield() {
    run(|| {
        let mut items = Generator::new(move |y: greenlet::Yielder<u32>| {
            let outcome = timeout(2 * MS, || {
                y.yield_(1);
                y.yield_(2);
            });
            assert_eq!(outcome, Ok(()));
            y.yield_(3);
        });
        assert_eq!(items.next(), Some(1));
        sleep(5 * MS);
        assert_eq!(items.collect::<Vec<_>>(), [2, 3]);
    });
}

#[test]
fn what_has_passed_at_the_end_of_a_scope_is_raised_at_the_next_wait() {
    run(|| {
        for wait in [
            || sleep(LONG),
            || Greenlet::new(|()| sleep(LONG)).switch(()),
        ] {
            let ended = Cell::new(false);
            let outcome = timeout(2 * MS, || {
                scope(|s| {
                    s.spawn(|| sleep(6 * MS));
                });
                ended.set(true);
                wait();
            });
            assert_eq!((outcome, ended.get()), (Err(Elapsed), true));
        }
    });
}

#[test]
fn a_killed_greenlet_leaves_its_deadline() {
    run(|| {
        let handle = spawn(|| timeout(LONG, || timeout(LONG, || sleep(LONG))));
        yield_now();
        assert_eq!(greenlet::hub_stats().timers, 3);
        assert!(handle.kill());
        assert_eq!(greenlet::hub_stats().timers, 0);
        assert!(handle.join().is_err());
    });
}

#[test]
fn a_kill_and_a_deadline_in_one_turn() {
    run(|| {
        let handle = spawn(|| timeout(MS, || sleep(LONG)));
        yield_now();
        let begin = Instant::now();
        while begin.elapsed() < 2 * MS {}
        handle.start_kill();
        let outcome = catch_unwind(AssertUnwindSafe(|| handle.join())).unwrap();
        assert!(outcome.unwrap_err().is::<greenlet::GreenletExit>());
    });
}

/// Told of a deadline, and before its turn of an exit, which it catches.
fn exit_after_a_deadline(end: impl FnOnce(&JoinHandle<()>, Greenlet<()>) + 'static) {
    let log = Log::new();
    in_one_turn(own!(log => move |at| {
        let place = Place::new();
        let target = spawn(own!(place => move || {
            place.put(current());
            let outcome = timeout_at(at + NANO, || {
                caught_as::<GreenletExit, _>(|| sleep(LONG));
                sleep(LONG);
            });
            log.push(outcome);
        }));
        sleep_until(at);
        end(&target, place.take().unwrap());
        assert!(timeout(LONG / 400, || target.join()).unwrap().is_ok());
    }));
    assert_eq!(log.take(), [Err(Elapsed)]);
}

#[test]
fn an_exit_that_is_caught_takes_no_deadline_away() {
    run(|| exit_after_a_deadline(|target, _| assert!(target.start_kill())));
    run(|| {
        exit_after_a_deadline(|_, target| _ = target.kill());
    });
}

#[test]
fn elapsed_is_an_io_error_too() {
    let error = std::io::Error::from(Elapsed);
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "the time limit has passed");
}
