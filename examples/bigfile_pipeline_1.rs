//! Bigfile as a pipeline of generators, hooked up like `cat big.log | grep jim | wc`.
//!
//! Each stage pulls from the one before it. A line is a place in a block that was read: none is copied. What a stage
//! costs is a switch to it and back, some nanoseconds.
//!
//! Run: `cargo run --release --example bigfile_pipeline_1 -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_pipeline_1: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::cell::Cell;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use greenlet::Generator;
use talk_parts::lines::{self, Text};
use talk_parts::search::{self, Job, Log};
use talk_parts::weblog::{self, Blocks, Found};

/// What runs through the pipes.
type Lines = Generator<io::Result<Text>>;

fn main() -> ExitCode {
    search::run("bigfile_pipeline_1", pipeline)
}

fn pipeline(job: &Job) -> io::Result<Found> {
    let seen = Rc::new(Cell::new((0, 0)));
    let mut found = Found::default();
    for record in grep(&job.arguments.user, cat(job.blocks()?), seen.clone()) {
        found.records += 1;
        found.bytes += record?.len() as u64;
    }
    (found.lines, found.broken) = seen.get();
    Ok(found)
}

fn cat(log: Blocks<Log>) -> Lines {
    Generator::new(|y| {
        let outcome = lines::each(log, |line| y.yield_(Ok(line)));
        if let Err(error) = outcome {
            y.yield_(Err(error));
        }
    })
}

/// Lets through the records of one user; how many lines it has seen, and how many were broken, is in `seen`.
fn grep(user: &str, lines: Lines, seen: Rc<Cell<(u64, u64)>>) -> Lines {
    let wanted = user.to_owned();
    Generator::new(move |y| {
        for line in lines {
            let user = line.as_ref().map(|line| weblog::user(line));
            let (count, broken) = seen.get();
            let is_broken = matches!(user, Ok(None));
            seen.set((count + 1, broken + u64::from(is_broken)));
            if user.is_ok_and(|user| user != Some(wanted.as_bytes())) {
                continue;
            }
            y.yield_(line);
        }
    })
}
