//! Socket pairs in a ring: each reads a byte and sends one on to the next.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use greenlet::os::unix::net::UnixStream;
use greenlet::sync::Event;
use greenlet::{JoinHandle, spawn, yield_now};

use crate::talk_parts::search::cpu;

struct Ring {
    pairs: Vec<(UnixStream, UnixStream)>,
    to_send: Cell<usize>,
    to_read: Cell<usize>,
    done: Event,
}

/// One iteration: seconds of CPU for all of it, and for each event.
pub(crate) fn iteration(
    count: usize,
    active: usize,
    limit: Option<Duration>,
) -> io::Result<(f64, f64)> {
    let active = active.clamp(1, count.max(1));
    let pairs: Vec<(UnixStream, UnixStream)> = (0..count)
        .map(|_| UnixStream::pair())
        .collect::<Result<_, _>>()?;
    pairs
        .iter()
        .try_for_each(|(near, _)| near.set_read_timeout(limit))?;
    let ring = Rc::new(Ring {
        pairs,
        to_send: Cell::new(count),
        to_read: Cell::new(count + active),
        done: Event::new(),
    });
    let begin = cpu();
    let relay = |number| {
        let ring = Rc::clone(&ring);
        spawn(move || ring.relay(number))
    };
    let relays: Vec<JoinHandle<()>> = (0..count).map(relay).collect();
    yield_now(); // all wait now
    let first = cpu();
    (0..active).for_each(|number| ring.send(number * (count / active)));
    ring.done.wait();
    let last = cpu();
    relays.iter().for_each(|relay| _ = relay.kill());
    Ok((cpu() - begin, (last - first) / (count + active) as f64))
}

impl Ring {
    fn send(&self, number: usize) {
        let sent = (&self.pairs[number].1).write_all(b"e");
        sent.expect("the other end is open");
    }

    /// There is room for more than comes, since a read that comes back short says that there is no more: the next one
    /// waits for an event, and does not ask first.
    fn relay(&self, number: usize) {
        let mut room = [0; 16];
        while let Ok(bytes @ 1..) = (&self.pairs[number].0).read(&mut room) {
            (0..bytes).for_each(|_| self.hand_on(number));
        }
    }

    fn hand_on(&self, number: usize) {
        if let Some(left) = self.to_send.get().checked_sub(1) {
            self.to_send.set(left);
            self.send((number + 1) % self.pairs.len());
        }
        self.to_read.set(self.to_read.get() - 1);
        if self.to_read.get() == 0 {
            self.done.set();
        }
    }
}
