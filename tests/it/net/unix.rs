//! std's tests of Unix sockets, over whatever the module around this one has.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{UnixDatagram, UnixListener, UnixStream, sleep, spawn, uncut, yield_now};
use crate::net::Folder;
use crate::support::run;

const LONG: &str = "a path with a name that is far too long for a socket, for a socket has room for about a \
                    hundred bytes of it, and not for one more";

fn would_block(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[test]
fn what_is_written_is_read_and_the_addresses_agree() {
    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        let server = spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            assert!(from.is_unnamed());
            let mut text = [0; 5];
            stream.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hello");
            stream.write_all(b"world!").unwrap();
        });
        let mut stream = UnixStream::connect(&path).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert!(stream.local_addr().unwrap().is_unnamed());
        stream.write_all(b"hello").unwrap();
        stream.flush().unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "world!");
        server.join().unwrap();
    });
}

#[test]
fn several_buffers_are_written_and_read() {
    run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let buffers = [&b"hello"[..], b" ", b"world!"].map(IoSlice::new);
        assert_eq!(one.write_vectored(&buffers).unwrap(), 12);
        let (mut a, mut b) = ([0; 6], [0; 7]);
        let mut buffers = [&mut a[..], &mut b].map(IoSliceMut::new);
        assert_eq!(other.read_vectored(&mut buffers).unwrap(), 12);
        assert_eq!(other.read_vectored(&mut []).unwrap(), 0);
        let mut nothing = [IoSliceMut::new(&mut [])];
        assert_eq!(other.read_vectored(&mut nothing).unwrap(), 0);
        assert_eq!((&a, &b), (b"hello ", b"world!\0"));
    });
}

#[test]
fn the_two_of_a_pair_hear_each_other() {
    run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let echo = spawn(move || {
            let mut text = [0; 5];
            one.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hello");
            one.write_all(b"world!").unwrap();
        });
        other.write_all(b"hello").unwrap();
        let mut text = vec![];
        other.read_to_end(&mut text).unwrap();
        assert_eq!(text, b"world!");
        echo.join().unwrap();
    });
}

#[test]
fn a_clone_reads_on() {
    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let again = listener.try_clone().unwrap();
        let server = spawn(move || {
            let mut stream = again.accept().unwrap().0;
            stream.write_all(b"hello").unwrap();
            stream.write_all(b"world").unwrap();
        });
        let mut one = UnixStream::connect(&path).unwrap();
        let mut other = one.try_clone().unwrap();
        for (stream, expected) in [(&mut one, b"hello"), (&mut other, b"world")] {
            let mut text = [0; 5];
            stream.read_exact(&mut text).unwrap();
            assert_eq!(&text, expected);
        }
        server.join().unwrap();
    });
}

#[test]
fn connections_come_one_after_the_other() {
    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let server = spawn(move || {
            assert_eq!(listener.incoming().size_hint(), (usize::MAX, None));
            for stream in (&listener).into_iter().take(2) {
                stream.unwrap().read_exact(&mut [0]).unwrap();
            }
        });
        for _ in 0..2 {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(&[0]).unwrap();
        }
        server.join().unwrap();
    });
}

#[test]
fn paths_that_cannot_be_are_refused() {
    run(|| {
        let folder = Folder::new();
        for path in [folder.path(LONG), "a\0b".into(), "\0abstract".into()] {
            let errors = [
                UnixStream::connect(&path).unwrap_err(),
                UnixListener::bind(&path).unwrap_err(),
                UnixDatagram::bind(&path).unwrap_err(),
                UnixDatagram::unbound().unwrap().connect(&path).unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            }
        }
        let error = UnixStream::connect("").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let nobody = UnixStream::connect(folder.path("nobody")).unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn connecting_where_nobody_listens_any_more_is_refused() {
    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        drop(UnixListener::bind(&path).unwrap());
        let error = UnixStream::connect(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn timeouts_are_kept() {
    run(|| {
        let (stream, _other) = UnixStream::pair().unwrap();
        let (datagram, _other) = UnixDatagram::pair().unwrap();
        let long = Some(Duration::from_secs(15410));
        for timeout in [None, long, None] {
            stream.set_read_timeout(timeout).unwrap();
            assert_eq!(stream.read_timeout().unwrap(), timeout);
            stream.set_write_timeout(timeout).unwrap();
            assert_eq!(stream.write_timeout().unwrap(), timeout);
            datagram.set_read_timeout(timeout).unwrap();
            assert_eq!(datagram.read_timeout().unwrap(), timeout);
            datagram.set_write_timeout(timeout).unwrap();
            assert_eq!(datagram.write_timeout().unwrap(), timeout);
        }
        let none = Some(Duration::ZERO);
        for error in [
            stream.set_read_timeout(none).unwrap_err(),
            stream.set_write_timeout(none).unwrap_err(),
            datagram.set_read_timeout(none).unwrap_err(),
            datagram.set_write_timeout(none).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn a_read_waits_until_its_timeout() {
    run(|| {
        let (mut stream, mut other) = UnixStream::pair().unwrap();
        let timeout = Duration::from_millis(100);
        stream.set_read_timeout(Some(timeout)).unwrap();
        other.write_all(b"hello world").unwrap();
        let mut text = [0; 11];
        stream.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello world");
        let begin = Instant::now();
        let error = stream.read_exact(&mut text).unwrap_err();
        assert!(begin.elapsed() >= timeout - Duration::from_millis(10));
        assert!(would_block(error.kind()));
    });
}

#[test]
fn one_direction_is_shut_down_and_the_other_goes_on() {
    run(|| {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(other.read(&mut [0]).unwrap(), 0);
        assert_eq!(one.write(&[0]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        other.write_all(&[7]).unwrap();
        let mut byte = [0];
        one.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [7]);
        drop(other);
        assert_eq!(one.read(&mut byte).unwrap(), 0);
    });
}

#[test]
fn without_blocking_there_is_an_error_instead_of_a_wait() {
    run(|| {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path("socket")).unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(would_block(listener.accept().unwrap_err().kind()));
        assert!(listener.take_error().unwrap().is_none());
        let (mut stream, mut other) = UnixStream::pair().unwrap();
        stream.set_nonblocking(true).unwrap();
        assert!(would_block(stream.read(&mut [0]).unwrap_err().kind()));
        other.write_all(&[1]).unwrap();
        while stream.read(&mut [0]).is_err() {
            yield_now();
        }
        assert!(stream.take_error().unwrap().is_none());
        let (datagram, other) = UnixDatagram::pair().unwrap();
        datagram.set_nonblocking(true).unwrap();
        assert!(would_block(datagram.recv(&mut [0]).unwrap_err().kind()));
        other.send(&[1]).unwrap();
        datagram.recv(&mut [0]).unwrap();
        assert!(datagram.take_error().unwrap().is_none());
    });
}

#[test]
fn they_show_what_they_are() {
    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let text = format!("{listener:?}");
        let expected = format!("fd: {}", listener.as_raw_fd());
        assert!(text.starts_with("UnixListener { fd: ") && text.contains(&expected));
        assert!(text.contains(&format!("{path:?}")));
        let stream = UnixStream::connect(&path).unwrap();
        let text = format!("{stream:?}");
        assert!(text.starts_with("UnixStream { fd: ") && text.contains(&format!("{path:?}")));
        let text = format!("{:?}", UnixDatagram::unbound().unwrap());
        assert!(text.starts_with("UnixDatagram { fd: "));
    });
}

#[test]
fn a_datagram_arrives_and_tells_from_whom() {
    run(|| {
        let folder = Folder::new();
        let (here, there) = (folder.path("here"), folder.path("there"));
        let one = UnixDatagram::bind(&here).unwrap();
        let other = UnixDatagram::bind(&there).unwrap();
        assert_eq!(one.send_to(b"hello world", &there).unwrap(), 11);
        let mut text = [0; 12];
        let (length, from) = other.recv_from(&mut text).unwrap();
        assert_eq!(&text[..length], b"hello world");
        assert_eq!(from.as_pathname(), Some(&*here));
        other.send_to_addr(b"back", &from).unwrap();
        assert_eq!(one.recv(&mut text).unwrap(), 4);
        let unnamed = UnixDatagram::unbound().unwrap();
        unnamed.send_to(b"nobody", &here).unwrap();
        let (length, from) = one.recv_from(&mut text).unwrap();
        assert_eq!(&text[..length], b"nobody");
        assert!(from.is_unnamed());
        let error = unnamed.send_to(b"x", folder.path("nobody")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_datagram_socket_may_be_connected_to_itself_and_to_others() {
    run(|| {
        let folder = Folder::new();
        let paths = ["one", "two"].map(|name| folder.path(name));
        let bound = paths
            .each_ref()
            .map(|path| UnixDatagram::bind(path).unwrap());
        let unnamed = UnixDatagram::unbound().unwrap();
        assert!(unnamed.peer_addr().is_err() && unnamed.send(b"x").is_err());
        let mut text = [0; 11];
        for (path, socket) in paths.iter().zip(&bound) {
            unnamed.connect(path).unwrap();
            assert_eq!(unnamed.peer_addr().unwrap().as_pathname(), Some(&**path));
            assert_eq!(unnamed.send(b"hello there").unwrap(), 11);
            let (length, from) = socket.recv_from(&mut text).unwrap();
            assert_eq!((length, &text), (11, b"hello there"));
            assert!(from.is_unnamed());
        }
        let [one, _] = bound;
        one.connect_addr(&one.local_addr().unwrap()).unwrap();
        one.send(b"to myself").unwrap();
        assert_eq!(one.recv(&mut text).unwrap(), 9);
    });
}

#[test]
fn the_two_of_a_datagram_pair_hear_each_other() {
    run(|| {
        let (one, other) = UnixDatagram::pair().unwrap();
        let clone = one.try_clone().unwrap();
        let echo = spawn(move || {
            let mut text = [0; 5];
            assert_eq!(clone.recv(&mut text).unwrap(), 5);
            clone.send(b"world!").unwrap();
            text
        });
        sleep(Duration::from_millis(5));
        other.send(b"hello").unwrap();
        let mut text = [0; 6];
        assert_eq!(other.recv(&mut text).unwrap(), 6);
        assert_eq!(&text, b"world!");
        assert_eq!(&echo.join().unwrap(), b"hello");
        one.shutdown(Shutdown::Both).unwrap();
        assert!(one.send(b"x").is_err());
    });
}

/// A receiver that is slow: senders wait, whether they are connected or not, and nothing is lost.
#[test]
fn who_sends_datagrams_waits_for_room() {
    run(|| {
        const COUNT: u32 = 2_000;
        let folder = Folder::new();
        let path = folder.path("socket");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect(&path).unwrap();
        let unconnected = UnixDatagram::unbound().unwrap();
        let senders = [
            spawn(move || {
                for number in 0..COUNT {
                    connected.send(&number.to_ne_bytes()).unwrap();
                }
            }),
            spawn(move || {
                for number in 0..COUNT {
                    unconnected.send_to(&number.to_ne_bytes(), &path).unwrap();
                }
            }),
        ];
        sleep(Duration::from_millis(20));
        let mut sum = 0;
        for _ in 0..2 * COUNT {
            let mut number = [0; 4];
            assert_eq!(receiver.recv(&mut number).unwrap(), 4);
            sum += u64::from(u32::from_ne_bytes(number));
        }
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(sum, u64::from(COUNT) * u64::from(COUNT - 1));
    });
}

#[test]
fn sending_where_there_is_no_room_waits_until_the_timeout() {
    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let _receiver = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let timeout = Duration::from_millis(50);
        sender.set_write_timeout(Some(timeout)).unwrap();
        let mut begin = Instant::now();
        let error = loop {
            match uncut(|| sender.send_to(&[0], &path)) {
                Ok(_) => begin = Instant::now(),
                Err(error) => break error,
            }
        };
        assert!(would_block(error.kind()));
        assert!(begin.elapsed() >= timeout - Duration::from_millis(10));
        sender.set_nonblocking(true).unwrap();
        let error = sender.send_to(&[0], &path).unwrap_err();
        assert!(would_block(error.kind()));
    });
}

/// A name of this test, that nobody else has.
#[cfg(target_os = "linux")]
fn name(word: &str) -> SocketAddr {
    use std::os::linux::net::SocketAddrExt;

    let unique = format!("greenlet {} {}", std::process::id(), module_path!());
    SocketAddr::from_abstract_name(format!("{unique} {word}")).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn sockets_with_abstract_names_are_found() {
    use std::os::linux::net::SocketAddrExt;

    run(|| {
        let address = name("stream");
        let listener = UnixListener::bind_addr(&address).unwrap();
        let expected = address.as_abstract_name();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), expected);
        let server = spawn(move || {
            let (mut stream, from) = listener.accept().unwrap();
            assert!(from.is_unnamed());
            stream.write_all(b"hello").unwrap();
        });
        let mut stream = UnixStream::connect_addr(&address).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_abstract_name(), expected);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        server.join().unwrap();

        let (here, there) = (name("here"), name("there"));
        let one = UnixDatagram::bind_addr(&here).unwrap();
        let other = UnixDatagram::bind_addr(&there).unwrap();
        one.send_to_addr(b"hello", &there).unwrap();
        one.connect_addr(&there).unwrap();
        one.send(b"hello").unwrap();
        let mut text = [0; 8];
        for _ in 0..2 {
            let (length, from) = other.recv_from(&mut text).unwrap();
            assert_eq!(&text[..length], b"hello");
            assert_eq!(from.as_abstract_name(), here.as_abstract_name());
        }
    });
}

/// The address of who connects is told, if it has one.
#[cfg(target_os = "linux")]
#[test]
fn an_accepted_connection_tells_from_whom() {
    use std::os::linux::net::SocketAddrExt;

    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let to = socket2::SockAddr::unix(&path).unwrap();
        let client = |address: &socket2::SockAddr| {
            let unix = socket2::Domain::UNIX;
            let socket = socket2::Socket::new(unix, socket2::Type::STREAM, None).unwrap();
            socket.bind(address).unwrap();
            socket.connect(&to).unwrap();
            socket
        };
        let named = folder.path("client");
        let _one = client(&socket2::SockAddr::unix(&named).unwrap());
        let from = listener.accept().unwrap().1;
        assert_eq!(from.as_pathname(), Some(&*named));
        let hidden = format!("greenlet {} {} from", std::process::id(), module_path!());
        let _two = client(&socket2::SockAddr::unix(format!("\0{hidden}")).unwrap());
        let from = listener.accept().unwrap().1;
        assert_eq!(from.as_abstract_name(), Some(hidden.as_bytes()));
    });
}

/// A listener with a full queue of connections: who connects waits until there is room.
#[cfg(target_os = "linux")]
#[test]
fn who_connects_to_a_full_queue_waits_for_room() {
    run(|| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path).unwrap();
        socket2::SockRef::from(&listener).listen(1).unwrap();
        let clients: Vec<_> = (0..8)
            .map(|number| {
                let path = path.clone();
                spawn(move || {
                    let mut stream = UnixStream::connect(path).unwrap();
                    stream.write_all(&[number]).unwrap();
                })
            })
            .collect();
        sleep(Duration::from_millis(30));
        let mut seen: Vec<_> = listener
            .incoming()
            .take(8)
            .map(|stream| {
                let mut byte = [0];
                stream.unwrap().read_exact(&mut byte).unwrap();
                byte[0]
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        seen.sort();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
    });
}
