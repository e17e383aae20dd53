//! A load generator for echo servers: many connections, one request at a time on each, and how long the answers took.
//!
//! Run: `cargo run --release --example echo_client -- --connect 127.0.0.1:7777 --connections 64 --requests 100000`
//!
//! Prints requests per second, and the times that half, 99 % and 99.9 % of the answers did not exceed. Every answer is compared
//! with its request.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Parser;
use greenlet::net::TcpStream;
use indicatif::{ProgressBar, ProgressStyle};

/// Sends requests to an echo server, and measures the answers.
#[derive(Parser)]
struct Arguments {
    /// The server.
    #[arg(long, default_value = "127.0.0.1:7777")]
    connect: SocketAddr,
    /// How many connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    connections: u64,
    /// How many requests altogether.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
    /// Bytes in a request.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    size: u64,
    /// How long an answer may take, in seconds.
    #[arg(long, default_value_t = 30)]
    patience: u64,
}

/// What all connections share. They run in one thread, so plain cells will do.
struct Load {
    left: Cell<u64>,
    size: usize,
    patience: Duration,
    bar: ProgressBar,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let bar = ProgressBar::new(arguments.requests);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}")
        .expect("a good template");
    bar.set_style(style);
    let load = Load {
        left: Cell::new(arguments.requests),
        size: arguments.size as usize,
        patience: Duration::from_secs(arguments.patience),
        bar,
    };
    let begin = Instant::now();
    let outcomes: Vec<io::Result<Vec<Duration>>> = greenlet::scope(|scope| {
        let talk = |number| {
            let load = &load;
            scope.spawn(move || load.talk(arguments.connect, number))
        };
        let connections: Vec<_> = (0..arguments.connections).map(talk).collect();
        let outcome =
            |connection: greenlet::ScopedJoinHandle<_>| connection.join().expect("no panic");
        connections.into_iter().map(outcome).collect()
    });
    let took = begin.elapsed();
    load.bar.finish_and_clear();
    let times: io::Result<Vec<Vec<Duration>>> = outcomes.into_iter().collect();
    report(times?.concat(), took);
    Ok(())
}

impl Load {
    /// Sends requests on one connection while there are some left; how long each answer took.
    fn talk(&self, server: SocketAddr, number: u64) -> io::Result<Vec<Duration>> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience))?;
        let mut request: Vec<u8> = (0..self.size)
            .map(|at| (number as usize + at) as u8)
            .collect();
        let mut answer = vec![0; self.size];
        let mut times = vec![];
        while self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            request[0] = times.len() as u8;
            let begin = Instant::now();
            stream.write_all(&request)?;
            stream.read_exact(&mut answer)?;
            times.push(begin.elapsed());
            if answer != request {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the answer is not the request",
                ));
            }
            self.bar.inc(1);
        }
        Ok(times)
    }
}

fn report(mut times: Vec<Duration>, took: Duration) {
    times.sort_unstable();
    let at = |part: f64| match times.len() {
        0 => Duration::ZERO,
        count => times[((count as f64 * part) as usize).min(count - 1)],
    };
    let rate = times.len() as f64 / took.as_secs_f64();
    println!("{} requests in {took:.2?}: {rate:.0}/s", times.len());
    println!(
        "p50 {:.1?}, p99 {:.1?}, p999 {:.1?}",
        at(0.5),
        at(0.99),
        at(0.999)
    );
}
