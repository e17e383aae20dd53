//! Bigfile at the limit: the log is mapped, not copied, and all cores look for the ends of lines and for spaces with
//! vector instructions (`memchr`), in parts that `rayon` hands out.
//!
//! Then the same memory is only added up, a word at a time, which is as fast as it can be had at all: how close does
//! the search come? A log that others shorten meanwhile ends this program, which says so.
//!
//! Run: `cargo run --release --example bigfile_limit -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_limit: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! bandwidth: <n> GB/s
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::ops::Add;
use std::process::ExitCode;
use std::time::Instant;

use rayon::prelude::*;
use talk_parts::cache::Map;
use talk_parts::search::{self, Job};
use talk_parts::weblog::Found;

/// So large a part that handing it out costs nothing.
const PART: u64 = 4 << 20;

fn main() -> ExitCode {
    search::run_and("bigfile_limit", limit, bandwidth)
}

fn limit(job: &Job) -> io::Result<Found> {
    let threads = rayon::ThreadPoolBuilder::new().build_global();
    threads.map_err(io::Error::other)?;
    let log = Map::new(job)?;
    let search = |part: (u64, u64)| {
        job.bar.inc(part.1 - part.0);
        log.search(part, job.user())
    };
    let parts: Vec<_> = job.parts(PART).collect();
    let all = parts.into_par_iter().map(search);
    Ok(all.reduce(Found::default, Found::add))
}

/// How fast all cores together add up the same memory.
fn bandwidth(job: &Job) -> io::Result<Vec<(&'static str, f64)>> {
    let log = Map::new(job)?.0;
    let clock = Instant::now();
    let add = |part: &[u8]| {
        let words = part.as_chunks::<8>().0.iter();
        words.fold(0, |sum: u64, word| {
            sum.wrapping_add(u64::from_ne_bytes(*word))
        })
    };
    let sums = log.par_chunks(PART as usize).map(add);
    std::hint::black_box(sums.reduce(|| 0, u64::wrapping_add));
    let seconds = clock.elapsed().as_secs_f64();
    Ok(vec![("bandwidth", job.size as f64 / seconds / 1e9)])
}
