//! The names of `std::net`: sockets whose calls park the greenlet and not the thread.
//!
//! Code changes `use std::net::` to `use greenlet::net::` and stays as it is. A call that would block parks
//! the greenlet that makes it; others run meanwhile. Any number of greenlets may read, write and accept on
//! one socket.
//!
//! # Differences from std
//! - A socket belongs to its OS thread: it is neither `Send` nor `Sync`. To hand one to another thread, make
//!   it a socket of std (`From`, both ways) and one of that thread's there.
//! - `close` closes a socket that others wait on: they get an error.
//! - With a closed hub (in destructors of thread-locals, at the end of a thread) a call that would have to
//!   wait is an error.

mod tcp;

pub use std::net::ToSocketAddrs;
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};
pub use tcp::{Incoming, TcpListener, TcpStream};

use std::io;
use std::time::Duration;

/// A timeout of a socket; std refuses one of no time.
fn checked(timeout: Option<Duration>) -> io::Result<Option<Duration>> {
    match timeout {
        Some(Duration::ZERO) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "cannot set a 0 duration timeout",
        )),
        timeout => Ok(timeout),
    }
}

/// Tries each address in turn; the last error if none will do.
fn each_address<R>(
    addresses: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> io::Result<R>,
) -> io::Result<R> {
    let mut last = None;
    for address in addresses.to_socket_addrs()? {
        match attempt(address) {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "could not resolve to any addresses",
        )
    }))
}
