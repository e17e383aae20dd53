//! A socket that listens.

use std::io;
use std::net;

use super::TcpStream;
use crate::hub::io::{Source, descriptor};
use crate::net::{SocketAddr, ToSocketAddrs, each_address};
use crate::sys::fd::{self, SockAddr};

/// A TCP socket that listens: `std::net::TcpListener`.
///
/// # Parks
/// `accept` and `incoming`, until there is a connection. Several greenlets may accept: each connection wakes
/// one of them.
///
/// # Cancellation
/// A killed `accept` has taken no connection.
pub struct TcpListener {
    source: Source<net::TcpListener>,
}

impl TcpListener {
    /// Listens on the first of the addresses that can be had.
    ///
    /// # Parks
    /// While a name is looked up.
    ///
    /// # Errors
    /// What the last address answered.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        each_address(addr, |address| {
            let listener = net::TcpListener::bind(address)?;
            fd::widen_backlog(&listener)?;
            Ok(TcpListener::from(listener))
        })
    }

    /// As [`bind`](Self::bind), on an address that others may listen on who ask for it in this way too: one
    /// listener for each hub of [`per_core`](crate::per_core). The system spreads the connections, and each
    /// wakes one of them. std has nothing like it.
    ///
    /// # Parks
    /// While a name is looked up.
    ///
    /// # Errors
    /// What the last address answered; `AddrInUse` if somebody listens there who did not ask for it.
    pub fn bind_reuse_port<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        each_address(addr, |address| {
            let listener = fd::listen_reusing_port(&SockAddr::from(address))?;
            Ok(TcpListener::adopt(listener.into()))
        })
    }

    fn adopt(listener: net::TcpListener) -> TcpListener {
        TcpListener {
            source: Source::new(listener),
        }
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.thing().local_addr()
    }

    /// A second handle to the same socket.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        let source = self.source.duplicate(net::TcpListener::try_clone)?;
        Ok(TcpListener { source })
    }

    /// The next connection.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// What the system says; without descriptors that is an error at each call, which takes a hundredth of a second then,
    /// so that who tries again does not spin.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, address) = crate::net::accept(&self.source)?;
        let address = address
            .as_socket()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "invalid argument"))?;
        Ok((TcpStream::new(socket), address))
    }

    /// All connections, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Closes the socket for everybody who uses this handle: those who wait get an error, and so does who
    /// accepts from now on. std has nothing like it.
    pub fn close(&self) {
        let _ = fd::shutdown(self.source.thing());
        self.source.close();
    }

    /// How many hops a packet may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.source.thing().set_ttl(ttl)
    }

    /// How many hops a packet may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.source.thing().ttl()
    }

    /// The error that the socket keeps, which is cleared.
    ///
    /// # Errors
    /// What the system says.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.source.thing().take_error()
    }

    /// Whether calls return `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// None.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.source.set_nonblocking(nonblocking);
        Ok(())
    }
}

/// All connections of a listener; see [`TcpListener::incoming`].
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl std::iter::FusedIterator for Incoming<'_> {}

descriptor!(TcpListener, net::TcpListener, TcpListener::adopt);
