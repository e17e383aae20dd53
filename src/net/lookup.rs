//! From what a program has to addresses.
//!
//! ```text
//!   "127.0.0.1:80" ──parse──▶ address
//!   "example.org:80" ──not an address──▶ a worker asks the system ──▶ addresses
//!                                        (the greenlet parks; others run)
//! ```
//!
//! The system can only be asked in a way that blocks (`getaddrinfo`), so that is offloaded: the greenlet that
//! asks waits, and nobody else. What is asked, and how, is std's: this module only decides where.

use std::io;
use std::net;
use std::{iter, option, slice, vec};

use super::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use crate::hub::Hub;
use crate::offload;

/// What can be turned into addresses: `std::net::ToSocketAddrs`.
///
/// # Differences from std
/// A trait of its own, so that looking up a name parks; it has std's implementations. A type of yours that
/// implements std's needs this one too.
///
/// # Examples
/// ```
/// use greenlet::net::ToSocketAddrs;
///
/// let addresses = ("127.0.0.1", 80).to_socket_addrs()?;
/// assert_eq!(addresses.collect::<Vec<_>>(), ["127.0.0.1:80".parse().unwrap()]);
/// # std::io::Result::Ok(())
/// ```
pub trait ToSocketAddrs {
    /// The addresses.
    type Iter: Iterator<Item = SocketAddr>;

    /// The addresses of this, in the order in which to try them.
    ///
    /// # Parks
    /// Only if a name has to be looked up.
    ///
    /// # Cancellation
    /// The lookup is left to end by itself, and what it finds is dropped.
    ///
    /// # Errors
    /// `InvalidInput` for text that is no address; what the system says of a name; what it says if there are
    /// no descriptors or threads to look it up with.
    fn to_socket_addrs(&self) -> io::Result<Self::Iter>;
}

/// Asks the system for the addresses of a host.
fn look_up(host: &str, port: u16) -> io::Result<vec::IntoIter<SocketAddr>> {
    if Hub::here_to_the_end().is_none_or(Hub::is_closed) {
        // The thread ends: nobody else is here who could run meanwhile, and nothing can park.
        return net::ToSocketAddrs::to_socket_addrs(&(host, port));
    }
    let host = host.to_owned();
    offload::try_offload(move || net::ToSocketAddrs::to_socket_addrs(&(host, port)))?
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

impl ToSocketAddrs for SocketAddr {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(Some(*self).into_iter())
    }
}

impl ToSocketAddrs for SocketAddrV4 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V4(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for SocketAddrV6 {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::V6(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (IpAddr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {
    type Iter = option::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        SocketAddr::from(*self).to_socket_addrs()
    }
}

impl ToSocketAddrs for (&str, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(address) => Ok(vec![SocketAddr::new(address, port)].into_iter()),
            Err(_) => look_up(host, port),
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (&*self.0, self.1).to_socket_addrs()
    }
}

impl ToSocketAddrs for str {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address].into_iter());
        }
        let (host, port) = self
            .rsplit_once(':')
            .ok_or_else(|| invalid("invalid socket address"))?;
        let port = port.parse().map_err(|_| invalid("invalid port value"))?;
        look_up(host, port)
    }
}

impl ToSocketAddrs for String {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }
}

impl<'a> ToSocketAddrs for &'a [SocketAddr] {
    type Iter = iter::Cloned<slice::Iter<'a, SocketAddr>>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        Ok(self.iter().cloned())
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    type Iter = T::Iter;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (**self).to_socket_addrs()
    }
}
