//! Beyond one machine: the search for a user's records, cut into chunks for workers on any number of machines.
//!
//! Greenlets and threads end where the machine does. From there on an existing engine hands out the work: Redis
//! Streams, whose consumer groups give each chunk to one worker, and to another if that one does not acknowledge it.
//! A worker that is killed half-way loses nothing.
//!
//! Run: `redis-server --port 6379 &` (Debian: `apt-get install redis-server`), then
//! `cargo run --release --example bigfile_workers -- search big.log`, which starts two workers of its own. On other
//! machines that see the log under the same path: `bigfile_workers work --redis redis://HOST:6379 NAME`, and
//! `search --workers 0 --name NAME`.
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_workers: <n> records of jim in <n> lines (<n> broken), <n> chunks in <n> s
//! ```

mod engine;
mod results;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;
mod work;

use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{ExitCode, id};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use engine::Engine;
use indicatif::ProgressBar;
use talk_parts::report::ended;
use talk_parts::search;
use talk_parts::weblog::Found;
use work::{Work, Workers};

/// Searches a log with workers on any number of machines.
#[derive(Parser)]
enum Arguments {
    /// Cuts a log into chunks and collects what the workers find.
    Search(Search),
    /// Searches chunks until the search is over.
    Work(Work),
}

#[derive(clap::Args)]
struct Search {
    file: PathBuf,
    #[arg(long, default_value = "jim", value_parser = search::user)]
    user: String,
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// How many workers to start here.
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// What the workers call the search.
    #[arg(long, default_value_t = format!("bigfile-{}", id()))]
    name: String,
    /// How long a chunk is, in bytes.
    #[arg(long, default_value_t = 16 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse() {
        Arguments::Search(arguments) => coordinate(&arguments),
        Arguments::Work(arguments) => work::work(&arguments),
    };
    ended("bigfile_workers", outcome)
}

fn coordinate(search: &Search) -> Result<(), Box<dyn Error>> {
    let about = |error| format!("{}: {error}", search.file.display());
    let file = fs::canonicalize(&search.file).map_err(about)?;
    let size = File::open(&file).and_then(|file| file.metadata());
    let size = size.map_err(about)?.len();
    let path = file.to_str().ok_or("a path that is no text")?;
    let begin = Instant::now();
    let mut engine = Engine::open(&search.redis, &search.name)?;
    engine.begin()?;
    let begins = (0..size).step_by(search.chunk as usize);
    let count = begins.clone().count();
    for from in begins {
        engine.add(path, &search.user, (from, (from + search.chunk).min(size)))?;
    }
    let workers = Workers::start(search);
    let found = workers.and_then(|mut workers| collect(&mut engine, count, &mut workers));
    engine.end()?;
    let (found, took) = (found?, begin.elapsed().as_secs_f64());
    println!(
        "bigfile_workers: {} records of {} in {} lines ({} broken), {count} chunks in {took:.3} s",
        found.records, search.user, found.lines, found.broken
    );
    Ok(())
}

/// Waits until the results of all chunks are there.
fn collect(
    engine: &mut Engine,
    count: usize,
    workers: &mut Workers,
) -> Result<Found, Box<dyn Error>> {
    let bar = ProgressBar::new(count as u64);
    loop {
        let (done, found) = engine.found()?;
        bar.set_position(done as u64);
        if done == count {
            bar.finish_and_clear();
            return Ok(found);
        }
        if workers.all_are_gone() {
            return Err(
                "all workers that were started here have ended before the search had".into(),
            );
        }
        sleep(Duration::from_millis(5));
    }
}
