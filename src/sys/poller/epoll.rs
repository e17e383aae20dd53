//! Linux: the crate `polling` makes the epoll, and we wait on it ourselves, with one system call.
//!
//! `polling` sets a timer descriptor and its own notifier anew for each wait, five system calls with a
//! timeout and three without, and its interface does not show RDHUP. Its two descriptors stay registered
//! and silent: nobody arms the timer, and nobody notifies.
//!
//! The bell is an eventfd, edge-triggered and never read: each write is a new edge, also while the last one
//! was not heard, and the counter lasts for 2^64 rings. A ring is one `write`, so a signal handler may.
//!
//! `epoll_pwait2` takes nanoseconds. Where it is missing (Linux before 5.11, emulators; Android, whose
//! filters kill a process for an unknown call) `epoll_wait` takes milliseconds, rounded up.

use super::{CAPACITY, RESERVED_KEY, Readiness, Trigger, is_closed, robbed};
use std::io::{self, Error, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const SHORT_READ_DRAINS: bool = true;
/// Whether closing a descriptor takes it out of the poller.
pub(crate) const CLOSING_REMOVES: bool = true;

/// What there is to hear of each direction.
const READ_EDGES: i32 = libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLPRI;
const WRITE_EDGES: i32 = libc::EPOLLOUT;

/// Whether `epoll_pwait2` is missing. A static, which a model cannot have: std's.
static MILLISECONDS_ONLY: AtomicBool = AtomicBool::new(cfg!(target_os = "android"));

pub(crate) struct Poller {
    epoll: polling::Poller,
    bell: Arc<Bell>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        let epoll = polling::Poller::new()?;
        let bell = Arc::new(Bell::new()?);
        let poller = Poller { epoll, bell };
        let edges = libc::EPOLLIN | libc::EPOLLET;
        poller.control(
            libc::EPOLL_CTL_ADD,
            poller.bell.counter.as_fd(),
            edges,
            RESERVED_KEY,
        )?;
        Ok(poller)
    }

    /// Watches a descriptor for `what`, for its whole life. What cannot be polled fails with `EPERM`.
    pub(crate) fn add(
        &self,
        fd: BorrowedFd<'_>,
        key: u64,
        what: Readiness,
        trigger: Trigger,
    ) -> io::Result<()> {
        if key == RESERVED_KEY {
            return Err(ErrorKind::InvalidInput.into());
        }
        let added = self.control(libc::EPOLL_CTL_ADD, fd, mask(what, trigger), key);
        if let Err(error) = &added
            && (error.raw_os_error() == Some(libc::EINVAL) || is_closed(self.epoll.as_raw_fd()))
        {
            // It is this set that is not what it was, not the descriptor.
            robbed("its poller", error);
        }
        added
    }

    /// Watches for `what` from now on. What is there already comes as an event.
    pub(crate) fn change(
        &self,
        fd: BorrowedFd<'_>,
        key: u64,
        what: Readiness,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, mask(what, trigger), key)
    }

    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0, 0)
    }

    /// In the child of a fork, which may have closed all descriptors, and have others by these numbers now. So nothing is
    /// closed; they go when another program is run.
    pub(crate) fn leave_behind(self) {
        std::mem::forget(self);
    }

    /// Waits for an event, the bell, the timeout or a signal, and never shorter than the timeout otherwise.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) {
        events.count = 0;
        match self.wait_into(&mut events.list, timeout) {
            Ok(count) => events.count = count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => robbed("its poller", &error),
        }
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    fn control(&self, what: i32, fd: BorrowedFd<'_>, edges: i32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: edges.cast_unsigned(),
            u64: key,
        };
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: both descriptors are open (owned, borrowed), and the event is read during the call only.
        let result = unsafe { libc::epoll_ctl(epoll, what, fd.as_raw_fd(), &mut event) };
        if result < 0 {
            return Err(Error::last_os_error());
        }
        Ok(())
    }

    fn wait_into(
        &self,
        list: &mut [libc::epoll_event],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        if !MILLISECONDS_ONLY.load(Ordering::Relaxed) {
            let result = self.wait_nanoseconds(list, timeout);
            // Old filters of system calls answer EPERM, which the call itself never does.
            let missing =
                |error: &Error| matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM));
            if !result.as_ref().is_err_and(missing) {
                return result;
            }
            MILLISECONDS_ONLY.store(true, Ordering::Relaxed);
        }
        self.wait_milliseconds(list, timeout)
    }

    /// The C library's `epoll_pwait2` is glibc's only, and from 2.35 on.
    fn wait_nanoseconds(
        &self,
        list: &mut [libc::epoll_event],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let timeout = timeout.map(Timespec::from);
        // SAFETY: the list and the timeout outlive the call, and `list` has as many places as we say. Without
        // a signal mask its size is not looked at.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                list.as_mut_ptr(),
                list.len() as libc::c_int,
                timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        usize::try_from(count).map_err(|_| Error::last_os_error())
    }

    /// In several calls if the timeout is longer than the 24 days that one can wait.
    fn wait_milliseconds(
        &self,
        list: &mut [libc::epoll_event],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let mut left = timeout.map(|timeout| timeout.as_nanos().div_ceil(1_000_000));
        loop {
            let step = left.map(|left| i32::try_from(left).unwrap_or(i32::MAX));
            // SAFETY: `list` has as many places as we say.
            let count = unsafe {
                libc::epoll_wait(
                    self.epoll.as_raw_fd(),
                    list.as_mut_ptr(),
                    list.len() as libc::c_int,
                    step.unwrap_or(-1),
                )
            };
            left = left
                .zip(step)
                .map(|(left, step)| left - step.cast_unsigned() as u128);
            if count != 0 || left.is_none_or(|left| left == 0) {
                return usize::try_from(count).map_err(|_| Error::last_os_error());
            }
        }
    }
}

/// The kernel's `__kernel_timespec`: 64 bits on every architecture, unlike C's.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl From<Duration> for Timespec {
    fn from(duration: Duration) -> Timespec {
        Timespec {
            // The kernel takes all there are as a time that does not come.
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: duration.subsec_nanos().into(),
        }
    }
}

/// Wakes the wait, or the next one, from any thread.
pub(crate) struct Bell {
    counter: OwnedFd,
}

impl Bell {
    fn new() -> io::Result<Bell> {
        // SAFETY: no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: just opened, and nobody else's.
        let counter = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Bell { counter })
    }

    /// May be called by a signal handler: it leaves `errno` alone, since this write cannot fail.
    pub(crate) fn ring(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes of a live number.
        let rung = unsafe { libc::write(self.counter.as_raw_fd(), ptr::from_ref(&one).cast(), 8) };
        if rung < 0 {
            robbed("its bell", &Error::last_os_error());
        }
    }
}

/// What a wait has brought.
pub(crate) struct Events {
    list: Box<[libc::epoll_event]>,
    /// How many of the list are events; one may be the bell.
    count: usize,
}

impl Events {
    pub(crate) fn new() -> Events {
        Events {
            list: vec![libc::epoll_event { events: 0, u64: 0 }; CAPACITY].into(),
            count: 0,
        }
    }

    /// The keys of descriptors, and what has become possible with them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Readiness)> {
        self.all()
            .filter(|event| event.u64 != RESERVED_KEY)
            .map(|event| (event.u64, readiness(event.events.cast_signed())))
    }

    fn all(&self) -> impl Iterator<Item = &libc::epoll_event> {
        self.list[..self.count].iter()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the bell was among what the wait has brought.
    #[cfg(test)]
    pub(crate) fn was_rung(&self) -> bool {
        self.all().any(|event| event.u64 == RESERVED_KEY)
    }
}

fn mask(what: Readiness, trigger: Trigger) -> i32 {
    let has = |readiness, edges| if what.contains(readiness) { edges } else { 0 };
    let trigger = match trigger {
        Trigger::Edge => libc::EPOLLET,
        Trigger::Level => 0,
    };
    trigger | has(Readiness::READ, READ_EDGES) | has(Readiness::WRITE, WRITE_EDGES)
}

fn readiness(edges: i32) -> Readiness {
    let has = |mask: i32, readiness| {
        if edges & mask != 0 {
            readiness
        } else {
            Readiness::NONE
        }
    };
    // An error and a hang-up end both directions, whether or not the kernel names them.
    let both = libc::EPOLLERR | libc::EPOLLHUP;
    let closed = both | libc::EPOLLRDHUP | libc::EPOLLPRI;
    has(closed | libc::EPOLLIN, Readiness::READ)
        .union(has(both | libc::EPOLLOUT, Readiness::WRITE))
        .union(has(closed, Readiness::CLOSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::Moment;
    use std::sync::atomic::AtomicI32;
    use std::thread;

    #[test]
    fn what_the_kernel_says_is_translated() {
        let all = Readiness::READ
            .union(Readiness::WRITE)
            .union(Readiness::CLOSED);
        let end = Readiness::READ.union(Readiness::CLOSED);
        for (edges, expected) in [
            (0, Readiness::NONE),
            (libc::EPOLLIN, Readiness::READ),
            (libc::EPOLLOUT, Readiness::WRITE),
            (libc::EPOLLERR, all),
            (libc::EPOLLHUP, all),
            (libc::EPOLLRDHUP, end),
            (libc::EPOLLPRI, end),
            (libc::EPOLLOUT | libc::EPOLLRDHUP, all),
        ] {
            assert_eq!(readiness(edges), expected, "{edges:#x}");
        }
    }

    #[test]
    fn a_wait_of_less_than_a_millisecond_is_possible() {
        let poller = Poller::new().unwrap();
        let mut events = Events::new();
        let mut shortest = Duration::MAX;
        for _ in 0..200 {
            let begin = Moment::now();
            poller.wait(&mut events, Some(Duration::from_micros(20)));
            shortest = shortest.min(begin.until(Moment::now()));
        }
        assert!(shortest >= Duration::from_micros(20));
        if !MILLISECONDS_ONLY.load(Ordering::Relaxed) {
            assert!(shortest < Duration::from_millis(1), "{shortest:?}");
        }
    }

    #[test]
    fn the_fallback_rounds_up_and_hears_the_bell() {
        let poller = Poller::new().unwrap();
        let mut events = Events::new();
        for micros in [0, 1, 999, 1000, 1001, 2500] {
            let timeout = Duration::from_micros(micros);
            let begin = Moment::now();
            let count = poller
                .wait_milliseconds(&mut events.list, Some(timeout))
                .unwrap();
            assert_eq!(count, 0);
            assert!(begin.until(Moment::now()) >= timeout);
        }
        for timeout in [
            Some(Duration::MAX),
            Some(Duration::from_secs(3_000_000)),
            None,
        ] {
            poller.bell().ring();
            let count = poller.wait_milliseconds(&mut events.list, timeout).unwrap();
            assert_eq!((count, { events.list[0].u64 }), (1, RESERVED_KEY));
        }
    }

    /// Descriptor of the bell that the handler rings.
    static HANDLER_BELL: AtomicI32 = AtomicI32::new(-1);

    extern "C" fn ring_in_handler(_: libc::c_int) {
        let fd = HANDLER_BELL.load(Ordering::Relaxed);
        if fd >= 0 {
            // SAFETY: the test keeps the bell while the handler may run, and it is not closed here.
            let counter = unsafe { OwnedFd::from_raw_fd(fd) };
            std::mem::ManuallyDrop::new(Bell { counter }).ring();
        }
    }

    /// A signal ends a wait without events; a handler may ring the bell.
    #[test]
    fn a_signal_ends_the_wait() {
        // SAFETY: an action without mask and flags, whose handler is async-signal-safe.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ring_in_handler as *const () as usize;
            libc::sigaction(libc::SIGWINCH, &action, ptr::null_mut());
        }
        let poller = Poller::new().unwrap();
        let mut events = Events::new();
        for rings in [false, true] {
            let fd = poller.bell.counter.as_raw_fd();
            HANDLER_BELL.store(if rings { fd } else { -1 }, Ordering::Relaxed);
            let done = AtomicBool::new(false);
            // A number or a pointer, by C library.
            // SAFETY: no arguments.
            let waiter = unsafe { libc::pthread_self() } as usize;
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        thread::sleep(Duration::from_millis(2));
                        // SAFETY: the waiter is alive, since it joins this thread.
                        unsafe { libc::pthread_kill(waiter as libc::pthread_t, libc::SIGWINCH) };
                    }
                });
                let begin = Moment::now();
                poller.wait(&mut events, Some(Duration::from_secs(30)));
                assert!(begin.until(Moment::now()) < Duration::from_secs(30));
                assert!(events.is_empty());
                if rings && !events.was_rung() {
                    poller.wait(&mut events, Some(Duration::from_secs(30)));
                }
                done.store(true, Ordering::SeqCst);
            });
        }
        HANDLER_BELL.store(-1, Ordering::Relaxed);
    }
}
