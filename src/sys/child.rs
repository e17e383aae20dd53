//! The end of a child process, waited for without taking its status.

use std::io;

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
