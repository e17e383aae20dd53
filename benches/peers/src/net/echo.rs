//! What does an echo request cost a server?
//!
//! A request is 64 bytes, which the server sends back. One, 64, 512 or 4096 connections have a
//! request in flight each; or 64 have, and 10,000 more are open and silent; or 64 have, and every
//! request has a connection of its own, which is opened and closed for it. Every figure comes from
//! a server that was started for it, has been warmed up, and is read at both ends of a window in
//! which the requests never stop.
//!
//! With `--syscalls`, the system calls of a request are counted instead. That window begins and
//! ends with a server at rest, so its counts are exact, and one round is enough.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Error, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::load::{Load, Shape};
use super::server::Program;
use super::syscalls::{self, Counts};
use super::{Candidate, Inside, become_client};
use crate::peers::raw::{self, Reading};
use crate::peers::{examples, go, may, python, tokio};
use crate::rounds::{self, Contender, Question};

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    common: rounds::Options,
    /// The crate's `echo_server` example, built beforehand.
    #[arg(long, value_name = "PATH")]
    ours: Option<PathBuf>,
    /// Count system calls instead of CPU time.
    #[arg(long)]
    syscalls: bool,
}

pub(super) const INSIDE: &[Inside] = &[
    Inside {
        name: "raw-et",
        how: "the yardstick: `epoll`, edge-triggered, one ADD for a socket's life, reads until EAGAIN",
        serve: || raw::echo(Reading::UntilEagain),
    },
    Inside {
        name: "raw-short",
        how: "the same, but a short read is the last one, unless the peer has hung up",
        serve: || raw::echo(Reading::UntilShort),
    },
    Inside {
        name: "tokio",
        how: "a task for each connection, current_thread runtime",
        serve: tokio::echo,
    },
    Inside {
        name: "may",
        how: "a coroutine for each connection, one worker",
        serve: may::echo,
    },
];

struct Column {
    name: &'static str,
    shape: Shape,
}

const COLUMNS: [Column; 6] = [
    column("1 connection", 1, 0),
    column("64 connections", 64, 0),
    column("512 connections", 512, 0),
    column("4096 connections", 4096, 0),
    column("64 and 10,000 idle", 64, 10_000),
    CHURN,
];

const CHURN: Column = Column {
    name: "connect, echo, close",
    shape: Shape {
        active: 64,
        idle: 0,
        churn: true,
    },
};

const fn column(name: &'static str, active: usize, idle: usize) -> Column {
    let churn = false;
    let shape = Shape {
        active,
        idle,
        churn,
    };
    Column { name, shape }
}

/// Measures all servers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let candidates = candidates(options);
    let core = become_client().measured;
    let windows = Windows::new(options.common.quick);
    if options.syscalls {
        return answer_syscalls(candidates, core, windows, options);
    }
    let columns = COLUMNS.map(|column| column.name.to_owned());
    let question = Question {
        title: "What does an echo request cost a server? (ns of CPU time per request)",
        columns: &columns,
        how: "how a server goes about it",
    };
    let contender = |candidate: Candidate| match candidate.program {
        Ok(program) => Contender::new(candidate.name, candidate.how, move |column| {
            cpu_ns(&program, COLUMNS[column].shape, core, windows).map(Some)
        }),
        Err(reason) => Contender::missing(candidate.name, candidate.how, reason),
    };
    let contenders = candidates.into_iter().map(contender).collect();
    rounds::answer(&question, contenders, &options.common)
}

/// All servers, the yardstick first.
fn candidates(options: &Options) -> Vec<Candidate> {
    let inside = INSIDE
        .iter()
        .map(|server| Candidate::inside("echo", server));
    let mut candidates: Vec<_> = inside.collect();
    candidates.push(Candidate::outside(
        "Go",
        "a goroutine for each connection, GOMAXPROCS=1",
        go::echo,
    ));
    candidates.push(Candidate::outside(
        "gevent",
        "a greenlet for each connection, `StreamServer`",
        python::echo,
    ));
    candidates.push(Candidate::outside(
        "greenlet (ours)",
        "a greenlet for each connection",
        || examples::echo(options.ours.as_deref()),
    ));
    candidates
}

/// How long servers are warmed up and measured.
#[derive(Clone, Copy)]
struct Windows {
    warm_up: Duration,
    measured: Duration,
}

impl Windows {
    fn new(quick: bool) -> Windows {
        let (warm_up, measured) = if quick { (20, 100) } else { (300, 1000) };
        Windows {
            warm_up: Duration::from_millis(warm_up),
            measured: Duration::from_millis(measured),
        }
    }
}

/// CPU time of the server per request, in nanoseconds.
fn cpu_ns(program: &Program, shape: Shape, core: usize, windows: Windows) -> Result<f64> {
    let server = program.start(core)?;
    let mut load = Load::connect(server.address, shape)?;
    load.run(windows.warm_up)?;
    let before = server.cpu_ns()?;
    let answers = load.run(windows.measured)?;
    let spent = server.cpu_ns()? - before;
    ensure!(answers > 0, "no answers");
    Ok(spent as f64 / answers as f64)
}

/// Columns of which the system calls are counted.
const COUNTED: [usize; 3] = [0, 1, 5];

/// Counts the system calls of all servers and prints the table.
fn answer_syscalls(
    candidates: Vec<Candidate>,
    core: usize,
    windows: Windows,
    options: &Options,
) -> Result<()> {
    let title = "Which system calls does an echo request cost a server? (calls per request)";
    println!("{title}\n");
    let mut peers = vec![];
    let mut missing: Vec<(&str, Error)> = vec![];
    for Candidate { name, program, .. } in candidates {
        let cells = program.and_then(|program| calls(name, &program, core, windows));
        match cells {
            Ok(cells) => peers.push(json!({"name": name, "cells": cells})),
            Err(reason) => missing.push((name, reason)),
        }
    }
    println!("\nmissing:");
    for (name, reason) in &missing {
        println!("  {name:<16} {reason:#}");
    }
    if missing.is_empty() {
        println!("  none");
    }
    let missing = missing
        .iter()
        .map(|(name, reason)| json!({"name": name, "reason": format!("{reason:#}")}));
    options.common.save(&json!({
        "question": title,
        "peers": peers,
        "missing": missing.collect::<Vec<_>>(),
    }))
}

/// Counts one server's calls in every column that counts, and prints a line for each.
fn calls(name: &str, program: &Program, core: usize, windows: Windows) -> Result<Vec<Value>> {
    let mut cells = vec![];
    for column in COUNTED.map(|column| &COLUMNS[column]) {
        let server = program.start(core)?;
        let mut load = Load::connect(server.address, column.shape)?;
        load.run(windows.warm_up)?;
        load.drain()?;
        let counted = syscalls::count(server.id(), || {
            Ok(load.run(windows.measured)? + load.drain()?)
        })?;
        let calls = per_request(&counted.counts, counted.result);
        let total: f64 = calls.iter().map(|(_, calls)| calls).sum();
        let (column, by, text) = (column.name, counted.by, to_text(&calls));
        println!("{name:<16}  {column:<20}  {by:<6}  {total:>5.2}  {text}");
        let calls = calls.into_iter().map(|(name, calls)| (name, calls.into()));
        let calls = Value::Object(calls.collect());
        cells.push(json!({"column": column, "by": by, "total": total, "calls": calls}));
    }
    Ok(cells)
}

/// The calls of one request, the most frequent first.
fn per_request(counts: &Counts, requests: u64) -> Vec<(String, f64)> {
    let calls = |(name, count): (&String, &u64)| (name.clone(), *count as f64 / requests as f64);
    let mut calls: Vec<_> = counts.iter().map(calls).collect();
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    calls
}

/// The calls that show in two digits after the point.
fn to_text(calls: &[(String, f64)]) -> String {
    let calls = calls.iter().filter(|(_, calls)| *calls >= 0.005);
    let calls = calls.map(|(name, calls)| format!("{name} {calls:.2}"));
    calls.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_calls_do_not_show() {
        let counts = Counts::from([
            ("brk".into(), 1),
            ("recv".into(), 2000),
            ("send".into(), 1000),
        ]);
        let calls = per_request(&counts, 1000);
        assert_eq!(to_text(&calls), "recv 2.00, send 1.00");
    }
}
