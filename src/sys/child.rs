//! The end of a child process, as something that can be waited for without taking its status.

use std::io;
use std::os::fd::OwnedFd;

/// A descriptor that becomes readable when the process ends.
///
/// # Errors
/// `Unsupported` where the system has no such thing, or does not let us have it.
#[cfg(target_os = "linux")]
pub(crate) fn open(process: u32) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;

    let flags: libc::c_long = 0;
    // SAFETY: two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process as libc::c_long, flags) };
    if fd >= 0 {
        // SAFETY: just made, and ours. It is closed when a program is run, as every descriptor of its kind.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM | libc::EINVAL) => Err(io::ErrorKind::Unsupported.into()),
        _ => Err(error),
    }
}

/// The same where there is no such thing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_process: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Blocks until the child has ended, or is none any more. Its status stays to be taken.
pub(crate) fn block_until_ended(process: u32) {
    loop {
        // SAFETY: all zeroes is a value, which is written over.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let how = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: the call writes one value.
        let failed =
            unsafe { libc::waitid(libc::P_PID, process as libc::id_t, &raw mut info, how) };
        let error = io::Error::last_os_error();
        if failed == 0 || error.kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}
