//! `epoll`: the kernel is told all descriptors once, and answers with those that are ready.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::fan::{self, Fan, Rounds};

pub(crate) fn collect(fan: &Fan, rounds: &mut Rounds) -> io::Result<()> {
    let epoll = create()?;
    for (number, fd) in fan.fds.iter().enumerate() {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: number as u64,
        };
        let (set, fd) = (epoll.as_raw_fd(), fd.as_raw_fd());
        // SAFETY: one event, which is read during the call only.
        if unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_ADD, fd, &raw mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    while rounds.next(fan)? {
        let mut left = fan.active.len();
        while left > 0 {
            rounds.calls += 1;
            let (list, room) = (events.as_mut_ptr(), events.len() as i32);
            // SAFETY: the list has as many places as we say.
            let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), list, room, -1) };
            if count < 0 {
                return Err(io::Error::last_os_error());
            }
            for event in &events[..count as usize] {
                rounds.calls += 1;
                fan::take(&fan.fds[event.u64 as usize])?;
                left -= 1;
            }
        }
    }
    Ok(())
}

fn create() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: just opened, and nobody else's.
        set => Ok(unsafe { OwnedFd::from_raw_fd(set) }),
    }
}
