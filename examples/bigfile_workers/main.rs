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

mod chunk;
mod coordinator;
mod engine;
mod results;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;
mod work;

use std::process::ExitCode;

use clap::Parser;
use coordinator::Search;
use talk_parts::report::ended;
use work::Work;

/// Searches a log with workers on any number of machines.
#[derive(Parser)]
enum Arguments {
    /// Cuts a log into chunks and collects what the workers find.
    Search(Search),
    /// Searches chunks until the search is over.
    Work(Work),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse() {
        Arguments::Search(arguments) => coordinator::search(&arguments),
        Arguments::Work(arguments) => work::work(&arguments),
    };
    ended("bigfile_workers", outcome)
}
