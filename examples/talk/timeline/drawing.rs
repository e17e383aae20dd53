//! What was recorded, as SVG: a row for each reader, on one scale.

use std::fmt::Write;

use super::{Does, READERS, Stretch};

const ROW: usize = 22;
/// Where time begins, and how far it goes.
const TIME: (f64, f64) = (80.0, 810.0);

/// What each way did, one below the other, and what the colors mean.
pub(crate) fn drawn() -> String {
    let ways = super::all();
    let end = ways.iter().map(|(_, stretches)| took(stretches));
    let end = end.fold(1.0, f64::max);
    let height = (ways.len() * (READERS + 2) + 1) * ROW;
    let mut svg = format!(
        "<svg width=\"900\" height=\"{height}\" viewBox=\"0 0 900 {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"13\">\n"
    );
    for (number, (name, stretches)) in ways.iter().enumerate() {
        let top = number * (READERS + 2) * ROW + 16;
        let name = format!("{name}: {:.0} ms", took(stretches));
        text(&mut svg, (4, top), &name);
        for reader in 0..READERS {
            let row = (4, top + 22 + reader * ROW);
            text(&mut svg, row, &format!("reader {}", reader + 1));
        }
        let merged = merged(stretches);
        merged
            .iter()
            .for_each(|stretch| bar(&mut svg, stretch, top, end));
    }
    legend(&mut svg, height - ROW);
    svg + "</svg>\n"
}

fn took(stretches: &[Stretch]) -> f64 {
    stretches
        .iter()
        .map(|stretch| stretch.to)
        .fold(0.0, f64::max)
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

fn look(does: Does) -> (&'static str, &'static str) {
    match does {
        Does::Waits => ("#c9d6e4", "waits"),
        Does::Polls => ("#e0a458", "polls"),
        Does::Works => ("#4272a8", "works"),
    }
}

fn bar(svg: &mut String, stretch: &Stretch, top: usize, end: f64) {
    let (color, what) = look(stretch.does);
    let at = |time: f64| TIME.0 + time / end * TIME.1;
    let (x, y) = (at(stretch.from), top + 8 + stretch.reader * ROW);
    let width = (at(stretch.to) - x).max(0.5);
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{color}\">\
         <title>reader {} {what}</title></rect>",
        stretch.reader + 1
    );
}

fn legend(svg: &mut String, top: usize) {
    for (number, does) in [Does::Waits, Does::Polls, Does::Works]
        .into_iter()
        .enumerate()
    {
        let ((color, what), x) = (look(does), 80 + number * 90);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{top}\" width=\"18\" height=\"18\" fill=\"{color}\"/>"
        );
        text(svg, (x + 24, top + 14), what);
    }
}

fn text(svg: &mut String, (x, y): (usize, usize), words: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{words}</text>");
}
