//! The answer to a question, as text and as JSON.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use crate::rounds::{Cell, Contender, Question};

/// All contenders with their figures, the yardstick first.
pub struct Table<'a> {
    pub question: &'a Question<'a>,
    pub contenders: &'a [Contender],
    pub rounds: u32,
}

/// Width of a cell: median, least and most, ratio.
const CELL: usize = 7 + 1 + 15 + 1 + 7;

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        writeln!(f, "{}", self.question.title)?;
        writeln!(
            f,
            "{} rounds: median (least–most), ratio to the yardstick of the same round\n",
            self.rounds
        )?;
        self.fmt_figures(f)?;
        writeln!(f, "\n{}:", self.question.how)?;
        for peer in self.present() {
            writeln!(f, "  {:<16} {}", peer.name, peer.how)?;
        }
        writeln!(f, "\nmissing:")?;
        for (name, reason) in self.missing() {
            writeln!(f, "  {name:<16} {reason}")?;
        }
        if self.missing().next().is_none() {
            writeln!(f, "  none")?;
        }
        Ok(())
    }
}

impl Table<'_> {
    /// Everything in the table, for programs.
    pub fn to_json(&self) -> Value {
        let peers = self.present().map(|peer| {
            let cells = self.question.columns.iter().zip(self.cells(peer));
            let cells = cells.filter_map(|(column, cell)| cell.map(|cell| to_json(column, &cell)));
            json!({"name": peer.name, "how": peer.how, "cells": cells.collect::<Vec<_>>()})
        });
        let missing = self
            .missing()
            .map(|(name, reason)| json!({"name": name, "reason": reason}));
        json!({
            "question": self.question.title,
            "rounds": self.rounds,
            "peers": peers.collect::<Vec<_>>(),
            "missing": missing.collect::<Vec<_>>(),
        })
    }

    fn fmt_figures(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "{:<16}", "peer")?;
        for column in self.question.columns {
            write!(f, "  {column:>CELL$}")?;
        }
        writeln!(f)?;
        for peer in self.present() {
            write!(f, "{:<16}", peer.name)?;
            for cell in self.cells(peer) {
                write!(f, "  {:>CELL$}", to_text(cell))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn present(&self) -> impl Iterator<Item = &Contender> {
        self.contenders.iter().filter(|c| c.reason().is_none())
    }

    /// Names and reasons of the peers that are not in the table.
    fn missing(&self) -> impl Iterator<Item = (&str, String)> {
        let reason = |c: &Contender| c.reason().map(|reason| format!("{reason:#}"));
        self.contenders
            .iter()
            .filter_map(move |c| Some((c.name, reason(c)?)))
    }

    fn cells(&self, peer: &Contender) -> impl Iterator<Item = Option<Cell>> {
        (0..self.question.columns.len()).map(|column| Cell::of(peer, &self.contenders[0], column))
    }
}

fn to_text(cell: Option<Cell>) -> String {
    let Some(cell) = cell else {
        return "–".to_owned();
    };
    let range = format!("({}–{})", figure(cell.min), figure(cell.max));
    let ratio = format!("{:.2}x", cell.ratio);
    format!("{:>7} {range:<15} {ratio:>7}", figure(cell.median))
}

/// Tenths below a thousand, none above.
fn figure(ns: f64) -> String {
    let digits = if ns < 1000.0 { 1 } else { 0 };
    format!("{ns:.digits$}")
}

fn to_json(column: &str, cell: &Cell) -> Value {
    json!({
        "column": column,
        "median_ns": cell.median,
        "min_ns": cell.min,
        "max_ns": cell.max,
        "ratio": cell.ratio,
    })
}
