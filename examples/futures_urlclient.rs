//! 35 URLs, again and again, from a server that takes 20 ms for each: a pool of threads, and futures.
//!
//! What one does without greenlets: `concurrent.futures` in Python, a pool of threads here. The code of one fetch is
//! that of `urlclient`. With as many threads as URLs a round takes as long as one answer; with fewer, as many answers
//! as each has to fetch.
//!
//! Run: `cargo run --release --example futures_urlclient`, with `--threads 5` to see the difference.
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! 35 URLs, 20 ms each, 10 rounds, 35 threads:
//! <n> ms a round, <n> µs of CPU for each fetch
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use clap::Parser;
use talk_parts::fetch::{PATIENCE, Task, fetch};
use talk_parts::report::ended;
use talk_parts::search::cpu;

/// Fetches URLs by a pool of threads.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    task: Task,
    /// How many threads.
    #[arg(long, default_value_t = 35, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

/// A promise: the URL to fetch, and where the outcome goes.
type Promise = (u16, Sender<io::Result<()>>);

fn main() -> ExitCode {
    ended("futures_urlclient", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let server = arguments.task.server()?;
    let (promises, queue) = channel::<Promise>();
    let (queue, over) = (&Mutex::new(queue), &AtomicBool::new(false));
    thread::scope(|scope| {
        let outcome = (0..arguments.threads)
            .try_for_each(|_| {
                let thread = thread::Builder::new();
                let started = thread.spawn_scoped(scope, || work(server.address, queue, over));
                started
                    .map(drop)
                    .map_err(|error| format!("no thread: {error}").into())
            })
            .and_then(|()| measure(arguments, server.address, &promises));
        over.store(true, Relaxed);
        drop(promises); // the threads go home
        outcome
    })
}

/// Fetches what is asked for, until nobody asks or waits for it any more.
fn work(server: SocketAddr, queue: &Mutex<Receiver<Promise>>, over: &AtomicBool) {
    let next = || queue.lock().ok()?.recv().ok();
    while let Some((url, promise)) = next().filter(|_| !over.load(Relaxed)) {
        let _ = promise.send(one(server, url));
    }
}

fn one(server: SocketAddr, url: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    fetch(&mut stream, &format!("/{url}"), true).map(|_| ())
}

fn measure(
    Arguments { task, threads }: &Arguments,
    server: SocketAddr,
    pool: &Sender<Promise>,
) -> Result<(), Box<dyn Error>> {
    let (mut rounds, busy) = (Vec::new(), cpu());
    for _ in 0..task.rounds {
        let (promise, future) = channel();
        let begin = Instant::now();
        (0..task.urls).try_for_each(|url| pool.send((url, promise.clone())))?;
        let mut outcomes = future.iter().take(task.urls.into());
        outcomes
            .try_for_each(|outcome| outcome)
            .map_err(|error| format!("{server}: {error}"))?;
        rounds.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let how = format!("{threads} threads");
    Ok(task.tell("futures_urlclient", &how, rounds, cpu() - busy)?)
}
