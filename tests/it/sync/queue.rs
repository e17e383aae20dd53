//! Queues: gevent's tests of `Queue`, `LifoQueue`, `PriorityQueue` and `JoinableQueue`, in our words.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::sync::queue::{GetError, LifoQueue, Order, PriorityQueue, PutError, Queue};
use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, JoinHandle, scope, spawn, yield_now};

use crate::support::{Drops, complaint, run};
use crate::sync::{MS, end, settle};

/// One who takes an item, and waits by now.
fn gets<T: 'static, S: Order<T> + 'static>(queue: &Rc<Queue<T, S>>) -> JoinHandle<Option<T>> {
    let queue = queue.clone();
    let handle = spawn(move || queue.get());
    settle();
    handle
}

/// One who puts an item, and waits by now.
fn puts<T: 'static, S: Order<T> + 'static>(
    queue: &Rc<Queue<T, S>>,
    item: T,
) -> JoinHandle<Result<(), PutError<T>>> {
    let queue = queue.clone();
    let handle = spawn(move || queue.put(item));
    settle();
    handle
}

fn in_order<S: Order<u32>>(queue: &Queue<u32, S>) -> Vec<u32> {
    [3, 1, 4, 2].into_iter().for_each(|n| queue.put(n).unwrap());
    std::iter::from_fn(|| queue.try_get().ok()).collect()
}

#[test]
fn each_has_its_order() {
    run(|| {
        assert_eq!(in_order(&Queue::unbounded()), [3, 1, 4, 2]);
        assert_eq!(in_order(&LifoQueue::default()), [2, 4, 1, 3]);
        assert_eq!(in_order(&PriorityQueue::with_room(4)), [1, 2, 3, 4]);
    });
}

#[test]
fn room_is_waited_for() {
    run(|| {
        let queue = Rc::new(Queue::bounded(1));
        assert!(queue.is_empty() && !queue.is_full());
        queue.put(1).unwrap();
        assert!(queue.is_full() && queue.len() == 1);
        let error = queue.try_put(2).unwrap_err();
        assert_eq!(error.to_string(), "the queue is full");
        assert_eq!(error.into_inner(), 2);
        let begin = Instant::now();
        assert_eq!(queue.put_timeout(2, 2 * MS), Err(PutError::Full(2)));
        assert!(begin.elapsed() >= 2 * MS);
        let waits = puts(&queue, 2);
        assert_eq!(queue.get(), Some(1));
        waits.join().unwrap().unwrap();
        assert_eq!(queue.get(), Some(2));
        assert!(format!("{queue:?}").contains("len: 0"));
    });
}

#[test]
fn items_are_waited_for() {
    run(|| {
        let queue = Rc::new(Queue::unbounded());
        assert_eq!(queue.try_get(), Err(GetError::Empty));
        let begin = Instant::now();
        assert_eq!(queue.get_timeout(2 * MS), Err(GetError::Empty));
        assert!(begin.elapsed() >= 2 * MS);
        assert_eq!(timeout(MS, || queue.get()), Err(Elapsed));
        let [first, second] = [0, 1].map(|_| gets(&queue));
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert_eq!(
            (first.join().unwrap(), second.join().unwrap()),
            (Some(1), Some(2))
        );
        queue.put(3).unwrap();
        assert_eq!(queue.get_timeout(Duration::MAX), Ok(3));
    });
}

#[test]
fn without_room_an_item_goes_from_one_to_another() {
    run(|| {
        let queue = Rc::new(Queue::bounded(0));
        assert_eq!(queue.try_put(1), Err(PutError::Full(1)));
        let waits = puts(&queue, 1);
        assert!(!waits.is_finished());
        assert_eq!(queue.try_get(), Ok(1));
        waits.join().unwrap().unwrap();
        let waits = gets(&queue);
        assert_eq!(queue.try_put(2), Ok(()));
        assert_eq!(waits.join().unwrap(), Some(2));
    });
}

#[test]
fn a_closed_one_gives_what_it_has_and_takes_no_more() {
    run(|| {
        let queue = Rc::new(Queue::bounded(2));
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        let waits = puts(&queue, 3);
        queue.close();
        queue.close();
        assert!(queue.is_closed());
        assert_eq!(waits.join().unwrap(), Err(PutError::Closed(3)));
        assert_eq!(
            queue.try_put(4).unwrap_err().to_string(),
            "the queue is closed"
        );
        assert_eq!(Vec::from_iter(queue.iter()), [1, 2]);
        assert_eq!(queue.get(), None);
        assert_eq!(queue.get_timeout(MS), Err(GetError::Closed));
        let queue = Rc::new(Queue::<u32>::unbounded());
        let waits = [0, 1].map(|_| gets(&queue));
        queue.close();
        assert_eq!(waits.map(|handle| handle.join().unwrap()), [None, None]);
    });
}

#[test]
fn it_is_joined_when_all_is_done() {
    run(|| {
        let queue = Queue::bounded(3);
        queue.join();
        let done = RefCell::new(Vec::new());
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    while let Some(item) = queue.get() {
                        yield_now();
                        done.borrow_mut().push(item);
                        queue.task_done();
                    }
                });
            }
            (0..20).for_each(|n| queue.put(n).unwrap());
            assert!(queue.unfinished() > 0);
            queue.join();
            assert_eq!((done.borrow().len(), queue.unfinished()), (20, 0));
            queue.close();
        });
        let words = complaint(|| queue.task_done());
        assert!(words.contains("more often than items were put"), "{words}");
    });
}

#[test]
fn joining_has_a_limit() {
    run(|| {
        let queue = Rc::new(Queue::unbounded());
        queue.put(1).unwrap();
        assert!(!queue.join_timeout(MS));
        assert_eq!(timeout(MS, || queue.join()), Err(Elapsed));
        let joins = spawn({
            let queue = queue.clone();
            move || queue.join_timeout(Duration::MAX)
        });
        settle();
        queue.get();
        assert!(!joins.is_finished());
        queue.task_done();
        assert!(joins.join().unwrap());
    });
}

/// One that is called and killed calls nobody who has come since.
#[test]
fn a_killed_joiner_wakes_nobody_who_waits_for_more() {
    run(|| {
        let queue = Rc::new(Queue::unbounded());
        queue.put(1).unwrap();
        let killed = spawn({
            let queue = queue.clone();
            move || queue.join()
        });
        settle();
        queue.task_done();
        queue.put(2).unwrap();
        assert!(killed.start_kill());
        assert!(!queue.join_timeout(5 * MS), "there is more to do");
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
    });
}

#[test]
fn killed_ones_lose_nothing() {
    run(|| {
        let queue = Rc::new(Queue::bounded(1));
        let [gone, told, next] = [0, 1, 2].map(|_| gets(&queue));
        end(gone);
        queue.put(1).unwrap();
        end(told);
        assert_eq!(next.join().unwrap(), Some(1));
        let drops = Drops::new();
        let queue = Rc::new(Queue::bounded(1));
        assert!(queue.put(drops.token()).is_ok());
        let [gone, next] = [0, 1].map(|_| puts(&queue, drops.token()));
        end(gone);
        assert_eq!(drops.count(), 1);
        drop(queue.get());
        assert!(next.join().unwrap().is_ok());
        assert_eq!((drops.count(), queue.len(), queue.unfinished()), (2, 1, 2));
        drop(queue);
        assert_eq!(drops.count(), 3);
    });
}

#[test]
fn items_that_wait_outside_come_in_by_their_order() {
    run(|| {
        let queue = Rc::new(PriorityQueue::with_room(1));
        queue.put(5).unwrap();
        let waits = [3, 7].map(|n| puts(&queue, n));
        assert_eq!(
            [queue.get(), queue.get(), queue.get()],
            [Some(3), Some(5), Some(7)]
        );
        waits
            .into_iter()
            .for_each(|handle| handle.join().unwrap().unwrap());
        assert_eq!(queue.unfinished(), 3);
    });
}
