//! The table with its ratios, the chart and the lines of JSON.

use std::error::Error;
use std::path::PathBuf;

use crate::talk_parts::chart;
use crate::talk_parts::report::{self, Line, Output, digits, time};

const HEADS: &str = "what,time,to a register,to a greenlet switch";

pub(crate) fn results(lines: &[Line], output: &Output) -> Result<(), Box<dyn Error>> {
    let of = |case: &str| lines.iter().find(|line| line.text("case") == case);
    let cost = |case| of(case).map_or(f64::NAN, |line| line.number("value"));
    let (register, switch) = (cost("register"), cost("switch of greenlets"));
    let row = |line: &Line| {
        let value = line.number("value");
        let ratios = [value / register, value / switch].map(digits);
        [
            vec![line.text("case").into(), time(value / 1e9)],
            ratios.into(),
        ]
        .concat()
    };
    match output.json {
        true => lines.iter().try_for_each(Line::print)?,
        false => report::table(HEADS, &lines.iter().map(row).collect::<Vec<_>>())?,
    }
    let bar = |line: &Line| (line.text("case").to_owned(), line.number("value"));
    let bars: Vec<_> = lines.iter().map(bar).collect();
    let draw = |file: &PathBuf| chart::bars(file, "What things take", "ns", &bars);
    output.svg.as_ref().map_or(Ok(()), draw)
}
