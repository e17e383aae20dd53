//! A program is run to its end, and what it has said is kept.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use greenlet::process::{Command, Stdio};

use crate::chapters::Program;
use crate::contents::{ADDRESS, LOG};
use crate::stage::{Process, Stage};

/// How it ended.
pub(crate) enum End {
    Well,
    Failed(String),
    NotRun(String),
}

/// What a program that has run said on standard output and on standard error, and how it ended.
pub(crate) struct Ran {
    pub(crate) said: String,
    pub(crate) told: String,
    pub(crate) end: End,
}

impl End {
    /// What is to be said of it.
    pub(crate) fn words(&self) -> String {
        match self {
            End::Well => String::new(),
            End::Failed(how) => format!("failed: {how}"),
            End::NotRun(why) => format!("not run: {why}"),
        }
    }
}

impl Program {
    /// Runs it.
    pub(crate) fn run(&self, stage: &Stage, json: bool) -> Ran {
        let server = self.beside.start(stage);
        let ran = server.and_then(|server| {
            self.run_with(stage, json, &server.address)
                .map_err(|error| End::Failed(error.to_string()))
        });
        ran.unwrap_or_else(|end| Ran {
            said: String::new(),
            told: String::new(),
            end,
        })
    }

    fn run_with(&self, stage: &Stage, json: bool, address: &str) -> Result<Ran, Box<dyn Error>> {
        // Files, not pipes: it can always write, and only its end is waited for.
        let [said, told] = ["said", "told"].map(|name| stage.folder.join(name));
        let mut command = Command::new(beside_this(self.name)?);
        command
            .args(self.arguments(stage, address))
            .args(json.then_some("--json"))
            .env("TMPDIR", &stage.folder)
            .stdin(Stdio::piped())
            .stdout(File::create(&said)?)
            .stderr(File::create(&told)?);
        let missing = |error| format!("{error}; `cargo build --release --examples` builds it");
        let mut process = Process(command.spawn().map_err(missing)?);
        if let Some(mut stdin) = process.0.stdin.take() {
            let _ = stdin.write_all(self.input.as_bytes()); // it need not read all of it
        }
        let status = process.0.wait()?;
        let [said, told] = [fs::read(said)?, fs::read(told)?];
        Ok(Ran {
            said: String::from_utf8_lossy(&said).into_owned(),
            told: String::from_utf8_lossy(&told).into_owned(),
            end: match status.success() {
                true => End::Well,
                false => End::Failed(status.to_string()),
            },
        })
    }

    fn arguments(&self, stage: &Stage, address: &str) -> impl Iterator<Item = OsString> {
        let arguments = if stage.quick { self.quick } else { self.full };
        arguments.iter().map(move |argument| match *argument {
            LOG => stage.folder.join("log").into(),
            ADDRESS => address.into(),
            other => other.into(),
        })
    }
}

/// Where a program lies.
pub(crate) fn beside_this(name: &str) -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}
