//! The names of `std::net`: sockets whose calls park the greenlet and not the thread.
//!
//! Code changes `use std::net::` to `use greenlet::net::` and stays as it is. A call that would block parks
//! the greenlet that makes it; others run meanwhile. Any number of greenlets may read, write and accept on
//! one socket.
//!
//! # Differences from std
//! - A socket belongs to its OS thread: it is neither `Send` nor `Sync`. To hand one to another thread, make
//!   it a socket of std (`From`, both ways) and one of that thread's there.
//! - `set_nonblocking` and the timeouts are each handle's own; std's are shared by clones. The descriptor
//!   itself never blocks, whatever a handle was set to: that is so for all its duplicates, also those in the
//!   hands of std or of another process.
//! - Giving a socket back to std makes it block, and so all its duplicates, greenlets' ones too: give back
//!   the last.
//! - `close` closes a socket that others wait on: they get an error.
//! - A call is not cut short by signals: `Interrupted` does not occur.
//! - There is no `FromRawFd`: `From<OwnedFd>` is the same, and safe.
//! - [`ToSocketAddrs`] is a trait of its own, for std's types: looking up a name parks.
//! - With a closed hub (in destructors of thread-locals, at the end of a thread) a call that would have to
//!   wait is an error.

mod lookup;
pub(crate) mod stream;
mod tcp;
mod udp;

pub use lookup::ToSocketAddrs;
pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::RefUnwindSafe;
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::io::{Direction, Limit, Source};
use crate::sys::fd::{self, SockAddr};
use crate::time;

/// So long an accept takes for which no descriptor is left.
const EXHAUSTED: Duration = Duration::from_millis(10);

/// How long the calls of one handle may wait: none is for ever.
///
/// The system knows them too. On a descriptor that does not block they are without effect, but it checks
/// them, and they are there when the socket goes back to std.
#[derive(Clone, Default)]
pub(crate) struct Timeouts {
    pub(crate) read: Limit,
    pub(crate) write: Limit,
}

/// Two numbers, which are set in one step each.
impl RefUnwindSafe for Timeouts {}

impl Timeouts {
    /// Those that a socket of std brings with it.
    pub(crate) fn of(
        read: io::Result<Option<Duration>>,
        write: io::Result<Option<Duration>>,
    ) -> Timeouts {
        Timeouts {
            read: Limit::of(read.unwrap_or(None)),
            write: Limit::of(write.unwrap_or(None)),
        }
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

/// The next connection of a listening socket. Where no descriptor is left, whoever tries again at once would spin, and keep
/// from running those who have some to close.
pub(crate) fn accept(listener: &Source<impl AsFd>) -> io::Result<(OwnedFd, SockAddr)> {
    let accepted = listener.retry(Direction::Read, None, |listener| {
        fd::accept(listener.as_fd())
    });
    if accepted.as_ref().is_err_and(fd::none_is_left)
        && !listener.is_nonblocking()
        && Hub::here_if_open().is_some()
    {
        time::sleep(EXHAUSTED);
    }
    accepted
}
