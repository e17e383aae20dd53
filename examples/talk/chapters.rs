//! A chapter: what it is about, and its programs, which are run.

use std::io::{self, Write};

use crate::beside::Beside;
use crate::running::End;
use crate::stage::Stage;

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
    /// A bar for each line of JSON, if there are several.
    Bars,
    /// A line for each way, over `x`.
    Lines,
    /// Its one line is a bar of the chart that ends the chapter.
    Shared,
    /// What blocking, polling and greenlets do, as it was recorded.
    Timeline,
}

/// A program of the talk, with arguments: those of a full run, and of a quick one.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) full: &'static [&'static str],
    pub(crate) quick: &'static [&'static str],
    pub(crate) input: &'static str,
    pub(crate) beside: Beside,
    pub(crate) chart: Chart,
}

impl Program {
    /// A program without arguments, whose text is shown.
    pub(crate) const fn shown(name: &'static str) -> Program {
        Program {
            name,
            full: &[],
            quick: &[],
            input: "",
            beside: Beside::Nothing,
            chart: Chart::None,
        }
    }

    /// One whose results are drawn.
    pub(crate) const fn drawn(name: &'static str, chart: Chart) -> Program {
        Program {
            chart,
            ..Program::shown(name)
        }
    }

    /// The same with arguments.
    pub(crate) const fn with(
        self,
        full: &'static [&'static str],
        quick: &'static [&'static str],
    ) -> Program {
        Program {
            full,
            quick,
            ..self
        }
    }
}

impl Chapter {
    /// Runs all programs, and shows what they print; the names of those that failed.
    pub(crate) fn run(&self, stage: &Stage) -> io::Result<Vec<&'static str>> {
        let mut out = io::stdout();
        let mut failed = vec![];
        writeln!(out, "{}\n\n{}", self.title, self.text)?;
        let programs = self.programs.iter();
        for program in programs.filter(|program| program.chart != Chart::Timeline) {
            writeln!(out, "\n$ {}", program.name)?;
            let ran = program.run(stage, false);
            write!(out, "{}{}", ran.said, ran.told)?;
            match ran.end {
                End::Well => continue,
                End::Failed(_) => failed.push(program.name),
                End::NotRun(_) => {}
            }
            writeln!(out, "{}", ran.end.words())?;
        }
        Ok(failed)
    }
}
