//! What does an event cost? libev's benchmark.
//!
//! N socket pairs, of which each reads a byte and sends one on to the next, with 100 bytes on their way: the time from
//! the first byte to the last, for each event; the median of 25 iterations over the same pairs, as many as that
//! benchmark makes. The yardstick is epoll with nothing in between.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::external::{self, Child, output, place, source, tool};
use crate::rounds::{self, Contender, Question};

/// What the command line can say.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    common: rounds::Options,
    /// A time limit for each read.
    #[arg(long)]
    timeouts: bool,
    /// Measure a whole iteration for each pair (watchers set, events, watchers taken back), not an event.
    #[arg(long)]
    total: bool,
    /// The program of ours: the example `event_bench`.
    #[arg(long, value_name = "PROGRAM")]
    ours: Option<PathBuf>,
}

/// The loops of `events.c`: the name, the macro, the library.
const LOOPS: [(&str, &str, Option<&str>); 3] = [
    ("raw epoll", "LOOP_EPOLL", None),
    ("libev", "LOOP_LIBEV", Some("-lev")),
    ("libevent", "LOOP_LIBEVENT", Some("-levent")),
];

const ACTIVE: usize = 100;

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let pairs: &[usize] = if options.common.quick {
        &[100, 1000]
    } else {
        &[100, 1000, 5000, 9000]
    };
    let columns: Vec<String> = pairs.iter().map(|pairs| format!("{pairs} pairs")).collect();
    let question = Question {
        title: match options.total {
            true => "What does an iteration cost? (ns of CPU time for each pair)",
            false => "What does an event cost? (ns of CPU time)",
        },
        columns: &columns,
        how: "what waits for events",
    };
    let (what, limits) = (
        if options.total { "total" } else { "event" },
        i32::from(options.timeouts),
    );
    let mut contenders: Vec<Contender> = LOOPS
        .iter()
        .map(|&(name, define, library)| {
            let prepare = move || build(name, define, library);
            external::contender(name, "callbacks", prepare, move |child, column| {
                child.figure(&[&what, &pairs[column], &ACTIVE, &limits])
            })
        })
        .collect();
    if let Some(program) = &options.ours {
        let (program, timeouts) = (program.clone(), options.timeouts);
        let prepare = move || Ok(Child::without_version(program, vec![]));
        contenders.push(external::contender(
            "greenlet (ours)",
            "a greenlet for each pair, which reads and writes",
            prepare,
            move |child, column| ours(child, pairs[column], timeouts, what == "total"),
        ));
    }
    rounds::answer(&question, contenders, &options.common)
}

fn build(name: &str, define: &str, library: Option<&str>) -> Result<Child> {
    let program = place(&format!("events-{}", name.replace(' ', "-")))?;
    let mut compiler = tool("CC", "cc");
    compiler
        .args(["-O2", "-D"])
        .arg(define)
        .arg("-o")
        .arg(&program);
    compiler.arg(source("events.c")).args(library);
    output(&mut compiler)?;
    Child::new(program, vec![])
}

/// The example prints a line of JSON.
fn ours(child: &Child, pairs: usize, timeouts: bool, total: bool) -> Result<f64> {
    let mut command = std::process::Command::new(&child.program);
    command.args(["--json", "--pairs", &pairs.to_string()]);
    if timeouts {
        command.arg("--timeouts");
    }
    let line: serde_json::Value = serde_json::from_str(&output(&mut command)?)?;
    let key = if total { "total" } else { "value" };
    let figure = line[key]
        .as_f64()
        .with_context(|| format!("no {key} in {line}"))?;
    Ok(if total {
        figure * 1e6 / pairs as f64
    } else {
        figure
    })
}
