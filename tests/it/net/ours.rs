//! The bodies over greenlets.

pub(super) use greenlet::net::{TcpListener, TcpStream, UdpSocket};
#[cfg(target_os = "linux")]
pub(super) use greenlet::os::linux::net::TcpStreamExt;
pub(super) use greenlet::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
pub(super) use greenlet::thread::{sleep, spawn, yield_now};

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

#[allow(clippy::duplicate_mod)]
#[path = "tcp.rs"]
mod tcp;
#[allow(clippy::duplicate_mod)]
#[path = "udp.rs"]
mod udp;
#[allow(clippy::duplicate_mod)]
#[path = "unix.rs"]
mod unix;

/// Makes a call that has a limit. No signal cuts it short.
pub(super) fn uncut<R>(call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    call()
}

type Queue<T> = Rc<RefCell<VecDeque<T>>>;

/// A channel between greenlets, as simple as can be: whoever receives looks again each millisecond.
pub(super) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let queue = Queue::default();
    (Sender(queue.clone()), Receiver(queue))
}

pub(super) struct Sender<T>(Queue<T>);

impl<T> Sender<T> {
    pub(super) fn send(&self, value: T) -> Result<(), ()> {
        self.0.borrow_mut().push_back(value);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender(self.0.clone())
    }
}

pub(super) struct Receiver<T>(Queue<T>);

impl<T> Receiver<T> {
    /// An error if nobody is left who could send.
    pub(super) fn recv(&self) -> Result<T, ()> {
        loop {
            if let Some(value) = self.0.borrow_mut().pop_front() {
                return Ok(value);
            }
            if Rc::strong_count(&self.0) == 1 {
                return Err(());
            }
            sleep(Duration::from_millis(1));
        }
    }
}
