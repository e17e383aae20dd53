//! Wakes from other threads, and offloaded work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use greenlet::time::timeout;
use greenlet::{offload, sleep, spawn, yield_now};

use crate::support::{Drops, caught, run, run_within, survived_in_child, text};

const MS: Duration = Duration::from_millis(1);

#[test]
fn offloaded_work_returns_its_value() {
    run(|| assert_eq!(offload(|| 6 * 7), 42));
}

#[test]
fn others_run_meanwhile() {
    run(|| {
        // The work is done when others have had three turns.
        let (turn, turns) = mpsc::channel();
        let others = spawn(move || {
            for _ in 0..3 {
                sleep(MS);
                turn.send(()).unwrap();
            }
        });
        offload(move || assert_eq!(turns.iter().count(), 3));
        others.join().unwrap();
    });
}

#[test]
fn a_panic_comes_back() {
    run(|| {
        let panic = caught(|| offload(|| panic!("on a worker")));
        assert_eq!(text(&*panic), "on a worker");
    });
}

#[test]
fn many_at_once_and_in_a_row() {
    run(|| {
        let handles: Vec<_> = (0..100)
            .map(|n| spawn(move || (0..20).map(|m| offload(move || n + m)).sum::<u64>()))
            .collect();
        let sum: u64 = handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .sum();
        assert_eq!(sum, 20 * 4950 + 100 * 190);
    });
}

#[test]
fn one_that_is_killed_meanwhile_abandons_the_result() {
    #[derive(Clone, Default)]
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let result = Dropped(count.clone());
        let drops = Drops::new();
        let token = drops.token();
        let (tell, told) = mpsc::channel();
        let handle = spawn(move || {
            let _token = token;
            offload(move || {
                told.recv().unwrap();
                result
            });
        });
        yield_now();
        sleep(MS);
        assert!(handle.kill());
        assert_eq!(drops.count(), 1);
        tell.send(()).unwrap();
        let begin = Instant::now();
        while count.load(Ordering::SeqCst) == 0 {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "the result was not dropped"
            );
            sleep(MS);
        }
        assert!(handle.join().is_err());
    });
}

#[test]
fn a_hub_on_each_thread() {
    run(|| {
        let threads: Vec<_> = (0..4)
            .map(|n| {
                thread::spawn(move || {
                    let handles: Vec<_> = (0..10)
                        .map(|m| {
                            spawn(move || {
                                sleep(MS);
                                offload(move || n * m)
                            })
                        })
                        .collect();
                    handles
                        .into_iter()
                        .map(|handle| handle.join().unwrap())
                        .sum::<u64>()
                })
            })
            .collect();
        let sum: u64 = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(sum, 45 * 6);
    });
}

#[test]
fn a_worker_survives_the_destructor_of_work_that_nobody_waits_for() {
    if survived_in_child(
        "hub::remote::a_worker_survives_the_destructor_of_work_that_nobody_waits_for",
    ) {
        return;
    }
    // SAFETY: this process runs one test, and no thread reads the environment now.
    unsafe { std::env::set_var("GREENLET_WORKERS", "1") };
    // A panic may take long to be told: it looks up the names of a large program.
    run_within(Duration::from_secs(90), || {
        let (tell, told) = mpsc::channel();
        let busy = spawn(move || offload(move || told.recv().unwrap()));
        let killed = spawn(|| {
            let bomb = Bomb;
            offload(move || drop(bomb));
        });
        yield_now();
        killed.kill();
        tell.send(()).unwrap();
        busy.join().unwrap();
        assert_eq!(timeout(60_000 * MS, || offload(|| 5)), Ok(5));
    });
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in the destructor of work");
    }
}
