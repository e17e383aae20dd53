//! What threads share, from threads: with greenlets on both sides, with plain threads, and in statics.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use greenlet::sync::remote::{Event, Mutex, Semaphore, channel, oneshot};
use greenlet::sync::{LazyLock, Once, OnceLock, TryLockError};
use greenlet::time::{Elapsed, timeout};
use greenlet::{hub_stats, scope, sleep, spawn, yield_now};

use crate::support::{act, complaint, rounds, run};
use crate::sync::{LONG, MS, Slow, end, settle};

const THREADS: usize = 3;

/// Runs `f` on some threads, with several greenlets on each.
pub(super) fn everywhere(f: impl Fn(usize) + Send + Sync + 'static) {
    let f = Arc::new(f);
    let threads = (0..THREADS).map(|number| {
        let f = f.clone();
        std::thread::spawn(move || {
            scope(|s| {
                for greenlet in 0..3 {
                    let f = &f;
                    s.spawn(move || f(3 * number + greenlet));
                }
            });
        })
    });
    let threads: Vec<_> = threads.collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_lazy_value_of_ones_own_can_be_changed() {
    run(|| {
        let mut lazy = LazyLock::new(|| vec![1]);
        assert_eq!(LazyLock::get(&lazy), None);
        assert_eq!(LazyLock::get_mut(&mut lazy), None);
        lazy.push(2);
        LazyLock::force_mut(&mut lazy).push(3);
        assert_eq!(LazyLock::get(&lazy), Some(&vec![1, 2, 3]));
        LazyLock::get_mut(&mut lazy).unwrap().clear();
        assert!(lazy.is_empty());
        let mut broken: LazyLock<u8, _> = LazyLock::new(|| panic!("planted"));
        assert_eq!(complaint(|| *LazyLock::force_mut(&mut broken)), "planted");
        assert_ne!(complaint(|| *LazyLock::force_mut(&mut broken)), "planted");
    });
}

#[test]
fn many_threads_to_many_threads() {
    run(|| {
        for room in [0, 1, 5, usize::MAX] {
            let (sender, receiver) = channel::bounded(room);
            let seen = Arc::new([const { AtomicUsize::new(0) }; 270]);
            let theirs = seen.clone();
            let takes = std::thread::spawn(move || {
                everywhere(move |_| {
                    for n in &receiver {
                        let n: usize = n;
                        theirs[n].fetch_add(1, Ordering::Relaxed);
                    }
                });
            });
            everywhere(move |who| {
                for n in 0..30 {
                    sender.send(30 * who + n).unwrap();
                    if n % 7 == 0 {
                        yield_now();
                    }
                }
            });
            takes.join().unwrap();
            assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    });
}

#[test]
fn what_one_thread_sends_arrives_in_order() {
    run(|| {
        for room in [0, 2, usize::MAX] {
            let (sender, receiver) = channel::bounded(room);
            let thread = std::thread::spawn(move || (0..500).try_for_each(|n| sender.send(n)));
            assert_eq!(Vec::from_iter(&receiver), Vec::from_iter(0..500));
            thread.join().unwrap().unwrap();
        }
    });
}

#[test]
fn others_of_the_thread_run_meanwhile() {
    run(|| {
        let (sender, receiver) = channel::bounded(0);
        let (go, told) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            told.recv().unwrap();
            sender.send(7).unwrap();
        });
        let other = spawn(move || {
            settle();
            go.send(()).unwrap();
        });
        assert_eq!(receiver.recv(), Ok(7));
        other.join().unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn the_ends_of_another_thread_go_with_it() {
    run(|| {
        let (sender, receiver) = channel::unbounded::<u8>();
        let thread = std::thread::spawn(move || {
            sleep(MS);
            drop(sender);
        });
        assert!(receiver.recv().is_err());
        thread.join().unwrap();
        let (sender, receiver) = channel::bounded(0);
        let thread = std::thread::spawn(move || {
            sleep(MS);
            drop(receiver);
        });
        assert!(sender.send(1).is_err());
        thread.join().unwrap();
        let (sender, receiver) = oneshot::channel::<u8>();
        let thread = std::thread::spawn(move || drop(sender));
        assert!(receiver.recv().is_err());
        thread.join().unwrap();
    });
}

/// A thread that ends while its greenlets wait leaves nobody behind who could be called.
#[test]
fn a_thread_that_ends_leaves_no_waiter_behind() {
    run(|| {
        let (sender, receiver) = channel::unbounded();
        let seats = Arc::new(Semaphore::new(0));
        let (theirs, their_seats) = (receiver.clone(), seats.clone());
        let thread = std::thread::spawn(move || {
            spawn(move || theirs.recv());
            spawn(move || drop(their_seats.acquire()));
            settle();
        });
        thread.join().unwrap();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(LONG), Ok(1));
        seats.release();
        assert!(seats.try_acquire().is_some());
    });
}

#[test]
fn a_mutex_of_all_threads_in_a_static() {
    run(|| {
        static TOTAL: Mutex<(u32, u32)> = Mutex::new((0, 0));
        everywhere(|_| {
            for _ in 0..30 {
                let mut total = TOTAL.lock().unwrap();
                total.0 += 1;
                yield_now();
                total.1 += 1;
                assert_eq!(total.0, total.1);
            }
        });
        assert_eq!(*TOTAL.lock().unwrap(), (270, 270));
    });
}

#[test]
fn a_mutex_is_poisoned_and_handed_on() {
    run(|| {
        let mutex = Arc::new(Mutex::new(1));
        let guard = mutex.lock().unwrap();
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        let waiter = |n: u32| {
            let mutex = mutex.clone();
            let handle = spawn(move || *mutex.lock().unwrap() += n);
            settle();
            handle
        };
        let [gone, given, next] = [10, 100, 1000].map(waiter);
        end(gone);
        drop(guard);
        end(given);
        next.join().unwrap();
        assert_eq!(*mutex.try_lock().unwrap(), 1001);
        let theirs = mutex.clone();
        let died = std::thread::spawn(move || {
            let _guard = theirs.lock().unwrap();
            std::panic::resume_unwind(Box::new("planted"));
        });
        assert!(died.join().is_err());
        assert!(mutex.is_poisoned() && mutex.lock().is_err());
        mutex.clear_poison();
        let mutex = Arc::into_inner(mutex).unwrap();
        assert_eq!(mutex.into_inner().unwrap(), 1001);
        assert!(format!("{:?}", Mutex::<u8>::from(3)).contains('3'));
        assert_eq!(*Mutex::<u8>::default().get_mut().unwrap(), 0);
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
        drop(guard);
        drop(mutex.lock().unwrap());
    });
}

#[test]
fn permits_of_all_threads() {
    run(|| {
        static SEATS: Semaphore = Semaphore::new(2);
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        everywhere(|_| {
            for _ in 0..20 {
                let _seat = SEATS.acquire();
                assert!(TAKEN.fetch_add(1, Ordering::SeqCst) < 2);
                yield_now();
                TAKEN.fetch_sub(1, Ordering::SeqCst);
            }
        });
        assert_eq!(SEATS.available(), 2);
    });
}

#[test]
fn an_event_of_another_thread() {
    run(|| {
        let event = Arc::new(Event::new());
        let before = hub_stats();
        let theirs = event.clone();
        let thread = std::thread::spawn(move || {
            sleep(MS);
            theirs.set();
        });
        let waiting = [0, 1, 2].map(|_| {
            let event = event.clone();
            spawn(move || event.wait())
        });
        waiting
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        thread.join().unwrap();
        assert_eq!(hub_stats(), before);
    });
}

/// Kills and limits of greenlets while other threads send: each message is received once.
#[test]
fn kills_and_limits_while_other_threads_send() {
    run(|| {
        for room in [0, 1, usize::MAX] {
            let (sender, receiver) = channel::bounded(room);
            let (report, reports) = channel::unbounded();
            let thread = std::thread::spawn(move || {
                (0..300).try_for_each(|n| {
                    if n % 10 == 0 {
                        std::thread::sleep(MS / 20);
                    }
                    sender.send(n)
                })
            });
            let mut victims = Vec::new();
            while !receiver.is_disconnected() || !receiver.is_empty() {
                let (theirs, report) = (receiver.clone(), report.clone());
                victims.push(spawn(move || {
                    let limit = timeout(MS / 10, || theirs.recv());
                    if let Ok(Ok(n)) = limit {
                        report.send(n).unwrap();
                    }
                }));
                yield_now();
                if victims.len() > 4 {
                    victims.swap_remove(2).kill();
                }
            }
            thread.join().unwrap().unwrap();
            victims.into_iter().for_each(|victim| victim.wait());
            drop(report);
            let mut got = Vec::from_iter(reports.iter().chain(receiver.try_iter()));
            got.sort_unstable();
            assert_eq!(got, Vec::from_iter(0..300), "room {room}");
        }
    });
}

#[test]
fn senders_that_are_killed_or_late_while_another_thread_receives() {
    run(|| {
        for room in [0, 1, 3] {
            let (sender, receiver) = channel::bounded(room);
            let thread = std::thread::spawn(move || {
                let got = receiver.iter().inspect(|n| {
                    if n % 8 == 0 {
                        std::thread::sleep(MS / 20);
                    }
                });
                got.collect::<Vec<usize>>()
            });
            let mut sure = Vec::new();
            for n in 0..200 {
                let theirs = sender.clone();
                let sends = spawn(move || timeout(MS / 10, || theirs.send(n)));
                yield_now();
                if n % 5 == 0 {
                    sends.start_kill();
                }
                if matches!(sends.join(), Ok(Ok(Ok(())))) {
                    sure.push(n);
                }
            }
            drop(sender);
            let got = thread.join().unwrap();
            assert!(got.is_sorted_by(|a, b| a < b), "doubled or out of order");
            assert!(sure.iter().all(|n| got.contains(n)), "sent, and lost");
        }
    });
}

#[test]
fn what_is_done_once_is_done_once_for_all_threads() {
    run(|| {
        static ONCE: Once = Once::new();
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        static LOCK: OnceLock<usize> = OnceLock::new();
        static LAZY: LazyLock<usize> = LazyLock::new(|| {
            sleep(MS);
            COUNT.fetch_add(1, Ordering::SeqCst)
        });
        everywhere(|who| {
            ONCE.call_once(|| {
                sleep(MS);
                COUNT.fetch_add(1, Ordering::SeqCst);
            });
            assert!(ONCE.is_completed());
            let value = *LOCK.get_or_init(|| {
                sleep(MS);
                who
            });
            assert_eq!(LOCK.get(), Some(&value));
            assert_eq!(*LAZY, 1);
        });
        assert_eq!(COUNT.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn once_within_itself_says_so() {
    run(|| {
        let once = Once::new();
        let words = complaint(|| once.call_once(|| once.call_once(|| ())));
        assert!(words.contains("needs itself"), "{words}");
        let lock = OnceLock::<u8>::new();
        let words = complaint(|| lock.get_or_init(|| *lock.get_or_init(|| 1)));
        assert!(words.contains("needs itself"), "{words}");
        assert_eq!(*lock.get_or_init(|| 2), 2);
    });
}

#[test]
fn one_that_is_killed_at_it_leaves_it_to_the_next() {
    run(|| {
        let lock = Arc::new(OnceLock::new());
        let theirs = lock.clone();
        let makes = spawn(move || {
            theirs.get_or_init(|| {
                sleep(LONG);
                1
            });
        });
        settle();
        let theirs = lock.clone();
        let [gone, next] = [2, 3].map(|n| {
            let theirs = theirs.clone();
            spawn(move || *theirs.get_or_init(|| n))
        });
        settle();
        assert_eq!(timeout(MS, || *lock.wait()), Err(Elapsed));
        end(gone);
        end(makes);
        assert_eq!(next.join().unwrap(), 3);
        assert_eq!(*lock.wait(), 3);
        let once = Arc::new(Once::new());
        let theirs = once.clone();
        let does = spawn(move || theirs.call_once(|| sleep(LONG)));
        settle();
        end(does);
        complaint(|| once.call_once(|| ()));
        once.call_once_force(|state| assert!(state.is_poisoned()));
    });
}

#[test]
fn a_thread_that_has_no_hub_of_its_own_waits_as_well() {
    run(|| {
        let (sender, receiver) = channel::bounded(0);
        let thread = std::thread::spawn(move || receiver.recv_timeout(Duration::MAX));
        sender.send(7).unwrap();
        assert_eq!(thread.join().unwrap(), Ok(7));
    });
}

/// What they promise to the compiler.
#[test]
fn they_go_anywhere() {
    fn anywhere<T: Send + Sync>() {}
    fn goes<T: Send>() {}
    anywhere::<channel::Sender<u8>>();
    anywhere::<channel::Receiver<u8>>();
    anywhere::<oneshot::Sender<u8>>();
    anywhere::<oneshot::Receiver<u8>>();
    anywhere::<Mutex<std::cell::Cell<u8>>>();
    anywhere::<Semaphore>();
    anywhere::<Event>();
    anywhere::<Once>();
    anywhere::<OnceLock<u8>>();
    anywhere::<LazyLock<u8>>();
    goes::<channel::IntoIter<u8>>();
}

/// A thread in which somebody waits in a destructor while it unwinds, for ever: it is leaked when the thread ends.
fn ends_while_one_waits(wait: impl Fn() + Clone + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let waits = spawn(move || {
            let _waits = act(wait);
            sleep(LONG);
        });
        yield_now();
        waits.start_kill();
        yield_now();
        yield_now();
    })
}

/// What one would have been called for that is given up goes to the next.
#[test]
fn one_that_is_leaked_keeps_nothing_from_others() {
    run(|| {
        let permits = Arc::new(Semaphore::new(1));
        let permit = permits.acquire();
        let theirs = permits.clone();
        let wait = move || _ = theirs.acquire();
        ends_while_one_waits(wait).join().unwrap();
        drop(permit);
        assert_eq!(permits.available(), 1);

        let mutex = Arc::new(Mutex::new(1));
        let guard = mutex.lock().unwrap();
        let theirs = mutex.clone();
        let wait = move || _ = theirs.lock();
        ends_while_one_waits(wait).join().unwrap();
        drop(guard);
        assert_eq!(*mutex.lock().unwrap(), 1);

        // A rendezvous is promised to who waits.
        let (sender, receiver) = channel::bounded(0);
        let theirs = receiver.clone();
        let wait = move || _ = theirs.recv();
        ends_while_one_waits(wait).join().unwrap();
        assert!(sender.try_send(1).is_err());
        let next = std::thread::spawn(move || receiver.recv());
        sender.send(2).unwrap();
        assert_eq!(next.join().unwrap(), Ok(2));
    });
}

/// The permit is on its way to the one that is given up meanwhile: it has had it, or it is there.
#[test]
fn one_that_is_leaked_passes_on_what_was_on_its_way() {
    run(|| {
        for round in rounds(300) {
            let permits = Arc::new(Semaphore::new(0));
            let (begun, begins) = mpsc::channel();
            let count = Arc::new(AtomicUsize::new(0));
            let theirs = (permits.clone(), count.clone());
            let ends = ends_while_one_waits(move || {
                begun.send(()).unwrap();
                theirs.0.acquire().forget();
                theirs.1.fetch_add(1, Ordering::Relaxed);
            });
            begins.recv().unwrap();
            for _ in 0..round * 5 {
                std::hint::spin_loop();
            }
            permits.release();
            ends.join().unwrap();
            let had = count.load(Ordering::Relaxed);
            assert_eq!(permits.available() + had, 1);
        }
    });
}

#[test]
fn a_mutex_that_is_shown_lets_others_wait() {
    run(|| {
        let mutex = Arc::new(Mutex::new(Slow));
        let theirs = mutex.clone();
        let shows = spawn(move || format!("{theirs:?}"));
        let waits = spawn(move || drop(mutex.lock()));
        assert!(shows.join().unwrap().contains("data: slow"));
        waits.join().unwrap();
    });
}
