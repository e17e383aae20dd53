//! The measuring order and the medians.
//!
//! The rounds are interleaved: a round measures every column once, and in a column one peer right after the
//! other, so that a slow second of the machine falls on all peers alike. A cell shows the median of its rounds, and how
//! it compares with the yardstick (the first peer) of the same round, again the median.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Error, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::table::Table;

/// What is asked of every contender.
pub struct Question<'a> {
    pub title: &'a str,
    pub columns: &'a [String],
    /// What the line below the table tells about every peer.
    pub how: &'a str,
}

/// What the command line can say about any question.
#[derive(Args)]
pub struct Options {
    /// How many times to measure everything.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure very little, to see that everything works.
    #[arg(long)]
    pub quick: bool,
    /// Write the table to FILE as well, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure the yardstick and those peers alone that have NAME in their names (can be repeated).
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,
    /// Measure those columns alone that have NAME in their names (can be repeated).
    #[arg(long, value_name = "NAME")]
    column: Vec<String>,
}

impl Options {
    /// Writes the answer where the command line wants it.
    pub fn save(&self, answer: &Value) -> Result<()> {
        match &self.json {
            Some(file) => fs::write(file, format!("{answer:#}\n"))
                .with_context(|| format!("{} cannot be written", file.display())),
            None => Ok(()),
        }
    }
}

/// Nobody is named where all are wanted.
fn is_named(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()))
}

/// A name that nobody has would leave a table empty.
fn all_known(what: &str, wanted: &[String], names: &[&str]) -> Result<()> {
    let unknown = |part: &&String| !names.iter().any(|name| name.contains(part.as_str()));
    match wanted.iter().find(unknown) {
        Some(part) => bail!("no {what} is named {part:?}; there are {names:?}"),
        None => Ok(()),
    }
}

type Measure = Box<dyn FnMut(usize) -> Result<Option<f64>>>;

/// A peer that takes part, or the reason why it cannot.
pub struct Contender {
    pub name: &'static str,
    pub how: String,
    measure: Result<Measure>,
    /// The figures of each column, one a round; none where the peer has no such column.
    figures: Vec<Vec<f64>>,
}

impl Contender {
    /// `measure` measures one column, or returns `None` if this peer has no such column.
    pub fn new(
        name: &'static str,
        how: String,
        measure: impl FnMut(usize) -> Result<Option<f64>> + 'static,
    ) -> Contender {
        Contender {
            name,
            how,
            measure: Ok(Box::new(measure)),
            figures: vec![],
        }
    }

    pub fn missing(name: &'static str, how: String, reason: Error) -> Contender {
        Contender {
            name,
            how,
            measure: Err(reason),
            figures: vec![],
        }
    }

    /// Why this peer is missing, if it is.
    pub fn reason(&self) -> Option<&Error> {
        self.measure.as_ref().err()
    }

    /// Measures a column once; a peer that fails is missing from then on.
    fn measure(&mut self, column: usize) {
        if let Ok(measure) = &mut self.measure {
            match measure(column) {
                Ok(figure) => self.figures[column].extend(figure),
                Err(reason) => self.measure = Err(reason),
            }
        }
    }
}

/// What is known about one peer in one column.
#[derive(Debug, PartialEq)]
pub struct Cell {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// The median of what each round's figure is to the yardstick's figure of the same round.
    pub ratio: f64,
}

impl Cell {
    /// The cell of `contender` in `column`, if it has one.
    pub fn of(contender: &Contender, yardstick: &Contender, column: usize) -> Option<Cell> {
        Cell::from_figures(&contender.figures[column], &yardstick.figures[column])
    }

    fn from_figures(figures: &[f64], yardstick: &[f64]) -> Option<Cell> {
        let ratios = figures.iter().zip(yardstick).map(|(own, its)| own / its);
        Some(Cell {
            median: median(figures.to_vec())?,
            min: figures.iter().copied().fold(f64::INFINITY, f64::min),
            max: figures.iter().copied().fold(0.0, f64::max),
            ratio: median(ratios.collect())?,
        })
    }
}

/// Measures all contenders, the first of which is the yardstick, and prints the table.
pub fn answer(
    question: &Question,
    mut contenders: Vec<Contender>,
    options: &Options,
) -> Result<()> {
    let columns: Vec<&str> = question.columns.iter().map(String::as_str).collect();
    let peers: Vec<&str> = contenders.iter().map(|peer| peer.name).collect();
    all_known("column", &options.column, &columns)?;
    all_known("peer", &options.peer, &peers)?;
    let yardstick = contenders.first().map(|first| first.name);
    contenders.retain(|peer| Some(peer.name) == yardstick || is_named(&options.peer, peer.name));
    for contender in &mut contenders {
        contender.figures = vec![vec![]; question.columns.len()];
    }
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (column, name) in question.columns.iter().enumerate() {
            if is_named(&options.column, name) {
                for place in order(round as usize, contenders.len()) {
                    contenders[place].measure(column);
                }
            }
        }
    }
    let table = Table {
        question,
        contenders: &contenders,
        rounds: options.rounds,
    };
    print!("{table}");
    options.save(&table.to_json())
}

/// Each round begins with another peer, and every other one goes backwards: what one leaves behind (memory that was
/// freed just now, a warm cache) is for the next, and should not always be for the same.
fn order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |step| match round % 2 {
        0 => (round + count - step) % count,
        _ => (round + step) % count,
    })
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() % 2 {
        _ if figures.is_empty() => None,
        1 => Some(figures[middle]),
        _ => Some((figures[middle - 1] + figures[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_measures_everybody_once() {
        let rounds: Vec<Vec<usize>> = (3..5).map(|round| order(round, 4).collect()).collect();
        assert_eq!(rounds, [[3, 0, 1, 2], [0, 3, 2, 1]]);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn the_ratio_compares_figures_of_the_same_round() {
        let cell = Cell::from_figures(&[2.0, 30.0, 4.0], &[1.0, 10.0, 4.0]);
        let expected = Cell {
            median: 4.0,
            min: 2.0,
            max: 30.0,
            ratio: 2.0,
        };
        assert_eq!(cell, Some(expected));
    }

    #[test]
    fn who_fails_is_missing_from_then_on() {
        let mut contender = Contender::new("late", String::new(), |column| match column {
            0 => Ok(Some(1.0)),
            _ => bail!("no such ring"),
        });
        contender.figures = vec![vec![]; 2];
        contender.measure(0);
        assert!(contender.reason().is_none());
        contender.measure(1);
        assert!(contender.reason().is_some());
    }

    #[test]
    fn a_name_that_nobody_has_is_refused() {
        let wanted = ["to".to_owned(), "rust".to_owned()];
        assert!(all_known("peer", &wanted[..1], &["tokio", "may"]).is_ok());
        let refused = all_known("peer", &wanted, &["tokio", "may"]).unwrap_err();
        let said = r#"no peer is named "rust"; there are ["tokio", "may"]"#;
        assert_eq!(refused.to_string(), said);
    }

    #[test]
    fn all_are_wanted_where_none_is_named() {
        assert!(is_named(&[], "tokio"));
        let wanted = ["raw".into(), "kio".into()];
        assert!(is_named(&wanted, "tokio") && !is_named(&wanted, "may"));
    }
}
