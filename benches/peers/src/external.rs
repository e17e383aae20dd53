//! The peers outside this process: child programs, built at run time.
//!
//! The protocol: called with the arguments of a question (`RING COUNT` for a hand-off), the child
//! prints the nanoseconds of CPU time that one took it, measured inside itself; called without
//! arguments, it prints its version. Whatever goes wrong on the way (no compiler, no library, no network) is an error
//! with a one-line reason, and the peer is reported as missing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::rounds::Contender;

/// A child program that is ready to run.
pub struct Child {
    pub program: PathBuf,
    pub first: Vec<PathBuf>,
    version: String,
}

impl Child {
    /// A child whose command line starts with `program` and then the paths in `first`.
    pub fn new(program: PathBuf, first: Vec<PathBuf>) -> Result<Child> {
        let version = output(Command::new(&program).args(&first))?;
        Ok(Child {
            program,
            first,
            version,
        })
    }

    /// A child that is not asked for its version.
    pub fn without_version(program: PathBuf, first: Vec<PathBuf>) -> Child {
        Child {
            program,
            first,
            version: String::new(),
        }
    }

    /// How this child does its work: `how`, after the version.
    pub fn how(&self, how: &str) -> String {
        match self.version.as_str() {
            "" => how.to_owned(),
            version => format!("{version}; {how}"),
        }
    }

    /// The nanoseconds that the child prints when called with `arguments`.
    pub fn figure(&self, arguments: &[&dyn ToString]) -> Result<f64> {
        let mut command = Command::new(&self.program);
        command.args(&self.first);
        command.args(arguments.iter().map(|argument| argument.to_string()));
        let line = output(&mut command)?;
        line.parse()
            .with_context(|| format!("{line:?} is not a number of nanoseconds"))
    }
}

/// A contender that is a child program: `prepare` builds it, `measure` asks it for one column.
pub fn contender(
    name: &'static str,
    how: &str,
    prepare: impl FnOnce() -> Result<Child>,
    measure: impl Fn(&Child, usize) -> Result<f64> + 'static,
) -> Contender {
    eprintln!("preparing {name}");
    match prepare() {
        Ok(child) => Contender::new(name, child.how(how), move |column| {
            measure(&child, column).map(Some)
        }),
        Err(reason) => Contender::missing(name, how.to_owned(), reason),
    }
}

/// The source file `name` of this package's `external` folder.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("external")
        .join(name)
}

/// The place `name` in the folder where children are built, beside this very program.
pub fn place(name: &str) -> Result<PathBuf> {
    let folder = env::current_exe()?.with_file_name("external");
    fs::create_dir_all(&folder)?;
    Ok(folder.join(name))
}

/// A command for `program`, which the environment variable `variable` may name differently.
pub fn tool(variable: &str, program: &str) -> Command {
    Command::new(env::var_os(variable).unwrap_or_else(|| program.into()))
}

/// Runs `command` to its end and returns what it printed; if it fails, the error says why.
pub fn output(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program())
        .file_name()
        .map(OsStr::to_owned)
        .unwrap_or_default();
    let name = name.to_string_lossy();
    let output = command
        .output()
        .with_context(|| format!("`{name}` could not be started"))?;
    if !output.status.success() {
        bail!("`{name}`: {}", reason(&output));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The line of a failed command's messages that most likely tells the cause.
pub fn reason(output: &Output) -> String {
    let messages = [&output.stderr[..], &output.stdout[..]].concat();
    let messages = String::from_utf8_lossy(&messages);
    let telling = |line: &&str| {
        let line = line.to_lowercase();
        line.contains("error") || line.contains("cannot")
    };
    let mut lines = messages.lines().filter(|line| !line.trim().is_empty());
    let first = lines.clone().next();
    match lines.find(telling).or(first) {
        Some(line) => line.trim().to_owned(),
        None => output.status.to_string(),
    }
}
