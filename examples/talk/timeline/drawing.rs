//! What was recorded, as SVG: a row for each reader, on one scale.

use std::fmt::Write;

use super::{Does, READERS, Stretch};

/// What each way did, one below the other, on one scale.
pub(crate) fn drawn() -> String {
    let ways = super::all();
    let ends = ways
        .iter()
        .flat_map(|(_, stretches)| stretches)
        .map(|stretch| stretch.to);
    let end = ends.fold(1.0, f64::max);
    let height = ways.len() * (READERS + 2) * 22;
    let mut svg = format!(
        "<svg width=\"900\" height=\"{height}\" viewBox=\"0 0 900 {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"13\">\n"
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
        "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{color}\">\
         <title>reader {} {what}</title></rect>",
        stretch.reader + 1
    );
}
