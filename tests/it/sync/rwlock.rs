//! std's tests of `RwLock`, over whatever the module around this one has.

use super::{RwLock, Shared, TryLockError, mpsc, spawn, yield_now};
use crate::support::run;
use crate::sync::Slow;

/// One that somebody unwound with who read, or wrote.
fn left_by(panics: fn(&RwLock<u32>)) -> Shared<RwLock<u32>> {
    let lock = Shared::new(RwLock::new(1));
    let theirs = lock.clone();
    assert!(spawn(move || panics(&theirs)).join().is_err());
    lock
}

fn panics_reading(lock: &RwLock<u32>) {
    let _guard = lock.read().unwrap();
    std::panic::resume_unwind(Box::new("planted"));
}

fn panics_writing(lock: &RwLock<u32>) {
    let _guard = lock.write().unwrap();
    std::panic::resume_unwind(Box::new("planted"));
}

#[test]
fn many_read_or_one_writes() {
    run(|| {
        let lock = RwLock::new(1);
        let (one, two) = (lock.read().unwrap(), lock.read().unwrap());
        assert_eq!(*one + *two, 2);
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        assert_eq!(*lock.try_read().unwrap(), 1);
        drop((one, two));
        let mut writes = lock.write().unwrap();
        *writes = 2;
        assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
        assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
        assert!(format!("{lock:?}").contains("<locked>"));
        drop(writes);
        assert!(format!("{lock:?} {}", lock.read().unwrap()).contains("data: 2, poisoned: false"));
    });
}

#[test]
fn nobody_reads_while_somebody_writes() {
    run(|| {
        let lock = Shared::new(RwLock::new((0, 0)));
        let all: Vec<_> = (0..8)
            .map(|number| {
                let lock = lock.clone();
                spawn(move || {
                    for _ in 0..30 {
                        if number % 3 == 0 {
                            let mut pair = lock.write().unwrap();
                            pair.0 += 1;
                            yield_now();
                            pair.1 += 1;
                        } else {
                            let pair = lock.read().unwrap();
                            let before = *pair;
                            yield_now();
                            assert_eq!((pair.0, *pair), (pair.1, before));
                        }
                    }
                })
            })
            .collect();
        all.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(*lock.read().unwrap(), (90, 90));
    });
}

#[test]
fn writers_wait_for_readers_and_readers_for_writers() {
    run(|| {
        let lock = Shared::new(RwLock::new(0));
        let (say, said) = mpsc::channel();
        let reads = lock.read().unwrap();
        let theirs = lock.clone();
        let writer = spawn(move || {
            say.send(()).unwrap();
            let mut writes = theirs.write().unwrap();
            yield_now();
            *writes = 7;
        });
        said.recv().unwrap();
        yield_now();
        assert_eq!(*reads, 0);
        drop(reads);
        writer.join().unwrap();
        assert_eq!(*lock.read().unwrap(), 7);
    });
}

#[test]
fn a_writer_that_unwinds_poisons_it_and_a_reader_does_not() {
    run(|| {
        let lock = left_by(panics_writing);
        assert!(lock.is_poisoned());
        assert!(lock.read().is_err() && lock.write().is_err());
        assert!(matches!(lock.try_read(), Err(TryLockError::Poisoned(_))));
        assert!(matches!(lock.try_write(), Err(TryLockError::Poisoned(_))));
        lock.clear_poison();
        assert_eq!(*lock.write().unwrap(), 1);
        let lock = left_by(panics_reading);
        assert!(!lock.is_poisoned());
        assert_eq!(*lock.write().unwrap(), 1);
    });
}

#[test]
fn what_is_in_it_comes_out() {
    run(|| {
        let mut lock = RwLock::from(1);
        *lock.get_mut().unwrap() += 1;
        assert_eq!(lock.into_inner().unwrap(), 2);
        assert_eq!(*RwLock::<u8>::default().read().unwrap(), 0);
        let mut lock = Shared::into_inner(left_by(panics_writing)).unwrap();
        assert_eq!(*lock.get_mut().unwrap_err().into_inner(), 1);
        assert_eq!(lock.into_inner().unwrap_err().into_inner(), 1);
        let lock: &RwLock<[i32]> = &RwLock::new([1, 2]);
        lock.write().unwrap()[1] = 3;
        assert_eq!(*lock.read().unwrap(), [1, 3]);
    });
}

/// It may be used where the value lives shorter.
#[test]
fn a_guard_to_read_gets_shorter() {
    use super::RwLockReadGuard;
    fn shorter<'a>(
        guard: RwLockReadGuard<'a, &'static str>,
        _: &'a str,
    ) -> RwLockReadGuard<'a, &'a str> {
        guard
    }
    run(|| {
        let lock = RwLock::new("value");
        let here = String::new();
        assert_eq!(*shorter(lock.read().unwrap(), &here), "value");
    });
}

/// Whoever shows the value may wait: it has the lock meanwhile.
#[test]
fn one_that_is_shown_while_another_one_writes() {
    run(|| {
        let lock = Shared::new(RwLock::new(Slow));
        let theirs = lock.clone();
        let writes = spawn(move || drop(theirs.write().unwrap()));
        assert!(format!("{lock:?}").contains("RwLock"));
        writes.join().unwrap();
        assert!(lock.try_write().is_ok());
    });
}
