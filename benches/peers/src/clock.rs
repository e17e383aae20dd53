//! The clocks of the peers inside this process: CPU time of the calling thread, or of all threads.
//!
//! CPU time (user and system) instead of wall time: what other programs do on the machine then
//! costs a measurement its caches at most, not its turn on the processor.

use std::io;
use std::time::Instant;

use anyhow::{Result, ensure};

/// CPU time that the calling thread has used so far, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID).expect("the thread's CPU clock can always be read")
}

/// CPU time that all threads of this process have used so far, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).expect("the process's CPU clock can always be read")
}

/// The nanoseconds that `clock` shows.
pub fn read(clock: libc::clockid_t) -> io::Result<u64> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer for as long as the call lasts.
    match unsafe { libc::clock_gettime(clock, &mut now) } {
        0 => Ok(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What something cost, in nanoseconds.
#[derive(Clone, Copy)]
pub struct Cost {
    /// CPU time of all threads of this process.
    pub cpu: f64,
    /// Time on the wall.
    pub wall: f64,
}

/// A measurement that has begun.
pub struct Meter {
    cpu: u64,
    wall: Instant,
}

impl Meter {
    pub fn start() -> Meter {
        Meter {
            wall: Instant::now(),
            cpu: process_cpu_ns(),
        }
    }

    /// What each of the `count` things cost that were done since the start.
    pub fn cost_of_each(&self, count: u64) -> Cost {
        let cpu = process_cpu_ns() - self.cpu;
        let wall = self.wall.elapsed().as_nanos();
        Cost {
            cpu: cpu as f64 / count as f64,
            wall: wall as f64 / count as f64,
        }
    }
}

/// Hand-offs before the timed ones: a tenth of `count`, at least one lap, in whole laps.
pub fn warm_up(ring: usize, count: u64) -> u64 {
    (count / 10).max(1).next_multiple_of(ring as u64)
}

/// Nanoseconds of CPU time per hand-off, after a warm-up.
///
/// `carry(v, n)` takes the number `v` through `n` hand-offs, each of which adds one to it, and
/// returns it. `n` is always a multiple of `ring`.
pub fn per_handoff(ring: usize, count: u64, mut carry: impl FnMut(u64, u64) -> u64) -> Result<f64> {
    let warm = carry(0, warm_up(ring, count));
    let start = thread_cpu_ns();
    let end = carry(warm, count);
    let spent = thread_cpu_ns() - start;
    ensure!(
        end == warm_up(ring, count) + count,
        "the number came back as {end}: hand-offs were lost"
    );
    Ok(spent as f64 / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_is_whole_laps() {
        assert_eq!(warm_up(2, 5), 2);
        assert_eq!(warm_up(1000, 5_000), 1000);
        assert_eq!(warm_up(16, 1_000_000), 100_000);
    }

    #[test]
    fn a_lost_hand_off_is_an_error() {
        assert!(per_handoff(2, 10, |v, count| v + count).is_ok());
        assert!(per_handoff(2, 10, |v, count| v + count - 1).is_err());
    }
}
