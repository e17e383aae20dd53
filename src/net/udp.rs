//! UDP: a socket for datagrams.

use std::io;
use std::net;
use std::time::Duration;

use super::{Ipv4Addr, Ipv6Addr, SocketAddr, Timeouts, ToSocketAddrs, each_address};
use crate::hub::io::{Direction, Source, descriptor};

/// A UDP socket: `std::net::UdpSocket`.
///
/// # Parks
/// Receiving until there is a datagram, and sending while there is no room for one.
///
/// # Cancellation
/// A call that is killed or timed out has received or sent nothing.
///
/// # Examples
/// ```
/// use greenlet::net::UdpSocket;
///
/// let here = UdpSocket::bind("127.0.0.1:0")?;
/// let address = here.local_addr()?;
/// greenlet::spawn(move || UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", address));
/// let mut text = [0; 16];
/// let (length, _) = here.recv_from(&mut text)?;
/// assert_eq!(&text[..length], b"hello");
/// # std::io::Result::Ok(())
/// ```
pub struct UdpSocket {
    source: Source<net::UdpSocket>,
    timeouts: Timeouts,
}

impl UdpSocket {
    /// Binds to the first of the addresses that can be had.
    ///
    /// # Parks
    /// While a name is looked up.
    ///
    /// # Errors
    /// What the last address answered.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        each_address(addr, |address| {
            net::UdpSocket::bind(address).map(UdpSocket::from)
        })
    }

    fn adopt(socket: net::UdpSocket) -> UdpSocket {
        UdpSocket {
            timeouts: Timeouts::of(socket.read_timeout(), socket.write_timeout()),
            source: Source::new(socket),
        }
    }

    fn receive<R>(&self, call: impl FnMut(&net::UdpSocket) -> io::Result<R>) -> io::Result<R> {
        self.source
            .retry(Direction::Read, Some(&self.timeouts.read), call)
    }

    fn transmit<R>(&self, call: impl FnMut(&net::UdpSocket) -> io::Result<R>) -> io::Result<R> {
        self.source
            .retry(Direction::Write, Some(&self.timeouts.write), call)
    }

    /// Receives a datagram, and tells from whom. What does not fit is lost.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the read timeout is over.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|socket| socket.recv_from(buf))
    }

    /// As [`recv_from`](Self::recv_from), and leaves the datagram there.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` when the read timeout is over.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|socket| socket.peek_from(buf))
    }

    /// Sends a datagram to the first of the addresses.
    ///
    /// # Parks
    /// While there is no room for it, and while a name is looked up.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` without an address.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let Some(address) = addr.to_socket_addrs()?.next() else {
            let what = "no addresses to send data to";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        self.transmit(|socket| socket.send_to(buf, address))
    }

    /// Sends to, and receives from, one other side only: the first of the addresses that will do.
    ///
    /// # Parks
    /// While a name is looked up.
    ///
    /// # Errors
    /// What the last address answered.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        each_address(addr, |address| self.source.thing().connect(address))
    }

    /// Sends a datagram to the other side that it is connected to.
    ///
    /// # Parks
    /// While there is no room for it.
    ///
    /// # Errors
    /// What the system says, also of an earlier datagram that nobody took; `WouldBlock` when the write timeout
    /// is over.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.transmit(|socket| socket.send(buf))
    }

    /// Receives a datagram from the other side that it is connected to. What does not fit is lost.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// As [`send`](Self::send); `WouldBlock` when the read timeout is over.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(|socket| socket.recv(buf))
    }

    /// As [`recv`](Self::recv), and leaves the datagram there.
    ///
    /// # Parks
    /// Until there is one.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receive(|socket| socket.peek(buf))
    }

    /// The address of the other side that it is connected to.
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

    /// A second handle to the same socket.
    ///
    /// # Differences from std
    /// Timeouts and non-blocking mode are each handle's own; the new one begins with those of this one.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        Ok(UdpSocket {
            source: self.source.duplicate(net::UdpSocket::try_clone)?,
            timeouts: self.timeouts.clone(),
        })
    }

    /// Closes the socket for everybody who uses this handle: those who wait get an error, and so does who
    /// sends or receives from now on. Its port is free when the handle is dropped. std has nothing like it.
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

    /// Whether it may send to a broadcast address.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.source.thing().set_broadcast(broadcast)
    }

    /// Whether it may send to a broadcast address.
    ///
    /// # Errors
    /// What the system says.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.source.thing().broadcast()
    }

    /// Whether what it sends to an IPv4 group comes back here.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.source.thing().set_multicast_loop_v4(multicast_loop_v4)
    }

    /// Whether what it sends to an IPv4 group comes back here.
    ///
    /// # Errors
    /// What the system says.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.source.thing().multicast_loop_v4()
    }

    /// How many hops a packet to an IPv4 group may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.source.thing().set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// How many hops a packet to an IPv4 group may take.
    ///
    /// # Errors
    /// What the system says.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.source.thing().multicast_ttl_v4()
    }

    /// Whether what it sends to an IPv6 group comes back here.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.source.thing().set_multicast_loop_v6(multicast_loop_v6)
    }

    /// Whether what it sends to an IPv6 group comes back here.
    ///
    /// # Errors
    /// What the system says.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.source.thing().multicast_loop_v6()
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

    /// Joins an IPv4 group, on the interface with this address; an unspecified one lets the system choose.
    ///
    /// # Errors
    /// What the system says.
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.source.thing().join_multicast_v4(multiaddr, interface)
    }

    /// Joins an IPv6 group, on the interface with this number; 0 lets the system choose.
    ///
    /// # Errors
    /// What the system says.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.thing().join_multicast_v6(multiaddr, interface)
    }

    /// Leaves an IPv4 group, on the interface with this address; an unspecified one lets the system choose.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.source.thing().leave_multicast_v4(multiaddr, interface)
    }

    /// Leaves an IPv6 group, on the interface with this number; 0 lets the system choose.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.source.thing().leave_multicast_v6(multiaddr, interface)
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

descriptor!(UdpSocket, net::UdpSocket, UdpSocket::adopt);
