//! Futures in greenlets, and greenlets as futures. With the runtimes that people have: `tests/peers`.

use std::cell::{Cell, RefCell};
use std::future::{Future, IntoFuture, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use greenlet::future::{block_on, spawn_future};
use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, hub_stats, scope, sleep, spawn, yield_now};

use crate::support::{Drops, complaint, raise, run};
use crate::sync::{LONG, MS, end, settle};

/// A value that another thread sets.
struct Later<T>(Mutex<(Option<T>, Option<Waker>)>);

impl<T: Send> Later<T> {
    fn new() -> Arc<Later<T>> {
        Arc::new(Later(Mutex::new((None, None))))
    }

    fn set(&self, value: T) {
        let mut shared = self.0.lock().unwrap();
        shared.0 = Some(value);
        let waker = shared.1.take();
        drop(shared);
        waker.into_iter().for_each(Waker::wake);
    }

    async fn get(&self) -> T {
        poll_fn(|context| {
            let mut shared = self.0.lock().unwrap();
            shared.1 = Some(context.waker().clone());
            shared.0.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Is ready after so many looks, and says so itself.
async fn looks(count: usize) -> usize {
    let mut left = count;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(count);
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Both of them.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut left, mut right) = (None, None);
    poll_fn(move |context| {
        if left.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(context)
        {
            left = Some(value);
        }
        if right.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(context)
        {
            right = Some(value);
        }
        match (left.take(), right.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            some => {
                (left, right) = some;
                Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn what_is_ready_lets_nobody_else_run() {
    run(|| {
        let other = spawn(|| ());
        assert_eq!(block_on(ready(7)), 7);
        assert_eq!(block_on(looks(0)), 0);
        assert!(!other.is_finished());
        other.join().unwrap();
    });
}

#[test]
fn what_wakes_itself_lets_others_run() {
    run(|| {
        let other = spawn(|| ());
        assert_eq!(block_on(looks(3)), 3);
        assert!(other.is_finished());
        let for_ever = || {
            block_on(std::future::poll_fn::<(), _>(|context| {
                context.waker().wake_by_ref();
                Poll::Pending
            }))
        };
        assert!(timeout(Duration::from_millis(5), for_ever).is_err());
    });
}

#[test]
fn wakers_come_from_other_threads() {
    run(|| {
        let later = Later::new();
        let theirs = later.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(MS);
            theirs.set(7);
        });
        let turns = Rc::new(Cell::new(0));
        let other = spawn({
            let turns = turns.clone();
            move || {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            }
        });
        assert_eq!(block_on(later.get()), 7);
        assert!(turns.get() > 0);
        other.kill();
        thread.join().unwrap();
    });
}

#[test]
fn wakers_race_with_looks() {
    run(|| {
        let rounds = if cfg!(miri) { 20 } else { 2000 };
        let (ask, asked) = mpsc::channel::<(Arc<Later<usize>>, usize)>();
        let thread = std::thread::spawn(move || {
            for (later, n) in asked {
                (0..n % 100).for_each(|_| std::hint::spin_loop());
                later.set(n);
            }
        });
        for n in 0..rounds {
            let later = Later::new();
            ask.send((later.clone(), n)).unwrap();
            assert_eq!(block_on(later.get()), n);
        }
        drop(ask);
        thread.join().unwrap();
    });
}

#[test]
fn wakers_come_from_other_greenlets() {
    run(|| {
        let later = Later::new();
        let theirs = later.clone();
        let sets = spawn(move || {
            settle();
            theirs.set(7);
        });
        assert_eq!(block_on(later.get()), 7);
        sets.join().unwrap();
    });
}

#[test]
fn a_wake_for_nothing_is_not_a_look() {
    run(|| {
        let (later, polls) = (Later::new(), Rc::new(Cell::new(0)));
        let (theirs, count) = (later.clone(), polls.clone());
        let waits = spawn_future(async move {
            let mut get = pin!(theirs.get());
            poll_fn(move |context| {
                count.set(count.get() + 1);
                get.as_mut().poll(context)
            })
            .await
        });
        settle();
        let _woken = waits.thread();
        settle();
        assert_eq!(polls.get(), 1);
        later.set(7);
        assert_eq!((waits.join().unwrap(), polls.get()), (7, 2));
    });
}

#[test]
fn wakers_outlive_what_they_wake() {
    run(|| {
        let kept = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..3 {
            let kept = kept.clone();
            block_on(poll_fn(move |context| {
                kept.borrow_mut().push(context.waker().clone());
                Poll::Ready(())
            }));
        }
        let wakers = kept.take();
        assert!(wakers[0].will_wake(&wakers[0].clone()) && !wakers[0].will_wake(&wakers[1]));
        wakers.iter().for_each(Waker::wake_by_ref);
        let thread = std::thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
        thread.join().unwrap();
        // A whole thread may have gone.
        let thread = std::thread::spawn(|| {
            block_on(poll_fn(|context| Poll::Ready(context.waker().clone())))
        });
        thread.join().unwrap().wake();
        settle();
    });
}

#[test]
fn a_future_is_dropped_by_a_kill_and_by_a_limit() {
    run(|| {
        let drops = Drops::new();
        let before = hub_stats();
        let (first, second) = (drops.token(), drops.token());
        let killed = spawn_future(async move {
            pending::<()>().await;
            drop(first);
        });
        settle();
        end(killed);
        assert_eq!(drops.count(), 1);
        let late = timeout(MS, || {
            block_on(async move {
                pending::<()>().await;
                drop(second);
            })
        });
        assert_eq!((late, drops.count()), (Err(Elapsed), 2));
        let never = spawn_future({
            let token = drops.token();
            async move { drop(token) }
        });
        assert!(never.start_kill());
        assert_eq!(drops.count(), 3);
        assert_eq!(hub_stats(), before);
        yield_now();
    });
}

#[test]
fn in_time_or_too_late() {
    run(|| {
        for _ in 0..3 {
            let later = Later::new();
            let theirs = later.clone();
            let waits = spawn(move || timeout(MS, || block_on(theirs.get())));
            settle();
            std::thread::sleep(2 * MS);
            later.set(7);
            if let Ok(value) = waits.join().unwrap() {
                assert_eq!(value, 7);
            }
        }
        assert_eq!(timeout(Duration::MAX, || block_on(looks(3))), Ok(3));
    });
}

#[test]
fn a_future_may_wait_as_greenlets_do() {
    run(|| {
        let sum = block_on(async {
            sleep(MS);
            let inner = block_on(looks(2));
            inner + looks(1).await
        });
        assert_eq!(sum, 3);
        let name = String::from("borrowed");
        scope(|s| {
            s.spawn(|| assert_eq!(block_on(async { name.len() }), 8));
        });
    });
}

#[test]
fn a_panic_of_the_future_comes_out() {
    run(|| {
        assert_eq!(
            complaint(|| block_on(async { panic!("planted") })),
            "planted"
        );
        let died = spawn_future(async { raise("planted") });
        let outcome: std::thread::Result<()> = died.join();
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "planted");
    });
}

#[test]
fn greenlets_are_futures() {
    run(|| {
        let done = spawn(|| 1);
        settle();
        let later = spawn(|| {
            sleep(MS);
            2
        });
        let died = spawn(|| raise("planted"));
        let killed = spawn(|| sleep(LONG));
        killed.start_kill();
        block_on(async {
            assert_eq!(done.await.unwrap(), 1);
            assert_eq!(later.await.unwrap(), 2);
            let died: std::thread::Result<()> = died.await;
            assert_eq!(*died.unwrap_err().downcast::<&str>().unwrap(), "planted");
            assert!(killed.await.unwrap_err().is::<GreenletExit>());
        });
        yield_now();
    });
}

#[test]
fn several_at_once() {
    run(|| {
        let work = |n: u32| {
            spawn(move || {
                sleep(n * MS);
                n
            })
        };
        let later = Later::new();
        let theirs = later.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(MS);
            theirs.set(9);
        });
        let (one, (two, nine)) = block_on(both(
            work(2).into_future(),
            both(work(1).into_future(), later.get()),
        ));
        assert_eq!((one.unwrap(), two.unwrap(), nine), (2, 1, 9));
        thread.join().unwrap();
        settle();
    });
}

#[test]
fn a_joined_future_that_is_dropped_leaves_it_running() {
    run(|| {
        let done = Rc::new(Cell::new(false));
        let theirs = done.clone();
        let handle = spawn(move || {
            sleep(2 * MS);
            theirs.set(true);
        });
        let mut joined = handle.into_future();
        let none = block_on(poll_fn(|context| {
            Poll::Ready(Pin::new(&mut joined).poll(context).is_pending())
        }));
        assert!(none);
        drop(joined);
        while !done.get() {
            sleep(MS);
        }
        sleep(MS); // for the small greenlet that has joined it
    });
}

/// A waker that panics, on the thread where it is called.
struct Panics(AtomicUsize);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("planted in a waker");
    }
}

#[test]
fn a_waker_that_panics_is_reported_and_the_hub_runs_on() {
    run(|| {
        let panics = Arc::new(Panics(AtomicUsize::new(0)));
        let waker = Waker::from(panics.clone());
        let mut joined = spawn(|| {
            yield_now();
            7
        })
        .into_future();
        let poll = Pin::new(&mut joined).poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        settle();
        assert_eq!(panics.0.load(Ordering::SeqCst), 1);
        assert_eq!(block_on(joined).unwrap(), 7);
    });
}

/// An executor of somebody else that runs within a greenlet.
#[test]
fn an_executor_of_others_awaits_greenlets() {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    run(|| {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        let mut task = Box::pin(async { spawn(|| sleep(MS)).await.is_ok() && looks(2).await == 2 });
        let ended = loop {
            while !flag.0.swap(false, Ordering::SeqCst) {
                yield_now();
            }
            let mut context = Context::from_waker(&waker);
            if let Poll::Ready(ended) = task.as_mut().poll(&mut context) {
                break ended;
            }
        };
        assert!(ended);
        settle();
    });
}
