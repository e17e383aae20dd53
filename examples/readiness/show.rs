//! The table, the chart and the lines of JSON.

use std::io::{self, Write};

use super::fan::{Fan, Rounds};
use crate::talk_parts::chart;
use crate::talk_parts::report::{self, Line, Output, digits, time};

const HEADS: &str = "way,descriptors,active,lines of code,system calls,reading,a round";

pub(crate) fn results(
    lines: &[Line],
    left_out: &str,
    output: &Output,
) -> Result<(), Box<dyn std::error::Error>> {
    if output.json {
        lines.iter().try_for_each(Line::print)?;
    } else {
        report::table(HEADS, &lines.iter().map(row).collect::<Vec<_>>())?;
    }
    if !left_out.is_empty() {
        let limit = libc::FD_SETSIZE;
        let words = format!("select stops at {limit} descriptors, FD_SETSIZE: {left_out} left out");
        match output.json {
            true => writeln!(io::stderr(), "{words}")?,
            false => writeln!(io::stdout(), "{words}")?,
        }
    }
    let Some(file) = &output.svg else {
        return Ok(());
    };
    let axes = ("descriptors", "µs a round");
    chart::lines(file, "A fan-in", axes, &by_way(lines))
        .map_err(|error| format!("{}: {error}", file.display()).into())
}

pub(crate) fn line(way: &str, code: &str, fan: &Fan, rounds: Rounds) -> Line {
    let code = code.lines().map(str::trim);
    let code = code.filter(|line| !line.is_empty() && !line.starts_with("//"));
    let calls = rounds.calls_each();
    Line::new("readiness", way, 1e6 * report::median(rounds.times), "µs")
        .with("x", fan.fds.len())
        .with("reading", 1e6 * report::median(rounds.reading))
        .with("active", fan.active.len())
        .with("calls", calls)
        .with("code", code.count())
}

fn row(line: &Line) -> Vec<String> {
    vec![
        line.text("case").into(),
        line.count("x").to_string(),
        line.count("active").to_string(),
        line.count("code").to_string(),
        digits(line.number("calls")),
        time(line.number("reading") / 1e6),
        time(line.number("value") / 1e6),
    ]
}

/// A line of the chart for each way.
fn by_way(lines: &[Line]) -> Vec<(String, Vec<(f64, f64)>)> {
    let points = |way: &str| {
        let of_way = lines.iter().filter(|line| line.text("case") == way);
        of_way
            .map(|line| (line.number("x"), line.number("value")))
            .collect()
    };
    super::WAYS
        .iter()
        .map(|way| (way.0.into(), points(way.0)))
        .collect()
}
