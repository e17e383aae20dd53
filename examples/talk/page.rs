//! The page: every chapter with what its programs printed, as tables, text and charts. It needs
//! nothing but itself. Each section is written when it is there: no program takes the page along.

use std::error::Error;
use std::io::{self, Write};

use indicatif::ProgressBar;

use crate::chapters::{Chapter, Chart, Program};
use crate::running::{End, Ran};
use crate::stage::Stage;
use crate::talk_parts::report::Line;
use crate::{svg, table, timeline};

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>The talk, running</title>
<style>
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font-family: sans-serif }
body { line-height: 1.5 } .failed { color: #b00020 }
pre { background: #f4f4f4; padding: 0.8rem; overflow-x: auto; line-height: 1.3 }
pre.told { background: #fdf6e3 }
.wide { overflow-x: auto } table { border-collapse: collapse }
td, th { padding: 0.15rem 0.8rem; border-bottom: 1px solid #ddd }
td, th { text-align: right; white-space: nowrap }
td:first-child, th:first-child { text-align: left }
figure { margin: 1rem 0 } svg { max-width: 100%; height: auto }
</style></head><body>
<h1>The talk, running</h1>
<p>Every table and chart on this page was measured on one machine, by the examples of the crate.
What a program said on standard error stands on yellow.</p>
";

/// Runs these chapters, and writes their page; the names of the programs that failed.
pub(crate) fn write(
    page: &mut impl Write,
    chapters: &[&Chapter],
    stage: &Stage,
    bar: &ProgressBar,
) -> io::Result<Vec<&'static str>> {
    let mut failed = vec![];
    page.write_all(HEAD.as_bytes())?;
    for chapter in chapters {
        let [title, text] = [chapter.title, chapter.text].map(escaped);
        writeln!(page, "<h2>{title}</h2>\n<p>{text}</p>")?;
        let mut shared = vec![];
        for program in chapter.programs {
            let (body, end) = section(program, stage, &mut shared);
            writeln!(page, "<h3>{}</h3>\n{body}", program.name)?;
            failed.extend(matches!(end, End::Failed(_)).then_some(program.name));
            bar.inc(1);
        }
        if let [first, _, ..] = &shared[..] {
            let name = first.text("program");
            let chart = svg::bars(&stage.folder, name, &shared);
            let chart = chart.map_err(|error| io::Error::other(error.to_string()))?;
            page.write_all(figure(name, &chart).as_bytes())?;
        }
    }
    writeln!(page, "</body></html>")?;
    Ok(failed)
}

/// What a program has said. What it shares with others of its chapter comes to `shared`.
fn section(program: &Program, stage: &Stage, shared: &mut Vec<Line>) -> (String, End) {
    if program.chart == Chart::Timeline {
        return (figure(program.name, &timeline::drawn()), End::Well);
    }
    let mut ran = program.run(stage, program.chart != Chart::None);
    let mut body = text("said", &ran.said);
    if matches!(ran.end, End::Well) {
        match results(program, &ran, stage, shared) {
            Ok(None) => {}
            Ok(Some(results)) => body = results,
            Err(error) => ran.end = End::Failed(error.to_string()),
        }
    }
    body += &text("told", &ran.told);
    let words = escaped(&ran.end.words());
    match ran.end {
        End::Well => {}
        End::NotRun(_) => body += &format!("<p>{words}</p>\n"),
        End::Failed(_) => body += &format!("<p class=\"failed\">{words}</p>\n"),
    }
    (body, ran.end)
}

/// The table and the chart of a program that has some.
fn results(
    program: &Program,
    ran: &Ran,
    stage: &Stage,
    shared: &mut Vec<Line>,
) -> Result<Option<String>, Box<dyn Error>> {
    if matches!(program.chart, Chart::None | Chart::Timeline) {
        return Ok(None);
    }
    let lines = ran.said.lines().map(Line::parse);
    let lines: Vec<Line> = lines.collect::<Result<_, _>>()?;
    if lines.is_empty() {
        return Err("it has printed no results".into());
    }
    let table = table::of(&lines);
    let chart = match program.chart {
        Chart::Lines => svg::lines(&stage.folder, program.name, &lines)?,
        Chart::Bars => svg::bars(&stage.folder, program.name, &lines)?,
        _ => {
            shared.extend(lines);
            return Ok(Some(table));
        }
    };
    Ok(Some(table + &figure(program.name, &chart)))
}

fn figure(name: &str, svg: &str) -> String {
    format!("<figure class=\"chart\" id=\"chart-{name}\">{svg}</figure>\n")
}

fn text(class: &str, text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("<pre class=\"{class}\">{}</pre>\n", escaped(text)),
    }
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
