//! An open file as workers use it: what they have read for greenlets that are not there any more is for whoever reads
//! next.
//!
//! A read cannot be called back once a worker is at it. So what comes of it belongs to the file until somebody has
//! taken it: [`Came`] gives it back when it is dropped. One reads at a time, from when it begins until that is
//! settled, so that the next one finds what was given back. The position of the file is that of the system, less what
//! is unread; whoever moves it, or writes, sets that right first.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Deref;
use std::os::unix::fs::FileTypeExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::sys::fork::{Own, inherited};
use crate::sys::lock::lock;

pub(super) struct Open {
    file: fs::File,
    /// After a fork a worker of the parent may read for ever.
    reads: Own<Reads>,
}

#[derive(Default)]
struct Reads {
    state: Mutex<State>,
    settled: Condvar,
}

#[derive(Clone, Default)]
struct State {
    /// Somebody reads, or has not taken yet what it has read.
    busy: bool,
    /// What was read, and never taken.
    unread: Vec<u8>,
}

/// Nobody else reads.
pub(super) struct ReadTurn(Arc<Open>);

/// What was read, until it is taken.
pub(super) struct Came {
    turn: ReadTurn,
    buffer: Vec<u8>,
    count: usize,
}

impl Open {
    pub(super) fn new(file: fs::File) -> Arc<Open> {
        Arc::new(Open {
            file,
            reads: Own::new(),
        })
    }

    fn reads(&self) -> &Reads {
        self.reads.or_make(|parents| {
            let state = inherited(parents.map(|parents| &parents.state));
            lock(&state).busy = false;
            Reads {
                state,
                settled: Condvar::new(),
            }
        })
    }

    /// Waits until nobody reads, or this one is not wanted any more.
    fn turn(self: &Arc<Open>, is_wanted: &AtomicBool) -> io::Result<ReadTurn> {
        let Reads { state, settled } = self.reads();
        let waits = |state: &mut State| state.busy && is_wanted.load(Relaxed);
        let state = settled.wait_while(lock(state), waits);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if !is_wanted.load(Relaxed) {
            return Err(io::ErrorKind::Interrupted.into()); // nobody is told
        }
        state.busy = true;
        Ok(ReadTurn(Arc::clone(self)))
    }

    /// Waits until nobody reads. The buffer is for what will come.
    fn begin(self: &Arc<Open>, buffer: Vec<u8>, is_wanted: &AtomicBool) -> io::Result<Came> {
        Ok(Came {
            turn: self.turn(is_wanted)?,
            buffer,
            count: 0,
        })
    }

    /// Reads what comes next, `room` bytes at most.
    pub(super) fn read(
        self: &Arc<Open>,
        buffer: Vec<u8>,
        room: usize,
        is_wanted: &AtomicBool,
    ) -> io::Result<(Came, io::Result<usize>)> {
        let mut came = self.begin(buffer, is_wanted)?;
        if came.buffer.len() < room {
            came.buffer.resize(room, 0);
        }
        let into = &mut came.buffer[..room];
        let outcome = match self.take_unread(into) {
            0 => (&self.file).read(into),
            count => Ok(count),
        };
        came.count = *outcome.as_ref().unwrap_or(&0);
        Ok((came, outcome))
    }

    fn take_unread(&self, into: &mut [u8]) -> usize {
        let unread = &mut lock(&self.reads().state).unread;
        let count = unread.len().min(into.len());
        into[..count].copy_from_slice(&unread[..count]);
        unread.drain(..count);
        count
    }

    /// Reads all that is left; what came before an error is there.
    pub(super) fn read_to_end(
        self: &Arc<Open>,
        is_wanted: &AtomicBool,
    ) -> io::Result<(Came, io::Result<usize>)> {
        let mut came = self.begin(Vec::new(), is_wanted)?;
        came.buffer = std::mem::take(&mut lock(&self.reads().state).unread);
        let outcome = (&self.file).read_to_end(&mut came.buffer);
        came.count = came.buffer.len();
        let count = came.count;
        Ok((came, outcome.map(|_| count)))
    }

    /// Moves the position.
    pub(super) fn seek(self: &Arc<Open>, to: SeekFrom) -> io::Result<u64> {
        let _turn = self.stand_still().ok();
        (&self.file).seek(to)
    }

    /// Waits until nobody reads, and the position of the system is that of this file.
    ///
    /// # Errors
    /// If it has no position, as a pipe: there a read may take for ever, and nobody waits for it.
    pub(super) fn stand_still(self: &Arc<Open>) -> io::Result<ReadTurn> {
        if !self.has_position()? {
            return Err(io::Error::from_raw_os_error(libc::ESPIPE));
        }
        let turn = self.turn(&AtomicBool::new(true))?;
        self.settle()?;
        Ok(turn)
    }

    /// Also where nothing is to be moved (an eventfd, a terminal) a seek may succeed.
    fn has_position(&self) -> io::Result<bool> {
        let kind = self.file.metadata()?.file_type();
        Ok(kind.is_file() || kind.is_block_device())
    }

    /// Moves the position of the system, if there is one, back to where this file is.
    fn settle(&self) -> io::Result<()> {
        let unread = &mut lock(&self.reads().state).unread;
        if !unread.is_empty() {
            (&self.file).seek(SeekFrom::Current(-(unread.len() as i64)))?;
            unread.clear();
        }
        Ok(())
    }
}

/// Somebody wants what comes of a read, as long as this is there. If that is given up before the turn of the read has come, its
/// worker is free for others.
pub(super) struct Wanted {
    open: Arc<Open>,
    flag: Arc<AtomicBool>,
}

impl Wanted {
    pub(super) fn by_one_who_reads(open: &Arc<Open>) -> Wanted {
        Wanted {
            open: Arc::clone(open),
            flag: Arc::new(AtomicBool::new(true)),
        }
    }

    pub(super) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let Reads { state, settled } = self.open.reads();
        // Under the lock: one who is about to wait sees it, or is told.
        let _state = lock(state);
        self.flag.store(false, Relaxed);
        settled.notify_all();
    }
}

impl Deref for Open {
    type Target = fs::File;

    fn deref(&self) -> &fs::File {
        &self.file
    }
}

impl From<Open> for fs::File {
    fn from(open: Open) -> fs::File {
        // What a pipe has left goes with the handle, as what is in a `BufReader` does.
        if open.has_position().unwrap_or(false) {
            let _ = open.settle();
        }
        open.file
    }
}

impl Came {
    /// Takes it: what was read, and the buffer that it is in.
    pub(super) fn take(mut self) -> (Vec<u8>, usize) {
        let count = std::mem::take(&mut self.count);
        (std::mem::take(&mut self.buffer), count)
    }
}

impl Drop for Came {
    fn drop(&mut self) {
        // It was read before what is still unread.
        let came = self.buffer[..self.count].iter().copied();
        lock(&self.turn.0.reads().state).unread.splice(0..0, came);
    }
}

impl Drop for ReadTurn {
    fn drop(&mut self) {
        let reads = self.0.reads();
        lock(&reads.state).busy = false;
        reads.settled.notify_all();
    }
}
