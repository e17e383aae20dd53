//! What most programs do with their results: a table or lines of JSON, and a chart with a bar for each.

use std::error::Error;

use clap::Parser;

use super::chart;
use super::report::{self, Line, Output};

/// Measures what its header says.
#[derive(Parser)]
struct Only {
    #[command(flatten)]
    output: Output,
}

/// The arguments of a program that has no others.
pub(crate) fn output() -> Output {
    Only::parse().output
}

/// Shows `lines` as `output` has it; `row` makes one of the table, whose heads commas separate.
pub(crate) fn results(
    lines: &[Line],
    output: &Output,
    (title, heads): (&str, &str),
    row: impl Fn(&Line) -> Vec<String>,
) -> Result<(), Box<dyn Error>> {
    match output.json {
        true => lines.iter().try_for_each(Line::print)?,
        false => report::table(heads, &lines.iter().map(row).collect::<Vec<_>>())?,
    }
    let Some(file) = &output.svg else {
        return Ok(());
    };
    let bar = |line: &Line| (line.text("case").to_owned(), line.number("value"));
    let bars: Vec<_> = lines.iter().map(bar).collect();
    let unit = lines.first().map_or("", |line| line.text("unit"));
    chart::bars(file, title, unit, &bars)
        .map_err(|error| format!("{}: {error}", file.display()).into())
}
