//! Who runs when: spawning, yielding, sleeping, joining.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::{sleep, spawn, time, yield_now};

use crate::support::{Log, own, run, text};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_spawned_greenlet_does_not_run_before_somebody_waits() {
    run(|| {
        let ran = Rc::new(Cell::new(false));
        let handle = spawn(own!(ran => move || ran.set(true)));
        assert!(!ran.get());
        handle.join().unwrap();
        assert!(ran.get());
    });
}

#[test]
fn first_in_first_out() {
    run(|| {
        let log = Log::new();
        let handles: Vec<_> = (0..5)
            .map(|n| {
                spawn(own!(log => move || {
                    for round in 0..3 {
                        log.push((round, n));
                        yield_now();
                    }
                }))
            })
            .collect();
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        let expected: Vec<_> = (0..3).flat_map(|r| (0..5).map(move |n| (r, n))).collect();
        assert_eq!(log.take(), expected);
    });
}

#[test]
fn join_returns_what_the_closure_returned() {
    run(|| {
        assert_eq!(spawn(|| "done".to_owned()).join().unwrap(), "done");
    });
}

#[test]
fn join_of_one_that_ended_long_ago() {
    run(|| {
        let handle = spawn(|| 7);
        sleep(MS);
        assert!(handle.is_finished());
        assert_eq!(handle.join().unwrap(), 7);
    });
}

#[test]
fn join_returns_the_panic() {
    run(|| {
        let panic = spawn(|| panic!("in a greenlet")).join().unwrap_err();
        assert_eq!(text(&*panic), "in a greenlet");
    });
}

#[test]
fn a_panic_of_one_is_nothing_to_the_others() {
    run(|| {
        let one = spawn(|| panic!("one"));
        let other = spawn(|| {
            sleep(MS);
            2
        });
        assert!(one.join().is_err());
        assert_eq!(other.join().unwrap(), 2);
    });
}

#[test]
fn a_dropped_handle_leaves_it_running() {
    run(|| {
        let ran = Rc::new(Cell::new(0));
        drop(spawn(own!(ran => move || {
            sleep(MS);
            ran.set(1);
        })));
        while ran.get() == 0 {
            sleep(MS);
        }
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    run(|| {
        let log = Log::new();
        // Long enough for a slow machine to let all of them begin to sleep.
        let first = Instant::now() + 500 * MS;
        let handles: Vec<_> = [30, 10, 20]
            .map(|ms| {
                spawn(own!(log => move || {
                    time::sleep_until(first + ms * MS);
                    log.push(ms);
                }))
            })
            .into();
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        assert_eq!(log.take(), [10, 20, 30]);
    });
}

#[test]
fn a_sleep_is_never_too_short() {
    run(|| {
        for micros in [0, 1, 50, 333, 1000, 2500] {
            let (begin, wanted) = (Instant::now(), Duration::from_micros(micros));
            sleep(wanted);
            assert!(begin.elapsed() >= wanted, "{wanted:?}");
        }
    });
}

#[test]
fn sleepers_sleep_at_the_same_time() {
    run(|| {
        let begin = Instant::now();
        let handles: Vec<_> = (0..100).map(|_| spawn(|| sleep(200 * MS))).collect();
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        // One after the other they would need 20 seconds.
        assert!(begin.elapsed() < 10_000 * MS, "{:?}", begin.elapsed());
    });
}

#[test]
fn a_sleep_of_no_time_lets_others_go_first() {
    run(|| {
        let log = Log::new();
        let handle = spawn(own!(log => move || log.push("other")));
        sleep(Duration::ZERO);
        log.push("main");
        assert_eq!(log.take(), ["other", "main"]);
        handle.join().unwrap();
        time::sleep_until(Instant::now() - MS);
    });
}

#[test]
fn spinning_greenlets_do_not_starve_a_sleeper() {
    run(|| {
        let stop = Rc::new(Cell::new(false));
        let spinners: Vec<_> = (0..3)
            .map(|_| {
                spawn(own!(stop => move || {
                    while !stop.get() {
                        yield_now();
                    }
                }))
            })
            .collect();
        sleep(5 * MS);
        stop.set(true);
        spinners
            .into_iter()
            .for_each(|spinner| spinner.join().unwrap());
    });
}

#[test]
fn long_turns_do_not_keep_timers_waiting_for_61_of_them() {
    run(|| {
        let stop = Rc::new(Cell::new(false));
        let turns = Rc::new(Cell::new(0));
        let busy = spawn(own!(stop, turns => move || {
            while !stop.get() {
                let begin = Instant::now();
                while begin.elapsed() < 5 * MS {}
                turns.set(turns.get() + 1);
                yield_now();
            }
        }));
        let waited = [(); 2].map(|()| {
            turns.set(0);
            sleep(MS);
            turns.get()
        });
        stop.set(true);
        busy.join().unwrap();
        assert!(
            waited.iter().all(|&turns| turns <= 8),
            "{waited:?} turns of 5 ms passed before 1 ms was noticed"
        );
    });
}

#[test]
fn nested_spawns_and_joins() {
    fn tree(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let children = [(); 3].map(|()| spawn(move || tree(depth - 1)));
        children.map(|child| child.join().unwrap()).iter().sum()
    }
    run(|| assert_eq!(tree(4), 81));
}

#[test]
fn names_ids_and_stack_sizes() {
    run(|| {
        let handle = greenlet::thread::Builder::new()
            .name("worker".into())
            .stack_size(100 * 1024)
            .spawn(|| greenlet::current::<()>().id())
            .unwrap();
        assert_eq!(handle.name(), Some("worker"));
        let id = handle.id();
        assert_eq!(handle.join().unwrap(), id);
        let refused = greenlet::thread::Builder::new().stack_size(1).spawn(|| ());
        assert_eq!(
            refused.unwrap_err().kind(),
            std::io::ErrorKind::InvalidInput
        );
    });
}

#[test]
fn an_interval_ticks_at_a_steady_rate_and_leaves_out_what_was_missed() {
    run(|| {
        let begin = Instant::now();
        let mut ticks = time::interval(4 * MS);
        (0..3).for_each(|_| {
            ticks.tick();
        });
        assert!(begin.elapsed() >= 12 * MS);
        sleep(22 * MS);
        assert!(ticks.tick() >= 4);
        assert_eq!(ticks.period(), 4 * MS);
    });
}

#[test]
fn many_greenlets_at_once() {
    run(|| {
        let many = if crate::support::own_stacks() {
            10_000
        } else {
            100
        };
        let handles: Vec<_> = (0..many)
            .map(|n| {
                spawn(move || {
                    sleep(Duration::from_micros(n % 1000));
                    n
                })
            })
            .collect();
        let sum: u64 = handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .sum();
        assert_eq!(sum, many * (many - 1) / 2);
    });
}
