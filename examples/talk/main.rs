//! The talk, all of it: its chapters, any of its programs, and one page with every table and chart
//! of this machine.
//!
//! Run: `cargo build --release --examples`, then `cargo run --release --example talk` for the list
//! of chapters, `… --example talk -- 4` for the programs of the fourth, and
//! `… --example talk -- --html talk.html` for the page. A program that fails is named at the end.
//!
//! Expected output:
//! ```text
//!  1  What do things cost?
//!  2  Bigfile: one question, nine programs
//!  3  Generators and coroutines
//!  4  Memoising, caching, optimizing
//!  5  Ways to wait for input
//!  6  Readiness, and why O(n) hurts
//!  7  Who runs when
//!  8  gevent's and Go's programs
//!  9  The limits: one lock, one event, one pool
//! `talk NUMBER` runs a chapter, `talk --html FILE` all of them
//! ```

mod beside;
mod chapters;
mod contents;
mod page;
mod running;
mod stage;
mod svg;
mod table;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;
mod timeline;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chapters::Chapter;
use clap::Parser;
use contents::CHAPTERS;
use indicatif::ProgressBar;
use stage::Stage;
use talk_parts::report::ended;

/// Walks through the talk.
#[derive(Parser)]
struct Arguments {
    /// The chapter to run.
    chapter: Option<usize>,
    /// Run all chapters, and write them into a page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Measure as little as possible.
    #[arg(long)]
    quick: bool,
}

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    ended("talk", stage::until_a_signal(move || run(&arguments)))
}

fn run(arguments: &Arguments) -> Outcome {
    let all: Vec<&Chapter> = CHAPTERS.iter().collect();
    let failed = match (arguments.chapter, &arguments.html) {
        (None, None) => return Ok(list()?),
        (Some(number), None) => chapter(number)?.run(&Stage::new(arguments.quick)?)?,
        (Some(number), Some(file)) => page(file, &[chapter(number)?], arguments.quick)?,
        (None, Some(file)) => page(file, &all, arguments.quick)?,
    };
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("these programs failed: {}", failed.join(", ")).into()),
    }
}

/// Opens the file first: whether it can be written is told before programs run for minutes.
fn page(
    file: &Path,
    chapters: &[&Chapter],
    quick: bool,
) -> Result<Vec<&'static str>, Box<dyn Error>> {
    let about = |error: io::Error| format!("{}: {error}", file.display());
    let mut opened = File::create(file).map_err(about)?;
    let stage = Stage::new(quick)?;
    // It shows nothing where standard error is no terminal.
    let bar = ProgressBar::new(
        chapters
            .iter()
            .map(|chapter| chapter.programs.len() as u64)
            .sum(),
    );
    let failed = page::write(&mut opened, chapters, &stage, &bar).map_err(about);
    bar.finish_and_clear();
    Ok(failed?)
}

fn list() -> io::Result<()> {
    let mut out = io::stdout();
    for (number, chapter) in CHAPTERS.iter().enumerate() {
        writeln!(out, "{:2}  {}", number + 1, chapter.title)?;
    }
    writeln!(
        out,
        "`talk NUMBER` runs a chapter, `talk --html FILE` all of them"
    )
}

fn chapter(number: usize) -> Result<&'static Chapter, Box<dyn Error>> {
    let chapter = number.checked_sub(1).and_then(|at| CHAPTERS.get(at));
    Ok(chapter
        .ok_or_else(|| format!("there is no chapter {number}, but 1 to {}", CHAPTERS.len()))?)
}
