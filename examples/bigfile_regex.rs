//! Bigfile with a regular expression: shorter to write down, and what it takes.
//!
//! Run: `cargo run --release --example bigfile_regex -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_regex: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::process::ExitCode;

use regex::bytes::Regex;
use talk_parts::search::{self, Job};
use talk_parts::weblog::Found;

/// Host, ident, user, and the beginning of a date; anything up to a quote at the end. Bytes, not characters, and at
/// no place two ways to go on, so that one pass finds the user too: with `.*"$` at the end it takes ten times as long.
const RECORD: &str = r#"(?-u)^[^ ]+ [^ ]+ ([^ ]+) \[(?:[^"]*")+$"#;

fn main() -> ExitCode {
    search::run("bigfile_regex", matching)
}

fn matching(job: &Job) -> io::Result<Found> {
    let record = Regex::new(RECORD).expect("a good expression");
    let mut places = record.capture_locations();
    let mut found = Found::default();
    search::each_line(job, |line| {
        let is_record = record.captures_read(&mut places, line).is_some();
        let user = places.get(1).filter(|_| is_record);
        found.count(line, user.map(|(begin, end)| &line[begin..end]), job.user());
    })?;
    Ok(found)
}
