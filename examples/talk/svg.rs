//! The charts of the page, as SVG in the text.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use crate::talk_parts::chart;
use crate::talk_parts::report::Line;

type Svg = Result<String, Box<dyn Error>>;

/// A bar for each line.
pub(crate) fn bars(folder: &Path, title: &str, lines: &[Line]) -> Svg {
    let bar = |line: &Line| (line.text("case").to_owned(), line.number("value"));
    let values: Vec<(String, f64)> = lines.iter().map(bar).collect();
    let unit = lines.first().map_or("", |line| line.text("unit"));
    through_a_file(folder, |file| chart::bars(file, title, unit, &values))
}

/// A line for each case, over `x`; all in one if each case has one point.
pub(crate) fn lines(folder: &Path, title: &str, lines: &[Line]) -> Svg {
    let mut series: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for line in lines {
        let point = (line.number("x"), line.number("value"));
        series.entry(line.text("case")).or_default().push(point);
    }
    if series.values().all(|points| points.len() == 1) {
        let all = series.into_values().flatten().collect();
        series = BTreeMap::from([(title, all)]);
    }
    let series: Vec<(String, Vec<(f64, f64)>)> = series
        .into_iter()
        .map(|(case, points)| (case.to_owned(), points))
        .collect();
    let unit = lines.first().map_or("", |line| line.text("unit"));
    through_a_file(folder, |file| {
        chart::lines(file, title, ("how many", unit), &series)
    })
}

/// plotters draws into files.
fn through_a_file(folder: &Path, draw: impl FnOnce(&Path) -> Result<(), Box<dyn Error>>) -> Svg {
    let file = folder.join("chart.svg");
    draw(&file)?;
    Ok(fs::read_to_string(&file)?)
}
