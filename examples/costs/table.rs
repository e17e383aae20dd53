//! The rows of the table, with their ratios.

use crate::talk_parts::report::{Line, digits, time};

pub(crate) const HEADS: &str = "what,time,to a register,to a greenlet switch";

/// A row of the table: what it takes, and that beside two of the others.
pub(crate) fn row(lines: &[Line]) -> impl Fn(&Line) -> Vec<String> {
    let of = |case: &str| lines.iter().find(|line| line.text("case") == case);
    let yardsticks = ["register", "switch of greenlets"]
        .map(|case| of(case).map_or(f64::NAN, |line| line.number("value")));
    move |line| {
        let value = line.number("value");
        let ratios = yardsticks.map(|yardstick| digits(value / yardstick));
        let start = [line.text("case").into(), time(value / 1e9)];
        [&start[..], &ratios[..]].concat()
    }
}
