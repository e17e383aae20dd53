//! Threads as the system sees them: their numbers, and the system call that one is in.

use std::ffi::{c_int, c_long};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::fork::Own;

/// The number that the system gives this thread; 0 where it has none.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn number_of_this_thread() -> i32 {
    // SAFETY: asks who we are.
    unsafe { libc::gettid() }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn number_of_this_thread() -> i32 {
    0
}

/// How many threads this process has. None where the system does not say.
pub(crate) fn count() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let threads = status.lines().find_map(|it| it.strip_prefix("Threads:"));
    threads?.trim().parse().ok()
}

/// How many threads of this crate, and of this process, wait for what greenlets give them to do, or for somebody who
/// looks at those: by themselves they wake nobody.
pub(crate) fn aside() -> usize {
    let (standing, idle) = asides();
    standing.load(Ordering::Relaxed) + idle.load(Ordering::Relaxed)
}

/// This thread stands aside, for as long as this is there.
pub(crate) struct Aside(());

pub(crate) fn stand_aside() -> Aside {
    asides().0.fetch_add(1, Ordering::Relaxed);
    Aside(())
}

impl Drop for Aside {
    fn drop(&mut self) {
        let less = |standing: usize| Some(standing.saturating_sub(1));
        // A child of a fork counts from nothing.
        let _ = asides()
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// So many workers have nothing to do, and nothing waits for one.
pub(crate) fn note_idle_workers(count: usize) {
    asides().1.store(count, Ordering::Relaxed);
}

/// Those that stand aside, and workers.
fn asides() -> &'static (AtomicUsize, AtomicUsize) {
    static ASIDES: Own<(AtomicUsize, AtomicUsize)> = Own::new();
    ASIDES.get()
}

/// The error number of the code that a signal has interrupted, put back when this goes.
pub(crate) struct Errno(c_int);

impl Errno {
    pub(crate) fn keep() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: the error number of this thread.
        unsafe { *place_of_errno() = self.0 };
    }
}

#[cfg(target_os = "linux")]
use libc::__errno_location as place_of_errno;

#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly"
))]
use libc::__error as place_of_errno;

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as place_of_errno;

/// A system call that a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SystemCall(pub(crate) c_long);

impl fmt::Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(number, _)| *number == self.0);
        match named {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// System calls that threads block in.
#[cfg(target_os = "linux")]
const NAMES: &[(c_long, &str)] = &[
    (libc::SYS_read, "read"),
    (libc::SYS_write, "write"),
    (libc::SYS_readv, "readv"),
    (libc::SYS_writev, "writev"),
    (libc::SYS_pread64, "pread"),
    (libc::SYS_pwrite64, "pwrite"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_flock, "flock"),
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_ppoll, "ppoll"),
    (libc::SYS_pselect6, "pselect"),
    (libc::SYS_epoll_pwait, "epoll_pwait"),
    (libc::SYS_nanosleep, "nanosleep"),
    (libc::SYS_clock_nanosleep, "clock_nanosleep"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_connect, "connect"),
    #[cfg(not(target_arch = "x86"))]
    (libc::SYS_accept, "accept"),
    (libc::SYS_accept4, "accept"),
    (libc::SYS_recvfrom, "recvfrom"),
    (libc::SYS_recvmsg, "recvmsg"),
    (libc::SYS_sendto, "sendto"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_wait4, "wait4"),
    (libc::SYS_waitid, "waitid"),
    (libc::SYS_rt_sigtimedwait, "sigtimedwait"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause"),
];
#[cfg(not(target_os = "linux"))]
const NAMES: &[(c_long, &str)] = &[];

impl SystemCall {
    /// The one that a thread of this process is in.
    pub(crate) fn of(number: i32) -> Option<SystemCall> {
        let path = format!("/proc/self/task/{number}/syscall");
        let text = std::fs::read_to_string(path).ok()?;
        // A thread that runs has no number there, and -1 is none.
        let number = text.split_whitespace().next()?.parse().ok()?;
        (number >= 0).then_some(SystemCall(number))
    }
}
