//! Greenlets: a plain loop for each descriptor. Who waits for what is the business of the hub.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;

use super::fan::{self, Fan, Rounds};
use greenlet::io::Descriptor;
use greenlet::thread;

pub(crate) fn collect(fan: &Fan, rounds: &mut Rounds) -> io::Result<()> {
    let (left, calls, failed) = (Cell::new(0), Cell::new(0), RefCell::new(None));
    let main = thread::current();
    let read = |fd: &OwnedFd| -> io::Result<()> {
        let fd = Descriptor::new(fd)?;
        loop {
            fd.drain_with(|fd| {
                calls.set(calls.get() + 1);
                fan::take(fd)
            })?;
            left.set(left.get() - 1);
            if left.get() == 0 {
                main.unpark();
            }
        }
    };
    greenlet::scope(|scope| {
        let (read, failed, main) = (&read, &failed, &main);
        let readers = fan.fds.iter().map(|fd| {
            scope.spawn(move || {
                failed.replace(read(fd).err());
                main.unpark();
            })
        });
        let readers: Vec<_> = readers.collect();
        greenlet::yield_now();
        calls.set(0); // those that found nothing yet
        while rounds.next(fan)? {
            left.set(fan.active.len());
            while left.get() > 0 && failed.borrow().is_none() {
                thread::park();
            }
            // The hub waits for up to 128 events at once, and looks again when all of them have had their turn.
            rounds.calls += fan.active.len().div_ceil(128) as u64;
        }
        for reader in &readers {
            reader.kill();
        }
        io::Result::Ok(())
    })?;
    rounds.calls += calls.get();
    failed.into_inner().map_or(Ok(()), Err)
}
