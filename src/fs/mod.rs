//! The names of `std::fs`: every call is made on a worker thread, and parks the greenlet.
//!
//! No system tells when a file could be read without waiting for its disk, so files are not sources of the
//! hub. A worker of the [pool](crate::offload()) makes the call, with paths and buffers that belong to the
//! work: whoever asked may be killed, and then nobody touches its memory.
//!
//! ```text
//!   read(&mut buf) ──▶ a buffer of the file's own ──▶ worker: read ──▶ copied out
//!      └─ killed: the call is made all the same; what it read is for whoever reads next
//! ```
//!
//! # Cancellation
//! Of every function here: a call that has begun is not cut short. What it was to change may have been
//! changed, or will be; a position may have moved.
//!
//! # Differences from std
//! - Each call costs the way to a worker and back, some ten microseconds: read and write in large pieces.
//! - On a thread without a hub, or at its end, when nobody could run meanwhile, calls are made in place.
//! - There is no `FromRawFd` (`From<OwnedFd>` is the same, and safe), and what std has deprecated is left out. Methods of
//!   `std::path::Path` that ask the disk are std's, and block.
//! - What is opened with `O_DIRECT` cannot be read or written: workers do that with buffers of ours, which are not aligned.
//! - What opens or reads a FIFO keeps a worker for as long as it waits. [`pipe`](crate::io::pipe) does not.

mod dir;
mod file;
mod open;
mod options;
pub(crate) mod unix;

use std::io;
use std::path::{Path, PathBuf};

use crate::offload::blocking;

pub use dir::{DirEntry, ReadDir};
pub use file::File;
pub use options::{DirBuilder, OpenOptions};
pub use std::fs::{FileTimes, FileType, Metadata, Permissions, TryLockError};

/// Makes a call with a path on a worker.
fn with_path<R: Send + 'static>(
    path: impl AsRef<Path>,
    call: impl FnOnce(PathBuf) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let path = path.as_ref().to_owned();
    blocking(move || call(path))
}

/// Makes a call with two paths on a worker.
fn with_paths<R: Send + 'static>(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    call: impl FnOnce(PathBuf, PathBuf) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    blocking(move || call(from, to))
}

/// All that is in a file.
///
/// # Parks
/// Until it is read.
///
/// # Errors
/// What the system says.
pub fn read<P: AsRef<Path>>(path: P) -> io::Result<Vec<u8>> {
    with_path(path, std::fs::read)
}

/// All that is in a file, which is text.
///
/// # Parks
/// Until it is read.
///
/// # Errors
/// What the system says; `InvalidData` for what is not UTF-8.
pub fn read_to_string<P: AsRef<Path>>(path: P) -> io::Result<String> {
    with_path(path, std::fs::read_to_string)
}

/// Makes this the contents of a file. They are copied for the worker.
///
/// # Parks
/// Until it is written.
///
/// # Errors
/// What the system says.
pub fn write<P: AsRef<Path>, C: AsRef<[u8]>>(path: P, contents: C) -> io::Result<()> {
    let contents = contents.as_ref().to_owned();
    with_path(path, move |path| std::fs::write(path, contents))
}

/// Copies contents and permissions of a file; returns how many bytes.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn copy<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<u64> {
    with_paths(from, to, std::fs::copy)
}

/// Gives a file or folder another name.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn rename<P: AsRef<Path>, Q: AsRef<Path>>(from: P, to: Q) -> io::Result<()> {
    with_paths(from, to, std::fs::rename)
}

/// Gives a file one name more.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn hard_link<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    with_paths(original, link, std::fs::hard_link)
}

/// Removes a file.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn remove_file<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path, std::fs::remove_file)
}

/// Removes an empty folder.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn remove_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path, std::fs::remove_dir)
}

/// Removes a folder and all that is in it.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn remove_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path, std::fs::remove_dir_all)
}

/// Makes a folder.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn create_dir<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path, std::fs::create_dir)
}

/// Makes a folder, and those that it is to be in.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn create_dir_all<P: AsRef<Path>>(path: P) -> io::Result<()> {
    with_path(path, std::fs::create_dir_all)
}

/// What is known of a file or folder; links are followed.
///
/// # Parks
/// Until it is known.
///
/// # Errors
/// What the system says.
pub fn metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    with_path(path, std::fs::metadata)
}

/// What is known of a file, a folder or a link.
///
/// # Parks
/// Until it is known.
///
/// # Errors
/// What the system says.
pub fn symlink_metadata<P: AsRef<Path>>(path: P) -> io::Result<Metadata> {
    with_path(path, std::fs::symlink_metadata)
}

/// The one path of a file that has no links in it.
///
/// # Parks
/// Until it is known.
///
/// # Errors
/// What the system says.
pub fn canonicalize<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    with_path(path, std::fs::canonicalize)
}

/// What a link says.
///
/// # Parks
/// Until it is known.
///
/// # Errors
/// What the system says.
pub fn read_link<P: AsRef<Path>>(path: P) -> io::Result<PathBuf> {
    with_path(path, std::fs::read_link)
}

/// Whether there is something at the path.
///
/// # Parks
/// Until it is known.
///
/// # Errors
/// What the system says.
pub fn exists<P: AsRef<Path>>(path: P) -> io::Result<bool> {
    with_path(path, std::fs::exists)
}

/// Changes who may do what with a file.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn set_permissions<P: AsRef<Path>>(path: P, perm: Permissions) -> io::Result<()> {
    with_path(path, move |path| std::fs::set_permissions(path, perm))
}

/// What is in a folder.
///
/// # Parks
/// Until it is opened; and its iterator, for every sixty-four entries.
///
/// # Errors
/// What the system says.
pub fn read_dir<P: AsRef<Path>>(path: P) -> io::Result<ReadDir> {
    with_path(path, std::fs::read_dir).map(ReadDir::of)
}
