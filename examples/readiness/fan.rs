//! The descriptors, who writes to them, and the clock.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use crate::talk_parts::limits;

/// Eventfds: one descriptor each, where a pipe has two.
pub(crate) struct Fan {
    pub(crate) fds: Vec<OwnedFd>,
    /// Which of them are written to in each round, spread evenly.
    pub(crate) active: Vec<usize>,
}

impl Fan {
    pub(crate) fn new(count: usize, active: usize) -> io::Result<Fan> {
        limits::raise(count as u64 + 32)?;
        let active = active.min(count);
        Ok(Fan {
            fds: (0..count).map(|_| eventfd()).collect::<io::Result<_>>()?,
            active: (0..active).map(|number| number * count / active).collect(),
        })
    }

    fn write(&self) -> io::Result<()> {
        for &at in &self.active {
            let one = 1_u64.to_ne_bytes();
            // SAFETY: eight bytes, as an eventfd wants them.
            let count =
                unsafe { libc::write(self.fds[at].as_raw_fd(), one.as_ptr().cast(), one.len()) };
            if count < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

/// Takes what was written to one.
pub(crate) fn take(fd: &OwnedFd) -> io::Result<u64> {
    let mut value = [0; 8];
    // SAFETY: room for the eight bytes that an eventfd gives.
    match unsafe { libc::read(fd.as_raw_fd(), value.as_mut_ptr().cast(), value.len()) } {
        8 => Ok(u64::from_ne_bytes(value)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    match unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: just opened, and nobody else's.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

/// Rounds of one way: all active ones are written to, and then read.
#[derive(Default)]
pub(crate) struct Rounds {
    planned: u64,
    done: u64,
    begun: Option<(Instant, Instant)>,
    /// How long each round took, and the reading alone.
    pub(crate) times: Vec<f64>,
    pub(crate) reading: Vec<f64>,
    /// System calls of the reader.
    pub(crate) calls: u64,
}

impl Rounds {
    /// Lets so many more begin.
    pub(crate) fn plan(&mut self, more: u64) {
        self.planned += more;
        self.begun = None;
    }

    /// Ends a round, and begins the next one if there is one.
    pub(crate) fn next(&mut self, fan: &Fan) -> io::Result<bool> {
        if let Some((begun, written)) = self.begun.take() {
            self.times.push(begun.elapsed().as_secs_f64());
            self.reading.push(written.elapsed().as_secs_f64());
            self.done += 1;
        }
        if self.done == self.planned {
            return Ok(false);
        }
        let begun = Instant::now();
        fan.write()?;
        self.begun = Some((begun, Instant::now()));
        Ok(true)
    }

    pub(crate) fn calls_each(&self) -> f64 {
        (10.0 * self.calls as f64 / self.done as f64).round() / 10.0
    }
}
