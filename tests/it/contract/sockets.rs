//! Sockets and pipes. The far ends are std's, so that what happens there happens at once.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net as unix;

use greenlet::io::{Descriptor, PipeReader, PipeWriter, readable, writable};
use greenlet::net::{TcpListener, TcpStream, UdpSocket};
use greenlet::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use greenlet::sync::select;
use socket2::SockRef;

use super::{Brought, Call, contract};
use crate::net::Folder;

/// Our end, and theirs, which can be dropped.
struct Ends<O, T> {
    ours: O,
    theirs: RefCell<Option<T>>,
}

impl<O, T> Ends<O, T> {
    fn of(ours: O, theirs: T) -> Ends<O, T> {
        Ends {
            ours,
            theirs: RefCell::new(Some(theirs)),
        }
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(self
            .theirs
            .borrow_mut()
            .as_mut()
            .expect("it is still there"))
    }

    fn leave(&self) {
        drop(self.theirs.take());
    }
}

/// Reads one byte.
fn read_one(mut from: impl Read) -> Brought {
    Ok(from.read(&mut [0])? as u8)
}

fn write_one(to: &mut impl Write) {
    assert_eq!(to.write(&[7]).expect("there is room"), 1);
}

/// Fills what does not block, until nothing of it goes on to the other side any more.
pub(super) fn fill(mut to: impl Write) {
    let mut quiet = 0;
    while quiet < 3 {
        quiet += 1;
        for size in [65536, 1] {
            while to.write(&vec![0; size]).is_ok() {
                quiet = 0;
            }
        }
        std::thread::sleep(super::MS);
    }
}

/// Takes what is there, for ever so much room.
pub(super) fn drain(from: &mut impl Read) {
    let mut room = vec![0; 65536];
    loop {
        match from.read(&mut room) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            outcome => panic!("{outcome:?}"),
        }
    }
}

/// Both ends of a connection to it.
fn connected(listener: &net::TcpListener) -> (net::TcpStream, net::TcpStream) {
    let address = listener.local_addr().expect("an address");
    let near = net::TcpStream::connect(address).expect("it listens");
    let (far, _) = listener.accept().expect("somebody comes");
    far.set_nonblocking(true).expect("it can");
    (near, far)
}

fn tcp_ends() -> Ends<TcpStream, net::TcpStream> {
    let listener = net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (near, far) = connected(&listener);
    Ends::of(near.into(), far)
}

// The wait of a select, and the read that it is for.
contract!(
    select_readable,
    Call::new(
        tcp_ends,
        |it| {
            loop {
                let ready = select().readable(&it.ours, |ready| ready).wait();
                ready?;
                it.ours.set_nonblocking(true)?;
                let got = read_one(&it.ours);
                it.ours.set_nonblocking(false)?;
                match got {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    outcome => return outcome,
                }
            }
        },
        |it| it.with(write_one),
    )
    .leaves(Ends::leave)
);

contract!(
    tcp_read,
    Call::new(
        tcp_ends,
        |ends| read_one(&ends.ours),
        |ends| ends.with(write_one),
    )
    .leaves(Ends::leave)
    .at_once()
);

contract!(
    tcp_peek_and_read,
    Call::new(
        tcp_ends,
        |ends| {
            ends.ours.peek(&mut [0])?;
            read_one(&ends.ours)
        },
        |ends| ends.with(write_one),
    )
    .leaves(Ends::leave)
    .at_once()
);

/// Whether bytes are on their way for which there is no answer yet: there is room for more when it comes, which may
/// take 40 milliseconds.
#[cfg(target_os = "linux")]
fn on_the_way(stream: &net::TcpStream) -> bool {
    const SIOCOUTQNSD: libc::Ioctl = 0x894B;
    let waiting = |what| {
        let mut count = 0;
        // SAFETY: a socket that is open; a number is written.
        let told = unsafe { libc::ioctl(stream.as_raw_fd(), what, &raw mut count) };
        assert_eq!(told, 0);
        count
    };
    // All that has no answer, and what of that is still here.
    waiting(libc::TIOCOUTQ) > waiting(SIOCOUTQNSD)
}

#[cfg(not(target_os = "linux"))]
fn on_the_way(_: &net::TcpStream) -> bool {
    false
}

/// A stream that takes nothing more.
fn full_tcp() -> Ends<TcpStream, net::TcpStream> {
    let listener = net::TcpListener::bind("127.0.0.1:0").expect("a port");
    // So small that the far end takes no more when it is asked again.
    SockRef::from(&listener)
        .set_recv_buffer_size(4096)
        .expect("it can");
    let (near, far) = connected(&listener);
    SockRef::from(&near)
        .set_send_buffer_size(4096)
        .expect("it can");
    near.set_nonblocking(true).expect("it can");
    fill(&near);
    while on_the_way(&near) {
        std::thread::sleep(super::MS);
    }
    fill(&near);
    near.set_nonblocking(false).expect("it can");
    Ends::of(near.into(), far)
}

pub(super) fn write_and_count(mut to: impl Write) -> Brought {
    Ok(to.write(&[7])? as u8)
}

// Room for one is room for many.
contract!(
    tcp_write,
    Call::new(
        full_tcp,
        |ends| write_and_count(&ends.ours),
        |ends| ends.with(drain),
    )
    .stays()
    .leaves(Ends::leave)
    .at_once()
);

/// A listener, and those who have connected.
struct Door<L, S> {
    listener: L,
    guests: RefCell<Vec<S>>,
    folder: Option<Folder>,
}

fn tcp_door() -> Door<TcpListener, net::TcpStream> {
    Door {
        listener: TcpListener::bind("127.0.0.1:0").expect("a port"),
        guests: RefCell::default(),
        folder: None,
    }
}

contract!(
    tcp_accept,
    Call::new(
        tcp_door,
        |door| door.listener.accept().map(|_| 1),
        |door| {
            let address = door.listener.local_addr().expect("an address");
            let guest = net::TcpStream::connect(address).expect("it listens");
            door.guests.borrow_mut().push(guest);
        },
    )
    .leaves(|door| door.listener.close())
    .at_once()
);

fn unix_door() -> Door<UnixListener, unix::UnixStream> {
    let folder = Folder::new();
    Door {
        listener: UnixListener::bind(folder.path("socket")).expect("a socket"),
        guests: RefCell::default(),
        folder: Some(folder),
    }
}

fn path<L, S>(door: &Door<L, S>) -> std::path::PathBuf {
    door.folder.as_ref().expect("a folder").path("socket")
}

contract!(
    unix_accept,
    Call::new(
        unix_door,
        |door| door.listener.accept().map(|_| 1),
        |door| {
            let guest = unix::UnixStream::connect(path(door)).expect("it listens");
            door.guests.borrow_mut().push(guest);
        },
    )
    .leaves(|door| door.listener.close())
    .at_once()
);

/// A socket whose queue of connections is full.
#[cfg(target_os = "linux")]
fn full_door() -> Door<unix::UnixListener, unix::UnixStream> {
    let folder = Folder::new();
    let listener = unix::UnixListener::bind(folder.path("socket")).expect("a socket");
    SockRef::from(&listener).listen(0).expect("it can");
    let door = Door {
        listener,
        guests: RefCell::default(),
        folder: Some(folder),
    };
    loop {
        let (kind, address) = (socket2::Type::STREAM, socket2::SockAddr::unix(path(&door)));
        let guest = socket2::Socket::new(socket2::Domain::UNIX, kind, None).expect("a socket");
        guest.set_nonblocking(true).expect("it can");
        if guest.connect(&address.expect("a path")).is_err() {
            return door;
        }
        door.guests.borrow_mut().push(guest.into());
    }
}

#[cfg(target_os = "linux")]
contract!(
    unix_connect,
    Call::new(
        full_door,
        |door| UnixStream::connect(path(door)).map(|_| 1),
        |door| {
            door.listener.accept().expect("somebody waits");
        },
    )
    .allocates()
);

/// A listener whose queue of connections is full: whoever comes is not answered, and knocks again after a second.
#[cfg(target_os = "linux")]
fn full_tcp_door() -> Door<net::TcpListener, net::TcpStream> {
    let listener = net::TcpListener::bind("127.0.0.1:0").expect("a port");
    SockRef::from(&listener).listen(0).expect("it can");
    let guest = net::TcpStream::connect(listener.local_addr().expect("an address"));
    Door {
        listener,
        guests: RefCell::new(vec![guest.expect("there is room for one")]),
        folder: None,
    }
}

// A connection that was made for one who is gone is closed with its socket. Those who knock at the same moment may
// all be let in to one place: each of these waits alone.
#[cfg(target_os = "linux")]
contract!(
    tcp_connect,
    Call::new(
        full_tcp_door,
        |door| {
            let guest = TcpStream::connect(door.listener.local_addr()?)?;
            door.guests.borrow_mut().push(guest.into());
            Ok(1)
        },
        |door| {
            door.listener.accept().expect("somebody waits");
        },
    )
    .leaves(|door| {
        let both = net::Shutdown::Both;
        SockRef::from(&door.listener)
            .shutdown(both)
            .expect("it can");
    })
    .lossy()
    .alone()
    .at_once()
    .allocates()
);

/// Two sockets that talk to each other and to nobody else.
fn udp() -> Ends<UdpSocket, net::UdpSocket> {
    let bind = || net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (near, far) = (bind(), bind());
    near.connect(far.local_addr().expect("an address"))
        .expect("it can");
    far.connect(near.local_addr().expect("an address"))
        .expect("it can");
    Ends::of(near.into(), far)
}

contract!(
    udp_recv,
    Call::new(
        udp,
        |ends| ends.ours.recv(&mut [0]).map(|count| count as u8),
        |ends| ends.with(|far| assert_eq!(far.send(&[7]).expect("it can"), 1)),
    )
    .leaves(|ends| ends.ours.close())
    .at_once()
);

contract!(
    udp_recv_from,
    Call::new(
        udp,
        |ends| ends.ours.recv_from(&mut [0]).map(|(count, _)| count as u8),
        |ends| ends.with(|far| assert_eq!(far.send(&[7]).expect("it can"), 1)),
    )
    .leaves(|ends| ends.ours.close())
    .at_once()
);

fn unix_ends() -> Ends<UnixStream, unix::UnixStream> {
    let (near, far) = unix::UnixStream::pair().expect("a pair");
    far.set_nonblocking(true).expect("it can");
    Ends::of(near.into(), far)
}

contract!(
    unix_read,
    Call::new(
        unix_ends,
        |ends| read_one(&ends.ours),
        |ends| ends.with(write_one),
    )
    .leaves(Ends::leave)
    .at_once()
);

fn full_unix() -> Ends<UnixStream, unix::UnixStream> {
    let (near, far) = unix::UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("it can");
    far.set_nonblocking(true).expect("it can");
    fill(&near);
    Ends::of(near.into(), far)
}

contract!(
    unix_write,
    Call::new(
        full_unix,
        |ends| write_and_count(&ends.ours),
        |ends| ends.with(drain),
    )
    .stays()
    .leaves(Ends::leave)
    .at_once()
);

fn datagrams() -> Ends<UnixDatagram, unix::UnixDatagram> {
    let (near, far) = unix::UnixDatagram::pair().expect("a pair");
    Ends::of(near.into(), far)
}

contract!(
    datagram_recv,
    Call::new(
        datagrams,
        |ends| ends.ours.recv(&mut [0]).map(|count| count as u8),
        |ends| ends.with(|far| assert_eq!(far.send(&[7]).expect("it can"), 1)),
    )
    .leaves(|ends| ends.ours.close())
    .at_once()
);

fn full_datagrams() -> Ends<UnixDatagram, unix::UnixDatagram> {
    let (near, far) = unix::UnixDatagram::pair().expect("a pair");
    near.set_nonblocking(true).expect("it can");
    far.set_nonblocking(true).expect("it can");
    while near.send(&[0]).is_ok() {}
    Ends::of(near.into(), far)
}

contract!(
    datagram_send,
    Call::new(
        full_datagrams,
        |ends| ends.ours.send(&[7]).map(|count| count as u8),
        |ends| ends.with(|far| while far.recv(&mut [0]).is_ok() {}),
    )
    .stays()
    .leaves(|ends| ends.ours.close())
    .at_once()
);

// What it sends over the loopback interface is always taken at once; here it is another kind of socket, that is full.
contract!(
    udp_send,
    Call::new(
        || {
            let ends = full_datagrams();
            let far = ends.theirs.take().expect("it is still there");
            Ends::of(UdpSocket::from(OwnedFd::from(ends.ours)), far)
        },
        |ends| ends.ours.send(&[7]).map(|count| count as u8),
        |ends| ends.with(|far| while far.recv(&mut [0]).is_ok() {}),
    )
    .stays()
    .leaves(|ends| ends.ours.close())
    .at_once()
);

fn pipe() -> Ends<PipeReader, std::io::PipeWriter> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    Ends::of(reader.into(), writer)
}

contract!(
    pipe_read,
    Call::new(
        pipe,
        |ends| read_one(&ends.ours),
        |ends| ends.with(write_one),
    )
    .leaves(Ends::leave)
    .at_once()
);

/// A pipe that takes nothing more; the reader takes it all at once, later.
fn full_pipe() -> Ends<PipeWriter, (std::io::PipeReader, Cell<usize>)> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let writer = PipeWriter::from(writer);
    let mut held = 0;
    while let Ok(count) =
        greenlet::time::timeout(std::time::Duration::ZERO, || (&writer).write(&[0; 4096]))
    {
        held += count.expect("somebody reads");
    }
    Ends::of(writer, (reader, Cell::new(held)))
}

fn empty((reader, held): &mut (std::io::PipeReader, Cell<usize>)) {
    let mut all = vec![0; held.take()];
    reader.read_exact(&mut all).expect("it was written");
}

contract!(
    pipe_write,
    Call::new(
        full_pipe,
        |ends| write_and_count(&ends.ours),
        |ends| ends.with(empty),
    )
    .stays()
    .leaves(Ends::leave)
    .at_once()
);

contract!(
    descriptor_read,
    Call::new(
        || {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            Ends::of(Descriptor::new(reader).expect("it is open"), writer)
        },
        |ends| ends.ours.read_with(|mut reader| {
            let mut byte = [0];
            Ok(reader.read(&mut byte)? as u8)
        }),
        |ends| ends.with(write_one),
    )
    .leaves(Ends::leave)
    .at_once()
);

contract!(
    readable_pipe,
    Call::new(
        || {
            let (reader, writer) = std::io::pipe().expect("a pipe");
            Ends::of(reader, writer)
        },
        |ends| {
            readable(&ends.ours)?;
            Ok(1)
        },
        |ends| ends.with(write_one),
    )
    .stays()
    .at_once()
    .allocates()
);

contract!(
    writable_pipe,
    Call::new(
        full_pipe,
        |ends| {
            writable(&ends.ours)?;
            Ok(1)
        },
        |ends| ends.with(empty),
    )
    .stays()
    .at_once()
    .allocates()
);
