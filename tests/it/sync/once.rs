//! std's tests of `Once`, `OnceLock` and `LazyLock`, over whatever the module around this one has.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{LazyLock, Once, OnceLock, Shared, mpsc, sleep, spawn, yield_now};
use crate::support::{complaint, run};

#[test]
fn it_is_done_once() {
    run(|| {
        static ONCE: Once = Once::new();
        let mut count = 0;
        ONCE.call_once(|| count += 1);
        ONCE.call_once(|| count += 1);
        ONCE.call_once_force(|_| count += 1);
        assert!(ONCE.is_completed());
        ONCE.wait();
        ONCE.wait_force();
        assert_eq!(count, 1);
    });
}

#[test]
fn who_comes_meanwhile_waits_until_it_is_done() {
    run(|| {
        let (once, done) = (Shared::new(Once::new()), Shared::new(AtomicUsize::new(0)));
        let all: Vec<_> = (0..8)
            .map(|number| {
                let (once, done) = (once.clone(), done.clone());
                spawn(move || {
                    (0..number % 3).for_each(|_| yield_now());
                    once.call_once(|| {
                        yield_now();
                        assert!(!once.is_completed());
                        done.fetch_add(1, Ordering::SeqCst);
                    });
                    assert_eq!(done.load(Ordering::SeqCst), 1);
                })
            })
            .collect();
        once.wait();
        all.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn a_panic_poisons_it_until_it_is_forced() {
    run(|| {
        let once = Once::new();
        assert_eq!(
            complaint(|| once.call_once(|| panic!("planted"))),
            "planted"
        );
        assert!(!once.is_completed());
        complaint(|| once.call_once(|| ()));
        complaint(|| once.wait());
        let mut poisoned = false;
        once.call_once_force(|state| poisoned = state.is_poisoned());
        assert!(poisoned && once.is_completed());
        once.call_once(|| unreachable!());
        let once = Once::new();
        once.call_once_force(|state| assert!(!state.is_poisoned()));
    });
}

#[test]
fn who_waits_for_one_that_panics_tries_itself() {
    run(|| {
        let once = Shared::new(Once::new());
        let (say, said) = mpsc::channel();
        let theirs = once.clone();
        let died = spawn(move || {
            theirs.call_once_force(|_| {
                say.send(()).unwrap();
                sleep(Duration::from_millis(2));
                std::panic::resume_unwind(Box::new("planted"));
            });
        });
        said.recv().unwrap();
        let mut poisoned = false;
        once.call_once_force(|state| poisoned = state.is_poisoned());
        assert!(poisoned);
        assert!(died.join().is_err());
    });
}

#[test]
fn a_value_is_set_once() {
    run(|| {
        static LOCK: OnceLock<String> = OnceLock::new();
        assert!(LOCK.get().is_none());
        assert_eq!(LOCK.set("first".into()), Ok(()));
        assert_eq!(LOCK.set("second".into()), Err("second".into()));
        assert_eq!(LOCK.get_or_init(|| unreachable!()), "first");
        assert_eq!(LOCK.wait(), "first");
        let mut lock = OnceLock::from(3);
        *lock.get_mut().unwrap() += 1;
        assert_eq!(lock, lock.clone());
        assert_ne!(lock, OnceLock::new());
        assert_eq!(format!("{lock:?}"), "OnceLock(4)");
        assert_eq!((lock.take(), lock.get()), (Some(4), None));
        assert_eq!(lock.into_inner(), None);
        assert_eq!(OnceLock::<u8>::default().into_inner(), None);
    });
}

#[test]
fn a_value_is_made_by_one() {
    run(|| {
        let lock = Shared::new(OnceLock::new());
        let all: Vec<_> = (0..5)
            .map(|number| {
                let lock = lock.clone();
                spawn(move || {
                    let value = *lock.get_or_init(|| {
                        yield_now();
                        number
                    });
                    (value, *lock.wait())
                })
            })
            .collect();
        let value = *lock.wait();
        for handle in all {
            assert_eq!(handle.join().unwrap(), (value, value));
        }
    });
}

#[test]
fn a_panic_leaves_no_value_and_the_next_one_makes_it() {
    run(|| {
        let lock = OnceLock::<u32>::new();
        assert_eq!(
            complaint(|| lock.get_or_init(|| panic!("planted"))),
            "planted"
        );
        assert!(lock.get().is_none());
        assert_eq!(*lock.get_or_init(|| 7), 7);
    });
}

#[test]
fn a_lazy_value_is_made_when_it_is_needed() {
    run(|| {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        static LAZY: LazyLock<usize> = LazyLock::new(|| CALLS.fetch_add(1, Ordering::SeqCst) + 7);
        assert_eq!(CALLS.load(Ordering::SeqCst), 0);
        let all = [0, 1, 2].map(|_| spawn(|| *LAZY));
        assert_eq!(all.map(|handle| handle.join().unwrap()), [7; 3]);
        assert_eq!(
            (*LazyLock::force(&LAZY), CALLS.load(Ordering::SeqCst)),
            (7, 1)
        );
        let lazy: LazyLock<u8> = LazyLock::default();
        assert!(format!("{lazy:?}").contains("<uninit>"));
        assert_eq!(*lazy, 0);
        let text = String::from("captured");
        let lazy = LazyLock::new(move || text.len());
        assert_eq!((*lazy, *lazy), (8, 8));
    });
}

#[test]
fn a_lazy_value_that_cannot_be_made_is_poisoned() {
    run(|| {
        let lazy: LazyLock<u8, _> = LazyLock::new(|| panic!("planted"));
        assert_eq!(complaint(|| *lazy), "planted");
        assert_ne!(complaint(|| *lazy), "planted");
    });
}
