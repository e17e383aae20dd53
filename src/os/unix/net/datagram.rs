//! A socket for datagrams.

use std::io;
use std::net::Shutdown;
use std::os::unix::net;
use std::path::Path;
use std::time::Duration;

use super::{Patience, SocketAddr};
use crate::hub::io::{Direction, Source, descriptor};
use crate::net::Timeouts;

/// A Unix socket for datagrams: `std::os::unix::net::UnixDatagram`.
///
/// # Parks
/// Receiving until there is a datagram, and sending while there is no room for one.
///
/// # Cancellation
/// A call that is killed or timed out has received or sent nothing.
///
/// # Examples
/// ```
/// use greenlet::os::unix::net::UnixDatagram;
///
/// let (here, there) = UnixDatagram::pair()?;
/// greenlet::spawn(move || there.send(b"hello"));
/// let mut text = [0; 16];
/// let length = here.recv(&mut text)?;
/// assert_eq!(&text[..length], b"hello");
/// # std::io::Result::Ok(())
/// ```
pub struct UnixDatagram {
    source: Source<net::UnixDatagram>,
    timeouts: Timeouts,
}

impl UnixDatagram {
    /// Binds to a path, where there may be nothing yet.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` for a path that is too long.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        net::UnixDatagram::bind(path).map(UnixDatagram::from)
    }

    /// Binds to an address.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixDatagram> {
        net::UnixDatagram::bind_addr(socket_addr).map(UnixDatagram::from)
    }

    /// One without an address.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn unbound() -> io::Result<UnixDatagram> {
        net::UnixDatagram::unbound().map(UnixDatagram::from)
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((one.into(), other.into()))
    }

    fn adopt(socket: net::UnixDatagram) -> UnixDatagram {
        UnixDatagram {
            timeouts: Timeouts::of(socket.read_timeout(), socket.write_timeout()),
            source: Source::new(socket),
        }
    }

    /// Sends to, and receives from, one other side only.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.source.thing().connect(path)
    }

    /// Sends to, and receives from, one other side only.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect_addr(&self, socket_addr: &SocketAddr) -> io::Result<()> {
        self.source.thing().connect_addr(socket_addr)
    }

    /// A second handle to the same socket.
    ///
    /// # Differences from std
    /// Timeouts and non-blocking mode are each handle's own; the new one begins with those of this one.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram {
            source: self.source.duplicate(net::UnixDatagram::try_clone)?,
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

    /// The address of the other side that it is connected to.
    ///
    /// # Errors
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.thing().peer_addr()
    }

    /// Receives a datagram, and tells from whom. What does not fit is lost.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the read timeout is over.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let limit = Some(&self.timeouts.read);
        self.source
            .retry(Direction::Read, limit, |socket| socket.recv_from(buf))
    }

    /// Receives a datagram. What does not fit is lost.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the read timeout is over.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = Some(&self.timeouts.read);
        self.source
            .retry(Direction::Read, limit, |socket| socket.recv(buf))
    }

    /// Sends a datagram to the socket with this path.
    ///
    /// # Parks
    /// While there is no room for it.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the write timeout is over.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        let path = path.as_ref();
        self.send_anywhere(|socket| socket.send_to(buf, path))
    }

    /// Sends a datagram to the socket with this address.
    ///
    /// # Parks
    /// While there is no room for it.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the write timeout is over.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        self.send_anywhere(|socket| socket.send_to_addr(buf, socket_addr))
    }

    /// Sends a datagram to the other side that it is connected to.
    ///
    /// # Parks
    /// While there is no room for it.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the write timeout is over.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let limit = Some(&self.timeouts.write);
        self.source
            .retry(Direction::Write, limit, |socket| socket.send(buf))
    }

    /// The one who is sent to may have no room, while this socket has: of that no event tells.
    fn send_anywhere(
        &self,
        mut call: impl FnMut(&net::UnixDatagram) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut patience = Patience::within(self.timeouts.write.get());
        loop {
            match self.source.attempt(&mut call) {
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        && !self.source.is_nonblocking() => {}
                outcome => return outcome,
            }
            patience.pause()?;
        }
    }

    /// Shuts down one direction or both. Greenlets that wait for them go on.
    ///
    /// # Errors
    /// What the system says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.thing().shutdown(how)
    }

    /// Closes the socket for everybody who uses this handle: those who wait get an error, and so does who
    /// sends or receives from now on. std has nothing like it.
    pub fn close(&self) {
        self.source.close();
    }

    /// How long receiving may wait; none: for ever. Then it fails with `WouldBlock`.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.source.thing().set_read_timeout(timeout)?;
        self.timeouts.read.set(timeout);
        Ok(())
    }

    /// How long sending may wait; none: for ever.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.source.thing().set_write_timeout(timeout)?;
        self.timeouts.write.set(timeout);
        Ok(())
    }

    /// How long receiving may wait.
    ///
    /// # Errors
    /// None.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.timeouts.read.get())
    }

    /// How long sending may wait.
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

descriptor!(UnixDatagram, net::UnixDatagram, UnixDatagram::adopt);
