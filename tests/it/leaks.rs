//! What must not grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use greenlet::{Generator, Greenlet, SwitchError, current};

use crate::support::{
    OnDrop, caught, child, doubler, open_descriptors, own, own_stacks, raise, run,
    survived_in_child,
};

/// A smaller number for the slow backend.
fn many(count: usize) -> usize {
    if own_stacks() { count } else { count / 50 }
}

/// Memory of this process that is in RAM, in KiB.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Repeats `round` in a process of its own until one repetition does not grow; fails if each of ten does.
#[cfg(target_os = "linux")]
fn settles(test: &str, round: impl Fn() + Send + 'static) {
    if let Some(output) = child(test) {
        assert!(
            output.status.success(),
            "{}",
            crate::support::stderr(&output)
        );
        return;
    }
    run(move || {
        round();
        let mut before = resident();
        for _ in 0..10 {
            round();
            let after = resident();
            if after <= before + 64 {
                return;
            }
            before = after;
        }
        panic!("it grows with each round");
    });
}

#[test]
fn values_that_are_passed_are_not_kept() {
    run(|| {
        let value = Arc::new(());
        let main = current::<Option<Arc<()>>>();
        let g = Greenlet::new(move |mut value| {
            for _ in 0..99 {
                value = main.switch(value);
            }
            value
        });
        for _ in 0..100 {
            drop(g.switch(Some(Arc::clone(&value))));
            assert_eq!(Arc::strong_count(&value), 1);
        }
        assert!(g.is_dead());
    });
}

#[test]
fn a_hundred_greenlets_leave_nothing() {
    run(|| {
        for n in 0..100 {
            let g = doubler();
            assert_eq!(g.switch(n), 2 * n);
        }
        assert_eq!(greenlet::blocks_in_use(), (0, 0));
    });
}

#[test]
fn errors_and_refusals_leave_nothing() {
    run(|| {
        let value = Arc::new(());
        for _ in 0..100 {
            let declared = Greenlet::<Arc<()>>::declare();
            drop(declared.try_switch(Arc::clone(&value)));
            drop(declared.try_throw(Arc::clone(&value)));
            let failing = Greenlet::new(|value: Arc<()>| raise(value));
            let thrown = failing.try_switch(Arc::clone(&value));
            assert!(matches!(thrown, Err(SwitchError::Thrown(_))));
        }
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn switches_in_destructors_while_unwinding_leave_nothing() {
    run(|| {
        let main = current::<i32>();
        for _ in 0..100 {
            let g = Greenlet::new(own!(main => move |_| {
                caught(|| {
                    let _park = OnDrop(own!(main => move || {
                        main.switch(1);
                    }));
                    raise("x")
                });
                2
            }));
            assert_eq!(g.try_switch(0).unwrap(), 1);
            assert_eq!(g.try_switch(0).unwrap(), 2);
        }
    });
}

#[test]
fn threads_that_end_free_their_greenlets() {
    run(|| {
        let value = Arc::new(());
        for _ in 0..10 {
            thread::spawn(own!(value => move || {
                let finished = Greenlet::new(|value: Option<Arc<()>>| value);
                finished.switch(Some(Arc::clone(&value)));
                let other = finished.clone();
                let unfinished = Greenlet::new(move |()| {
                    let _kept = (value, other);
                    current::<()>().parent().unwrap().switch(());
                });
                unfinished.switch(());
                std::mem::forget(unfinished);
            }))
            .join()
            .unwrap();
        }
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn handles_to_the_dead_are_all_that_is_left_of_them() {
    run(|| {
        let dead: Vec<_> = (0..100)
            .map(|_| {
                let g = doubler();
                g.switch(1);
                g.kill();
                g
            })
            .collect();
        assert_eq!(greenlet::blocks_in_use(), (100, 0));
        let weak: Vec<_> = dead.iter().map(Greenlet::downgrade).collect();
        drop(dead);
        assert_eq!(
            greenlet::blocks_in_use(),
            (100, 0),
            "weak handles keep the block"
        );
        drop(weak);
        assert_eq!(greenlet::blocks_in_use(), (0, 0));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_greenlets_that_finish() {
    settles(
        "leaks::memory_does_not_grow_with_greenlets_that_finish",
        || {
            for _ in 0..many(10_000) {
                Greenlet::new(|x: u32| x).switch(1);
            }
        },
    );
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_greenlets_that_are_dropped_unfinished() {
    settles(
        "leaks::memory_does_not_grow_with_greenlets_that_are_dropped_unfinished",
        || {
            let all: Vec<_> = (0..many(5000)).map(|_| doubler()).collect();
            all.iter().for_each(|g| {
                g.switch(1);
            });
        },
    );
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_threads_that_leave_greenlets() {
    settles(
        "leaks::memory_does_not_grow_with_threads_that_leave_greenlets",
        || {
            let count = Arc::new(AtomicUsize::new(0));
            let threads = many(500).max(10) / 10;
            for _ in 0..threads {
                thread::spawn(own!(count => move || {
                    for _ in 0..10 {
                        let main = current::<()>();
                        let g = Greenlet::<()>::declare();
                        g.define(own!(count, g => move |()| {
                            let _me = g; // nobody else holds it when its thread ends
                            let _count = OnDrop(move || {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                            main.switch(());
                        }));
                        g.switch(());
                    }
                }))
                .join()
                .unwrap();
            }
            assert_eq!(
                count.load(Ordering::Relaxed),
                threads * 10,
                "all were told to exit"
            );
        },
    );
}

#[cfg(target_os = "linux")]
#[test]
fn no_mappings_and_descriptors_stay_behind_a_thread() {
    let name = "leaks::no_mappings_and_descriptors_stay_behind_a_thread";
    if crate::support::survived_in_child(name) {
        return;
    }
    run(|| {
        let count = |path: &str| std::fs::read_dir(path).unwrap().count();
        let round = || {
            thread::spawn(|| {
                for kib in [64, 256, 512] {
                    let g = Greenlet::builder().stack_size(kib * 1024).build(|x: u32| x);
                    g.switch(1);
                }
            })
            .join()
            .unwrap();
        };
        let mapped = || {
            std::fs::read_to_string("/proc/self/maps")
                .unwrap()
                .lines()
                .count()
        };
        round();
        let before = (count("/proc/self/fd"), mapped());
        (0..50).for_each(|_| round());
        let after = (count("/proc/self/fd"), mapped());
        assert_eq!(after.0, before.0);
        assert!(after.1 <= before.1 + 10, "{before:?} {after:?}");
    });
}

#[test]
fn generators_leave_nothing() {
    run(|| {
        for n in 0..100 {
            let items = Generator::new(|y| y.yield_from(0_u32..));
            assert_eq!(items.take(n).count(), n);
        }
        assert_eq!(greenlet::blocks_in_use(), (0, 0));
    });
}

/// A handle that is never dropped keeps its greenlet, and what the thread of that was, but no descriptor.
#[test]
fn forgotten_handles_keep_no_descriptors() {
    if survived_in_child("leaks::forgotten_handles_keep_no_descriptors") {
        return;
    }
    let ends_with_a_reader = || {
        let (reader, _writer) = greenlet::io::pipe().unwrap();
        std::mem::forget(greenlet::spawn(move || {
            let mut reader = reader;
            std::io::Read::read(&mut reader, &mut [0; 8])
        }));
        greenlet::yield_now();
    };
    let run = || std::thread::spawn(ends_with_a_reader).join().unwrap();
    run();
    let before = open_descriptors();
    (0..10).for_each(|_| run());
    assert_eq!(open_descriptors(), before);
}
