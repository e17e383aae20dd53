//! Socket pairs in a ring: each reads a byte and sends one on to the next.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use greenlet::io::Descriptor;
use greenlet::os::unix::net::UnixStream;
use greenlet::sync::Event;
use greenlet::time::timeout;
use greenlet::{JoinHandle, spawn, yield_now};

use crate::talk_parts::search::cpu;

/// A byte that is written to `far` is read from `near`. Nobody sends descriptors along, which would end a read early: so a
/// read takes all there is, as in libev's program, and the next one need not ask. A `UnixStream` finds out each time.
pub(crate) struct Pair {
    near: Descriptor<std::os::unix::net::UnixStream>,
    far: UnixStream,
    limit: Option<Duration>,
}

/// What a byte says to who reads it: send one on, or end.
const PASS_ON: u8 = b'e';
const END: u8 = b'q';

struct Ring {
    pairs: Rc<[Pair]>,
    to_send: Cell<usize>,
    to_read: Cell<usize>,
    done: Event,
}

impl Pair {
    fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut read = || self.near.drain_with(|mut near| near.read(room));
        match self.limit {
            None => read(),
            Some(limit) => timeout(limit, read)?,
        }
    }
}

/// So many pairs, of which each read has this limit.
pub(crate) fn pairs(count: usize, limit: Option<Duration>) -> io::Result<Rc<[Pair]>> {
    let pair = |_| {
        let (near, far) = UnixStream::pair()?;
        let near = Descriptor::new(near.into())?;
        Ok(Pair { near, far, limit })
    };
    (0..count).map(pair).collect()
}

/// One iteration: seconds of CPU for all of it, and for each event.
pub(crate) fn iteration(pairs: &Rc<[Pair]>, active: usize) -> (f64, f64) {
    let count = pairs.len();
    let active = active.clamp(1, count.max(1));
    let begin = cpu();
    let ring = Rc::new(Ring {
        pairs: Rc::clone(pairs),
        to_send: Cell::new(count),
        to_read: Cell::new(count + active),
        done: Event::new(),
    });
    let relay = |number| {
        let ring = Rc::clone(&ring);
        spawn(move || ring.relay(number))
    };
    let relays: Vec<JoinHandle<()>> = (0..count).map(relay).collect();
    yield_now(); // all wait now
    let first = cpu();
    (0..active).for_each(|number| ring.send(number * (count / active), PASS_ON));
    ring.done.wait();
    let last = cpu();
    (0..count).for_each(|number| ring.send(number, END));
    relays
        .into_iter()
        .for_each(|relay| relay.join().expect("it ends"));
    (cpu() - begin, (last - first) / (count + active) as f64)
}

impl Ring {
    fn send(&self, number: usize, byte: u8) {
        let sent = (&self.pairs[number].far).write_all(&[byte]);
        sent.expect("the other end is open");
    }

    fn relay(&self, number: usize) {
        let mut room = [0; 16];
        while let Ok(count @ 1..) = self.pairs[number].read(&mut room) {
            for byte in &room[..count] {
                match *byte {
                    PASS_ON => self.hand_on(number),
                    _ => return,
                }
            }
        }
    }

    fn hand_on(&self, number: usize) {
        if let Some(left) = self.to_send.get().checked_sub(1) {
            self.to_send.set(left);
            self.send((number + 1) % self.pairs.len(), PASS_ON);
        }
        self.to_read.set(self.to_read.get() - 1);
        if self.to_read.get() == 0 {
            self.done.set();
        }
    }
}
