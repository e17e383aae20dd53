//! Linux's `epoll`, without ceremony: what the yardstick servers and the client stand on.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

pub struct Epoll(OwnedFd);

/// Room for the events of one wait.
pub type Events = Vec<libc::epoll_event>;

/// As many events as one wait returns at most.
const BATCH: usize = 1024;

pub fn events() -> Events {
    Events::with_capacity(BATCH)
}

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: the descriptor is new and nobody else's.
        unsafe {
            let fd = checked(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            Ok(Epoll(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// Reports `interest` in `fd` from now on, under the number `key`.
    pub fn add(&self, fd: RawFd, interest: i32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: interest as u32,
            u64: key,
        };
        // SAFETY: `event` is valid for as long as the call lasts.
        checked(unsafe {
            libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event)
        })?;
        Ok(())
    }

    /// Waits for events, for `timeout_ms` milliseconds at most or, if it is negative, for ever.
    pub fn wait(&self, events: &mut Events, timeout_ms: i32) -> io::Result<()> {
        events.clear();
        let room = events.capacity() as i32;
        let count = loop {
            // SAFETY: the kernel fills in no more than there is room for.
            match checked(unsafe {
                libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), room, timeout_ms)
            }) {
                // Being traced interrupts.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => break result?,
            }
        };
        // SAFETY: so many were filled in.
        unsafe { events.set_len(count as usize) };
        Ok(())
    }
}

/// The result of a system call that says -1 and `errno` if it fails.
pub fn checked(result: i32) -> io::Result<i32> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
