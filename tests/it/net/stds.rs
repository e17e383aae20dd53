//! The bodies over std and its threads: what they claim of std is true.

pub(super) use std::net::{TcpListener, TcpStream, UdpSocket};
#[cfg(target_os = "linux")]
pub(super) use std::os::linux::net::TcpStreamExt;
pub(super) use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
pub(super) use std::sync::mpsc::channel;
pub(super) use std::thread::{sleep, spawn, yield_now};

use std::io::{ErrorKind, Result};

/// Makes a call that has a limit, again if a signal has cut it short: std leaves that to its callers, and other tests
/// look at threads by signals.
pub(super) fn uncut<R>(mut call: impl FnMut() -> Result<R>) -> Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[path = "tcp.rs"]
mod tcp;
#[path = "udp.rs"]
mod udp;
#[path = "unix.rs"]
mod unix;
