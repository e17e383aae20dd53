//! The charts of the page, as SVG in the text.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::fs;

use crate::talk_parts::chart;
use crate::talk_parts::report::Line;
use crate::timeline::{self, Does, READERS, Stretch};

type Svg = Result<String, Box<dyn Error>>;

/// A bar for each line.
pub(crate) fn bars(title: &str, lines: &[Line]) -> Svg {
    let bar = |line: &Line| (line.text("case").to_owned(), line.number("value"));
    let values: Vec<(String, f64)> = lines.iter().map(bar).collect();
    let unit = lines.first().map_or("", |line| line.text("unit"));
    through_a_file(|file| chart::bars(file, title, unit, &values))
}

/// A line for each case, over `x`; all in one if each case has one point.
pub(crate) fn lines(title: &str, lines: &[Line]) -> Svg {
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
    through_a_file(|file| chart::lines(file, title, ("how many", unit), &series))
}

/// plotters draws into files.
fn through_a_file(draw: impl FnOnce(&std::path::Path) -> Result<(), Box<dyn Error>>) -> Svg {
    let file = std::env::temp_dir().join(format!("talk-{}.svg", std::process::id()));
    draw(&file)?;
    let text = fs::read_to_string(&file)?;
    fs::remove_file(&file)?;
    Ok(text)
}

/// What each way did, one below the other, on one scale.
pub(crate) fn timelines() -> String {
    let ways = timeline::all();
    let ends = ways
        .iter()
        .flat_map(|(_, stretches)| stretches)
        .map(|stretch| stretch.to);
    let end = ends.fold(1.0, f64::max);
    let height = ways.len() * (READERS + 2) * 22;
    let mut svg = format!(
        "<svg width=\"900\" height=\"{height}\" viewBox=\"0 0 900 {height}\" xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    for (number, (name, stretches)) in ways.iter().enumerate() {
        let top = number * (READERS + 2) * 22 + 16;
        let took = stretches
            .iter()
            .map(|stretch| stretch.to)
            .fold(0.0, f64::max);
        let _ = writeln!(svg, "<text x=\"4\" y=\"{top}\">{name}: {took:.0} ms</text>");
        merged(stretches)
            .iter()
            .for_each(|stretch| bar(&mut svg, stretch, top, end));
    }
    svg + "</svg>\n"
}

/// A poller asks thousands of times: what it does without a pause is one stretch.
fn merged(stretches: &[Stretch]) -> Vec<Stretch> {
    let mut merged: Vec<Stretch> = Vec::new();
    for &Stretch {
        reader,
        does,
        from,
        to,
    } in stretches
    {
        let same = |last: &&mut Stretch| {
            last.reader == reader && last.does == does && from - last.to < 0.2
        };
        match merged.iter_mut().rev().take(READERS).find(same) {
            Some(last) => last.to = to,
            None => merged.push(Stretch {
                reader,
                does,
                from,
                to,
            }),
        }
    }
    merged
}

fn bar(svg: &mut String, stretch: &Stretch, top: usize, end: f64) {
    let (color, what) = match stretch.does {
        Does::Waits => ("#c9d6e4", "waits"),
        Does::Polls => ("#e0a458", "polls"),
        Does::Works => ("#4272a8", "works"),
    };
    let at = |time: f64| 80.0 + time / end * 810.0;
    let (x, y) = (at(stretch.from), top + 8 + stretch.reader * 22);
    let width = (at(stretch.to) - x).max(0.5);
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{color}\"><title>reader {} {what}</title></rect>",
        stretch.reader + 1
    );
}
