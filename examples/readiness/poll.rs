//! `poll`: a list of all descriptors, which the kernel looks through in each call, and we after it.

use std::io;
use std::os::fd::AsRawFd;

use super::fan::{self, Fan, Rounds};

pub(crate) fn collect(fan: &Fan, rounds: &mut Rounds) -> io::Result<()> {
    let asked = fan.fds.iter().map(|fd| libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    let mut list: Vec<libc::pollfd> = asked.collect();
    while rounds.next(fan)? {
        let mut left = fan.active.len();
        while left > 0 {
            rounds.calls += 1;
            // SAFETY: the list has as many entries as we say.
            if unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, -1) } < 0 {
                return Err(io::Error::last_os_error());
            }
            for (entry, fd) in list.iter().zip(&fan.fds) {
                if entry.revents != 0 {
                    rounds.calls += 1;
                    fan::take(fd)?;
                    left -= 1;
                }
            }
        }
    }
    Ok(())
}
