//! Kills and deadlines where greenlets of one thread wait for locks, conditions and each other: what one was called
//! for goes to the next, and who waits behind one that goes away does not wait for it.

use std::cell::Cell;
use std::rc::Rc;

use greenlet::sync::{
    Barrier, Condvar, Event, Mutex, RwLock, RwLockWriteGuard, TryLockError, remote,
};
use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, JoinHandle, sleep, spawn, yield_now};

use crate::support::{Log, complaint, raise, run};
use crate::sync::{LONG, MS, end, settle};

/// What they share, and what they say.
struct Scene<T> {
    thing: Rc<T>,
    log: Log<u32>,
}

impl<T: 'static> Scene<T> {
    fn of(thing: T) -> Scene<T> {
        Scene {
            thing: Rc::new(thing),
            log: Log::new(),
        }
    }

    /// One who does this by now, and says its number at the end.
    fn does(&self, number: u32, f: impl FnOnce(&T) + 'static) -> JoinHandle<()> {
        let (thing, log) = (self.thing.clone(), self.log.clone());
        let handle = spawn(move || {
            f(&thing);
            log.push(number);
        });
        settle();
        handle
    }
}

/// Kills all of them before one of them runs.
#[track_caller]
fn end_all(handles: [JoinHandle<()>; 2]) {
    assert!(
        handles
            .iter()
            .all(|handle| !handle.is_finished() && handle.start_kill())
    );
    for handle in handles {
        assert!(handle.join().unwrap_err().is::<GreenletExit>());
    }
}

fn locks(mutex: &Mutex<u32>) {
    *mutex.lock().unwrap() += 1;
}

#[test]
fn a_mutex_that_a_killed_one_was_given_is_for_the_next() {
    run(|| {
        let scene = Scene::of(Mutex::new(0));
        let guard = scene.thing.lock().unwrap();
        let [gone, given, next] = [0, 1, 2].map(|n| scene.does(n, locks));
        end(gone);
        drop(guard);
        // It has it, and does not know.
        end(given);
        next.join().unwrap();
        assert_eq!(scene.log.take(), [2]);
        let guard = scene.thing.lock().unwrap();
        let last = scene.does(3, locks);
        drop(guard);
        end(last);
        assert_eq!(*scene.thing.try_lock().unwrap(), 1);
    });
}

#[test]
fn a_mutex_is_handed_on_in_order_and_trying_does_not_overtake() {
    run(|| {
        let scene = Scene::of(Mutex::new(0));
        let guard = scene.thing.lock().unwrap();
        let waiting = [0, 1, 2].map(|n| scene.does(n, locks));
        assert!(matches!(
            scene.thing.try_lock(),
            Err(TryLockError::WouldBlock)
        ));
        drop(guard);
        assert!(matches!(
            scene.thing.try_lock(),
            Err(TryLockError::WouldBlock)
        ));
        waiting
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        assert_eq!(scene.log.take(), [0, 1, 2]);
    });
}

#[test]
fn a_deadline_at_a_mutex_takes_nothing() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        for _ in 0..4 {
            let guard = mutex.lock().unwrap();
            assert_eq!(
                timeout(MS, {
                    let other = spawn({
                        let mutex = mutex.clone();
                        move || locks(&mutex)
                    });
                    move || other.join().unwrap()
                }),
                Err(Elapsed)
            );
            let late = spawn({
                let mutex = mutex.clone();
                move || timeout(MS, || locks(&mutex))
            });
            settle();
            std::thread::sleep(2 * MS);
            drop(guard);
            let _either = late.join().unwrap();
            drop(mutex.lock().unwrap());
        }
    });
}

#[test]
fn one_that_is_killed_with_a_mutex_poisons_it_and_one_that_waits_does_not() {
    run(|| {
        let scene = Scene::of(Mutex::new(0));
        let has = scene.does(0, |mutex| {
            let _guard = mutex.lock().unwrap();
            sleep(LONG);
        });
        let waits = scene.does(1, locks);
        end(waits);
        assert!(!scene.thing.is_poisoned());
        end(has);
        assert!(scene.thing.is_poisoned());
        assert!(matches!(
            scene.thing.try_lock(),
            Err(TryLockError::Poisoned(_))
        ));
        scene.thing.clear_poison();
        locks(&scene.thing);
    });
}

/// Who has locked it while another greenlet was in the middle of its unwinding poisons it by a kill, and only then.
#[test]
fn a_kill_poisons_also_what_was_locked_while_another_one_unwound() {
    struct Waits(Rc<Event>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.0.wait();
        }
    }
    for killed in [true, false] {
        run(move || {
            let (go_on, mutex) = (Rc::new(Event::new()), Rc::new(Mutex::new(0)));
            let shared = Rc::new(remote::Mutex::new(0));
            let waits = Waits(go_on.clone());
            let unwinds = spawn(move || {
                let _waits = waits;
                raise("planted")
            });
            yield_now();
            let theirs = (mutex.clone(), shared.clone());
            let has = spawn(move || {
                let _both = (theirs.0.lock().unwrap(), theirs.1.lock().unwrap());
                yield_now();
                yield_now();
                sleep(if killed { LONG } else { MS });
            });
            yield_now();
            assert!(mutex.try_lock().is_err(), "it is locked");
            go_on.set();
            assert!(unwinds.join().is_err());
            if killed {
                has.kill();
            }
            assert_eq!(has.join().is_err(), killed);
            assert_eq!(mutex.is_poisoned(), killed);
            assert_eq!(shared.is_poisoned(), killed);
            assert_eq!(shared.lock().is_err(), killed);
            shared.clear_poison();
            assert!(format!("{shared:?}").contains("data: 0, poisoned: false"));
        });
    }
}

fn reads(lock: &RwLock<u32>) {
    drop(lock.read().unwrap());
}

fn writes(lock: &RwLock<u32>) {
    *lock.write().unwrap() += 1;
}

/// Readers wait behind a writer that waits. If that one goes, they need not.
#[test]
fn readers_behind_a_writer_that_is_killed_go_in() {
    run(|| {
        let scene = Scene::of(RwLock::new(0));
        let reads_on = scene.thing.read().unwrap();
        let writer = scene.does(0, writes);
        let [one, two] = [1, 2].map(|n| scene.does(n, reads));
        assert!(!one.is_finished());
        end(writer);
        settle();
        assert!(
            one.is_finished() && two.is_finished(),
            "they wait for nobody"
        );
        let late = scene.does(3, |lock| {
            assert_eq!(timeout(500 * MS, || writes(lock)), Err(Elapsed))
        });
        let behind = scene.does(4, reads);
        assert!(!behind.is_finished());
        late.join().unwrap();
        settle();
        assert!(behind.is_finished(), "it waits for nobody");
        drop(reads_on);
        assert!(scene.thing.try_write().is_ok());
    });
}

/// With another writer in line, they wait on.
#[test]
fn readers_behind_two_writers_wait_for_the_second() {
    run(|| {
        let scene = Scene::of(RwLock::new(0));
        let reads_on = scene.thing.read().unwrap();
        let [first, second] = [0, 1].map(|n| scene.does(n, writes));
        let reader = scene.does(2, reads);
        end(first);
        settle();
        assert!(!second.is_finished() && !reader.is_finished());
        drop(reads_on);
        second.join().unwrap();
        reader.join().unwrap();
        assert_eq!(scene.log.take(), [1, 2]);
    });
}

#[test]
fn a_lock_that_a_killed_one_was_given_is_for_the_next() {
    run(|| {
        let scene = Scene::of(RwLock::new(0));
        let guard = scene.thing.write().unwrap();
        let [one, two] = [0, 1].map(|n| scene.does(n, reads));
        let writer = scene.does(2, writes);
        drop(guard);
        // Both are in, and do not know.
        end_all([one, two]);
        writer.join().unwrap();
        let guard = scene.thing.write().unwrap();
        let [given, next] = [3, 4].map(|n| scene.does(n, writes));
        let reader = scene.does(5, reads);
        drop(guard);
        // The reader comes first; then one of the writers.
        end_all([reader, given]);
        next.join().unwrap();
        assert_eq!(scene.log.take(), [2, 4]);
        assert_eq!(*scene.thing.try_write().unwrap(), 2);
    });
}

/// Whoever writes becomes a reader without a moment in between; writers wait on, and readers come in.
#[test]
fn a_writer_that_becomes_a_reader_lets_readers_in_and_no_writer() {
    run(|| {
        let scene = Scene::of(RwLock::new(0));
        let mut guard = scene.thing.write().unwrap();
        *guard = 7;
        let writer = scene.does(0, writes);
        let reader = scene.does(1, |lock| assert_eq!(*lock.read().unwrap(), 7));
        let guard = RwLockWriteGuard::downgrade(guard);
        settle();
        assert!(reader.is_finished() && !writer.is_finished());
        assert_eq!(*guard, 7);
        assert!(scene.thing.try_write().is_err());
        drop(guard);
        writer.join().unwrap();
        assert_eq!(*scene.thing.read().unwrap(), 8);
        // Alone, it leaves nobody waiting, and the lock as it was.
        drop(RwLockWriteGuard::downgrade(scene.thing.write().unwrap()));
        assert!(scene.thing.try_write().is_ok());
    });
}

#[test]
fn who_reads_alone_is_known_to_those_who_want_to_write() {
    run(|| {
        let scene = Scene::of(RwLock::new(0));
        let stays = scene.does(0, |lock| {
            let _read = lock.read().unwrap();
            sleep(LONG);
        });
        let writer = scene.does(1, writes);
        let holder = || {
            let dump = greenlet::inspect::dump();
            dump.find(writer.id()).unwrap().holder()
        };
        assert_eq!(holder(), Some(stays.id()));
        end(stays);
        writer.join().unwrap();
        // Of several, nobody alone can end the wait; then the last one can.
        let readers = [2, 3].map(|n| {
            scene.does(n, |lock| {
                let _read = lock.read().unwrap();
                sleep(LONG);
            })
        });
        let writer = scene.does(4, writes);
        let holder = || {
            let dump = greenlet::inspect::dump();
            dump.find(writer.id()).unwrap().holder()
        };
        assert_eq!(holder(), None);
        let [one, other] = readers;
        end(one);
        assert_eq!(holder(), Some(other.id()));
        end(other);
        writer.join().unwrap();
    });
}

type Pair = (Mutex<u32>, Condvar);

fn waits(pair: &Pair) {
    let _guard = pair.1.wait(pair.0.lock().unwrap()).unwrap();
}

#[test]
fn a_notification_of_a_killed_one_is_for_the_next() {
    run(|| {
        let scene = Scene::of((Mutex::new(0), Condvar::new()));
        let [gone, told, next] = [0, 1, 2].map(|n| scene.does(n, waits));
        end(gone);
        scene.thing.1.notify_one();
        end(told);
        settle();
        assert!(next.is_finished(), "the notification is lost");
        assert!(!scene.thing.0.is_poisoned());
        assert!(scene.thing.0.try_lock().is_ok());
    });
}

/// It has been told, and waits for the mutex.
#[test]
fn a_notification_of_one_that_is_killed_at_the_mutex_is_for_the_next() {
    run(|| {
        let scene = Scene::of((Mutex::new(0), Condvar::new()));
        let [told, next] = [0, 1].map(|n| scene.does(n, waits));
        let guard = scene.thing.0.lock().unwrap();
        scene.thing.1.notify_one();
        settle();
        end(told);
        drop(guard);
        settle();
        assert!(next.is_finished(), "the notification is lost");
        // With a limit of its own it is the same.
        let limited = |pair: &Pair| {
            let guard = pair.0.lock().unwrap();
            drop(pair.1.wait_timeout(guard, LONG).unwrap());
        };
        let [told, next] = [2, 3].map(|n| scene.does(n, limited));
        let guard = scene.thing.0.lock().unwrap();
        scene.thing.1.notify_one();
        settle();
        end(told);
        drop(guard);
        settle();
        assert!(next.is_finished(), "the notification is lost");
        assert_eq!(scene.log.take(), [1, 3]);
    });
}

#[test]
fn a_deadline_at_a_condition_uses_up_no_notification() {
    run(|| {
        let scene = Scene::of((Mutex::new(0), Condvar::new()));
        let late = scene.does(0, |pair| {
            assert_eq!(timeout(MS, || waits(pair)), Err(Elapsed));
        });
        let next = scene.does(1, waits);
        late.join().unwrap();
        scene.thing.1.notify_one();
        next.join().unwrap();
        // Nobody waits: nothing is kept.
        scene.thing.1.notify_one();
        scene.thing.1.notify_all();
        end(scene.does(2, waits));
    });
}

#[test]
fn who_is_killed_at_a_barrier_has_not_come() {
    run(|| {
        let scene = Scene::of((Barrier::new(3), Cell::new(0)));
        let meets = |(barrier, leaders): &(Barrier, Cell<u32>)| {
            let leads = barrier.wait().is_leader();
            leaders.set(leaders.get() + u32::from(leads));
        };
        for round in 1..4 {
            let [first, gone] = [0, 1].map(|n| scene.does(n, meets));
            end(gone);
            let second = scene.does(2, meets);
            assert!(!first.is_finished() && !second.is_finished());
            let third = scene.does(3, meets);
            [first, second, third]
                .into_iter()
                .for_each(|handle| handle.join().unwrap());
            assert_eq!(scene.thing.1.get(), round);
        }
        // One that was let through has been counted.
        let [first, second] = [0, 1].map(|n| scene.does(n, meets));
        assert!(scene.thing.0.wait().is_leader());
        first.start_kill();
        assert!(first.join().unwrap_err().is::<GreenletExit>());
        second.join().unwrap();
        let again = [0, 1, 2].map(|n| scene.does(n, meets));
        again.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn a_wake_for_nothing_lets_nobody_in() {
    run(|| {
        let scene = Scene::of((Mutex::new(0), RwLock::new(0), Barrier::new(2)));
        let guard = scene.thing.0.lock().unwrap();
        let write = scene.thing.1.write().unwrap();
        let waiting = [
            scene.does(0, |(mutex, ..)| locks(mutex)),
            scene.does(1, |(_, lock, _)| reads(lock)),
            scene.does(2, |(_, lock, _)| writes(lock)),
            scene.does(3, |(.., barrier)| {
                barrier.wait();
            }),
        ];
        let _woken = waiting.each_ref().map(JoinHandle::thread);
        settle();
        assert!(waiting.iter().all(|handle| !handle.is_finished()));
        drop((guard, write));
        scene.thing.2.wait();
        waiting
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn a_mutex_that_is_locked_twice_says_so() {
    run(|| {
        let mutex = Mutex::new(0);
        let guard = mutex.lock().unwrap();
        let words = complaint(|| drop(mutex.lock()));
        assert!(
            words.contains("locks a mutex that it has locked already"),
            "{words}"
        );
        assert!(mutex.try_lock().is_err());
        drop(guard);
        // The panic was not while the guard was dropped, so nothing is poisoned.
        drop(mutex.lock().unwrap());
    });
}
