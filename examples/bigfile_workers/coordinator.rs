//! Who cuts a log into chunks, and collects what the workers find.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::id;
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::engine::Engine;
use crate::talk_parts::search;
use crate::talk_parts::weblog::Found;
use crate::work::Workers;

/// After so long without a result it is said that there is none.
const A_WHILE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Search {
    file: PathBuf,
    #[arg(long, default_value = "jim", value_parser = search::user)]
    user: String,
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    pub(crate) redis: String,
    /// How many workers to start here.
    #[arg(long, default_value_t = 2)]
    pub(crate) workers: u32,
    /// What the workers call the search.
    #[arg(long, default_value_t = format!("bigfile-{}", id()))]
    pub(crate) name: String,
    /// How long a chunk is, in bytes.
    #[arg(long, default_value_t = 16 << 20, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,
}

/// Searches a log, and says what was found.
pub(crate) fn search(arguments: &Search) -> Result<(), Box<dyn Error>> {
    let about = |error| format!("{}: {error}", arguments.file.display());
    let file = fs::canonicalize(&arguments.file).map_err(about)?;
    let size = search::size(&file).map_err(about)?;
    let begin = Instant::now();
    let mut engine = Engine::open(&arguments.redis, &arguments.name)?;
    engine.begin()?;
    let found = hand_out(&mut engine, arguments, &file, size);
    let ended = engine.end();
    let ((found, count), ()) = (found?, ended?);
    let took = begin.elapsed().as_secs_f64();
    let (records, user) = (found.records, &arguments.user);
    let what = format!("{records} records of {user} in {} lines", found.lines);
    let how = format!("({} broken), {count} chunks in {took:.3} s", found.broken);
    writeln!(io::stdout(), "bigfile_workers: {what} {how}")?;
    Ok(())
}

/// Adds all chunks, and collects what is found in them; in how many.
fn hand_out(
    engine: &mut Engine,
    search: &Search,
    file: &Path,
    size: u64,
) -> Result<(Found, usize), Box<dyn Error>> {
    let path = file.to_str().ok_or("a path that is no text")?;
    let (mut chunks, mut last) = (HashSet::new(), String::new());
    for from in (0..size).step_by(search.chunk as usize) {
        let part = (from, (from + search.chunk).min(size));
        let added = engine.add(path, &search.user, part)?;
        last = added.ok_or_else(|| lost(search))?;
        chunks.insert(last.clone());
    }
    let count = chunks.len();
    let mut workers = Workers::start(search)?;
    let bar = ProgressBar::new(count as u64);
    let (mut before, mut since) = (0, Some(Instant::now()));
    loop {
        // Asked before the results: those of a chunk are there before it is done with.
        let goes_on = engine.renew()? && engine.has_work(&last)?;
        let (done, found) = engine.found(&chunks)?;
        bar.set_position(done as u64);
        if done > before {
            (before, since) = (done, Some(Instant::now()));
        }
        // Once for each time that nothing comes.
        if since.take_if(|since| since.elapsed() > A_WHILE).is_some() {
            let what = format!("{done} of {count} chunks are done, and none for {A_WHILE:?}");
            let name = &search.name;
            bar.suspend(|| eprintln!("bigfile_workers: {what}; does anybody `work {name}`?"));
        }
        if done == count {
            bar.finish_and_clear();
            return Ok((found, count));
        }
        if !goes_on {
            return Err(lost(search).into());
        }
        // Others may go on with it.
        if workers.all_are_gone() && !engine.has_workers()? {
            return Err("all workers have ended before the search had".into());
        }
        sleep(Duration::from_millis(5));
    }
}

fn lost(search: &Search) -> String {
    format!("Redis has lost the search {:?}", search.name)
}
