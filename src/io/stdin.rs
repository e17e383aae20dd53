//! Standard input: one buffer for the process, and one greenlet at a time that reads.

use std::io::{self, BufRead, Lines, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Mutex, MutexGuard};

use super::lock::{Lock, Taken};
use crate::hub::Hub;
use crate::hub::desk::Knocker;
use crate::hub::io::{Direction, is_ready_now, wait_for_foreign};
use crate::offload;
use crate::sys::fd;
use crate::sys::fork::{Own, inherited};
use crate::sys::lock::lock;

/// So much is read at once, as by std.
const CHUNK: usize = 8192;

/// What all who read share.
#[derive(Default)]
struct Shared {
    turn: Lock,
    /// Held by the worker that reads.
    reading: Mutex<()>,
    /// Who waits for something to read.
    waiting: Mutex<Option<Knocker>>,
    /// What was read and nobody has taken. Held for moments only.
    unread: Mutex<Vec<u8>>,
}

/// That of this process. After a fork a worker of the parent may read for ever.
fn shared() -> &'static Shared {
    static SHARED: Own<Shared> = Own::new();
    SHARED.or_make(|parents| Shared {
        unread: inherited(parents.map(|parents| &parents.unread)),
        ..Shared::default()
    })
}

fn unread() -> MutexGuard<'static, Vec<u8>> {
    lock(&shared().unread)
}

/// The standard input of the process: `std::io::stdin`.
///
/// ```no_run
/// for line in greenlet::io::stdin().lines() {
///     println!("{}", line?.len());
/// }
/// # std::io::Result::Ok(())
/// ```
///
/// # Parks
/// No.
pub fn stdin() -> Stdin {
    Stdin {
        theirs: io::stdin(),
    }
}

/// A handle to the standard input; see [`stdin`]. All of them share one buffer.
///
/// # Parks
/// Reading, until there is something, or the end, and while another greenlet has the lock.
///
/// # Cancellation
/// A read that is killed has taken nothing; what came for it is for the next one. `read_line` and the like
/// may have taken a part.
pub struct Stdin {
    theirs: io::Stdin,
}

/// The standard input for one greenlet alone; see [`Stdin::lock`].
///
/// # Parks
/// As [`Stdin`].
pub struct StdinLock<'a> {
    theirs: io::Stdin,
    buffer: Vec<u8>,
    taken: usize,
    _turn: Taken,
    _of: std::marker::PhantomData<(&'a (), *const ())>,
}

impl Stdin {
    /// Keeps others from reading.
    ///
    /// # Parks
    /// While another greenlet has it.
    ///
    /// # Panics
    /// If it has to wait and the hub can have no poller.
    ///
    /// # Differences from std
    /// A greenlet that has it and takes it again finds what is left unread by the first.
    pub fn lock(&self) -> StdinLock<'static> {
        let turn = shared().turn.take();
        StdinLock {
            theirs: io::stdin(),
            buffer: std::mem::take(&mut unread()),
            taken: 0,
            _turn: turn,
            _of: std::marker::PhantomData,
        }
    }

    /// Reads a line, its end included, and appends it.
    ///
    /// # Parks
    /// As every read.
    ///
    /// # Errors
    /// What the system says; `InvalidData` for what is not UTF-8.
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_line(buf)
    }

    /// The lines that are to come, without their ends.
    pub fn lines(self) -> Lines<StdinLock<'static>> {
        self.lock().lines()
    }
}

impl BufRead for StdinLock<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.buffer.len() {
            self.taken = 0;
            self.buffer = more(self.theirs.as_fd())?;
        }
        Ok(&self.buffer[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.buffer.len());
    }
}

/// The next piece; empty at the end.
fn more(from: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    loop {
        let came = std::mem::take(&mut *unread());
        if !came.is_empty() {
            return Ok(came);
        }
        match fetch(from) {
            Ok(true) => {}
            Ok(false) => return Ok(Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    }
}

/// Lets a worker read; false at the end. After that there is something, or it has to be tried again.
fn fetch(from: BorrowedFd<'_>) -> io::Result<bool> {
    wait_for_some(from)?;
    let number = from.as_raw_fd();
    offload::blocking(move || {
        let _reading = lock(&shared().reading);
        if !unread().is_empty() {
            // It came for somebody who is not there any more.
            return Ok(true);
        }
        let from = fd::foreign(number);
        if !is_ready_now(from, Direction::Read)? {
            return Ok(true);
        }
        let mut chunk = vec![0; CHUNK];
        let count = fd::read(from, &mut chunk)?;
        unread().extend_from_slice(&chunk[..count]);
        knock();
        Ok(count > 0)
    })
}

/// Waits until there is something to read, or a worker has read it for somebody who was killed.
fn wait_for_some(from: BorrowedFd<'_>) -> io::Result<()> {
    if is_ready_now(from, Direction::Read)? {
        return Ok(());
    }
    let (_ticket, knocker) = Hub::here().enrol()?;
    let _waits = Waits::with(knocker);
    match wait_for_foreign(from, Direction::Read, || unread().is_empty()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome,
    }
}

/// The one whose turn it is waits, and wants to know what workers read.
struct Waits;

impl Waits {
    fn with(knocker: Knocker) -> Waits {
        *waiting() = Some(knocker);
        Waits
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        *waiting() = None;
    }
}

fn waiting() -> MutexGuard<'static, Option<Knocker>> {
    lock(&shared().waiting)
}

fn knock() {
    let knocker = waiting().clone();
    if let Some(knocker) = knocker {
        knocker.knock();
    }
}

/// What is left is for the next one.
impl Drop for StdinLock<'_> {
    fn drop(&mut self) {
        let mut left = self.buffer.split_off(self.taken);
        let mut unread = unread();
        left.append(&mut unread);
        *unread = left;
    }
}

impl Read for StdinLock<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.lock().read(buf)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.lock().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        self.lock().read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        self.lock().read_exact(buf)
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }

    fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        (&*self).read_exact(buf)
    }
}

super::standard!(Stdin);
super::standard!(StdinLock<'_>);
