//! Who is ready: file descriptors, the bell that other threads ring, and a time to wait no longer.
//!
//! ```text
//!   add(fd, key) --once, edge-triggered--> [ poller ] <--ring-- Bell (any thread)
//!                                                               |
//!                        wait(events, timeout) <-- (key, Readiness) ...
//! ```
//!
//! A descriptor is added once for its whole life. An edge says that something has become possible, and is
//! said once: whoever is told remembers it until a call has failed with `EAGAIN`. A poller knows keys only;
//! a key carries a generation of its own (law 8), so an event for a descriptor that is gone hits nobody.
//!
//! | backend | where | how |
//! |---|---|---|
//! | `epoll` | Linux, Android | one system call for each wait; an eventfd is the bell |
//! | `kqueue` | elsewhere, and with `--cfg greenlet_polling` | all through the crate `polling` |
//!
//! Both have the same three types. Where they differ: a short read proves that nothing is left only where
//! [`SHORT_READ_DRAINS`], and never once [`Readiness::CLOSED`] was seen. Data and FIN make one edge, so who
//! stops at a short read would wait for the FIN for ever.
//!
//! A poller that fails was closed behind our back, and so was a bell. Nothing can be raised for that: whoever
//! polls has its place in lists and queues. The process says what has happened, and aborts.

#[cfg(all(any(target_os = "linux", target_os = "android"), not(greenlet_polling)))]
mod epoll;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(greenlet_polling)))]
use epoll as backend;

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(greenlet_polling))))]
mod kqueue;
#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(greenlet_polling))))]
use kqueue as backend;

use std::io::{self, Write};
use std::os::fd::RawFd;

/// Whether a read that returned less than was asked for has emptied the descriptor, as long as
/// [`Readiness::CLOSED`] was not seen. Where this is false, read until `EAGAIN`.
pub(crate) const SHORT_READ_DRAINS: bool = backend::SHORT_READ_DRAINS;

/// Whether closing a descriptor takes it out of the poller, if it is the only one for what it stands for. If
/// not, it must be removed before.
pub(crate) const CLOSING_REMOVES: bool = backend::CLOSING_REMOVES;

pub(crate) use backend::{Bell, Events, Poller};

/// How many events one wait can bring. What does not fit comes with the next one, when these have been seen to: what the
/// kernel has looked at for more of them would have left the caches again by then.
const CAPACITY: usize = 128;

/// The key that no descriptor may have: it is the bell's.
const RESERVED_KEY: u64 = u64::MAX;

/// Somebody has closed a descriptor of ours, by its number: those who wait here would never be woken, and its
/// number may be another's by now. There is nobody who could be told and nothing to go on with.
#[cold]
pub(crate) fn robbed(what: &str, error: &io::Error) -> ! {
    let _ = writeln!(
        io::stderr(),
        "greenlet: somebody has closed a descriptor that belongs to a hub ({what}: {error}); aborting"
    );
    std::process::abort()
}

/// Whether no descriptor has this number.
fn is_closed(number: RawFd) -> bool {
    // SAFETY: asks about a number.
    unsafe { libc::fcntl(number, libc::F_GETFD) < 0 }
}

/// When there is an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trigger {
    /// When something becomes possible.
    Edge,
    /// At each look for which something is possible. Where the kernel has no such thing, this is an edge as well.
    Level,
}

/// What has become possible with a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Readiness(u8);

impl Readiness {
    pub(crate) const NONE: Readiness = Readiness(0);
    /// A read would do something: bring data, the end, a connection or an error.
    pub(crate) const READ: Readiness = Readiness(1);
    /// A write would do something.
    pub(crate) const WRITE: Readiness = Readiness(2);
    /// The other side has gone, or there is an error or urgent data: a short read proves nothing any more.
    /// Remember it for the rest of the descriptor's life. It never comes alone.
    pub(crate) const CLOSED: Readiness = Readiness(4);

    #[inline]
    pub(crate) const fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub(crate) const fn union(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }

    /// What is left when `other` is taken away.
    #[inline]
    pub(crate) const fn without(self, other: Readiness) -> Readiness {
        Readiness(self.0 & !other.0)
    }

    #[cfg(test)]
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::Moment;
    use std::collections::BTreeMap;
    use std::io::{ErrorKind, Read, pipe};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;
    use std::time::Duration;

    /// All 64 bits of a key come back.
    const KEY: u64 = 0xFEDC_BA98_7654_3210;
    const BOTH: Readiness = Readiness::READ.union(Readiness::WRITE);
    /// So long that a test which waits for it has failed.
    const LONG: Duration = Duration::from_secs(30);

    fn wait(poller: &Poller, timeout: Duration) -> BTreeMap<u64, Readiness> {
        let mut events = Events::new();
        poller.wait(&mut events, Some(timeout));
        merged(&events)
    }

    /// One backend tells the two directions apart in two events.
    fn merged(events: &Events) -> BTreeMap<u64, Readiness> {
        assert_eq!(events.len(), events.iter().count());
        assert_eq!(events.is_empty(), events.iter().next().is_none());
        let mut found = BTreeMap::new();
        for (key, readiness) in events.iter() {
            let all = found.entry(key).or_insert(Readiness::NONE);
            *all = all.union(readiness);
        }
        found
    }

    fn now(poller: &Poller) -> BTreeMap<u64, Readiness> {
        wait(poller, Duration::ZERO)
    }

    fn socket_pair() -> (UnixStream, UnixStream) {
        let (a, b) = UnixStream::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        b.set_nonblocking(true).unwrap();
        (a, b)
    }

    #[test]
    fn sets_of_readiness() {
        assert!(BOTH.contains(Readiness::READ) && !Readiness::READ.contains(BOTH));
        assert!(BOTH.contains(Readiness::NONE));
        assert_eq!(BOTH.without(Readiness::READ), Readiness::WRITE);
        assert_eq!(BOTH.union(Readiness::CLOSED).bits(), 7);
    }

    #[test]
    fn each_direction_is_told_once() {
        let poller = Poller::new().unwrap();
        let (mut a, mut b) = socket_pair();
        poller.add(a.as_fd(), KEY, BOTH, Trigger::Edge).unwrap();
        assert_eq!(wait(&poller, LONG), [(KEY, Readiness::WRITE)].into());
        assert!(now(&poller).is_empty(), "an edge is told once");

        b.write_all(b"x").unwrap();
        assert!(wait(&poller, LONG)[&KEY].contains(Readiness::READ));
        assert!(now(&poller).is_empty());
        b.write_all(b"y").unwrap();
        assert!(wait(&poller, LONG)[&KEY].contains(Readiness::READ));

        while a.write(&[0; 65536]).is_ok() {}
        assert!(now(&poller).is_empty());
        while b.read(&mut [0; 65536]).is_ok() {}
        assert!(wait(&poller, LONG)[&KEY].contains(Readiness::WRITE));
    }

    /// The other backend knows no levels, and watches for both directions.
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(greenlet_polling)))]
    #[test]
    fn with_levels_each_look_tells_until_there_is_nothing_or_edges_are_asked_for() {
        let poller = Poller::new().unwrap();
        let (mut a, mut b) = socket_pair();
        let read = Readiness::READ;
        poller.add(a.as_fd(), KEY, read, Trigger::Level).unwrap();
        assert!(now(&poller).is_empty());
        b.write_all(b"x").unwrap();
        assert_eq!(wait(&poller, LONG), [(KEY, read)].into());
        assert_eq!(now(&poller), [(KEY, read)].into());
        a.read_exact(&mut [0]).unwrap();
        assert!(now(&poller).is_empty());

        b.write_all(b"y").unwrap();
        assert_eq!(wait(&poller, LONG), [(KEY, read)].into());
        poller.change(a.as_fd(), KEY, read, Trigger::Edge).unwrap();
        assert_eq!(now(&poller), [(KEY, read)].into());
        assert!(now(&poller).is_empty(), "an edge is told once");
    }

    #[test]
    fn data_and_the_end_in_one_edge_are_told_apart_from_data() {
        let poller = Poller::new().unwrap();
        let (a, mut b) = socket_pair();
        poller.add(a.as_fd(), KEY, BOTH, Trigger::Edge).unwrap();
        now(&poller);
        b.write_all(b"the last words").unwrap();
        b.shutdown(std::net::Shutdown::Write).unwrap();
        let seen = wait(&poller, LONG)[&KEY];
        assert!(seen.contains(Readiness::READ));
        assert_eq!(seen.contains(Readiness::CLOSED), SHORT_READ_DRAINS);
        drop(b);
        assert!(wait(&poller, LONG)[&KEY].contains(BOTH));
    }

    #[test]
    fn the_ends_of_a_pipe_learn_that_the_other_has_gone() {
        let poller = Poller::new().unwrap();
        let ((reader, lost_writer), (lost_reader, writer)) = (pipe().unwrap(), pipe().unwrap());
        poller.add(reader.as_fd(), 1, BOTH, Trigger::Edge).unwrap();
        poller.add(writer.as_fd(), 2, BOTH, Trigger::Edge).unwrap();
        now(&poller);
        drop((lost_writer, lost_reader));
        let seen = wait(&poller, LONG);
        assert!(seen[&1].contains(Readiness::READ));
        assert!(seen[&2].contains(Readiness::WRITE));
        if SHORT_READ_DRAINS {
            let all = BOTH.union(Readiness::CLOSED);
            assert_eq!(seen, [(1, all), (2, all)].into());
        }
    }

    #[test]
    fn many_descriptors_keep_their_keys() {
        let poller = Poller::new().unwrap();
        let pairs: Vec<_> = (0..100).map(|_| socket_pair()).collect();
        for (number, pair) in (0..).zip(&pairs) {
            poller
                .add(pair.0.as_fd(), KEY + number, BOTH, Trigger::Edge)
                .unwrap();
        }
        now(&poller);
        for (number, pair) in pairs.iter().enumerate().filter(|pair| pair.0 % 3 == 0) {
            (&pair.1).write_all(&[number as u8]).unwrap();
        }
        let keys: Vec<_> = now(&poller).into_keys().collect();
        let expected: Vec<_> = (0..100).step_by(3).map(|number| KEY + number).collect();
        assert_eq!(keys, expected);
    }

    #[test]
    fn after_removal_there_are_no_events() {
        let poller = Poller::new().unwrap();
        let (a, mut b) = socket_pair();
        poller.add(a.as_fd(), KEY, BOTH, Trigger::Edge).unwrap();
        b.write_all(b"x").unwrap();
        poller.remove(a.as_fd()).unwrap();
        assert!(now(&poller).is_empty());
        b.write_all(b"x").unwrap();
        assert!(now(&poller).is_empty());
        poller.remove(a.as_fd()).unwrap_err();
        poller.add(a.as_fd(), 7, BOTH, Trigger::Edge).unwrap();
        assert_eq!(wait(&poller, LONG), [(7, BOTH)].into());
    }

    #[test]
    fn what_cannot_be_added_says_why() {
        let poller = Poller::new().unwrap();
        let (a, _b) = socket_pair();
        poller.add(a.as_fd(), KEY, BOTH, Trigger::Edge).unwrap();
        let error = poller.add(a.as_fd(), KEY, BOTH, Trigger::Edge).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let error = poller
            .add(_b.as_fd(), RESERVED_KEY, BOTH, Trigger::Edge)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[test]
    fn a_regular_file_cannot_be_polled() {
        let poller = Poller::new().unwrap();
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let error = poller
            .add(file.as_fd(), KEY, BOTH, Trigger::Edge)
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn a_wait_is_never_shorter_than_its_timeout() {
        let poller = Poller::new().unwrap();
        for micros in [0, 1, 50, 300, 999, 1000, 1001, 1500, 20_000] {
            for _ in 0..5 {
                let timeout = Duration::from_micros(micros);
                let begin = Moment::now();
                assert!(wait(&poller, timeout).is_empty());
                assert!(
                    begin.until(Moment::now()) >= timeout,
                    "{micros} microseconds"
                );
            }
        }
    }

    #[test]
    fn the_bell_ends_waits_of_any_length() {
        let poller = Poller::new().unwrap();
        let far = [
            Duration::MAX,
            Duration::from_secs(i64::MAX as u64),
            Duration::from_secs(1 << 33),
        ];
        for timeout in far.map(Some).into_iter().chain([None]) {
            let bell = poller.bell();
            let ringer = thread::spawn(move || {
                thread::sleep(Duration::from_millis(10));
                bell.ring();
            });
            let mut events = Events::new();
            poller.wait(&mut events, timeout);
            assert!(events.was_rung() && events.is_empty());
            ringer.join().unwrap();
        }
    }

    #[test]
    fn a_bell_that_was_rung_before_the_wait_is_heard_once() {
        let poller = Poller::new().unwrap();
        let mut events = Events::new();
        for rings in [1, 1, 2, 5] {
            (0..rings).for_each(|_| poller.bell().ring());
            poller.wait(&mut events, Some(LONG));
            assert!(events.was_rung() && events.is_empty());
            poller.wait(&mut events, Some(Duration::ZERO));
            assert!(!events.was_rung());
        }
    }

    #[test]
    fn a_bell_and_events_come_together() {
        let poller = Poller::new().unwrap();
        let (a, b) = socket_pair();
        poller.add(a.as_fd(), 1, BOTH, Trigger::Edge).unwrap();
        poller.bell().ring();
        poller.add(b.as_fd(), 2, BOTH, Trigger::Edge).unwrap();
        let mut events = Events::new();
        poller.wait(&mut events, Some(LONG));
        assert!(events.was_rung());
        assert_eq!(
            merged(&events),
            [(1, Readiness::WRITE), (2, Readiness::WRITE)].into()
        );
    }

    #[test]
    fn a_bell_may_outlive_its_poller() {
        let bell = Poller::new().unwrap().bell();
        bell.ring();
    }

    /// Bursts of rings, each of which must be answered: a million in all, from two threads.
    #[test]
    fn no_ring_is_lost() {
        const RINGERS: usize = 2;
        const BURSTS: u32 = 20_000;
        const RINGS: u32 = 500_000 / BURSTS;
        let poller = Poller::new().unwrap();
        let rung: [_; RINGERS] = std::array::from_fn(|_| Arc::new(AtomicU32::new(0)));
        let heard: [_; RINGERS] = std::array::from_fn(|_| Arc::new(AtomicU32::new(0)));
        let ringers: Vec<_> = (0..RINGERS)
            .map(|number| {
                let (bell, rung, heard) =
                    (poller.bell(), rung[number].clone(), heard[number].clone());
                thread::spawn(move || {
                    for burst in 1..=BURSTS {
                        // Between the first ring and the last one the other side hears some, and waits again.
                        (1..RINGS).for_each(|_| bell.ring());
                        rung.store(burst, Ordering::SeqCst);
                        bell.ring();
                        while heard.load(Ordering::SeqCst) < burst {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut events = Events::new();
        while heard
            .iter()
            .any(|heard| heard.load(Ordering::SeqCst) < BURSTS)
        {
            let begin = Moment::now();
            poller.wait(&mut events, Some(LONG));
            assert!(begin.until(Moment::now()) < LONG, "a ring was lost");
            for (rung, heard) in rung.iter().zip(&heard) {
                heard.store(rung.load(Ordering::SeqCst), Ordering::SeqCst);
            }
        }
        for ringer in ringers {
            ringer.join().unwrap();
        }
    }
}
