//! Bigfile as a pipeline of coroutines, which are sent lines: `cat` pushes, `grep` sends on what is the user's, `wc`
//! counts.
//!
//! A generator asks for what is next; a coroutine is told. A line is a place in a block that was read: none is
//! copied, and a million sends a second are hardly to be seen beside the reading.
//!
//! Run: `cargo run --release --example bigfile_pipeline_2 -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_pipeline_2: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use greenlet::Coroutine;
use talk_parts::lines::{self, Text};
use talk_parts::search::{self, Job};
use talk_parts::weblog::{self, Found};

/// Who is sent lines.
type Sink = Coroutine<Text>;

#[derive(Default)]
struct Counts {
    lines: Cell<u64>,
    broken: Cell<u64>,
    records: Cell<u64>,
    bytes: Cell<u64>,
}

fn main() -> ExitCode {
    search::run("bigfile_pipeline_2", pipeline)
}

fn pipeline(job: &Job) -> io::Result<Found> {
    let counts = Rc::new(Counts::default());
    let mut grep = grep(&job.arguments.user, wc(counts.clone()), counts.clone());
    lines::each(job.blocks()?, |line| grep.send(line))?;
    grep.close();
    Ok(Found {
        records: counts.records.get(),
        bytes: counts.bytes.get(),
        lines: counts.lines.get(),
        broken: counts.broken.get(),
    })
}

/// A coroutine that does this with each line, for ever.
fn sink(mut what: impl FnMut(Text) + 'static) -> Sink {
    Coroutine::new(move |y, first| {
        let mut line = first;
        loop {
            what(line);
            line = y.yield_(());
        }
    })
}

/// Sends on the records of one user, and counts all lines, and the broken ones.
fn grep(user: &str, mut to: Sink, counts: Rc<Counts>) -> Sink {
    let wanted = user.to_owned();
    sink(move |line| {
        counts.lines.set(counts.lines.get() + 1);
        match weblog::user(&line) {
            None => counts.broken.set(counts.broken.get() + 1),
            Some(user) if user == wanted.as_bytes() => to.send(line),
            Some(_) => {}
        }
    })
}

fn wc(counts: Rc<Counts>) -> Sink {
    sink(move |record| {
        counts.records.set(counts.records.get() + 1);
        counts.bytes.set(counts.bytes.get() + record.len() as u64);
    })
}
