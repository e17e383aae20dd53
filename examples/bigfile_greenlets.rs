//! Bigfile with greenlets: what waits for the disk is kept apart from what computes.
//!
//! The log is mapped, as in `bigfile_limit`: one that others shorten meanwhile ends this program, which says so.
//!
//! Each greenlet takes the next part of the log. If that is not in memory yet, it has it read: many may wait for the
//! disk at once, which costs next to nothing. Then it passes a gate, which lets through as many as keep all
//! cores busy, and has it searched: more at once would only be in each other's way. Both are work for other threads, `greenlet::offload`; who does what when
//! is decided in one thread, in plain cells.
//!
//! With `--cold` the log is taken out of memory first, and it is measured what that gives: reading alone, searching
//! alone, and as many greenlets as cores that do one after the other.
//!
//! Run: `cargo run --release --example bigfile_greenlets -- big.log`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_greenlets: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s, <n> of CPU
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::cell::{Cell, RefCell};
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use greenlet::offload;
use greenlet::sync::Semaphore;
use talk_parts::cache::{self, Map};
use talk_parts::search::{self, Job};
use talk_parts::weblog::Found;

const PART: u64 = 8 << 20;
/// How many may wait for the disk at once.
const READERS: usize = 8;
/// How many more than there are cores pass the gate, so that none is idle while the next is handed out.
const IN_LINE: usize = 2;

fn main() -> ExitCode {
    let search = |job: &Job| search_apart(job, READERS + IN_LINE + search::workers(), true);
    search::run_and("bigfile_greenlets", search, |job| {
        match job.arguments.cold {
            true => what_it_gives(job),
            false => Ok(vec![]),
        }
    })
}

fn search_apart(job: &Job, greenlets: usize, search: bool) -> io::Result<Found> {
    let log = Arc::new(Map::new(job)?);
    let parts = RefCell::new(job.parts(PART));
    let gate = Semaphore::new(search::workers() + IN_LINE);
    let all = Cell::new(Found::default());
    let work = || -> io::Result<()> {
        let next = || parts.borrow_mut().next();
        while let Some(part) = next() {
            if !log.is_in_memory(&job.file, part) {
                let file = job.file.try_clone()?;
                offload(move || cache::read_part(&file, part))?;
            }
            if search {
                let _turn = gate.acquire();
                let (log, user) = (log.clone(), job.arguments.user.clone());
                let found = offload(move || log.search(part, user.as_bytes()));
                all.set(all.get() + found);
            }
            job.bar.inc(part.1 - part.0);
        }
        Ok(())
    };
    greenlet::scope(|scope| {
        let workers: Vec<_> = (0..greenlets).map(|_| scope.spawn(work)).collect();
        let mut workers = workers.into_iter();
        workers.try_for_each(|worker| worker.join().expect("no panic"))
    })
    .map(|()| all.get())
}

fn what_it_gives(job: &Job) -> io::Result<Vec<(&'static str, f64)>> {
    let rate = |cold, greenlets, search| -> io::Result<f64> {
        if cold {
            cache::drop_cache(&job.file)?;
        }
        let begin = Instant::now();
        search_apart(job, greenlets, search)?;
        Ok(job.size as f64 / begin.elapsed().as_secs_f64() / 1e9)
    };
    let (all, few) = (READERS + IN_LINE + search::workers(), search::workers());
    Ok(vec![
        ("one after the other", rate(true, few, true)?),
        ("reading alone", rate(true, all, false)?),
        ("searching alone", rate(false, all, true)?),
    ])
}
