//! Readiness: a fan-in of many descriptors into one reader, written four ways, and why O(n) hurts.
//!
//! `select` and `poll` are told all descriptors in each call, and look at each of them: with ten thousand of which a
//! hundred are active, nearly all of the time goes into those that have nothing. `epoll` is told them once, and
//! answers with those that are ready. Greenlets are that `epoll` with one plain loop for each descriptor. The
//! descriptors are eventfds; `select` cannot go beyond `FD_SETSIZE`. A round is a write to each of the active
//! ones, and then their reading, whose system calls are counted.
//!
//! Run: `cargo run --release --example readiness -- --svg readiness.svg`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! way         descriptors  active  lines of code  system calls  reading  a round
//! select               10      10             <n>           <n>      <n>      <n>
//! poll                 10      10             <n>           <n>      <n>      <n>
//! epoll                10      10             <n>           <n>      <n>      <n>
//! greenlets            10      10             <n>           <n>      <n>      <n>
//! select            1000     100             <n>           <n>      <n>      <n>
//! poll              1000     100             <n>           <n>      <n>      <n>
//! epoll             1000     100             <n>           <n>      <n>      <n>
//! greenlets         1000     100             <n>           <n>      <n>      <n>
//! poll             10000     100             <n>           <n>      <n>      <n>
//! epoll            10000     100             <n>           <n>      <n>      <n>
//! greenlets        10000     100             <n>           <n>      <n>      <n>
//! select stops at 1024 descriptors, FD_SETSIZE: 10000 left out
//! ```

mod epoll;
mod fan;
mod greenlets;
mod poll;
mod select;
mod show;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use fan::{Fan, Rounds};
use talk_parts::report::{self, Line, Output};

/// Measures four ways to wait for many descriptors.
#[derive(Parser)]
struct Arguments {
    /// How many descriptors, separated by commas.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1000, 10_000], value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    descriptors: Vec<u64>,
    /// How many of them have something in each round.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    active: u64,
    /// Rounds for each measurement.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    #[command(flatten)]
    output: Output,
}

/// So often each way has its turn.
const TURNS: u64 = 5;

type Way = fn(&Fan, &mut Rounds) -> io::Result<()>;

const WAYS: [(&str, Way, &str); 4] = [
    ("select", select::collect, include_str!("select.rs")),
    ("poll", poll::collect, include_str!("poll.rs")),
    ("epoll", epoll::collect, include_str!("epoll.rs")),
    (
        "greenlets",
        greenlets::collect,
        include_str!("greenlets.rs"),
    ),
];

fn main() -> ExitCode {
    report::ended("readiness", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let (mut lines, mut left_out) = (vec![], vec![]);
    let measured = arguments
        .descriptors
        .iter()
        .try_for_each(|&descriptors| measure(arguments, descriptors, &mut lines, &mut left_out));
    // What was measured before something went wrong is not lost.
    if !lines.is_empty() {
        show::results(&lines, &left_out.join(", "), &arguments.output)?;
    }
    Ok(measured?)
}

fn measure(
    arguments: &Arguments,
    descriptors: u64,
    lines: &mut Vec<Line>,
    left_out: &mut Vec<String>,
) -> io::Result<()> {
    let fan = Fan::new(descriptors as usize, arguments.active as usize)?;
    let ways = WAYS
        .iter()
        .filter(|way| way.0 != "select" || select::can(&fan));
    let mut ways: Vec<_> = ways.map(|way| (way, Rounds::default())).collect();
    if ways.len() < WAYS.len() {
        left_out.push(descriptors.to_string());
    }
    // In turn, so that what disturbs one disturbs all.
    for _ in 0..TURNS {
        for ((_, collect, _), rounds) in &mut ways {
            rounds.plan(arguments.rounds.div_ceil(TURNS));
            collect(&fan, rounds)?;
        }
    }
    let line = |(&(way, _, code), rounds)| show::line(way, code, &fan, rounds);
    lines.extend(ways.into_iter().map(line));
    Ok(())
}
