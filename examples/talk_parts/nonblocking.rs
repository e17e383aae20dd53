//! `O_NONBLOCK` on a descriptor that others share: set for a while, and put back.

use std::io;

/// The descriptor, and the flags it had.
pub(crate) struct NonBlocking {
    fd: i32,
    flags: i32,
}

impl NonBlocking {
    pub(crate) fn new(fd: i32) -> io::Result<NonBlocking> {
        // SAFETY: no pointers.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
        if flags < 0 || set(fd, flags | libc::O_NONBLOCK) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(NonBlocking { fd, flags })
    }
}

/// The shell has the same open file, and expects it as it was.
impl Drop for NonBlocking {
    fn drop(&mut self) {
        set(self.fd, self.flags);
    }
}

fn set(fd: i32, flags: i32) -> i32 {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }
}
