//! Starting somebody, and waiting for the end.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

/// What this program does when it is started by itself.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Child {
    /// Nothing.
    Nothing,
    /// Sends back what comes.
    Echo,
}

pub(crate) fn start(child: Child) -> io::Result<std::process::Child> {
    let name = match child {
        Child::Nothing => "nothing",
        Child::Echo => "echo",
    };
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--child", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn()
}

pub(crate) fn be(child: Child) -> io::Result<()> {
    match child {
        Child::Nothing => Ok(()),
        Child::Echo => echo(&mut io::stdin().lock(), &mut io::stdout().lock()),
    }
}

/// Sends back byte by byte, until there are no more.
pub(crate) fn echo(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut byte = [0];
    while from.read(&mut byte)? > 0 {
        to.write_all(&byte)?;
        to.flush()?;
    }
    Ok(())
}

pub(crate) fn greenlets(count: u64) -> io::Result<f64> {
    let begin = Instant::now();
    for number in 0..count {
        let same = greenlet::spawn(move || number).join();
        assert_eq!(same.expect("no panic"), number);
    }
    Ok(begin.elapsed().as_secs_f64())
}

pub(crate) fn threads(count: u64) -> io::Result<f64> {
    let begin = Instant::now();
    for number in 0..count {
        let same = thread::Builder::new().spawn(move || number)?.join();
        assert_eq!(same.expect("no panic"), number);
    }
    Ok(begin.elapsed().as_secs_f64())
}

pub(crate) fn processes(count: u64) -> io::Result<f64> {
    let begin = Instant::now();
    for _ in 0..count {
        let status = start(Child::Nothing)?.wait()?;
        assert!(status.success());
    }
    Ok(begin.elapsed().as_secs_f64())
}
