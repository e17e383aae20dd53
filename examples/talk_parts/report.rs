//! What the programs of the talk measured: one format for all, as a table or as lines of JSON.
//!
//! ```text
//! {"program":"readiness","case":"epoll","value":21.5,"unit":"µs","x":10000,…}
//! ```
//! `program`, `case`, `value` and `unit` are always there; what else there is depends on the program. A bar is
//! drawn for each case, or a point of its line where there is an `x`.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

/// How results are shown.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Output {
    /// Print lines of JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw the chart into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// One result.
#[derive(Clone, Debug)]
pub(crate) struct Line(pub(crate) Map<String, Value>);

impl Line {
    pub(crate) fn new(program: &str, case: &str, value: f64, unit: &str) -> Line {
        Line(Map::new())
            .with("program", program)
            .with("case", case)
            .with("value", value)
            .with("unit", unit)
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Line {
        self.0.insert(key.into(), value.into());
        self
    }

    pub(crate) fn parse(text: &str) -> Result<Line, serde_json::Error> {
        serde_json::from_str(text).map(Line)
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        self.0.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }

    pub(crate) fn count(&self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or("")
    }

    /// What stands under these keys, as cells of a table.
    pub(crate) fn cells(&self, keys: &[&str]) -> Vec<String> {
        let cell = |key: &&str| match self.0.get(*key) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        keys.iter().map(cell).collect()
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        writeln!(io::stdout(), "{}", json!(self.0))
    }
}

/// Prints a table, with heads that commas separate: the first column to the left, the others to the right.
pub(crate) fn table(heads: &str, rows: &[Vec<String>]) -> io::Result<()> {
    let heads: Vec<String> = heads.split(',').map(str::to_owned).collect();
    let all = || std::iter::once(&heads).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..heads.len()).filter_map(width).collect();
    let mut text = String::new();
    for row in all() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let cell = match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            };
            text += &cell;
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    io::stdout().write_all(text.as_bytes())
}

/// A duration with the unit that fits it.
pub(crate) fn time(seconds: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns")];
    let fits = |(limit, _): &&(f64, &str)| seconds >= *limit;
    let &(limit, unit) = units.iter().find(fits).unwrap_or(&units[3]);
    format!("{} {unit}", digits(seconds / f64::max(limit, 1e-9)))
}

/// Three digits that count; a dash for what is no number.
pub(crate) fn digits(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value >= 99.95 => format!("{value:.0}"),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Says on standard error what went wrong, and ends with what the shell sees.
pub(crate) fn ended(program: &str, outcome: Result<(), impl Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{program}: {error}");
            ExitCode::FAILURE
        }
    }
}
