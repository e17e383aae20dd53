//! The table: what the process answers, line by line.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use clap::ValueEnum;
use serde_json::Value;

/// What comes first.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Order {
    Turns,
    Waiting,
    Stack,
}

pub(crate) const HEAD: [&str; 7] = [
    "THREAD", "GREENLET", "STATE", "TURNS", "WAITING", "STACK", "DOES",
];
pub(crate) const WIDTHS: [usize; 7] = [15, 28, 9, 10, 10, 9, 40];

/// One greenlet: what it is sorted by, and what is shown.
pub(crate) struct Line {
    keys: [f64; 3],
    pub(crate) cells: [String; 7],
}

/// The greenlets of all threads of the process, sorted.
pub(crate) fn ask(path: &Path, order: Order) -> io::Result<Vec<Line>> {
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(b"brief\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let mut lines = vec![];
    for dump in answer.lines() {
        let dump: Value = serde_json::from_str(dump)?;
        let greenlets = dump["greenlets"].as_array().into_iter().flatten();
        lines.extend(greenlets.map(|greenlet| line(&dump["thread"], greenlet)));
    }
    lines.sort_by(|a, b| b.keys[order as usize].total_cmp(&a.keys[order as usize]));
    Ok(lines)
}

fn line(thread: &Value, greenlet: &Value) -> Line {
    let number = |value: &Value| value.as_f64().unwrap_or(0.0);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let (id, name) = (&greenlet["id"], &greenlet["name"]);
    let keys = [
        &greenlet["turns"],
        &greenlet["waiting"],
        &greenlet["stack"]["deepest"],
    ]
    .map(number);
    let or_none = |key: f64, shown: String| if key > 0.0 { shown } else { "-".into() };
    let cells = [
        text(thread),
        name.as_str().map_or(format!("#{id}"), |name| {
            format!("{} (#{id})", name.escape_debug())
        }),
        text(&greenlet["state"]),
        format!("{}", keys[0]),
        or_none(keys[1], format!("{:.1} s", keys[1])),
        or_none(keys[2], format!("{:.0} KiB", keys[2] / 1024.0)),
        text(&greenlet["waits"]),
    ];
    Line { keys, cells }
}

pub(crate) fn print(lines: &[Line]) {
    let row = |cells: Vec<&str>| {
        let cells = cells
            .iter()
            .zip(WIDTHS)
            .map(|(cell, width)| format!("{cell:width$} "));
        println!("{}", cells.collect::<String>().trim_end());
    };
    row(HEAD.to_vec());
    lines
        .iter()
        .for_each(|line| row(line.cells.iter().map(String::as_str).collect()));
}
