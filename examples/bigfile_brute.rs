//! Bigfile, the plain way: reads lines, splits them, compares. The yardstick of the others.
//!
//! Run: `cargo run --release --example bigfile_brute -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_brute: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::process::ExitCode;

use talk_parts::search::{self, Job};
use talk_parts::weblog::Found;

fn main() -> ExitCode {
    search::run("bigfile_brute", brute)
}

fn brute(job: &Job) -> io::Result<Found> {
    let mut found = Found::default();
    search::each_line(job, |line| found.count(line, user(line), job.user()))?;
    Ok(found)
}

/// The third field, if the line is a record: fields are not empty, a date follows, and a quote ends it.
fn user(line: &[u8]) -> Option<&[u8]> {
    let mut fields = line.split(|&byte| byte == b' ');
    let (host, ident) = (fields.next()?, fields.next()?);
    let (user, date) = (fields.next()?, fields.next()?);
    let filled = ![host, ident, user].iter().any(|field| field.is_empty());
    (filled && date.starts_with(b"[") && line.ends_with(b"\"")).then_some(user)
}
