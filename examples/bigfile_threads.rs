//! Bigfile with threads: the log is cut into as many parts as there are cores, and each thread searches one.
//!
//! A part has the lines that begin in it, so no line is seen twice or missed. In Python the interpreter's lock would
//! leave one thread running at a time; here it is one search on each core.
//!
//! Run: `cargo run --release --example bigfile_threads -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_threads: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::process::ExitCode;
use std::thread;

use talk_parts::search::{self, Job};
use talk_parts::weblog::Found;

fn main() -> ExitCode {
    search::run("bigfile_threads", threads)
}

fn threads(job: &Job) -> io::Result<Found> {
    let parts = job.parts(job.size.div_ceil(search::workers() as u64));
    let mut all = Found::default();
    thread::scope(|scope| {
        let start = |part| {
            let search = move || search::part(&job.file, part, job.user(), &job.bar);
            thread::Builder::new().spawn_scoped(scope, search)
        };
        let threads: Vec<_> = parts.map(start).collect::<io::Result<_>>()?;
        for thread in threads {
            all = all + thread.join().expect("no panic")?;
        }
        Ok(all)
    })
}
