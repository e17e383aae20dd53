//! The two charts of the talk, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

/// Why there is no chart.
type Drawn = Result<(), Box<dyn Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const BLUE: RGBColor = RGBColor(66, 114, 168);

/// Draws into memory, and writes all of it: a file that is full is noticed.
fn drawn(file: &Path, size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Drawn {
    let mut text = String::new();
    draw(&SVGBackend::with_string(&mut text, size).into_drawing_area())?;
    Ok(std::fs::write(file, text)?)
}

/// A bar for each label, on a logarithmic scale, in the order given.
pub(crate) fn bars(file: &Path, title: &str, unit: &str, values: &[(String, f64)]) -> Drawn {
    let size = (900, 90 + 32 * values.len() as u32);
    drawn(file, size, |root| draw_bars(root, title, unit, values))
}

fn draw_bars(root: &Area<'_>, title: &str, unit: &str, values: &[(String, f64)]) -> Drawn {
    root.fill(&WHITE)?;
    let (low, high) = around(values.iter().map(|value| value.1));
    let rows = (0..values.len()).into_segmented();
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(220)
        .build_cartesian_2d((low..high).log_scale(), rows)?;
    let row = |at: usize| values.len() - 1 - at;
    let label = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(at) if *at < values.len() => values[row(*at)].0.clone(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(values.len())
        .y_label_formatter(&label)
        .x_label_formatter(&short)
        .x_desc(unit)
        .draw()?;
    chart.draw_series(values.iter().enumerate().map(|(at, value)| {
        let (from, to) = (
            SegmentValue::Exact(row(at)),
            SegmentValue::Exact(row(at) + 1),
        );
        let mut bar = Rectangle::new([(low, from), (value.1, to)], BLUE.filled());
        bar.set_margin(4, 4, 0, 0);
        bar
    }))?;
    Ok(root.present()?)
}

/// A line for each series, on logarithmic scales.
pub(crate) fn lines(
    file: &Path,
    title: &str,
    (x, y): (&str, &str),
    series: &[(String, Vec<(f64, f64)>)],
) -> Drawn {
    drawn(file, (900, 540), |root| {
        draw_lines(root, title, (x, y), series)
    })
}

fn draw_lines(
    root: &Area<'_>,
    title: &str,
    (x, y): (&str, &str),
    series: &[(String, Vec<(f64, f64)>)],
) -> Drawn {
    root.fill(&WHITE)?;
    let points = || series.iter().flat_map(|line| &line.1);
    let (left, right) = around(points().map(|point| point.0));
    let (low, high) = around(points().map(|point| point.1));
    let mut chart = ChartBuilder::on(root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x).y_desc(y).x_label_formatter(&short);
    mesh.y_label_formatter(&short).draw()?;
    for (number, (name, points)) in series.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        let line = LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(4);
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
        chart.draw_series(line)?.label(name).legend(key);
    }
    let mut legend = chart.configure_series_labels();
    legend
        .background_style(WHITE)
        .position(SeriesLabelPosition::UpperLeft);
    legend.border_style(BLACK).draw()?;
    Ok(root.present()?)
}

/// What a logarithmic scale needs to show all of them.
fn around(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let positive = values.filter(|value| *value > 0.0);
    let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    match low <= high {
        true => (low / 2.0, high * 1.5),
        false => (1.0, 10.0),
    }
}

fn short(value: &f64) -> String {
    match *value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}
