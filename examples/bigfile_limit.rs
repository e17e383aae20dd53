//! Bigfile at the limit: the log is mapped, not copied, and all cores look for the ends of lines and for spaces with
//! vector instructions (`memchr`), in parts that `rayon` hands out.
//!
//! Then the same memory is only added up, a word at a time, which is as fast as it can be had at all: how close does
//! the search come? A log that others shorten meanwhile ends this program with a `SIGBUS`.
//!
//! Run: `cargo run --release --example bigfile_limit -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_limit: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! memory: <n> GB/s
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use memchr::memchr;
use memmap2::Mmap;
use rayon::prelude::*;
use talk_parts::search::{self, Job};
use talk_parts::weblog::Found;

/// So large a part that handing it out costs nothing.
const PART: u64 = 4 << 20;

fn main() -> ExitCode {
    search::run_and("bigfile_limit", limit, memory)
}

fn limit(job: &Job) -> io::Result<Found> {
    let log = map(job)?;
    let search = |part: (u64, u64)| {
        let mut found = Found::default();
        found.scan(&log[begin(&log, part.0)..begin(&log, part.1)], job.user());
        job.bar.inc(part.1 - part.0);
        found
    };
    let add = |mut all: Found, found: Found| {
        all += found;
        all
    };
    let parts: Vec<_> = job.parts(PART).collect();
    Ok(parts
        .into_par_iter()
        .map(search)
        .reduce(Found::default, add))
}

fn map(job: &Job) -> io::Result<Mmap> {
    // SAFETY: it is only read; that nobody shortens or changes it meanwhile is up to whoever has the log.
    unsafe { Mmap::map(&job.file) }
}

/// Where the first line begins that begins at a place or behind it.
fn begin(log: &[u8], place: u64) -> usize {
    let Some(before) = (place as usize).checked_sub(1) else {
        return 0;
    };
    memchr(b'\n', &log[before..]).map_or(log.len(), |at| before + at + 1)
}

/// How fast all cores together add up the same memory.
fn memory(job: &Job) -> io::Result<Vec<(&'static str, f64)>> {
    let log = map(job)?;
    let clock = Instant::now();
    let words = |part: &[u8]| {
        let words = part.as_chunks::<8>().0.iter();
        words.fold(0, |sum: u64, word| {
            sum.wrapping_add(u64::from_ne_bytes(*word))
        })
    };
    let sum: u64 = log
        .par_chunks(PART as usize)
        .map(words)
        .reduce(|| 0, u64::wrapping_add);
    std::hint::black_box(sum);
    Ok(vec![(
        "memory",
        job.size as f64 / clock.elapsed().as_secs_f64() / 1e9,
    )])
}
