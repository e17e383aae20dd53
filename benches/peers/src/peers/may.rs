//! `may` with one worker thread.
//!
//! A hand-off is a `yield_now` through its scheduler: a yielding coroutine goes to the end of the worker's queue, the first of the queue runs. One
//! hand-off is two stack switches (coroutine to worker, worker to coroutine) and a trip through
//! the queue. The number is shared, as all coroutines run on the one worker; a turn that comes
//! straight back to the same coroutine is no hand-off and does not count.

#[cfg(target_os = "linux")]
use std::io::{Read, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Once};

use anyhow::{Context, Result, anyhow};
use may::coroutine::{self, JoinHandle};

use super::STACK;
use crate::clock::{Meter, thread_cpu_ns, warm_up};

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
    let parent = start({
        let shared = shared.clone();
        move || {
            let seats = (0..ring).map(|me| start(seat(shared.clone(), me)));
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

pub fn yield_(tasks: usize, count: u64) -> Result<f64> {
    let turns = count / tasks as u64;
    on_worker(count, move || {
        let tasks =
            (0..tasks).map(|_| start(move || (0..turns).for_each(|_| coroutine::yield_now())));
        tasks
            .collect::<Vec<_>>()
            .into_iter()
            .all(|task| task.join().is_ok())
    })
}

pub fn spawn(at_once: usize, count: u64) -> Result<f64> {
    on_worker(count, move || {
        let mut tasks = Vec::with_capacity(at_once);
        (0..count / at_once as u64).all(|_| {
            tasks.extend((0..at_once).map(|_| start(|| ())));
            tasks.drain(..).all(|task| task.join().is_ok())
        })
    })
}

/// What each of `count` things costs that `run` does in a coroutine; it returns false on failure.
fn on_worker(count: u64, run: impl FnOnce() -> bool + Send + 'static) -> Result<f64> {
    configure();
    let parent = start(move || {
        let meter = Meter::start();
        run().then(|| meter.cost_of_each(count).cpu)
    });
    let cost = parent.join().ok().flatten();
    cost.context("a coroutine panicked")
}

#[cfg(target_os = "linux")]
pub fn echo() -> Result<()> {
    configure();
    let listener = may::net::TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    let serve = start(move || -> Result<()> {
        loop {
            let (stream, _) = listener.accept()?;
            // A connection that breaks is no concern of the others.
            start(move || echo_back(stream));
        }
    });
    serve.join().map_err(|_| anyhow!("the server panicked"))?
}

#[cfg(target_os = "linux")]
fn echo_back(mut stream: may::net::TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

/// `may_minihttp`. It does not tell its port, so it gets one that was free a moment ago.
#[cfg(target_os = "linux")]
pub fn http() -> Result<()> {
    configure();
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let server = may_minihttp::HttpServer(Greeter).start(address)?;
    println!("listening on {address}");
    server.join().map_err(|_| anyhow!("the server panicked"))
}

#[cfg(target_os = "linux")]
#[derive(Clone)]
struct Greeter;

#[cfg(target_os = "linux")]
impl may_minihttp::HttpService for Greeter {
    fn call(
        &mut self,
        _: may_minihttp::Request,
        answer: &mut may_minihttp::Response,
    ) -> std::io::Result<()> {
        answer.body("Hello, World!");
        Ok(())
    }
}

fn start<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
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
