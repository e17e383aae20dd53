//! `O_NONBLOCK` on a descriptor whose open file others share.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// The descriptor does not block from now on.
///
/// The shell has the same open file, and expects it as it is, also when somebody ends this program. So the descriptor
/// becomes one for an open file of its own, where there is a way to open it again: a terminal, a file, a pipe. The flag of
/// any other one is set for as long as this is there.
pub(crate) struct NonBlocking {
    fd: i32,
    /// The flags to put back.
    flags: Option<i32>,
}

impl NonBlocking {
    pub(crate) fn new(fd: i32) -> io::Result<NonBlocking> {
        if open_again(fd).is_ok() {
            return Ok(NonBlocking { fd, flags: None });
        }
        // SAFETY: no pointers.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        if flags < 0 || set(fd, flags | libc::O_NONBLOCK) < 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = Some(flags);
        Ok(NonBlocking { fd, flags })
    }
}

impl Drop for NonBlocking {
    fn drop(&mut self) {
        if let Some(flags) = self.flags {
            set(self.fd, flags);
        }
    }
}

/// Lets `fd`, from which something is read, stand for an open file of its own. One that has a position keeps what it has.
fn open_again(fd: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) } >= 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut options = OpenOptions::new();
    let options = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let own = options.open(format!("/proc/self/fd/{fd}"))?;
    // SAFETY: both are open. What `fd` stood for is left to the others who have it.
    match unsafe { libc::dup2(own.as_raw_fd(), fd) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn set(fd: i32, flags: i32) -> i32 {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }
}
