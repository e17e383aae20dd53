//! A child process, and its ends of pipes.

use std::cell::OnceCell;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::OwnedFd;
use std::panic::RefUnwindSafe;
use std::process::{self, ExitStatus, Output, Stdio};

use super::{ending, orphan};
use crate::hub::io::{Direction, Source, count_call, descriptor};
use crate::spawn::scope;

/// A child process: `std::process::Child`.
///
/// Dropping it neither kills it nor waits for it, as with std.
///
/// # Parks
/// `wait` and `wait_with_output`, until it has ended.
///
/// # Cancellation
/// A wait that is killed or timed out has taken nothing: the next one returns the status.
///
/// It stays on its OS thread; one of std may go:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<greenlet::process::Child>();
/// ```
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<greenlet::process::Child>();
/// ```
pub struct Child {
    /// Its standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    child: process::Child,
    /// Readable when it has ended.
    ending: OnceCell<Source<OwnedFd>>,
}

/// As std's. What a wait leaves is a descriptor, or none.
impl RefUnwindSafe for Child {}

impl Child {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with `SIGKILL`. One that has ended, and was waited for, is left alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Waits until it has ended; returns the same status each time. Its standard input is closed before.
    ///
    /// # Parks
    /// Unless it has ended.
    ///
    /// # Errors
    /// What the system says; also when no descriptor is left to wait on, and then it can be asked again.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        let ending = match self.ending.get() {
            Some(ending) => ending,
            None => match ending::of(self.child.id()) {
                Ok(made) => self.ending.get_or_init(|| Source::new(made)),
                // It has ended meanwhile, and somebody has taken its status: this says so.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                    return self.child.wait();
                }
                Err(error) => return Err(error),
            },
        };
        let child = &mut self.child;
        let status = ending.retry(Direction::Read, None, |_| {
            child.try_wait()?.ok_or(io::ErrorKind::WouldBlock.into())
        })?;
        self.ending.take(); // a descriptor
        Ok(status)
    }

    /// Its status, if it has ended.
    ///
    /// # Parks
    /// No. After many such calls in a row others go first.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        count_call();
        self.child.try_wait()
    }

    /// Reads what it writes to both pipes, whichever comes, and waits until it has ended.
    ///
    /// # Parks
    /// Until then.
    ///
    /// # Cancellation
    /// What was read is lost with the child. Its status is taken when another child is begun after its end.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait_with_output(self) -> io::Result<Output> {
        self.until_let_go(Child::rest)
    }

    /// What it writes from now on, and its status.
    fn rest(&mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (out, err) = (self.stdout.take(), self.stderr.take());
        let (stdout, stderr) = match (out, err) {
            (Some(out), Some(err)) => both(out, err)?,
            (out, err) => (rest(out)?, rest(err)?),
        };
        let status = self.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    /// Does something with a child that nobody will have a handle of afterwards: if its status has not been taken by
    /// then, it is an orphan.
    pub(super) fn until_let_go<R>(self, f: impl FnOnce(&mut Child) -> R) -> R {
        let mut last = Last(Some(self));
        f(last.0.as_mut().expect("it is there until the end"))
    }
}

/// The last handle.
struct Last(Option<Child>);

impl Drop for Last {
    fn drop(&mut self) {
        let child = self.0.take().map(|child| child.child);
        child.into_iter().for_each(orphan::leave);
    }
}

/// Reads two at once: a child that has filled one pipe waits, and does not get to the other.
fn both(out: ChildStdout, err: ChildStderr) -> io::Result<(Vec<u8>, Vec<u8>)> {
    scope(|s| {
        let err = s.spawn(|| rest(Some(err)));
        let out = rest(Some(out))?;
        match err.join() {
            Ok(err) => Ok((out, err?)),
            Err(payload) => std::panic::resume_unwind(payload),
        }
    })
}

fn rest(from: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    if let Some(mut from) = from {
        from.read_to_end(&mut all)?;
    }
    Ok(all)
}

/// Its pipes do not block from now on.
impl From<process::Child> for Child {
    fn from(mut child: process::Child) -> Child {
        Child {
            stdin: child.stdin.take().map(ChildStdin::from),
            stdout: child.stdout.take().map(ChildStdout::from),
            stderr: child.stderr.take().map(ChildStderr::from),
            child,
            ending: OnceCell::new(),
        }
    }
}

/// Its pipes block again.
impl From<Child> for process::Child {
    fn from(child: Child) -> process::Child {
        let mut theirs = child.child;
        theirs.stdin = child.stdin.map(process::ChildStdin::from);
        theirs.stdout = child.stdout.map(process::ChildStdout::from);
        theirs.stderr = child.stderr.map(process::ChildStderr::from);
        theirs
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}

/// The pipe to the standard input of a child: `std::process::ChildStdin`.
///
/// # Parks
/// Writing, while the pipe is full.
///
/// # Cancellation
/// A write that is killed or timed out has written nothing; `write_all` and the like may have written a part.
pub struct ChildStdin {
    source: Source<process::ChildStdin>,
}

/// The pipe from the standard output of a child: `std::process::ChildStdout`.
///
/// # Parks
/// Reading, until there is something, or nobody can write any more.
///
/// # Cancellation
/// A read that is killed or timed out has taken nothing.
pub struct ChildStdout {
    source: Source<process::ChildStdout>,
}

/// The pipe from the standard error of a child: `std::process::ChildStderr`.
///
/// # Parks
/// As [`ChildStdout`].
///
/// # Cancellation
/// As for [`ChildStdout`].
pub struct ChildStderr {
    source: Source<process::ChildStderr>,
}

impl ChildStdin {
    fn of(end: process::ChildStdin) -> ChildStdin {
        ChildStdin {
            source: Source::new(end),
        }
    }
}

impl ChildStdout {
    fn of(end: process::ChildStdout) -> ChildStdout {
        ChildStdout {
            source: Source::new(end),
        }
    }
}

impl ChildStderr {
    fn of(end: process::ChildStderr) -> ChildStderr {
        ChildStderr {
            source: Source::new(end),
        }
    }
}

impl Write for &ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.source.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for ChildStdin {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.source.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for ChildStdout {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.read_vectored(bufs)
    }
}

impl Read for ChildStderr {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.read_vectored(bufs)
    }
}

descriptor!(ChildStdin, process::ChildStdin, ChildStdin::of);
descriptor!(ChildStdout, process::ChildStdout, ChildStdout::of);
descriptor!(ChildStderr, process::ChildStderr, ChildStderr::of);

impl From<ChildStdin> for Stdio {
    fn from(end: ChildStdin) -> Stdio {
        process::ChildStdin::from(end).into()
    }
}

impl From<ChildStdout> for Stdio {
    fn from(end: ChildStdout) -> Stdio {
        process::ChildStdout::from(end).into()
    }
}

impl From<ChildStderr> for Stdio {
    fn from(end: ChildStderr) -> Stdio {
        process::ChildStderr::from(end).into()
    }
}
