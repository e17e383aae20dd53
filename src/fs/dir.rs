//! What is in a folder, some entries at a time.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, FileType, Metadata};
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};

use crate::offload::blocking;
use crate::sys::fork;
use crate::sys::lock::lock;

/// So many entries are read at once.
const AHEAD: usize = 64;

/// What is in a folder; see [`read_dir`](super::read_dir).
///
/// # Parks
/// `next`, for every sixty-four entries.
///
/// # Cancellation
/// No entry is lost.
pub struct ReadDir {
    state: Arc<Mutex<State>>,
    /// The process whose workers may be at it: how many forks it comes from.
    asked_in: u32,
    /// Nobody could read: that is the end.
    has_failed: bool,
}

struct State {
    theirs: fs::ReadDir,
    ahead: VecDeque<io::Result<DirEntry>>,
    ended: bool,
}

impl State {
    /// On a worker.
    fn read_ahead(&mut self) {
        while !self.ended && self.ahead.len() < AHEAD {
            match self.theirs.next() {
                Some(entry) => self.ahead.push_back(entry.map(DirEntry::of)),
                None => self.ended = true,
            }
        }
    }
}

impl ReadDir {
    pub(super) fn of(theirs: fs::ReadDir) -> ReadDir {
        ReadDir {
            state: Arc::new(Mutex::new(State {
                theirs,
                ahead: VecDeque::new(),
                ended: false,
            })),
            asked_in: fork::count(),
            has_failed: false,
        }
    }

    /// Whether one reads that is not of this process: it will for ever.
    fn is_left_behind(&mut self) -> bool {
        let asked_here = self.asked_in == fork::count();
        let is_read = matches!(self.state.try_lock(), Err(TryLockError::WouldBlock));
        let is_left = is_read && !asked_here;
        if !is_left {
            self.asked_in = fork::count();
        }
        is_left
    }

    /// Has a worker read ahead.
    fn ask(&mut self) -> io::Result<()> {
        if self.is_left_behind() {
            let error = "a worker of the parent process was reading this folder at the fork";
            return Err(io::Error::other(error));
        }
        let state = Arc::clone(&self.state);
        blocking(move || {
            let mut state = lock(&state);
            state.read_ahead();
            Ok(())
        })
    }

    /// The next entry that was read; an error if a worker has to be asked.
    fn ready(&self) -> Result<Option<io::Result<DirEntry>>, ()> {
        // One that reads for a greenlet that was killed has it; that takes as long as it takes.
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(()),
        };
        match state.ahead.pop_front() {
            None if !state.ended => Err(()),
            entry => Ok(entry),
        }
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        loop {
            if let Ok(entry) = self.ready() {
                return entry;
            }
            if self.has_failed {
                return None;
            }
            if let Err(error) = self.ask() {
                self.has_failed = true;
                return Some(Err(error));
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").finish_non_exhaustive()
    }
}

/// Something in a folder: `std::fs::DirEntry`.
pub struct DirEntry {
    theirs: Arc<fs::DirEntry>,
    /// Most systems say so with the name. Where they do not, the worker has asked.
    kind: Option<FileType>,
}

impl DirEntry {
    fn of(theirs: fs::DirEntry) -> DirEntry {
        DirEntry {
            kind: theirs.file_type().ok(),
            theirs: Arc::new(theirs),
        }
    }

    /// Where it is: the path of the folder, and its name.
    pub fn path(&self) -> PathBuf {
        self.theirs.path()
    }

    /// Its name.
    pub fn file_name(&self) -> OsString {
        self.theirs.file_name()
    }

    /// What is known of it; a link is not followed.
    ///
    /// # Parks
    /// Until it is known.
    ///
    /// # Errors
    /// What the system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        let theirs = Arc::clone(&self.theirs);
        blocking(move || theirs.metadata())
    }

    /// Whether it is a file, a folder, a link or something else.
    ///
    /// # Parks
    /// Only if that could not be told when it was read.
    ///
    /// # Errors
    /// What the system says.
    pub fn file_type(&self) -> io::Result<FileType> {
        match self.kind {
            Some(kind) => Ok(kind),
            None => {
                let theirs = Arc::clone(&self.theirs);
                blocking(move || theirs.file_type())
            }
        }
    }
}

impl DirEntryExt for DirEntry {
    fn ino(&self) -> u64 {
        self.theirs.ino()
    }
}

impl fmt::Debug for DirEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.theirs, f)
    }
}
