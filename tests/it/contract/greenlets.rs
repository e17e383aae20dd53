//! Other greenlets, and work on other threads.

use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use greenlet::net::ToSocketAddrs;
use greenlet::thread::{self, Thread};
use greenlet::time::{Elapsed, timeout};
use greenlet::{Generator, GreenletExit, JoinHandle, hub_stats, offload, scope, sleep, spawn};

use super::{Call, LONG, MS, contract, settle};
use crate::support::{Drops, run};

/// A greenlet that ends when it is told to.
struct Task {
    told: Rc<Cell<bool>>,
    handle: JoinHandle<()>,
}

fn task() -> Task {
    let told = Rc::new(Cell::new(false));
    let handle = spawn({
        let told = told.clone();
        move || {
            while !told.get() {
                thread::park();
            }
        }
    });
    Task { told, handle }
}

impl Task {
    fn tell(&self) {
        self.told.set(true);
        self.handle.thread().unpark();
    }
}

/// It is not left behind.
impl Drop for Task {
    fn drop(&mut self) {
        self.tell();
        self.handle.wait();
    }
}

contract!(
    join,
    Call::new(
        task,
        |task| {
            task.handle.wait();
            Ok(1)
        },
        Task::tell,
    )
    .stays()
    .at_once()
);

/// One that takes its time to end. Not in a destructor: while it unwound there, nothing could be raised in
/// anybody else (law 10).
fn dying() -> Task {
    let told = Rc::new(Cell::new(false));
    let handle = spawn({
        let told = told.clone();
        move || {
            // Again and again: each kill is raised there.
            while !told.get() {
                let _ = catch_unwind(thread::park);
            }
        }
    });
    settle();
    assert!(handle.start_kill());
    Task { told, handle }
}

contract!(
    kill,
    Call::new(
        dying,
        |task| {
            assert!(task.handle.kill());
            Ok(1)
        },
        Task::tell,
    )
    .stays()
    .at_once()
    .allocates()
);

/// What `park` is for: a condition, and those who wait for it.
#[derive(Default)]
struct Condition {
    items: Cell<u32>,
    parked: RefCell<Vec<Thread>>,
}

impl Condition {
    fn take(&self) {
        while self.items.get() == 0 {
            self.parked.borrow_mut().push(thread::current());
            thread::park();
        }
        self.items.set(self.items.get() - 1);
    }

    fn put(&self) {
        self.items.set(self.items.get() + 1);
        self.parked
            .borrow_mut()
            .drain(..)
            .for_each(|it| it.unpark());
    }
}

contract!(
    park,
    Call::new(
        Condition::default,
        |condition| {
            condition.take();
            Ok(1)
        },
        Condition::put,
    )
    .at_once()
);

/// A gate on another thread.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let shut = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(shut, |open| !*open).unwrap());
    }
}

/// Whoever stands before it when the test has ended may go.
struct Work(Gate);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.open();
    }
}

contract!(
    offloaded,
    Call::new(
        || Work(Gate::default()),
        |work| {
            let gate = work.0.clone();
            offload(move || gate.pass());
            Ok(1)
        },
        |work| work.0.open(),
    )
    .stays()
    .allocates()
);

/// A generator that has to wait for each item.
struct Items {
    source: Rc<Condition>,
    items: RefCell<Generator<u8>>,
}

contract!(
    generator,
    Call::new(
        || {
            let source = Rc::new(Condition::default());
            let from = source.clone();
            let items = RefCell::new(Generator::new(move |y| {
                loop {
                    from.take();
                    y.yield_(1);
                }
            }));
            Items { source, items }
        },
        |it| Ok(it.items.borrow_mut().next().unwrap_or(0)),
        |it| it.source.put(),
    )
    .alone()
    .at_once()
);

/// A scope waits for its greenlets at its end, and nothing is raised meanwhile.
#[test]
fn the_end_of_a_scope_comes_late_but_what_came_meanwhile_is_raised() {
    run(|| {
        let drops = Drops::new();
        let token = drops.token();
        let late = timeout(MS, || {
            scope(|s| {
                s.spawn(move || {
                    sleep(4 * MS);
                    drop(token);
                });
            });
            assert_eq!(drops.count(), 1);
            sleep(LONG);
        });
        assert_eq!(late, Err(Elapsed));
        let before = hub_stats();
        let killed = spawn(|| {
            scope(|s| {
                s.spawn(|| sleep(4 * MS));
            });
            sleep(LONG);
        });
        settle();
        assert!(killed.kill());
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
        assert_eq!(hub_stats(), before);
        // A wake for nothing, and within a generator.
        let mut items = Generator::new(|y| {
            y.yield_(scope(|s| s.spawn(|| sleep(2 * MS)).join().is_ok()));
        });
        assert_eq!(items.next(), Some(true));
        let ended = Rc::new(Cell::new(false));
        let waiter = spawn({
            let ended = ended.clone();
            move || {
                scope(|s| {
                    s.spawn(|| {
                        sleep(10 * MS);
                        ended.set(true);
                    });
                });
                assert!(ended.get());
            }
        });
        settle();
        let _handle = waiter.thread();
        waiter.join().unwrap();
        assert_eq!(hub_stats(), before);
    });
}

/// Nobody can keep the system from answering, so a lookup is always about to end.
#[test]
fn a_lookup_keeps_what_can_be_seen_of_the_contract() {
    run(|| {
        let ask = || {
            ("localhost", 7)
                .to_socket_addrs()
                .map(|found| found.count())
        };
        assert!(ask().unwrap() > 0);
        let before = hub_stats();
        for limit in [Duration::ZERO, MS, Duration::MAX] {
            match timeout(limit, ask) {
                Ok(found) => assert!(found.unwrap() > 0),
                Err(Elapsed) => assert!(limit < LONG),
            }
            assert_eq!(hub_stats(), before);
        }
        for turns in 0..3 {
            let killed = spawn(ask);
            (0..turns).for_each(|_| greenlet::yield_now());
            killed.kill();
            match killed.join() {
                Ok(found) => assert!(found.unwrap() > 0),
                Err(exit) => assert!(exit.is::<GreenletExit>()),
            }
            assert_eq!(hub_stats(), before);
        }
        let woken = spawn(ask);
        greenlet::yield_now();
        let _handle = woken.thread();
        assert!(woken.join().unwrap().unwrap() > 0);
        let mut items = Generator::new(move |y| y.yield_(ask().unwrap()));
        assert!(items.next().unwrap() > 0);
    });
}
