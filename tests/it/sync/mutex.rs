//! std's tests of `Mutex`, over whatever the module around this one has.

use super::{Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, Shared};
use super::{TryLockError, mpsc, spawn, yield_now};
use crate::support::{complaint, run};

/// A mutex that somebody unwound with.
fn poisoned(value: u32) -> Shared<Mutex<u32>> {
    let mutex = Shared::new(Mutex::new(value));
    let theirs = mutex.clone();
    let died = spawn(move || {
        let _guard = theirs.lock().unwrap();
        std::panic::resume_unwind(Box::new("planted"));
    });
    assert!(died.join().is_err());
    mutex
}

/// What is waited on may be used where a panic is caught, whatever it holds.
#[test]
fn a_panic_is_caught_around_them() {
    fn may_cross<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    type Any = std::cell::Cell<u32>;
    may_cross::<Mutex<Any>>();
    may_cross::<RwLock<Any>>();
    may_cross::<Condvar>();
    may_cross::<Barrier>();
    may_cross::<Once>();
    may_cross::<OnceLock<u32>>();
    may_cross::<LazyLock<u32>>();
    may_cross::<mpsc::Sender<Any>>();
    may_cross::<mpsc::SyncSender<Any>>();
    may_cross::<mpsc::Receiver<Any>>();
}

#[test]
fn it_is_locked_and_unlocked() {
    run(|| {
        let mutex = Mutex::new(1);
        *mutex.lock().unwrap() += 1;
        drop(mutex.lock().unwrap());
        *mutex.try_lock().unwrap() += 1;
        assert_eq!(*mutex.lock().unwrap(), 3);
        assert_eq!(format!("{}", mutex.lock().unwrap()), "3");
        assert_eq!(format!("{:?}", mutex.lock()), "Ok(3)");
    });
}

#[test]
fn one_at_a_time_also_across_waits() {
    run(|| {
        let mutex = Shared::new(Mutex::new(0));
        let all: Vec<_> = (0..6)
            .map(|_| {
                let mutex = mutex.clone();
                spawn(move || {
                    for _ in 0..50 {
                        let mut value = mutex.lock().unwrap();
                        let read = *value;
                        yield_now();
                        *value = read + 1;
                    }
                })
            })
            .collect();
        all.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(*mutex.lock().unwrap(), 300);
    });
}

#[test]
fn trying_does_not_wait() {
    run(|| {
        let mutex = Shared::new(Mutex::new(0));
        let guard = mutex.lock().unwrap();
        let theirs = mutex.clone();
        let busy = spawn(move || matches!(theirs.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(busy.join().unwrap());
        assert!(format!("{mutex:?}").contains("<locked>"));
        drop(guard);
        assert!(mutex.try_lock().is_ok());
        assert!(format!("{mutex:?}").contains("data: 0, poisoned: false"));
    });
}

#[test]
fn who_waits_goes_on_when_it_is_unlocked() {
    run(|| {
        let mutex = Shared::new(Mutex::new(0));
        let (began, begins) = mpsc::channel();
        let guard = mutex.lock().unwrap();
        let theirs = mutex.clone();
        let waits = spawn(move || {
            began.send(()).unwrap();
            *theirs.lock().unwrap() = 7;
        });
        begins.recv().unwrap();
        assert_eq!(*guard, 0);
        drop(guard);
        waits.join().unwrap();
        assert_eq!(*mutex.lock().unwrap(), 7);
    });
}

#[test]
fn one_that_unwinds_poisons_it() {
    run(|| {
        let mutex = poisoned(3);
        assert!(mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap_err().into_inner(), 3);
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        assert!(complaint(|| drop(mutex.lock().unwrap())).contains("Poison"));
        mutex.clear_poison();
        assert!(!mutex.is_poisoned());
        drop(mutex.lock().unwrap());
    });
}

#[test]
fn what_is_in_it_comes_out() {
    run(|| {
        let mut mutex = Mutex::from(1);
        *mutex.get_mut().unwrap() += 1;
        assert_eq!(mutex.into_inner().unwrap(), 2);
        assert_eq!(Mutex::<u8>::default().into_inner().unwrap(), 0);
        let mutex = Shared::into_inner(poisoned(4)).unwrap();
        assert_eq!(mutex.into_inner().unwrap_err().into_inner(), 4);
        let mut mutex = Shared::into_inner(poisoned(5)).unwrap();
        assert_eq!(*mutex.get_mut().unwrap_err().into_inner(), 5);
    });
}

#[test]
fn a_lock_within_a_destructor_of_one_that_unwinds() {
    struct Locks(Shared<Mutex<u32>>);
    impl Drop for Locks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    run(|| {
        let mutex = Shared::new(Mutex::new(1));
        let locks = Locks(mutex.clone());
        let died = spawn(move || {
            let _locks = locks;
            std::panic::resume_unwind(Box::new("planted"));
        });
        assert!(died.join().is_err());
        // Not poisoned: it was locked in the unwinding, and unlocked.
        assert_eq!(*mutex.lock().unwrap(), 2);
    });
}

#[test]
fn what_is_in_it_may_have_no_size() {
    run(|| {
        let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
        mutex.lock().unwrap()[0] = 4;
        mutex.try_lock().unwrap()[2] = 5;
        assert_eq!(*mutex.lock().unwrap(), [4, 2, 5]);
    });
}
