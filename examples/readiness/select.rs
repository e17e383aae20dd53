//! `select`: three sets of bits, which are filled anew for each call, and looked through after it.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

use super::fan::{self, Fan, Rounds};

/// A set has room for `FD_SETSIZE` numbers; beyond it lies somebody else's memory.
pub(crate) fn can(fan: &Fan) -> bool {
    let highest = fan.fds.iter().map(AsRawFd::as_raw_fd).max();
    highest < Some(libc::FD_SETSIZE as i32)
}

pub(crate) fn collect(fan: &Fan, rounds: &mut Rounds) -> io::Result<()> {
    let highest = fan.fds.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
    while rounds.next(fan)? {
        let mut left = fan.active.len();
        while left > 0 {
            // SAFETY: all zeros is the empty set.
            let mut set: libc::fd_set = unsafe { std::mem::zeroed() };
            for fd in &fan.fds {
                // SAFETY: the number is below `FD_SETSIZE` (`can`).
                unsafe { libc::FD_SET(fd.as_raw_fd(), &raw mut set) };
            }
            rounds.calls += 1;
            let none = null_mut();
            // SAFETY: one set, which the call writes to.
            if unsafe { libc::select(highest + 1, &raw mut set, none, none, null_mut()) } < 0 {
                return Err(io::Error::last_os_error());
            }
            for fd in &fan.fds {
                // SAFETY: as above.
                if unsafe { libc::FD_ISSET(fd.as_raw_fd(), &raw const set) } {
                    rounds.calls += 1;
                    fan::take(fd)?;
                    left -= 1;
                }
            }
        }
    }
    Ok(())
}
