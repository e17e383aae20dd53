//! 35 URLs, again and again, from a server that takes 20 ms for each: one greenlet for each URL.
//!
//! gevent's first program. The code of one fetch is that of the threads in `futures_urlclient`; here all 35 wait in one
//! thread. A round takes as long as one answer, and little more.
//!
//! Run: `cargo run --release --example urlclient`, with `--keep-alive` to ask over the same connections again, with
//! `--server ADDR:PORT` to ask a `slow_server` that runs already; without it one is started.
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! 35 URLs, 20 ms each, 10 rounds, greenlets:
//! <n> ms a round, <n> µs of CPU for each fetch
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use greenlet::net::TcpStream;
use greenlet::{ScopedJoinHandle, scope, yield_now};
use talk_parts::fetch::{PATIENCE, Task, ask, hear};
use talk_parts::report::ended;
use talk_parts::search::cpu;

/// Fetches URLs, all at once.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    task: Task,
    /// Use each connection for all rounds.
    #[arg(long)]
    keep_alive: bool,
}

fn main() -> ExitCode {
    ended("urlclient", run(&Arguments::parse()))
}

fn run(Arguments { task, keep_alive }: &Arguments) -> Result<(), Box<dyn Error>> {
    let server = task.server()?;
    let address = server.address;
    let mut connections: Vec<Option<TcpStream>> = Vec::new();
    connections.resize_with(task.urls.into(), || None);
    let mut round = || {
        let done = round(address, &mut connections, *keep_alive);
        done.map_err(|error| format!("{address}: {error}"))
    };
    round()?; // what happens the first time only

    let (mut rounds, busy) = (Vec::new(), cpu());
    for _ in 0..task.rounds {
        let begin = Instant::now();
        round()?;
        rounds.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let how = if *keep_alive {
        "greenlets, keep-alive"
    } else {
        "greenlets"
    };
    Ok(task.tell("urlclient", how, rounds, cpu() - busy)?)
}

/// Fetches all URLs, each in a greenlet of its own; the first error, if there is one.
fn round(server: SocketAddr, connections: &mut [Option<TcpStream>], keep: bool) -> io::Result<()> {
    scope(|scope| {
        let fetches: Vec<ScopedJoinHandle<'_, io::Result<()>>> = connections
            .iter_mut()
            .enumerate()
            .map(|(url, connection)| scope.spawn(move || one(server, url, connection, keep)))
            .collect();
        fetches
            .into_iter()
            .try_for_each(|fetch| fetch.join().expect("no panic"))
    })
}

fn one(
    server: SocketAddr,
    url: usize,
    connection: &mut Option<TcpStream>,
    keep: bool,
) -> io::Result<()> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream
        }
    };
    ask(&mut stream, &format!("/{url}"), !keep)?;
    yield_now(); // no answer can be there yet, and others have not asked
    hear(&mut stream)?;
    *connection = keep.then_some(stream);
    Ok(())
}
