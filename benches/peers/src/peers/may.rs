//! `may` with one worker thread: a ring of `yield_now` through its scheduler.
//!
//! A yielding coroutine goes to the end of the worker's queue, the first of the queue runs. One
//! hand-off is two stack switches (coroutine to worker, worker to coroutine) and a trip through
//! the queue. The number is shared, as all coroutines run on the one worker; a turn that comes
//! straight back to the same coroutine is no hand-off and does not count.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use anyhow::{Result, anyhow};
use may::coroutine::{self, JoinHandle};

use super::STACK;
use crate::clock::{thread_cpu_ns, warm_up};

struct Ring {
    number: AtomicU64,
    holder: AtomicUsize,
    warm: u64,
    limit: u64,
    start: AtomicU64,
    end: AtomicU64,
}

pub fn handoff(ring: usize, count: u64) -> Result<Option<f64>> {
    configure();
    let warm = warm_up(ring, count);
    let shared = Arc::new(Ring {
        number: AtomicU64::new(0),
        holder: AtomicUsize::new(usize::MAX),
        warm,
        limit: warm + count,
        start: AtomicU64::new(0),
        end: AtomicU64::new(0),
    });
    // Born on the worker itself, the coroutines are all in its queue before the first one runs.
    let parent = spawn({
        let shared = shared.clone();
        move || {
            let seats = (0..ring).map(|me| spawn(seat(shared.clone(), me)));
            seats.collect::<Vec<_>>()
        }
    });
    for seat in parent.join().map_err(|_| anyhow!("the parent panicked"))? {
        seat.join().map_err(|_| anyhow!("a coroutine panicked"))?;
    }
    let spent = shared.end.load(Relaxed) - shared.start.load(Relaxed);
    Ok(Some(spent as f64 / count as f64))
}

fn seat(ring: Arc<Ring>, me: usize) -> impl FnOnce() + Send + 'static {
    move || {
        while ring.number.load(Relaxed) < ring.limit {
            ring.arrive(me);
            coroutine::yield_now();
        }
    }
}

impl Ring {
    fn arrive(&self, me: usize) {
        if self.holder.load(Relaxed) == me {
            return;
        }
        self.holder.store(me, Relaxed);
        let number = self.number.load(Relaxed) + 1;
        self.number.store(number, Relaxed);
        if number == self.warm {
            self.start.store(thread_cpu_ns(), Relaxed);
        } else if number == self.limit {
            self.end.store(thread_cpu_ns(), Relaxed);
        }
    }
}

fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: the coroutines use no thread-local storage, and none of them needs more stack than
    // they are given.
    unsafe { coroutine::spawn(run) }
}

fn configure() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        may::config()
            .set_workers(1)
            .set_stack_size(STACK / size_of::<usize>())
            .set_worker_pin(false);
    });
}
