//! What calls keep that end by themselves, or never.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::group::Group;
use greenlet::sync::channel::{self, RecvTimeoutError, SendTimeoutError};
use greenlet::sync::queue::{GetError, PutError, Queue};
use greenlet::sync::{
    AsyncResult, Condvar, Event, Mutex, Semaphore, mpsc, oneshot, remote, select,
};
use greenlet::time::{Elapsed, interval, sleep_until, timeout, timeout_at};
use greenlet::{Generator, GreenletExit, JoinHandle, hub_stats, sleep, spawn, thread, yield_now};

use super::{LONG, MS, settle};
use crate::support::run;

/// A call that waits for so long.
struct Wait {
    name: &'static str,
    wait: fn(Duration),
    /// A wake for nothing may end it.
    hasty: bool,
}

/// A wait of something that does not come in that time.
const fn in_vain(name: &'static str, wait: fn(Duration)) -> Wait {
    Wait {
        name,
        wait,
        hasty: false,
    }
}

/// All of them, and each for as long as one likes.
const ALL: [Wait; 30] = [
    in_vain("recv_timeout", |time| {
        let (_sender, receiver) = channel::unbounded::<u8>();
        assert_eq!(receiver.recv_timeout(time), Err(RecvTimeoutError::Timeout));
    }),
    in_vain("recv_deadline", |time| {
        let (_sender, receiver) = channel::bounded::<u8>(0);
        let late = receiver.recv_deadline(far(time));
        assert_eq!(late, Err(RecvTimeoutError::Timeout));
    }),
    in_vain("send_timeout", |time| {
        let (sender, _receiver) = channel::bounded(0);
        let late = sender.send_timeout(7, time);
        assert_eq!(late, Err(SendTimeoutError::Timeout(7)));
    }),
    in_vain("send_deadline", |time| {
        let (sender, _receiver) = channel::bounded(1);
        sender.send(6).unwrap();
        let late = sender.send_deadline(7, far(time));
        assert_eq!(late, Err(SendTimeoutError::Timeout(7)));
    }),
    in_vain("mpsc recv_timeout", |time| {
        let (_sender, receiver) = mpsc::channel::<u8>();
        assert!(receiver.recv_timeout(time).is_err());
    }),
    in_vain("mpsc recv_deadline", |time| {
        let (_sender, receiver) = mpsc::channel::<u8>();
        assert!(receiver.recv_deadline(far(time)).is_err());
    }),
    in_vain("oneshot recv_timeout", |time| {
        let (_sender, receiver) = oneshot::channel::<u8>();
        assert!(receiver.recv_timeout(time).is_err());
    }),
    in_vain("get_timeout", |time| {
        let queue = Queue::<u8>::unbounded();
        assert_eq!(queue.get_timeout(time), Err(GetError::Empty));
    }),
    in_vain("put_timeout", |time| {
        let queue = Queue::bounded(1);
        queue.put(6).unwrap();
        assert_eq!(queue.put_timeout(7, time), Err(PutError::Full(7)));
    }),
    in_vain("join_timeout", |time| {
        let queue = Queue::unbounded();
        queue.put(7).unwrap();
        assert!(!queue.join_timeout(time));
    }),
    in_vain("acquire_timeout", |time| {
        assert!(Semaphore::new(0).acquire_timeout(time).is_none());
    }),
    in_vain("wait_timeout", |time| {
        assert!(!Event::new().wait_timeout(time));
    }),
    in_vain("AsyncResult::get_timeout", |time| {
        assert_eq!(AsyncResult::<u8>::new().get_timeout(time), None);
    }),
    in_vain("wait_timeout_while", |time| {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        let guard = mutex.lock().unwrap();
        let waited = condvar.wait_timeout_while(guard, time, |()| true);
        assert!(waited.unwrap().1.timed_out());
    }),
    Wait {
        name: "Condvar::wait_timeout",
        wait: |time| {
            let (mutex, condvar) = (Mutex::new(()), Condvar::new());
            let guard = mutex.lock().unwrap();
            drop(condvar.wait_timeout(guard, time).unwrap());
        },
        hasty: true,
    },
    in_vain("join_all_timeout", |time| {
        let group = Group::new();
        let member = End(group.spawn(|| sleep(LONG)));
        assert_eq!(group.join_all_timeout(time), Ok(None));
        drop(member);
    }),
    in_vain("a select", |time| {
        let (_sender, receiver) = channel::unbounded::<u8>();
        let late = select().recv(&receiver, |_| 0).after(time, || 1).wait();
        assert_eq!(late, 1);
    }),
    in_vain("a select until then", |time| {
        let (_sender, receiver) = channel::unbounded::<u8>();
        let late = select().recv(&receiver, |_| 0).at(far(time), || 1).wait();
        assert_eq!(late, 1);
    }),
    in_vain("remote recv_timeout", |time| {
        let (_sender, receiver) = remote::channel::unbounded::<u8>();
        assert!(receiver.recv_timeout(time).is_err());
    }),
    in_vain("remote recv_deadline", |time| {
        let (_sender, receiver) = remote::channel::bounded::<u8>(0);
        assert!(receiver.recv_deadline(far(time)).is_err());
    }),
    in_vain("remote oneshot recv_timeout", |time| {
        let (_sender, receiver) = remote::oneshot::channel::<u8>();
        assert!(receiver.recv_timeout(time).is_err());
    }),
    in_vain("remote send_deadline", |time| {
        let (sender, _receiver) = remote::channel::bounded(0);
        assert!(sender.send_deadline(7, far(time)).is_err());
    }),
    in_vain("remote acquire_timeout", |time| {
        let seats = remote::Semaphore::new(0);
        assert!(seats.acquire_timeout(time).is_none());
    }),
    in_vain("remote wait_timeout", |time| {
        assert!(!remote::Event::new().wait_timeout(time));
    }),
    in_vain("sleep", sleep),
    in_vain("sleep_until", |time| sleep_until(far(time))),
    Wait {
        name: "park_timeout",
        wait: thread::park_timeout,
        hasty: true,
    },
    in_vain("tick", |time| {
        interval(time.max(Duration::from_nanos(1))).tick();
    }),
    in_vain("a limit until then", |time| {
        let limit = timeout_at(far(time), || sleep(Duration::MAX));
        assert_eq!(limit, Err(Elapsed));
    }),
    in_vain("a limit", |time| {
        let limit = timeout(time, || sleep(Duration::MAX));
        assert_eq!(limit, Err(Elapsed));
    }),
];

/// In so much time, or as late as can be.
fn far(time: Duration) -> Instant {
    let now = Instant::now();
    [
        time,
        Duration::from_secs(1 << 60),
        Duration::from_secs(1 << 40),
    ]
    .into_iter()
    .find_map(|time| now.checked_add(time))
    .expect("there is a far future")
}

/// The same of each call.
fn each(rule: fn(&'static Wait)) {
    run(move || {
        for wait in &ALL {
            eprintln!("{}", wait.name);
            let before = hub_stats();
            rule(wait);
            assert_eq!(hub_stats(), before, "{}", wait.name);
        }
    });
}

/// Who is killed when this goes.
struct End(JoinHandle<()>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.kill();
    }
}

#[test]
fn none_ends_too_early() {
    each(|call| {
        for micros in [0, 1, 300, 1500, 4001] {
            let time = Duration::from_micros(micros);
            let begin = Instant::now();
            (call.wait)(time);
            assert!(begin.elapsed() >= time, "{}: {time:?}", call.name);
        }
    });
}

#[test]
fn no_time_at_all_lets_those_who_are_ready_go_first() {
    each(|call| {
        if call.hasty {
            return;
        }
        let ran = Rc::new(Cell::new(false));
        let other = spawn({
            let ran = ran.clone();
            move || ran.set(true)
        });
        (call.wait)(Duration::ZERO);
        assert!(ran.get() || call.name == "tick", "{}", call.name);
        other.join().unwrap();
    });
}

#[test]
fn all_the_time_there_is_can_be_cut_short() {
    each(|call| {
        for time in [LONG, Duration::from_secs(u64::MAX / 2), Duration::MAX] {
            let begin = Instant::now();
            assert_eq!(timeout(2 * MS, || (call.wait)(time)), Err(Elapsed));
            assert!(begin.elapsed() >= 2 * MS);
            assert_eq!(timeout(Duration::ZERO, || (call.wait)(time)), Err(Elapsed));
            let outer = timeout(MS, || timeout(LONG, || (call.wait)(time)));
            assert_eq!(outer, Err(Elapsed));
            let inner = timeout(LONG, || timeout(MS, || (call.wait)(time)));
            assert_eq!(inner, Ok(Err(Elapsed)));
        }
    });
}

#[test]
fn both_at_once_is_one_outcome() {
    each(|call| {
        for limit in [1, 2, 3] {
            let handle = spawn(move || timeout(limit * MS, || (call.wait)(2 * MS)));
            yield_now();
            std::thread::sleep(4 * MS);
            let outcome = handle.join().unwrap();
            assert!(outcome.is_ok() || outcome == Err(Elapsed));
            // Nothing of it comes later.
            sleep(2 * MS);
        }
    });
}

#[test]
fn killed_it_leaves_nothing_behind() {
    each(|call| {
        for began in [false, true] {
            let handle = spawn(move || (call.wait)(LONG));
            if began {
                settle();
            }
            assert!(handle.kill());
            assert!(handle.join().unwrap_err().is::<GreenletExit>());
        }
    });
}

#[test]
fn a_wake_for_nothing_makes_it_no_shorter() {
    each(|call| {
        if call.hasty {
            return;
        }
        let handle = spawn(move || {
            let begin = Instant::now();
            (call.wait)(10 * MS);
            begin.elapsed()
        });
        settle();
        let _handle = handle.thread();
        assert!(handle.join().unwrap() >= 10 * MS, "{}", call.name);
    });
}

#[test]
fn it_is_the_same_in_a_generator_and_others_run_meanwhile() {
    each(|call| {
        let turns = Rc::new(RefCell::new(0));
        let other = spawn({
            let turns = turns.clone();
            move || {
                loop {
                    *turns.borrow_mut() += 1;
                    yield_now();
                }
            }
        });
        let mut items = Generator::new(|y| {
            for _ in 0..2 {
                let begin = Instant::now();
                (call.wait)(3 * MS);
                y.yield_(begin.elapsed());
            }
        });
        for _ in 0..2 {
            let before = *turns.borrow();
            assert!(items.next().unwrap() >= 3 * MS, "{}", call.name);
            assert!(*turns.borrow() > before, "{}", call.name);
        }
        other.kill();
    });
}

#[test]
fn giving_way_keeps_the_contract() {
    run(|| {
        let before = hub_stats();
        assert_eq!(timeout(Duration::MAX, yield_now), Ok(()));
        // Who is ready again at once need not hear at once that its time has passed; but it does.
        let for_ever = || {
            loop {
                yield_now();
            }
        };
        let none = timeout(Duration::ZERO, for_ever);
        assert_eq!(none, Err::<(), _>(Elapsed));
        assert_eq!(
            timeout(MS, || timeout(LONG, for_ever)),
            Err::<Result<(), _>, _>(Elapsed)
        );
        for turns in 0..3 {
            let handle = spawn(for_ever);
            (0..turns).for_each(|_| yield_now());
            assert!(handle.kill());
            assert!(handle.join().unwrap_err().is::<GreenletExit>());
        }
        let mut items = Generator::new(|y| {
            yield_now();
            y.yield_(7);
        });
        assert_eq!(items.next(), Some(7));
        assert_eq!(hub_stats(), before);
    });
}
