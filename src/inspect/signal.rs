//! Dumps on standard error, when a signal comes: for programs that hang.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;

use super::{Dump, dump_all};
use crate::sys::tasks;

/// Prints what the greenlets of all threads are doing on standard error, whenever this signal comes.
///
/// A thread of its own waits for the signal, so this also works in a program that hangs. Signals that come while it
/// prints are one. Several signals may be named, one after the other; one that is named again is printed twice.
///
/// ```
/// greenlet::inspect::on_signal(greenlet::signal::SIGUSR1)?;
/// # std::io::Result::Ok(())
/// ```
///
/// `kill -USR1 PID` then prints a dump.
///
/// # Errors
/// `InvalidInput` for a signal that cannot be watched: `SIGKILL`, `SIGSTOP` and those of faults, and `SIGURG`, by
/// which threads are asked; and what the system says.
pub fn on_signal(signal: c_int) -> io::Result<()> {
    if signal == libc::SIGURG || signal_hook::consts::FORBIDDEN.contains(&signal) {
        let reason = format!("signal {signal} cannot be used to ask for a dump");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let (mut asked, bell) = UnixStream::pair()?;
    let registered = signal_hook::low_level::pipe::register(signal, bell)?;
    let listen = move || {
        let _aside = tasks::stand_aside();
        let mut bytes = [0; 64];
        while asked.read(&mut bytes).is_ok_and(|count| count > 0) {
            print(&dump_all());
        }
    };
    let watcher = thread::Builder::new().name("greenlet-dump".into());
    let started = watcher.spawn(listen);
    started.map(drop).inspect_err(|_| {
        signal_hook::low_level::unregister(registered);
    })
}

/// All in one write, so that others do not write in between, and past the lock of std: the thread that hangs may have
/// it. Whoever has closed standard error does not want it.
fn print(dumps: &[Dump]) {
    let mut text = match dumps.len() {
        1 => "greenlet: one thread with greenlets\n".to_owned(),
        count => format!("greenlet: {count} threads with greenlets\n"),
    };
    for dump in dumps {
        text.push_str(&format!("{dump}\n"));
    }
    if let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() {
        let _ = File::from(stderr).write_all(text.as_bytes());
    }
}
