//! Bigfile, all of them: runs each search of the same log in turn, compares what they find, and prints one table.
//!
//! Each runs several times, in turns, so that what disturbs one disturbs all; the table has the medians. The last
//! column is the speed beside that of the limit.
//!
//! Run: `cargo build --release --examples`, then
//! `cargo run --release --example bigfile_all -- big.log --svg bigfile.svg`, after
//! `cargo run --release --example bigfile_generate -- --size 1GiB big.log`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! program     records  broken  GB/s  seconds  CPU  of the limit
//! brute           <n>     <n>   <n>      <n>  <n>           <n>
//! regex           <n>     <n>   <n>      <n>  <n>           <n>
//! threads         <n>     <n>   <n>      <n>  <n>           <n>
//! mp              <n>     <n>   <n>      <n>  <n>           <n>
//! pipeline_1      <n>     <n>   <n>      <n>  <n>           <n>
//! pipeline_2      <n>     <n>   <n>      <n>  <n>           <n>
//! greenlets       <n>     <n>   <n>      <n>  <n>           <n>
//! limit           <n>     <n>   <n>      <n>  <n>           <n>
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use talk_parts::report::{self, Line, Output, digits, time};
use talk_parts::{programs, search, show};

const PROGRAMS: &str = "brute regex threads mp pipeline_1 pipeline_2 greenlets limit";
const HEADS: &str = "program,records,broken,GB/s,seconds,CPU,of the limit";

/// Runs all searches of a web log.
#[derive(Parser)]
struct Arguments {
    /// The log.
    file: PathBuf,
    /// Whose records.
    #[arg(long, default_value = "jim", value_parser = search::user)]
    user: String,
    /// How often each of them runs.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    times: u64,
    /// Take the log out of the page cache before each.
    #[arg(long)]
    cold: bool,
    #[command(flatten)]
    output: Output,
}

fn main() -> ExitCode {
    report::ended("bigfile_all", run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let programs: Vec<&str> = PROGRAMS.split(' ').collect();
    let mut results = vec![vec![]; programs.len()];
    for _ in 0..arguments.times {
        for (program, results) in programs.iter().zip(&mut results) {
            results.push(search(program, arguments)?);
        }
    }
    let lines: Vec<Line> = results
        .iter()
        .map(|lines| programs::middle(lines))
        .collect();
    let limit = lines.last().map_or(f64::NAN, |line| line.number("value"));
    let share = |line: Line| {
        let share = line.number("value") / limit;
        line.with("of the limit", share)
    };
    let lines: Vec<Line> = lines.into_iter().map(share).collect();
    show::results(&lines, &arguments.output, ("Bigfile", HEADS), row)?;
    let answers = |line: &Line| ["records", "found", "lines", "broken"].map(|key| line.count(key));
    match results
        .iter()
        .flatten()
        .all(|line| answers(line) == answers(&lines[0]))
    {
        true => Ok(()),
        false => Err("they did not all find the same".into()),
    }
}

fn search(program: &str, arguments: &Arguments) -> Result<Line, Box<dyn Error>> {
    let mut words: Vec<OsString> = vec![format!("--user={}", arguments.user).into()];
    words.extend(arguments.cold.then(|| "--cold".into()));
    words.extend(["--".into(), (&arguments.file).into()]);
    let lines = programs::run(&format!("bigfile_{program}"), &words)?;
    lines
        .into_iter()
        .next()
        .ok_or_else(|| "it printed nothing".into())
}

fn row(line: &Line) -> Vec<String> {
    let name = line.text("case").replace("bigfile_", "");
    let [records, broken] = ["records", "broken"].map(|key| line.count(key).to_string());
    let [seconds, cpu] = ["seconds", "cpu"].map(|key| time(line.number(key)));
    let [rate, share] = ["value", "of the limit"].map(|key| digits(line.number(key)));
    vec![name, records, broken, rate, seconds, cpu, share]
}
