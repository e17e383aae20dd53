//! The page: every chapter with what its programs printed, as tables, text and charts. It needs nothing but itself.

use std::error::Error;
use std::fmt::Write;

use indicatif::ProgressBar;

use crate::chapters::{Chapter, Chart, Program};
use crate::svg;
use crate::talk_parts::report::{Line, digits};

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>The talk, running</title>
<style>
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font-family: sans-serif; line-height: 1.5 }
pre { background: #f4f4f4; padding: 0.8rem; overflow-x: auto; line-height: 1.3 }
table { border-collapse: collapse } td, th { padding: 0.15rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left } svg { max-width: 100%; height: auto }
</style></head><body>
<h1>The talk, running</h1>
<p>Every table and chart on this page was measured on one machine, by the examples of the crate.</p>
";

/// The page of these chapters; runs them.
pub(crate) fn of(
    chapters: &[&Chapter],
    quick: bool,
    bar: &ProgressBar,
) -> Result<String, Box<dyn Error>> {
    let mut page = String::from(HEAD);
    for chapter in chapters {
        let _ = write!(
            page,
            "<h2>{}</h2>\n<p>{}</p>\n",
            escaped(chapter.title),
            escaped(chapter.text)
        );
        for program in chapter.programs {
            page += &section(program, quick)?;
            bar.inc(1);
        }
    }
    Ok(page + "</body></html>\n")
}

fn section(program: &Program, quick: bool) -> Result<String, Box<dyn Error>> {
    let name = program.name;
    let body = match program.chart {
        Chart::Timeline => figure(name, &svg::timelines()),
        Chart::None => {
            let output = program.output(quick, false)?;
            format!(
                "<pre>{}</pre>\n",
                escaped(&String::from_utf8_lossy(&output.stdout))
            )
        }
        Chart::Bars => {
            let lines = results(program, quick)?;
            table(&lines) + &figure(name, &svg::bars(name, &lines)?)
        }
        Chart::Lines => {
            let lines = results(program, quick)?;
            table(&lines) + &figure(name, &svg::lines(name, &lines)?)
        }
    };
    Ok(format!("<h3>{name}</h3>\n{body}"))
}

fn results(program: &Program, quick: bool) -> Result<Vec<Line>, Box<dyn Error>> {
    let output = program.output(quick, true)?;
    let lines = String::from_utf8(output.stdout)?;
    let lines: Vec<Line> = lines.lines().map(Line::parse).collect::<Result<_, _>>()?;
    match lines.is_empty() {
        true => Err(format!("{} has printed no results", program.name).into()),
        false => Ok(lines),
    }
}

fn figure(name: &str, svg: &str) -> String {
    format!("<figure class=\"chart\" id=\"chart-{name}\">{svg}</figure>\n")
}

fn table(lines: &[Line]) -> String {
    let mut table =
        String::from("<table><tr><th>case</th><th>how many</th><th>value</th><th></th></tr>\n");
    for line in lines {
        let x = line.number("x");
        let x = if x.is_nan() {
            String::new()
        } else {
            x.to_string()
        };
        let (case, value, unit) = (
            escaped(line.text("case")),
            digits(line.number("value")),
            line.text("unit"),
        );
        let _ = writeln!(
            table,
            "<tr><td>{case}</td><td>{x}</td><td>{value}</td><td>{}</td></tr>",
            escaped(unit)
        );
    }
    table + "</table>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
