//! An open file.

use std::fmt;
use std::fs::{self, FileTimes, Metadata, Permissions, TryLockError};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::OpenOptions;
use super::open::{Open, Wanted};
use crate::hub::Hub;
use crate::offload::blocking;
use crate::sys::lock::lock;
use crate::time::sleep;

/// The most that one call reads or writes.
const MOST: usize = 1 << 20;

/// Between two attempts to lock.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// An open file: `std::fs::File`.
///
/// ```
/// use greenlet::fs::{self, File};
/// use std::io::{Read, Seek, Write};
///
/// let path = std::env::temp_dir().join(format!("greenlet-doc-{}", std::process::id()));
/// let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
/// file.write_all(b"written by a worker")?;
/// file.rewind()?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "written by a worker");
/// fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Parks
/// Every call, until a worker has made it.
///
/// # Cancellation
/// The call is made all the same. What was read for one that was killed is for whoever reads next, and the position is
/// where it would be; only the descriptor itself has moved on until then. A killed write may have been made in full, in
/// part or not at all, or may be made later.
///
/// # Differences from std
/// One call reads or writes a mebibyte at most. Two that read at the same time do it one after the other.
pub struct File {
    theirs: Arc<Open>,
    /// Kept from call to call.
    buffer: Mutex<Vec<u8>>,
}

impl File {
    /// Opens a file to be read.
    ///
    /// # Parks
    /// As [`OpenOptions::open`].
    ///
    /// # Errors
    /// What the system says.
    pub fn open<P: AsRef<Path>>(path: P) -> io::Result<File> {
        File::options().read(true).open(path)
    }

    /// Opens a file to be written, new or emptied.
    ///
    /// # Parks
    /// As [`OpenOptions::open`].
    ///
    /// # Errors
    /// What the system says.
    pub fn create<P: AsRef<Path>>(path: P) -> io::Result<File> {
        File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
    }

    /// Opens a new file to be read and written.
    ///
    /// # Parks
    /// As [`OpenOptions::open`].
    ///
    /// # Errors
    /// `AlreadyExists`, and what the system says.
    pub fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
    }

    /// How it is opened.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    fn of(theirs: fs::File) -> File {
        File {
            theirs: Open::new(theirs),
            buffer: Mutex::default(),
        }
    }

    /// Makes a call on a worker.
    fn call<R: Send + 'static>(
        &self,
        call: impl FnOnce(&fs::File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let theirs = Arc::clone(&self.theirs);
        blocking(move || call(&theirs))
    }

    /// Waits until contents and metadata are on the disk.
    ///
    /// # Parks
    /// Until then.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync_all(&self) -> io::Result<()> {
        self.call(fs::File::sync_all)
    }

    /// Waits until the contents are on the disk.
    ///
    /// # Parks
    /// Until then.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync_data(&self) -> io::Result<()> {
        self.call(fs::File::sync_data)
    }

    /// Cuts it, or fills it up with zeroes.
    ///
    /// # Parks
    /// Until it is done.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        self.call(move |file| file.set_len(size))
    }

    /// What is known of it.
    ///
    /// # Parks
    /// Until it is known.
    ///
    /// # Errors
    /// What the system says.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.call(fs::File::metadata)
    }

    /// A second handle to the same open file: they share its position.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<File> {
        // What cannot be moved back is a pipe, and stays with this one.
        let _turn = self.theirs.stand_still();
        let clone = self.theirs.try_clone()?;
        Ok(File::of(clone))
    }

    /// Changes who may do what with it.
    ///
    /// # Parks
    /// Until it is done.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.call(move |file| file.set_permissions(perm))
    }

    /// Changes its times.
    ///
    /// # Parks
    /// Until it is done.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.call(move |file| file.set_times(times))
    }

    /// Changes the time of its last change.
    ///
    /// # Parks
    /// Until it is done.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }

    /// Locks it for this handle alone.
    ///
    /// # Parks
    /// Until others have unlocked it. It asks again after one millisecond, and less and less often, every 16 in the end: the
    /// system tells nobody, and a thread that waited for one who has given up could not be called back.
    ///
    /// # Cancellation
    /// It is not locked.
    ///
    /// # Errors
    /// What the system says.
    pub fn lock(&self) -> io::Result<()> {
        self.take_lock(fs::File::try_lock, fs::File::lock)
    }

    /// Locks it for all who share the lock.
    ///
    /// # Parks
    /// As [`lock`](File::lock).
    ///
    /// # Cancellation
    /// As [`lock`](File::lock).
    ///
    /// # Errors
    /// What the system says.
    pub fn lock_shared(&self) -> io::Result<()> {
        self.take_lock(fs::File::try_lock_shared, fs::File::lock_shared)
    }

    fn take_lock(
        &self,
        try_lock: fn(&fs::File) -> Result<(), TryLockError>,
        lock: fn(&fs::File) -> io::Result<()>,
    ) -> io::Result<()> {
        if Hub::here_if_open().is_none() {
            return lock(&self.theirs); // nobody could run meanwhile
        }
        let mut pause = FIRST_PAUSE;
        loop {
            match try_lock(&self.theirs) {
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
            sleep(pause);
            pause = LONGEST_PAUSE.min(2 * pause);
        }
    }

    /// Locks it for this handle alone, if that can be had at once.
    ///
    /// # Errors
    /// `WouldBlock` if somebody else has a lock.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.theirs.try_lock()
    }

    /// Locks it for all who share the lock, if that can be had at once.
    ///
    /// # Errors
    /// `WouldBlock` if somebody else has it for himself.
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        self.theirs.try_lock_shared()
    }

    /// Gives its lock back.
    ///
    /// # Errors
    /// What the system says.
    pub fn unlock(&self) -> io::Result<()> {
        self.theirs.unlock()
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&**self.theirs)
    }

    /// Reads what comes next, and copies it out of a buffer of ours.
    fn read_next(&self, room: usize, out: impl FnOnce(&[u8])) -> io::Result<usize> {
        if room == 0 {
            return Ok(0);
        }
        let buffer = std::mem::take(&mut *self.buffer());
        let read =
            move |open: &Arc<Open>, is_wanted: &_| open.read(buffer, room.min(MOST), is_wanted);
        let (came, outcome) = self.wait_for(read)?;
        let (buffer, count) = came.take();
        out(&buffer[..count]);
        *self.buffer() = buffer;
        outcome
    }

    /// Reads all that is left; what came before an error is there.
    fn read_all(&self) -> io::Result<(Vec<u8>, io::Result<usize>)> {
        let (came, outcome) = self.wait_for(|open, is_wanted| open.read_to_end(is_wanted))?;
        Ok((came.take().0, outcome))
    }

    /// Waits for a read by a worker, which is told when nobody does any more.
    fn wait_for<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Arc<Open>, &AtomicBool) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let open = Arc::clone(&self.theirs);
        let wanted = Wanted::by_one_who_reads(&open);
        let is_wanted = wanted.flag();
        blocking(move || read(&open, &is_wanted))
    }

    /// Reads into a buffer of ours, of `room` bytes at most, and copies out of it.
    fn read_with(
        &self,
        room: usize,
        read: impl FnOnce(&fs::File, &mut [u8]) -> io::Result<usize> + Send + 'static,
        out: impl FnOnce(&[u8]),
    ) -> io::Result<usize> {
        let mut buffer = std::mem::take(&mut *self.buffer());
        let room = room.min(MOST);
        let (buffer, outcome) = self.call(move |file| {
            if buffer.len() < room {
                buffer.resize(room, 0);
            }
            let outcome = read(file, &mut buffer[..room]);
            Ok((buffer, outcome))
        })?;
        if let Ok(count) = outcome {
            out(&buffer[..count]);
        }
        *self.buffer() = buffer;
        outcome
    }

    /// Copies to a buffer of ours, a mebibyte at most, and writes that.
    fn write_with(
        &self,
        parts: &[IoSlice<'_>],
        write: impl FnOnce(&Arc<Open>, &[u8]) -> io::Result<usize> + Send + 'static,
    ) -> io::Result<usize> {
        let mut buffer = std::mem::take(&mut *self.buffer());
        buffer.clear();
        for part in parts {
            let fits = part.len().min(MOST - buffer.len());
            buffer.extend_from_slice(&part[..fits]);
        }
        let open = Arc::clone(&self.theirs);
        let (buffer, outcome) = blocking(move || {
            let outcome = write(&open, &buffer);
            Ok((buffer, outcome))
        })?;
        *self.buffer() = buffer;
        outcome
    }

    fn buffer(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        lock(&self.buffer)
    }
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_next(buf.len(), |came| buf[..came.len()].copy_from_slice(came))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room = bufs.iter().map(|buf| buf.len()).sum();
        self.read_next(room, |mut came| {
            for buf in bufs {
                let count = buf.len().min(came.len());
                buf[..count].copy_from_slice(&came[..count]);
                came = &came[count..];
            }
        })
    }

    /// In one go. As with std, what came before an error is kept.
    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let (all, outcome) = self.read_all()?;
        buf.extend_from_slice(&all);
        outcome
    }

    /// In one go. Nothing is kept of what is not UTF-8.
    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        let (all, outcome) = self.read_all()?;
        let no_text = |_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "stream did not contain valid UTF-8",
            )
        };
        buf.push_str(str::from_utf8(&all).map_err(no_text)?);
        outcome
    }
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(bufs, |open, from| {
            // What has no position is written to elsewhere than read from.
            let _turn = open.stand_still();
            (&***open).write(from)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        let open = Arc::clone(&self.theirs);
        blocking(move || open.seek(pos))
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
        (&*self).read_to_string(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, pos: SeekFrom) -> io::Result<u64> {
        (&*self).seek(pos)
    }
}

impl FileExt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = move |file: &fs::File, into: &mut [u8]| file.read_at(into, offset);
        self.read_with(buf.len(), read, |came| {
            buf[..came.len()].copy_from_slice(came)
        })
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let write = move |open: &Arc<Open>, from: &[u8]| open.write_at(from, offset);
        self.write_with(&[IoSlice::new(buf)], write)
    }
}

impl From<fs::File> for File {
    fn from(theirs: fs::File) -> File {
        File::of(theirs)
    }
}

/// # Panics
/// If a worker still makes a call for a greenlet that was killed, and there is no descriptor left for a
/// duplicate.
impl From<File> for fs::File {
    fn from(ours: File) -> fs::File {
        Arc::try_unwrap(ours.theirs).map_or_else(
            |shared| {
                let _turn = shared.stand_still();
                shared
                    .try_clone()
                    .expect("a descriptor for a file that a worker still uses")
            },
            fs::File::from,
        )
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        fs::File::from(fd).into()
    }
}

impl From<File> for OwnedFd {
    fn from(ours: File) -> OwnedFd {
        fs::File::from(ours).into()
    }
}

impl From<File> for Stdio {
    fn from(ours: File) -> Stdio {
        fs::File::from(ours).into()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.theirs.as_raw_fd()
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        fs::File::from(self).into_raw_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self.theirs, f)
    }
}
