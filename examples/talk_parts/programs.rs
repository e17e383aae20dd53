//! Running other programs of the talk, for what they print with `--json`.

use std::error::Error;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use super::report::{Line, median};

/// The results of a program that lies beside this one. What it says on standard error is to be seen.
pub(crate) fn run(name: &str, arguments: &[OsString]) -> Result<Vec<Line>, Box<dyn Error>> {
    let file = std::env::current_exe()?.with_file_name(name);
    let mut command = Command::new(&file);
    command
        .arg("--json")
        .args(arguments)
        .stderr(Stdio::inherit());
    let missing = |error| format!("{name}: {error}; `cargo build --release --examples` builds it");
    let output = command.output().map_err(missing)?;
    if !output.status.success() {
        return Err(format!("{name} ended with {}", output.status).into());
    }
    let lines = String::from_utf8(output.stdout)?;
    Ok(lines.lines().map(Line::parse).collect::<Result<_, _>>()?)
}

/// One line for several runs of one program: its medians.
pub(crate) fn middle(lines: &[Line]) -> Line {
    let middle = |key| median(lines.iter().map(|line| line.number(key)).collect());
    let keys = ["value", "seconds", "cpu"];
    keys.iter()
        .fold(lines[0].clone(), |line, key| line.with(key, middle(key)))
}
