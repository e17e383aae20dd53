//! The talk, all of it: its chapters, any of its programs, and one page with every table and chart of this machine.
//!
//! Run: `cargo build --release --examples`, then `cargo run --release --example talk` for the list of chapters,
//! `… --example talk -- 4` for the programs of the fourth, `… --example talk -- --html talk.html` for the page.
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

mod chapters;
mod contents;
mod page;
mod svg;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;
mod timeline;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use chapters::Chapter;
use clap::Parser;
use contents::CHAPTERS;
use indicatif::ProgressBar;
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

fn main() -> ExitCode {
    ended("talk", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    match (arguments.chapter, &arguments.html) {
        (None, None) => list(),
        (Some(number), None) => chapter(number)?.run(arguments.quick)?,
        (Some(number), Some(file)) => {
            fs::write(
                file,
                page::of(&[chapter(number)?], arguments.quick, &ProgressBar::hidden())?,
            )?;
        }
        (None, Some(file)) => {
            let all: Vec<&Chapter> = CHAPTERS.iter().collect();
            let steps = all.iter().map(|chapter| chapter.programs.len() as u64);
            let bar = ProgressBar::new(steps.sum());
            fs::write(file, page::of(&all, arguments.quick, &bar)?)?;
            bar.finish_and_clear();
        }
    }
    Ok(())
}

fn list() {
    for (number, chapter) in CHAPTERS.iter().enumerate() {
        println!("{:2}  {}", number + 1, chapter.title);
    }
    println!("`talk NUMBER` runs a chapter, `talk --html FILE` all of them");
}

fn chapter(number: usize) -> Result<&'static Chapter, Box<dyn Error>> {
    let chapter = number.checked_sub(1).and_then(|at| CHAPTERS.get(at));
    Ok(chapter
        .ok_or_else(|| format!("there is no chapter {number}, but 1 to {}", CHAPTERS.len()))?)
}
