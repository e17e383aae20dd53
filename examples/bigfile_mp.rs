//! Bigfile with processes: this program starts itself once for each core, with a part of the log for each.
//!
//! What they find comes through pipes, as lines of JSON; a greenlet waits for each of them.
//!
//! Run: `cargo run --release --example bigfile_mp -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_mp: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::process::ExitCode;

use greenlet::process::{Command, Stdio};
use talk_parts::report::Line;
use talk_parts::search::{self, Job};
use talk_parts::weblog::Found;

fn main() -> ExitCode {
    search::run("bigfile_mp", |job| match job.arguments.part.as_deref() {
        Some(&[begin, end]) => search::part(&job.file, (begin, end), job.user(), &job.bar),
        _ => processes(job),
    })
}

fn processes(job: &Job) -> io::Result<Found> {
    let parts = job.parts(job.size.div_ceil(search::workers() as u64));
    let mut all = Found::default();
    greenlet::scope(|scope| {
        let processes: Vec<_> = parts
            .map(|part| scope.spawn(move || process(job, part)))
            .collect();
        for process in processes {
            all = all + process.join().expect("no panic")?;
        }
        Ok(all)
    })
}

fn process(job: &Job, (begin, end): (u64, u64)) -> io::Result<Found> {
    let output = Command::new(std::env::current_exe()?)
        .arg("--json")
        .arg(format!("--user={}", job.arguments.user))
        .args(["--part", &begin.to_string(), &end.to_string(), "--"])
        .arg(&job.arguments.file)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        let what = format!(
            "the process for bytes {begin} to {end} ended with {}",
            output.status
        );
        return Err(io::Error::other(what));
    }
    job.bar.inc(end - begin);
    let line = Line::parse(&String::from_utf8_lossy(&output.stdout))?;
    Ok(Found {
        records: line.count("records"),
        bytes: line.count("found"),
        lines: line.count("lines"),
        broken: line.count("broken"),
    })
}
