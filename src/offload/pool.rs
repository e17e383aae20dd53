//! The worker threads that all hubs share.
//!
//! A worker that finds nothing to do waits; one that has waited for [`IDLE`] ends. Work finds an idle worker,
//! or gets a new one while there are fewer than the bound, or waits in the queue. The count of idle workers
//! and the queue change under one lock: at the rate at which work is worth a thread, that costs nothing, and
//! no wake-up can be lost.
//!
//! The child of a fork has none of the workers, and may have got the lock as somebody else held it. So it makes
//! a pool of its own, and never touches the one of the parent: what is queued there runs in the parent only.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::switch::thread::report;
use crate::sys::fork::{self, Own};
use crate::sys::lock::lock;
use crate::sys::tasks;

/// How long a worker waits for work before it ends.
const IDLE: Duration = Duration::from_secs(5);
/// The most workers, unless [`VARIABLE`] says otherwise.
const WORKERS: usize = 512;
/// The environment variable that bounds the workers.
const VARIABLE: &str = "GREENLET_WORKERS";

pub(super) type Work = Box<dyn FnOnce() + Send>;

struct Pool {
    state: Mutex<State>,
    work_came: Condvar,
    bound: usize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    workers: usize,
    idle: usize,
}

/// What the pool of worker threads has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Worker threads, idle ones included.
    pub workers: usize,
    /// Those that wait for work.
    pub idle: usize,
    /// Work that waits for a worker.
    pub queued: usize,
}

/// What the worker threads of this process do now.
pub fn pool_stats() -> PoolStats {
    let state = pool().lock();
    PoolStats {
        workers: state.workers,
        idle: state.idle,
        queued: state.queue.len(),
    }
}

thread_local!(static IS_WORKER: Cell<bool> = const { Cell::new(false) });

/// Whether this is a worker of a pool: work that waits for other workers could wait for ever.
pub(super) fn is_worker() -> bool {
    IS_WORKER.get()
}

/// Hands work to a worker.
///
/// # Errors
/// If there is no worker and none can be started. The work is dropped.
pub(super) fn submit(work: Work) -> io::Result<()> {
    let pool = pool();
    let mut state = pool.lock();
    state.queue.push_back(work);
    state.tell_who_is_idle();
    if state.idle >= state.queue.len() {
        pool.work_came.notify_one();
        return Ok(());
    }
    if state.workers == pool.bound {
        return Ok(());
    }
    state.workers += 1;
    let started = thread::Builder::new()
        .name("greenlet-worker".into())
        .spawn(|| pool.serve());
    let Err(error) = started else { return Ok(()) };
    state.workers -= 1;
    if state.workers > 0 {
        // The others will come to it.
        return Ok(());
    }
    let refused = state.queue.pop_back();
    drop(state);
    drop(refused);
    Err(error)
}

impl State {
    /// Workers that have nothing to do wake nobody; but one of them may be called already.
    fn tell_who_is_idle(&self) {
        let nothing_waits = self.queue.is_empty();
        tasks::note_idle_workers(if nothing_waits { self.idle } else { 0 });
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What a worker does.
    fn serve(&self) {
        IS_WORKER.set(true);
        let forks = fork::count();
        let mut state = self.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                // What nobody waits for any more is dropped here unrun, and that is code of the user.
                if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
                    report(format_args!("offloaded work panicked"), payload);
                }
                if forks != fork::count() {
                    // The work has forked, and this is the child: the pool stays with the parent.
                    return;
                }
                state = self.lock();
                continue;
            }
            state.idle += 1;
            state.tell_who_is_idle();
            let (woken, waited) = self
                .work_came
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            state.tell_who_is_idle();
            if waited.timed_out() && state.queue.is_empty() {
                state.workers -= 1;
                return;
            }
        }
    }
}

/// The pool of this process.
fn pool() -> &'static Pool {
    static POOL: Own<Pool> = Own::new();
    POOL.or_make(|parents| Pool {
        state: Mutex::default(),
        work_came: Condvar::new(),
        // The lock of the environment may be held for ever, too.
        bound: match parents {
            Some(pool) => pool.bound,
            None => bound(std::env::var(VARIABLE).ok().as_deref()),
        },
    })
}

/// A bound from the environment. One that cannot be used is reported once, and the default stands.
fn bound(text: Option<&str>) -> usize {
    let Some(text) = text else { return WORKERS };
    match text.trim().parse() {
        Ok(bound) if bound > 0 => bound,
        _ => {
            eprintln!("greenlet: {VARIABLE}={text} is ignored: not a number of threads above 0");
            WORKERS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_comes_from_the_environment_if_it_makes_sense() {
        assert_eq!(bound(None), WORKERS);
        assert_eq!(bound(Some(" 4 ")), 4);
        assert_eq!(bound(Some("0")), WORKERS);
        assert_eq!(bound(Some("many")), WORKERS);
    }
}
