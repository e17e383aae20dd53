//! Standard output and standard error.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::process::Stdio;

use super::lock::{StreamLock, Taken};
use crate::hub::io::{Direction, count_call, is_ready_now, wait_for_foreign};
use crate::offload;
use crate::sys::fd;

/// So much is written by one call of a worker: as much as fits a pipe that has room at all.
const CHUNK: usize = libc::PIPE_BUF;

static OUT: StreamLock = StreamLock::new();
static ERR: StreamLock = StreamLock::new();

/// The standard output of the process: `std::io::stdout`.
///
/// # Parks
/// No.
pub fn stdout() -> Stdout {
    Stdout {
        theirs: io::stdout(),
    }
}

/// The standard error of the process: `std::io::stderr`.
///
/// # Parks
/// No.
pub fn stderr() -> Stderr {
    Stderr {
        theirs: io::stderr(),
    }
}

/// A handle to the standard output; see [`stdout`].
///
/// # Parks
/// Writing, while there is no room, and while another greenlet has the lock.
///
/// # Cancellation
/// A killed write may have been made in full; `write_all` may have written a part.
///
/// # Differences from std
/// Not buffered: each call writes what it is given, a `write!` in one piece. What was printed through std and
/// is not a full line yet comes later, or when this is flushed: as `print!` does, that keeps the thread waiting while there is
/// no room for it.
pub struct Stdout {
    theirs: io::Stdout,
}

/// A handle to the standard error; see [`stderr`].
///
/// # Parks
/// As [`Stdout`].
///
/// # Cancellation
/// As for [`Stdout`].
pub struct Stderr {
    theirs: io::Stderr,
}

/// The standard output for one greenlet alone; see [`Stdout::lock`].
pub struct StdoutLock<'a> {
    theirs: io::Stdout,
    _taken: Taken,
    _of: std::marker::PhantomData<(&'a (), *const ())>,
}

/// The standard error for one greenlet alone; see [`Stderr::lock`].
pub struct StderrLock<'a> {
    theirs: io::Stderr,
    _taken: Taken,
    _of: std::marker::PhantomData<(&'a (), *const ())>,
}

impl Stdout {
    /// Keeps others from writing. The greenlet that has it may take it again.
    ///
    /// # Parks
    /// While another greenlet has it.
    ///
    /// # Panics
    /// If it has to wait and the hub can have no poller.
    pub fn lock(&self) -> StdoutLock<'static> {
        StdoutLock {
            theirs: io::stdout(),
            _taken: OUT.get().take(),
            _of: std::marker::PhantomData,
        }
    }
}

impl Stderr {
    /// Keeps others from writing. The greenlet that has it may take it again.
    ///
    /// # Parks
    /// While another greenlet has it.
    ///
    /// # Panics
    /// If it has to wait and the hub can have no poller.
    pub fn lock(&self) -> StderrLock<'static> {
        StderrLock {
            theirs: io::stderr(),
            _taken: ERR.get().take(),
            _of: std::marker::PhantomData,
        }
    }
}

/// One write, as much of it as can be had. What is closed swallows everything, as with std.
fn write(to: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    count_call();
    loop {
        match attempt(to, buf) {
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(buf.len()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
    }
}

/// `WouldBlock`: there was no room, or there was some and it was taken; try again.
fn attempt(to: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    let waits = match fd::write_now(to, buf) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => false,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => !is_ready_now(to, WRITE)?,
        outcome => return outcome,
    };
    match wait_for_foreign(to, WRITE, || true) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Ok(()) if waits => return Err(io::ErrorKind::WouldBlock.into()),
        outcome => outcome?,
    }
    let chunk = buf[..buf.len().min(CHUNK)].to_vec();
    let number = to.as_raw_fd();
    offload::blocking(move || fd::write(fd::foreign(number), &chunk))
}

const WRITE: Direction = Direction::Write;

/// A format, in one piece.
fn formatted(arguments: fmt::Arguments<'_>) -> String {
    match arguments.as_str() {
        Some(text) => text.to_owned(),
        None => arguments.to_string(),
    }
}

/// What std has for each of the two: trait impls only.
macro_rules! output {
    ($handle:ident, $lock:ident) => {
        impl Write for $lock<'_> {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                write(self.theirs.as_fd(), buf)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.theirs.flush()
            }

            fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
                self.write_all(formatted(arguments).as_bytes())
            }
        }

        impl Write for &$handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.lock().write(buf)
            }

            fn flush(&mut self) -> io::Result<()> {
                (&self.theirs).flush()
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.lock().write_all(buf)
            }

            fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
                let text = formatted(arguments);
                self.lock().write_all(text.as_bytes())
            }
        }

        impl Write for $handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                (&*self).write(buf)
            }

            fn flush(&mut self) -> io::Result<()> {
                (&*self).flush()
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                (&*self).write_all(buf)
            }

            fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(arguments)
            }
        }

        impl From<$handle> for Stdio {
            fn from(output: $handle) -> Stdio {
                output.theirs.into()
            }
        }

        super::standard!($handle);
        super::standard!($lock<'_>);
    };
}

output!(Stdout, StdoutLock);
output!(Stderr, StderrLock);
