//! A connection.

use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::hub::io::{Direction, Limit, Source, descriptor};
use crate::net::stream::{adopted, stream};
use crate::net::{Shutdown, SocketAddr, Timeouts, ToSocketAddrs, each_address};
use crate::sys::fd::{self, Connecting, SockAddr, Type};

/// A TCP connection: `std::net::TcpStream`.
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
/// use greenlet::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = greenlet::spawn(move || {
///     let (mut stream, _) = listener.accept()?;
///     let mut text = String::new();
///     stream.read_to_string(&mut text)?;
///     std::io::Result::Ok(text)
/// });
/// TcpStream::connect(address)?.write_all(b"hello")?;
/// assert_eq!(server.join().unwrap()?, "hello");
/// # std::io::Result::Ok(())
/// ```
///
/// It stays on its OS thread; one of std may go:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<greenlet::net::TcpStream>();
/// ```
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<greenlet::net::TcpStream>();
/// ```
pub struct TcpStream {
    source: Source<net::TcpStream>,
    timeouts: Timeouts,
}

impl TcpStream {
    /// Connects to the first of the addresses that takes the connection.
    ///
    /// # Parks
    /// Until the connection is made or refused; and while a name is looked up.
    ///
    /// # Errors
    /// What the last address answered.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        each_address(addr, |address| connect(address, None))
    }

    /// Connects to one address, within `timeout`.
    ///
    /// # Parks
    /// Until the connection is made or refused, or the time is over.
    ///
    /// # Errors
    /// `TimedOut`; `InvalidInput` for a timeout of no time.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            let what = "cannot set a 0 duration timeout";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        connect(*addr, Some(timeout))
    }

    /// One that has no timeouts.
    pub(super) fn new(socket: impl Into<OwnedFd>) -> TcpStream {
        TcpStream {
            source: Source::new(socket.into().into()),
            timeouts: Timeouts::default(),
        }
    }

    fn adopt(stream: net::TcpStream) -> TcpStream {
        TcpStream {
            timeouts: Timeouts::of(stream.read_timeout(), stream.write_timeout()),
            source: adopted(stream),
        }
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.source.thing().peer_addr()
    }

    /// The address of this side.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.source.thing().local_addr()
    }

    /// Shuts down one direction or both. Greenlets that wait for them go on.
    ///
    /// # Errors
    /// `NotConnected` if there is no connection.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.source.thing().shutdown(how)
    }

    /// A second handle to the same connection.
    ///
    /// # Differences from std
    /// Timeouts and non-blocking mode are each handle's own; the new one begins with those of this one.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(TcpStream {
            source: self.source.duplicate(net::TcpStream::try_clone)?,
            timeouts: self.timeouts.clone(),
        })
    }

    /// Closes the connection for everybody who uses this handle: those who wait get an error, and so does who
    /// reads, writes or peeks from now on. std has nothing like it.
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

    /// Reads without taking what it reads.
    ///
    /// # Parks
    /// Until there is something.
    ///
    /// # Errors
    /// What the system says.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let limit = Some(&self.timeouts.read);
        self.source
            .retry(Direction::Read, limit, |stream| stream.peek(buf))
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.source.thing().set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.thing().nodelay()
    }

    /// How long what was written is still sent after closing: seconds, if at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        fd::set_linger(self.source.thing(), linger)
    }

    /// How long what was written is still sent after closing.
    ///
    /// # Errors
    /// What the system says.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        fd::linger(self.source.thing())
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

fn connect(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    let address = SockAddr::from(address);
    let socket = fd::socket(&address, Type::STREAM)?;
    let progress = fd::begin_to_connect(&socket, &address)?;
    let stream = TcpStream::new(socket);
    if progress != Connecting::Made {
        stream
            .source
            .retry(
                Direction::Write,
                Some(&Limit::of(timeout)),
                fd::finish_connecting,
            )
            .map_err(timed_out)?;
    }
    Ok(stream)
}

fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, "connection timed out")
        }
        _ => error,
    }
}

stream!(TcpStream);
descriptor!(TcpStream, net::TcpStream, TcpStream::adopt);
