//! A chapter: what it is about, and its programs, which are run.

use std::error::Error;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

use crate::contents::LOG;

/// A chapter of the talk.
pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) programs: &'static [Program],
}

/// How the results of a program are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chart {
    /// It prints text.
    None,
    /// A bar for each line of JSON.
    Bars,
    /// A line for each way, over `x`.
    Lines,
    /// What blocking, polling and greenlets do, as it was recorded.
    Timeline,
}

/// A program of the talk, with arguments: those of a full run, and of a quick one.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) full: &'static [&'static str],
    pub(crate) quick: &'static [&'static str],
    pub(crate) input: &'static str,
    pub(crate) chart: Chart,
}

impl Chapter {
    /// Runs all programs, and shows what they print.
    pub(crate) fn run(&self, quick: bool) -> Result<(), Box<dyn Error>> {
        println!("{}\n\n{}", self.title, self.text);
        for program in self
            .programs
            .iter()
            .filter(|program| program.chart != Chart::Timeline)
        {
            println!("\n$ {}", program.name);
            let output = program.output(quick, false)?;
            io::stdout().write_all(&output.stdout)?;
        }
        Ok(())
    }
}

impl Program {
    /// Runs it to its end.
    pub(crate) fn output(&self, quick: bool, json: bool) -> Result<Output, Box<dyn Error>> {
        let file = std::env::current_exe()?.with_file_name(self.name);
        let log = std::env::temp_dir().join(format!("talk-{}.log", std::process::id()));
        let arguments = if quick { self.quick } else { self.full };
        let place = |argument: &&str| match *argument {
            LOG => log.clone().into_os_string(),
            other => other.into(),
        };
        let mut command = Command::new(&file);
        command
            .args(arguments.iter().map(place))
            .args(json.then_some("--json"));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let missing = |error| {
            format!(
                "{}: {error}; `cargo build --release --examples` builds it",
                self.name
            )
        };
        let mut child = command.spawn().map_err(missing)?;
        let mut stdin = child.stdin.take().ok_or("no input")?;
        let _ = stdin.write_all(self.input.as_bytes()); // it need not read all of it
        drop(stdin);
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{} ended with {}: {told}", self.name, output.status).into());
        }
        Ok(output)
    }
}
