//! A connection.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::path::Path;
use std::time::Duration;

use super::{Patience, SocketAddr};
use crate::hub::io::{Direction, Source, descriptor};
use crate::net::Timeouts;
use crate::net::stream::{adopted, stream};
use crate::sys::fd::{self, Connecting, Type};

/// A connection between Unix sockets: `std::os::unix::net::UnixStream`.
///
/// # Parks
/// Reading, writing and connecting, where the descriptor would block.
///
/// # Cancellation
/// A read or write that is killed or timed out has done nothing; `write_all`, `read_exact` and the like may
/// have done a part of their work.
///
/// # Examples
/// ```
/// use greenlet::os::unix::net::UnixStream;
/// use std::io::{Read, Write};
///
/// let (mut here, mut there) = UnixStream::pair()?;
/// greenlet::spawn(move || there.write_all(b"hello"));
/// let mut text = String::new();
/// here.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # std::io::Result::Ok(())
/// ```
pub struct UnixStream {
    source: Source<net::UnixStream>,
    timeouts: Timeouts,
}

impl UnixStream {
    /// Connects to the socket with this path.
    ///
    /// # Parks
    /// While the queue of the listener is full.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` for a path that is too long.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the socket with this address.
    ///
    /// # Parks
    /// While the queue of the listener is full.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        let address = fd::from_unix(socket_addr)?;
        let socket = fd::socket(&address, Type::STREAM)?;
        let mut patience = Patience::within(None);
        loop {
            match fd::begin_to_connect(&socket, &address)? {
                Connecting::Made => return Ok(UnixStream::new(socket)),
                Connecting::Pending => return UnixStream::new(socket).connected(),
                Connecting::Crowded => patience.pause()?,
            }
        }
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        one.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok((UnixStream::new(one), UnixStream::new(other)))
    }

    /// One that has no timeouts.
    pub(super) fn new(socket: impl Into<OwnedFd>) -> UnixStream {
        UnixStream {
            source: Source::new(socket.into().into()),
            timeouts: Timeouts::default(),
        }
    }

    fn adopt(stream: net::UnixStream) -> UnixStream {
        UnixStream {
            timeouts: Timeouts::of(stream.read_timeout(), stream.write_timeout()),
            source: adopted(stream),
        }
    }

    /// Waits until it is decided.
    fn connected(self) -> io::Result<UnixStream> {
        self.source
            .retry(Direction::Write, None, fd::finish_connecting)?;
        Ok(self)
    }

    /// A second handle to the same connection.
    ///
    /// # Differences from std
    /// Timeouts and non-blocking mode are each handle's own; the new one begins with those of this one.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<UnixStream> {
        Ok(UnixStream {
            source: self.source.duplicate(net::UnixStream::try_clone)?,
            timeouts: self.timeouts.clone(),
        })
    }

    /// The address of this side.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.thing().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// What the system says.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.thing().peer_addr()
    }

    /// Shuts down one direction or both. Greenlets that wait for them go on.
    ///
    /// # Errors
    /// What the system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.thing().shutdown(how)
    }

    /// Closes the connection for everybody who uses this handle: those who wait get an error, and so does who
    /// reads or writes from now on. std has nothing like it.
    pub fn close(&self) {
        let _ = self.source.thing().shutdown(Shutdown::Both);
        self.source.close();
    }

    /// How long a read may wait; none: for ever. A read that has waited so long fails with `WouldBlock`.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.source.thing().set_read_timeout(timeout)?;
        self.timeouts.read.set(timeout);
        Ok(())
    }

    /// How long a write may wait; none: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.source.thing().set_write_timeout(timeout)?;
        self.timeouts.write.set(timeout);
        Ok(())
    }

    /// How long a read may wait.
    ///
    /// # Errors
    /// None.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.timeouts.read.get())
    }

    /// How long a write may wait.
    ///
    /// # Errors
    /// None.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.timeouts.write.get())
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

stream!(UnixStream);
descriptor!(UnixStream, net::UnixStream, UnixStream::adopt);
