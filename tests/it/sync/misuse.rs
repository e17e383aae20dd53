//! What is wrong, and what is odd: it is told, or it works, and nothing hangs without a word.

use std::rc::Rc;

use greenlet::sync::{Barrier, Condvar, Event, Mutex, RwLock, Semaphore, WaitGroup};
use greenlet::sync::{channel, mpsc, oneshot, queue};
use greenlet::{scope, sleep, spawn};

use crate::support::{complaint, run};
use crate::sync::{LONG, MS, settle};

/// Neither goes to another thread, nor is it shared with one.
macro_rules! stays {
    ($($kind:ty),+ $(,)?) => {
        $(const _: fn() = || {
            // If it were `Send` or `Sync`, it would not be clear which of these is meant.
            trait Stays<A> {
                fn stays() {}
            }
            struct Sent;
            struct Shared;
            impl<T: ?Sized> Stays<()> for T {}
            impl<T: ?Sized + Send> Stays<Sent> for T {}
            impl<T: ?Sized + Sync> Stays<Shared> for T {}
            let _ = <$kind as Stays<_>>::stays;
        };)+
    };
}

stays!(
    Mutex<u8>,
    greenlet::sync::MutexGuard<'static, u8>,
    RwLock<u8>,
    greenlet::sync::RwLockReadGuard<'static, u8>,
    greenlet::sync::RwLockWriteGuard<'static, u8>,
    Condvar,
    Barrier,
    Semaphore,
    greenlet::sync::Permit<'static>,
    Event,
    greenlet::sync::AsyncResult<u8>,
    WaitGroup,
    greenlet::sync::Pending,
    channel::Sender<u8>,
    channel::Receiver<u8>,
    oneshot::Sender<u8>,
    oneshot::Receiver<u8>,
    mpsc::Sender<u8>,
    mpsc::SyncSender<u8>,
    mpsc::Receiver<u8>,
    queue::Queue<u8>,
    greenlet::group::Group,
    greenlet::group::Pool,
    greenlet::future::Joined<u8>,
);

#[test]
fn a_guard_that_is_dropped_by_another_greenlet_unlocks() {
    run(|| {
        let mutex = Mutex::new(0);
        let lock = RwLock::new(0);
        scope(|s| {
            let guards = (mutex.lock().unwrap(), lock.write().unwrap());
            let drops = s.spawn(move || drop(guards));
            // It was this one that locked it: it is not told to wait for others.
            let words = complaint(|| drop(mutex.lock()));
            assert!(words.contains("has locked already"), "{words}");
            drops.join().unwrap();
            drop(mutex.lock().unwrap());
            let reads = lock.read().unwrap();
            s.spawn(move || drop(reads)).join().unwrap();
            *lock.write().unwrap() = 1;
        });
    });
}

/// A wait that nobody can end is told, with what is waited for.
#[test]
fn a_wait_for_ever_is_told() {
    run(|| {
        let (sender, receiver) = channel::bounded::<u8>(1);
        let words = complaint(|| receiver.recv());
        assert!(words.contains("receives from a channel"), "{words}");
        sender.send(1).unwrap();
        let words = complaint(|| sender.send(2));
        assert!(words.contains("sends to a channel"), "{words}");
        let seats = Semaphore::new(0);
        let words = complaint(|| drop(seats.acquire()));
        assert!(words.contains("waits for a permit"), "{words}");
        let words = complaint(|| Event::new().wait());
        assert!(words.contains("waits for an event"), "{words}");
        let group = WaitGroup::new();
        let _pending = group.begin();
        let words = complaint(|| group.wait());
        assert!(words.contains("waits for a group"), "{words}");
        let words = complaint(|| Barrier::new(2).wait());
        assert!(words.contains("waits at a barrier"), "{words}");
        let queue = queue::Queue::<u8>::unbounded();
        let words = complaint(|| queue.get());
        assert!(words.contains("receives"), "{words}");
        // And nothing is broken.
        assert_eq!(receiver.recv(), Ok(1));
        seats.release();
        drop(seats.acquire());
    });
}

/// Who reads and wants to write waits for itself.
#[test]
fn a_lock_that_is_written_while_it_is_read_is_told() {
    run(|| {
        let lock = RwLock::new(0);
        let reads = lock.read().unwrap();
        let words = complaint(|| drop(lock.write()));
        assert!(words.contains("waits to write"), "{words}");
        drop(reads);
        let writes = lock.write().unwrap();
        let words = complaint(|| drop(lock.read()));
        assert!(words.contains("waits to read"), "{words}");
        drop(writes);
        drop(lock.write());
    });
}

/// Two who have each other's mutex: the report says who has what.
#[test]
fn two_who_wait_for_each_other_are_told_of() {
    run(|| {
        let pair = Rc::new((Mutex::new(()), Mutex::new(())));
        let theirs = pair.clone();
        let other = spawn(move || {
            let _second = theirs.1.lock();
            greenlet::yield_now();
            let _first = theirs.0.lock();
        });
        let first = pair.0.lock().unwrap();
        greenlet::yield_now();
        let words = complaint(|| drop(pair.1.lock()));
        assert!(words.contains("waits for a mutex"), "{words}");
        drop(first);
        other.join().unwrap();
    });
}

/// A destructor that waits, of one that is killed while it waits.
#[test]
fn a_destructor_that_waits_for_the_same_again() {
    struct Receives(channel::Receiver<u8>, Rc<std::cell::Cell<u8>>);
    impl Drop for Receives {
        fn drop(&mut self) {
            self.1.set(self.0.recv().unwrap_or(0));
        }
    }
    run(|| {
        let (sender, receiver) = channel::bounded(0);
        let got = Rc::new(std::cell::Cell::new(0));
        let receives = Receives(receiver.clone(), got.clone());
        let killed = spawn(move || {
            let _receives = receives;
            sleep(LONG);
        });
        settle();
        killed.start_kill();
        settle();
        assert!(!killed.is_finished());
        sender.send(7).unwrap();
        assert!(killed.join().is_err());
        assert_eq!(got.get(), 7);
        sleep(MS);
    });
}
