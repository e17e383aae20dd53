//! An epoll set that watches one descriptor, as plainly as it goes, and how often a thread has slept.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// An epoll set.
pub(crate) struct Set(OwnedFd);

impl Set {
    /// One that watches `thing` for reading; `how` are more flags.
    pub(crate) fn of(thing: impl AsFd, how: i32) -> io::Result<Set> {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | how) as u32,
            u64: 0,
        };
        let fd = thing.as_fd().as_raw_fd();
        // SAFETY: makes a descriptor.
        let set = match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
            -1 => return Err(io::Error::last_os_error()),
            // SAFETY: it is new, so nobody else owns it.
            set => Set(unsafe { OwnedFd::from_raw_fd(set) }),
        };
        // SAFETY: both descriptors and the event are there.
        match unsafe { libc::epoll_ctl(set.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) }
        {
            0 => Ok(set),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits, for so many milliseconds at most; whether there was an event.
    pub(crate) fn wait(&self, millis: i32) -> bool {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: there is room for one event.
        unsafe { libc::epoll_wait(self.0.as_raw_fd(), &raw mut event, 1, millis) > 0 }
    }
}

/// How often the kernel has put this thread to sleep and woken it again, because it waited.
pub(crate) fn sleeps() -> u32 {
    // SAFETY: all zeros is a usage, which the call writes to.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage
    };
    usage.ru_nvcsw as u32
}
