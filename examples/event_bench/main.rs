//! libev's benchmark, of our hub: many sockets, few of them active. What does an event cost?
//!
//! A greenlet for each of N socket pairs reads a byte and sends one on to the next pair; 100 bytes are on their way at
//! a time. `total` is an iteration in which all greenlets are spawned, wait, and end, each by a byte that says so;
//! `event` is what it takes from the first byte to the last, for each. Both are processor time. With `--timeouts` each
//! read has a limit, which is set and taken back for every event.
//!
//! Run: `cargo run --release --example event_bench`; beside libev and libevent:
//! `cargo run --release --manifest-path benches/peers/Cargo.toml -- events --ours target/release/examples/event_bench`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! pairs      total  event
//! 100 pairs    <n>    <n>
//! 1000 pairs   <n>    <n>
//! 5000 pairs   <n>    <n>
//! 9000 pairs   <n>    <n>
//! ```

mod ring;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use talk_parts::limits;
use talk_parts::report::{Line, Output, ended, median, time};
use talk_parts::show;

/// Measures what an event costs.
#[derive(Parser)]
struct Arguments {
    /// How many socket pairs.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000, 5000, 9000], value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pairs: Vec<u64>,
    /// How many bytes are on their way.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    active: u64,
    /// A time limit for each read.
    #[arg(long)]
    timeouts: bool,
    /// How many iterations, of which the median counts.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rounds: u32,
    #[command(flatten)]
    output: Output,
}

fn main() -> ExitCode {
    ended("event_bench", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut lines: Vec<Line> = Vec::new();
    let measured = arguments.pairs.iter().try_for_each(|&pairs| {
        lines.push(measure(pairs as usize, arguments)?);
        Ok(())
    });
    // What was measured before something went wrong is not lost.
    if !lines.is_empty() {
        show(&lines, arguments)?;
    }
    measured
}

fn show(lines: &[Line], arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let row = |line: &Line| {
        let [total, event] = ["total", "value"].map(|key| time(line.number(key) / 1e9));
        vec![line.text("case").into(), total, event]
    };
    let title = ("Time for each event", "pairs,total,event");
    show::results(lines, &arguments.output, title, row)
}

fn measure(pairs: usize, arguments: &Arguments) -> Result<Line, Box<dyn Error>> {
    let limit = arguments.timeouts.then_some(Duration::from_secs(60));
    let raised = limits::raise(2 * pairs as u64 + 32);
    let ring = raised.and_then(|()| ring::pairs(pairs, limit));
    let ring = ring.map_err(|error| format!("{pairs} socket pairs: {error}"))?;
    let rounds = (0..arguments.rounds).map(|_| ring::iteration(&ring, arguments.active as usize));
    let (total, event): (Vec<f64>, Vec<f64>) = rounds.unzip();
    let line = Line::new(
        "event_bench",
        &format!("{pairs} pairs"),
        median(event) * 1e9,
        "ns",
    );
    Ok(line.with("x", pairs).with("total", median(total) * 1e9))
}
