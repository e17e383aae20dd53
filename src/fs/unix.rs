//! What only file systems of a Unix have.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs;
use std::path::Path;

use super::{with_path, with_paths};
use crate::offload::blocking;

/// Makes a symbolic link to `original`.
///
/// # Parks
/// Until it is made.
///
/// # Errors
/// What the system says.
pub fn symlink<P: AsRef<Path>, Q: AsRef<Path>>(original: P, link: Q) -> io::Result<()> {
    with_paths(original, link, fs::symlink)
}

/// Gives a file to another owner, another group, or both. A link is followed.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn chown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    with_path(dir, move |path| fs::chown(path, uid, gid))
}

/// The same for an open file.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn fchown<F: AsFd>(fd: F, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    let fd = fd.as_fd().try_clone_to_owned()?;
    blocking(move || fs::fchown(fd, uid, gid))
}

/// The same for a link itself.
///
/// # Parks
/// Until it is done.
///
/// # Errors
/// What the system says.
pub fn lchown<P: AsRef<Path>>(dir: P, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
    with_path(dir, move |path| fs::lchown(path, uid, gid))
}
