//! A load generator for echo servers: many connections, one request at a time on each, and how long the answers took.
//!
//! Run: `cargo run --release --example echo_client -- --connect 127.0.0.1:7777 --connections 64 --requests 100000`
//!
//! The times are those that half, 99 % and 99.9 % of the answers did not exceed. Every answer is compared with its
//! request.
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! <n> requests in <n>: <n>/s
//! p50 <n>, p99 <n>, p999 <n>
//! ```

mod load;
#[path = "../talk_parts/report.rs"]
#[allow(dead_code)] // each program uses a part of it
mod report;

use std::cell::Cell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use load::Load;

/// Sends requests to an echo server, and measures the answers.
#[derive(Parser)]
struct Arguments {
    /// The server.
    #[arg(long, default_value = "127.0.0.1:7777")]
    connect: SocketAddr,
    /// How many connections.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// How many requests altogether.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
    /// Bytes in a request.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    size: u64,
    /// How long an answer may take, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let server = arguments.connect;
    let outcome = run(&arguments).map_err(|error| format!("{server}: {error}"));
    report::ended("echo_client", outcome)
}

fn run(arguments: &Arguments) -> io::Result<()> {
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
    tell(times?.concat(), took)
}

fn tell(mut times: Vec<Duration>, took: Duration) -> io::Result<()> {
    times.sort_unstable();
    let at = |part: f64| match times.len() {
        0 => Duration::ZERO,
        count => times[((count as f64 * part) as usize).min(count - 1)],
    };
    let rate = times.len() as f64 / took.as_secs_f64();
    let [half, p99, p999] = [0.5, 0.99, 0.999].map(at);
    let what = format!("{} requests in {took:.2?}: {rate:.0}/s", times.len());
    let times = format!("p50 {half:.1?}, p99 {p99:.1?}, p999 {p999:.1?}");
    writeln!(io::stdout(), "{what}\n{times}")
}
