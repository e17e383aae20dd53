//! A socket that listens.

use std::io;
use std::os::unix::net;
use std::path::Path;

use super::{SocketAddr, UnixStream};
use crate::hub::io::{Source, descriptor};
use crate::sys::fd;

/// A Unix socket that listens: `std::os::unix::net::UnixListener`.
///
/// # Parks
/// `accept` and `incoming`, until there is a connection. Several greenlets may accept: each connection wakes
/// one of them.
///
/// # Cancellation
/// A killed `accept` has taken no connection.
pub struct UnixListener {
    source: Source<net::UnixListener>,
}

impl UnixListener {
    /// Listens at a path, where there may be nothing yet.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` for a path that is too long.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        net::UnixListener::bind(path).map(UnixListener::from)
    }

    /// Listens at an address.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        net::UnixListener::bind_addr(socket_addr).map(UnixListener::from)
    }

    fn adopt(listener: net::UnixListener) -> UnixListener {
        UnixListener {
            source: Source::new(listener),
        }
    }

    /// The next connection.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// What the system says; without descriptors that is an error at each call, which takes a hundredth of a second then,
    /// so that who tries again does not spin.
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (socket, address) = crate::net::accept(&self.source)?;
        let stream = UnixStream::new(socket);
        // A path that fills all of an address only std can tell.
        let address = fd::to_unix(&address).or_else(|_| stream.peer_addr())?;
        Ok((stream, address))
    }

    /// All connections, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// A second handle to the same socket.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<UnixListener> {
        let source = self.source.duplicate(net::UnixListener::try_clone)?;
        Ok(UnixListener { source })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.thing().local_addr()
    }

    /// Closes the socket for everybody who uses this handle: those who wait get an error, and so does who
    /// accepts from now on. std has nothing like it.
    pub fn close(&self) {
        let _ = fd::shutdown(self.source.thing());
        self.source.close();
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

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

/// All connections of a listener; see [`UnixListener::incoming`].
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

descriptor!(UnixListener, net::UnixListener, UnixListener::adopt);
