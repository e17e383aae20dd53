//! The results of a program as a table of the page: a row for each line, a column for each field.

use serde_json::Value;

use crate::page::escaped;
use crate::talk_parts::report::{Line, digits};

/// What has no column: the name stands above the table, and the unit beside its value.
const NO_COLUMN: [&str; 2] = ["program", "unit"];

/// All that these lines have.
pub(crate) fn of(lines: &[Line]) -> String {
    let fields = fields(lines);
    let heads = fields.iter().map(|field| (*field).to_owned());
    let mut table = row("th", heads);
    for line in lines {
        table += &row("td", fields.iter().map(|field| cell(line, field)));
    }
    format!("<div class=\"wide\"><table>\n{table}</table></div>\n")
}

/// The case, and then what there is in the order in which it comes.
fn fields(lines: &[Line]) -> Vec<&str> {
    let mut fields = vec!["case"];
    for field in lines.iter().flat_map(|line| line.0.keys()) {
        if !fields.contains(&field.as_str()) && !NO_COLUMN.contains(&field.as_str()) {
            fields.push(field);
        }
    }
    fields
}

fn row(tag: &str, cells: impl Iterator<Item = String>) -> String {
    let cell = |text: String| format!("<{tag}>{}</{tag}>", escaped(&text));
    format!("<tr>{}</tr>\n", cells.map(cell).collect::<String>())
}

fn cell(line: &Line, field: &str) -> String {
    let text = match line.0.get(field) {
        None | Some(Value::Null) => return String::new(),
        Some(Value::String(text)) => text.clone(),
        // A count is exact; what was measured is not.
        Some(Value::Number(number)) => match number.as_f64() {
            Some(value) if number.is_f64() => measured(value),
            _ => number.to_string(),
        },
        Some(value) => value.to_string(),
    };
    match field {
        "value" => format!("{text} {}", line.text("unit")),
        _ => text,
    }
}

/// Three digits that count, also of what is small.
fn measured(value: f64) -> String {
    match value.abs() {
        small if small > 0.0 && small < 0.0995 => {
            let places = 2 - small.log10().floor() as i32;
            format!("{value:.*}", places as usize)
        }
        _ => digits(value),
    }
}
