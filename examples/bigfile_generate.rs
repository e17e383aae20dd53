//! Makes a web log of any size in Combined Log Format, of which it is known what is in it.
//!
//! The same seed makes the same log, and the number of records of one user is printed: the answer that the other
//! `bigfile_` programs must find. That user's name stands in other places too, and other users have names that
//! contain it. With `--broken-in N` about one line in N is broken, in several ways. The log is made a megabyte at a
//! time, so 60 GB take no more memory than 60 kB.
//!
//! Run: `cargo run --release --example bigfile_generate -- --size 1GiB big.log` (`-` for standard output)
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! bigfile_generate: <n> records of jim in <n> lines (<n> broken)
//! <n> for <n> bytes, <n> GB/s
//! ```

#[path = "talk_parts/generate.rs"]
mod generate;
#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use generate::{Log, size};
use indicatif::{ProgressBar, ProgressStyle};
use talk_parts::report::{self, Line, digits, time};
use talk_parts::search;

/// Makes a web log.
#[derive(Parser)]
struct Arguments {
    /// The file to make, or `-`.
    file: PathBuf,
    /// How large: bytes, or with a unit (kB, MB, GB, KiB, MiB, GiB).
    #[arg(long, default_value = "100MB", value_parser = size)]
    size: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The user whose records are counted.
    #[arg(long, default_value = "jim", value_parser = search::user)]
    user: String,
    /// One record in so many is the user's.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    one_in: u64,
    /// One line in so many is broken; 0 for none.
    #[arg(long, default_value_t = 0)]
    broken_in: u64,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
    /// Print a line of JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let name = arguments.file.display();
    let outcome = run(&arguments).map_err(|error| format!("{name}: {error}"));
    report::ended("bigfile_generate", outcome)
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let begin = Instant::now();
    let to_stdout = arguments.file == Path::new("-");
    let mut to: Box<dyn Write> = match to_stdout {
        true => Box::new(io::stdout()),
        false if arguments.force => Box::new(File::create(&arguments.file)?),
        false => Box::new(File::create_new(&arguments.file).map_err(there_already)?),
    };
    let bar = ProgressBar::new(arguments.size);
    let style = "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}";
    bar.set_style(ProgressStyle::with_template(style).expect("a good template"));
    let mut log = Log::new(arguments.seed, &arguments.user);
    (log.one_in, log.broken_in) = (arguments.one_in, arguments.broken_in);
    let mut bytes = 0;
    while log.fill(arguments.size - bytes) {
        to.write_all(&log.text)?;
        bytes += log.text.len() as u64;
        bar.inc(log.text.len() as u64);
    }
    to.flush()?;
    bar.finish_and_clear();
    let took = begin.elapsed().as_secs_f64();
    show(arguments, &log, bytes, took, to_stdout)
}

fn there_already(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => io::Error::other("it exists; `--force` overwrites it"),
        _ => error,
    }
}

fn show(arguments: &Arguments, log: &Log, bytes: u64, took: f64, aside: bool) -> io::Result<()> {
    let (program, rate) = ("bigfile_generate", bytes as f64 / took / 1e9);
    let (records, lines, broken) = (log.records, log.lines, log.broken);
    let line = Line::new(program, program, rate, "GB/s")
        .with("records", records)
        .with("lines", lines)
        .with("broken", broken)
        .with("bytes", bytes)
        .with("seconds", took);
    let (user, time, rate) = (&arguments.user, time(took), digits(rate));
    let words = match arguments.json {
        true => format!("{}\n", serde_json::json!(line.0)),
        false => format!(
            "{program}: {records} records of {user} in {lines} lines ({broken} broken)\n\
             {time} for {bytes} bytes, {rate} GB/s\n"
        ),
    };
    match aside {
        true => io::stderr().write_all(words.as_bytes()),
        false => io::stdout().write_all(words.as_bytes()),
    }
}
