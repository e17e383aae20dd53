//! std's tests of TCP, over whatever the module around this one has.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::{TcpListener, TcpStream, channel, sleep, spawn, uncut, yield_now};
use crate::net::{locals, nobody};
use crate::support::run;

/// Runs `body` with a listener of each family.
fn each_family(body: fn(TcpListener, SocketAddr)) {
    run(move || {
        for local in locals() {
            let listener = TcpListener::bind(local).unwrap();
            let address = listener.local_addr().unwrap();
            body(listener, address);
        }
    });
}

/// Both ends of a connection: the one that was made, and the one that was accepted.
fn connected(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let made = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (made, listener.accept().unwrap().0)
}

fn would_block(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[test]
fn binding_to_an_address_of_others_is_an_error() {
    run(|| {
        let error = TcpListener::bind("1.1.1.1:9999").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn connecting_to_nobody_is_an_error() {
    run(|| {
        let error = TcpStream::connect(nobody()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.raw_os_error().is_some());
        assert!(TcpStream::connect("0.0.0.0:1").is_err());
    });
}

#[test]
fn connecting_within_the_longest_time_is_connecting() {
    run(|| {
        let error = TcpStream::connect_timeout(&nobody(), Duration::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect_timeout(&address, Duration::MAX).unwrap();
        TcpStream::connect_timeout(&address, Duration::from_secs(2)).unwrap();
        let error = TcpStream::connect_timeout(&address, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "cannot set a 0 duration timeout");
    });
}

#[test]
fn the_second_address_is_tried_when_the_first_is_dead() {
    each_family(|listener, address| {
        let stream = TcpStream::connect(&[nobody(), address][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let error = TcpStream::connect(&[nobody(), nobody()][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect(&[][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "could not resolve to any addresses");
        drop(listener);
    });
}

#[test]
fn a_listener_is_found_by_name() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = spawn(move || {
            let mut stream = TcpStream::connect(("localhost", port)).unwrap();
            stream.write_all(&[144]).unwrap();
        });
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [144]);
        client.join().unwrap();
    });
}

#[test]
fn a_listener_is_found_by_a_number_in_text() {
    each_family(|listener, address| {
        let client = spawn(move || {
            let host = address.ip().to_string();
            let mut stream = TcpStream::connect((host, address.port())).unwrap();
            stream.write_all(&[66]).unwrap();
            TcpStream::connect(address.to_string()).unwrap();
        });
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [66]);
        client.join().unwrap();
    });
}

#[test]
fn what_is_written_is_read_and_the_addresses_agree() {
    each_family(|listener, address| {
        let client = spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&[99]).unwrap();
            stream.flush().unwrap();
            (stream.local_addr().unwrap(), stream.peer_addr().unwrap())
        });
        let (mut stream, from) = listener.accept().unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [99]);
        assert_eq!(stream.peer_addr().unwrap(), from);
        assert_eq!(client.join().unwrap(), (from, address));
    });
}

#[test]
fn the_end_is_read_again_and_again() {
    each_family(|listener, address| {
        let client = spawn(move || drop(TcpStream::connect(address).unwrap()));
        let mut stream = listener.accept().unwrap().0;
        for _ in 0..3 {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
        client.join().unwrap();
    });
}

#[test]
fn writing_to_one_that_has_gone_fails_sooner_or_later() {
    each_family(|listener, address| {
        let client = spawn(move || drop(TcpStream::connect(address).unwrap()));
        let mut stream = listener.accept().unwrap().0;
        client.join().unwrap();
        let error = loop {
            match stream.write_all(&[0]) {
                Ok(()) => sleep(Duration::from_millis(1)),
                Err(error) => break error.kind(),
            }
        };
        assert!(
            matches!(error, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{error:?}"
        );
    });
}

#[test]
fn connections_come_one_after_the_other() {
    each_family(|listener, address| {
        let client = spawn(move || {
            for number in 0..10 {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&[number]).unwrap();
            }
        });
        for (number, stream) in (0..10).zip(listener.incoming()) {
            let mut byte = [0];
            stream.unwrap().read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number]);
        }
        client.join().unwrap();
    });
}

/// Each connects, and has the next connect before it writes.
fn connect_and_write(number: u8, last: u8, address: SocketAddr) {
    if number == last {
        return;
    }
    let client = spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        connect_and_write(number + 1, last, address);
        stream.write_all(&[number]).unwrap();
    });
    client.join().unwrap();
}

#[test]
fn connections_are_interleaved() {
    each_family(|listener, address| {
        let server = spawn(move || {
            let streams = (0..10).zip(listener.incoming());
            let readers = streams.map(|(number, stream)| {
                let mut stream = stream.unwrap();
                spawn(move || {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    assert_eq!(byte, [number]);
                })
            });
            let readers: Vec<_> = readers.collect();
            for reader in readers {
                reader.join().unwrap();
            }
        });
        connect_and_write(0, 10, address);
        server.join().unwrap();
    });
}

#[test]
fn a_read_returns_what_is_there() {
    each_family(|listener, address| {
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(&[10]).unwrap();
            stream.read_exact(&mut [0]).unwrap();
        });
        let mut stream = TcpStream::connect(address).unwrap();
        assert_eq!(stream.read(&mut [0; 10]).unwrap(), 1);
        stream.write_all(&[1]).unwrap();
        server.join().unwrap();
    });
}

#[test]
fn a_write_of_nothing_does_not_wait_nor_a_read_into_no_buffers() {
    each_family(|listener, _| {
        let (mut stream, mut other) = connected(&listener);
        assert_eq!(stream.read_vectored(&mut []).unwrap(), 0);
        stream.set_nonblocking(true).unwrap();
        while stream.write(&[0; 65536]).is_ok() {}
        stream.set_nonblocking(false).unwrap();
        assert_eq!(stream.write(&[]).unwrap(), 0);
        assert_eq!(stream.write_vectored(&[]).unwrap(), 0);
        other.read_exact(&mut [0; 1000]).unwrap();
    });
}

#[test]
fn a_read_fills_several_buffers() {
    each_family(|listener, _| {
        let (mut one, mut other) = connected(&listener);
        assert_eq!(one.write(&[10, 11, 12]).unwrap(), 3);
        let (mut a, mut b, mut c) = ([], [0], [0; 3]);
        let mut buffers = [&mut a[..], &mut b, &mut c].map(IoSliceMut::new);
        assert_eq!(other.read_vectored(&mut buffers).unwrap(), 3);
        assert_eq!((b, c), ([10], [11, 12, 0]));
    });
}

#[test]
fn a_write_takes_several_buffers() {
    each_family(|listener, _| {
        let (mut one, mut other) = connected(&listener);
        let buffers = [&[][..], &[10], &[11, 12]].map(IoSlice::new);
        assert_eq!(one.write_vectored(&buffers).unwrap(), 3);
        let mut bytes = [0; 4];
        assert_eq!(other.read(&mut bytes).unwrap(), 3);
        assert_eq!(bytes, [10, 11, 12, 0]);
    });
}

#[test]
fn an_address_is_bound_once() {
    each_family(|_listener, address| {
        let error = TcpListener::bind(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn a_clone_writes_to_the_same_connection() {
    each_family(|listener, address| {
        let client = spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut bytes = [0; 2];
            assert_eq!(stream.read(&mut bytes).unwrap(), 1);
            assert_eq!(bytes, [1, 0]);
            stream.write_all(&[2]).unwrap();
        });
        let mut one = listener.accept().unwrap().0;
        let mut other = one.try_clone().unwrap();
        let (go, going) = channel();
        let writer = spawn(move || {
            going.recv().unwrap();
            other.write_all(&[1]).unwrap();
        });
        go.send(()).unwrap();
        let mut bytes = [0; 2];
        assert_eq!(one.read(&mut bytes).unwrap(), 1);
        assert_eq!(bytes, [2, 0]);
        writer.join().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn two_clones_read_a_byte_each() {
    each_family(|listener, address| {
        let (done, next) = channel();
        let client = spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            for byte in [1, 2] {
                stream.write_all(&[byte]).unwrap();
                next.recv().unwrap();
            }
        });
        let one = listener.accept().unwrap().0;
        let other = one.try_clone().unwrap();
        let readers = [one, other].map(|mut stream| {
            let done = done.clone();
            spawn(move || {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                done.send(()).unwrap();
                byte[0]
            })
        });
        let bytes = readers.map(|reader| reader.join().unwrap());
        assert!(matches!(bytes, [1, 2] | [2, 1]));
        client.join().unwrap();
    });
}

#[test]
fn two_clones_write() {
    each_family(|listener, address| {
        let client = spawn(move || {
            let mut bytes = [0; 2];
            let mut stream = TcpStream::connect(address).unwrap();
            stream.read_exact(&mut bytes).unwrap();
            bytes
        });
        let mut one = listener.accept().unwrap().0;
        let mut other = one.try_clone().unwrap();
        let writer = spawn(move || other.write_all(&[1]).unwrap());
        one.write_all(&[2]).unwrap();
        writer.join().unwrap();
        assert!(matches!(client.join().unwrap(), [1, 2] | [2, 1]));
    });
}

#[test]
fn one_direction_is_shut_down_and_the_other_goes_on() {
    each_family(|listener, address| {
        let server = spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            stream.write_all(&[1]).unwrap();
        });
        let mut stream = TcpStream::connect(address).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let error = stream.write(&[1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let mut bytes = [0; 2];
        assert_eq!(stream.read(&mut bytes).unwrap(), 1);
        assert_eq!(bytes, [1, 0]);
        server.join().unwrap();
    });
}

#[test]
fn what_is_shut_down_is_so_for_all_clones() {
    each_family(|listener, _| {
        let (one, _far) = connected(&listener);
        let before = one.try_clone().unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert!((&one).write(&[0]).is_err());
        one.shutdown(Shutdown::Read).unwrap();
        let after = one.try_clone().unwrap();
        for mut stream in [&one, &before, &after] {
            assert!(stream.write(&[0]).is_err());
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        }
        for stream in [before, after] {
            let _ = stream.shutdown(Shutdown::Read);
            let _ = stream.shutdown(Shutdown::Write);
        }
    });
}

#[test]
fn shutting_down_through_a_clone_ends_a_read() {
    each_family(|listener, _| {
        let (mut stream, _far) = connected(&listener);
        let clone = stream.try_clone().unwrap();
        let closer = spawn(move || {
            sleep(Duration::from_millis(50));
            clone.shutdown(Shutdown::Read).unwrap();
        });
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        closer.join().unwrap();
    });
}

#[test]
fn one_that_is_being_read_may_be_cloned() {
    each_family(|listener, _| {
        let (mut far, near) = connected(&listener);
        let mut reading = near.try_clone().unwrap();
        let reader = spawn(move || reading.read_exact(&mut [0]).unwrap());
        for _ in 0..50 {
            yield_now();
        }
        let _again = near.try_clone().unwrap();
        far.write_all(&[0]).unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn a_clone_of_a_listener_accepts_too() {
    each_family(|listener, address| {
        let clients = [0, 1].map(|_| spawn(move || TcpStream::connect(address).unwrap()));
        let clone = listener.try_clone().unwrap();
        assert_eq!(clone.local_addr().unwrap(), address);
        listener.accept().unwrap();
        clone.accept().unwrap();
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[test]
fn two_clones_of_a_listener_accept_at_once() {
    each_family(|listener, address| {
        let clone = listener.try_clone().unwrap();
        let acceptors = [listener, clone].map(|listener| spawn(move || listener.accept().unwrap()));
        let clients = [0, 1].map(|_| spawn(move || TcpStream::connect(address).unwrap()));
        let accepted = acceptors.map(|acceptor| acceptor.join().unwrap());
        let made = clients.map(|client| client.join().unwrap());
        let mut from = accepted.map(|(_, from)| from);
        let mut to = made.map(|stream| stream.local_addr().unwrap());
        from.sort();
        to.sort();
        assert_eq!(from, to);
    });
}

#[test]
fn they_show_their_addresses() {
    each_family(|listener, address| {
        let fd = listener.as_raw_fd();
        let expected = format!("TcpListener {{ addr: {address:?}, fd: {fd:?} }}");
        assert_eq!(format!("{listener:?}"), expected);
        let incoming = format!("Incoming {{ listener: {expected} }}");
        assert_eq!(format!("{:?}", listener.incoming()), incoming);
        let stream = TcpStream::connect(address).unwrap();
        let (here, fd) = (stream.local_addr().unwrap(), stream.as_raw_fd());
        let expected = format!("TcpStream {{ addr: {here:?}, peer: {address:?}, fd: {fd:?} }}");
        assert_eq!(format!("{stream:?}"), expected);
    });
}

#[test]
fn timeouts_are_kept() {
    each_family(|listener, _| {
        let (stream, _far) = connected(&listener);
        let long = Some(Duration::from_secs(15410));
        for timeout in [None, long, None] {
            stream.set_read_timeout(timeout).unwrap();
            assert_eq!(stream.read_timeout().unwrap(), timeout);
            stream.set_write_timeout(timeout).unwrap();
            assert_eq!(stream.write_timeout().unwrap(), timeout);
        }
        for error in [
            stream.set_read_timeout(Some(Duration::ZERO)).unwrap_err(),
            stream.set_write_timeout(Some(Duration::ZERO)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "cannot set a 0 duration timeout");
        }
    });
}

#[test]
fn a_read_waits_until_its_timeout() {
    each_family(|listener, _| {
        let (mut stream, mut far) = connected(&listener);
        let timeout = Duration::from_millis(100);
        stream.set_read_timeout(Some(timeout)).unwrap();
        far.write_all(b"hello world").unwrap();
        let mut text = [0; 11];
        stream.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello world");
        let begin = Instant::now();
        let error = stream.peek(&mut text).unwrap_err();
        assert!(begin.elapsed() >= timeout - Duration::from_millis(10));
        assert!(would_block(error.kind()));
        let begin = Instant::now();
        let error = stream.read_exact(&mut text).unwrap_err();
        assert!(begin.elapsed() >= timeout - Duration::from_millis(10));
        assert!(would_block(error.kind()));
        assert_eq!(
            error.to_string(),
            "Resource temporarily unavailable (os error 11)"
        );
    });
}

#[test]
fn a_write_waits_until_its_timeout() {
    each_family(|listener, _| {
        let (mut stream, _far) = connected(&listener);
        let timeout = Duration::from_millis(100);
        stream.set_write_timeout(Some(timeout)).unwrap();
        let begin = Instant::now();
        let error = loop {
            if let Err(error) = uncut(|| stream.write(&[0; 65536])) {
                break error;
            }
        };
        assert!(would_block(error.kind()));
        assert!(begin.elapsed() >= timeout - Duration::from_millis(10));
    });
}

#[test]
fn options_are_kept() {
    each_family(|listener, address| {
        listener.set_ttl(100).unwrap();
        assert_eq!(listener.ttl().unwrap(), 100);
        assert!(listener.take_error().unwrap().is_none());
        let stream = TcpStream::connect(address).unwrap();
        stream.set_ttl(101).unwrap();
        assert_eq!(stream.ttl().unwrap(), 101);
        assert!(stream.take_error().unwrap().is_none());
        for nodelay in [false, true, false] {
            stream.set_nodelay(nodelay).unwrap();
            assert_eq!(stream.nodelay().unwrap(), nodelay);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_comes_is_confirmed_at_once_or_later() {
    use super::TcpStreamExt;
    each_family(|_listener, address| {
        let stream = TcpStream::connect(address).unwrap();
        for quickack in [false, true, false] {
            stream.set_quickack(quickack).unwrap();
            assert_eq!(stream.quickack().unwrap(), quickack);
        }
    });
}

#[test]
fn without_blocking_there_is_an_error_instead_of_a_wait() {
    each_family(|listener, _| {
        listener.set_nonblocking(true).unwrap();
        assert!(would_block(listener.accept().unwrap_err().kind()));
        listener.set_nonblocking(false).unwrap();
        let (mut stream, mut far) = connected(&listener);
        stream.set_nonblocking(true).unwrap();
        assert!(would_block(stream.read(&mut [0]).unwrap_err().kind()));
        assert!(would_block(stream.peek(&mut [0]).unwrap_err().kind()));
        far.write_all(&[1]).unwrap();
        // Nobody waits for it, and still it is seen.
        let mut byte = [0];
        while stream.read(&mut byte).is_err() {
            yield_now();
        }
        assert_eq!(byte, [1]);
        stream.set_nonblocking(false).unwrap();
        far.write_all(&[2]).unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [2]);
    });
}

#[test]
fn a_peek_takes_nothing() {
    each_family(|listener, _| {
        let (stream, mut far) = connected(&listener);
        far.write_all(&[1, 3, 3, 7]).unwrap();
        let mut bytes = [0; 10];
        for _ in 0..3 {
            assert_eq!(stream.peek(&mut bytes).unwrap(), 4);
        }
        assert_eq!((&stream).read(&mut bytes).unwrap(), 4);
        assert_eq!(bytes[..4], [1, 3, 3, 7]);
        stream.set_nonblocking(true).unwrap();
        assert!(would_block(stream.peek(&mut bytes).unwrap_err().kind()));
    });
}

#[test]
fn much_passes_through_in_both_directions_at_once() {
    each_family(|listener, _| {
        const AMOUNT: usize = 3_000_000;
        let (one, other) = connected(&listener);
        let ends = [one, other].map(|stream| {
            let mut reading = stream.try_clone().unwrap();
            let reader = spawn(move || {
                let mut all = vec![];
                reading.read_to_end(&mut all).unwrap();
                assert!(all.iter().enumerate().all(|(at, byte)| at as u8 == *byte));
                all.len()
            });
            let mut writing = stream;
            let writer = spawn(move || {
                let all: Vec<_> = (0..AMOUNT).map(|at| at as u8).collect();
                writing.write_all(&all).unwrap();
                writing.shutdown(Shutdown::Write).unwrap();
            });
            (reader, writer)
        });
        for (reader, writer) in ends {
            writer.join().unwrap();
            assert_eq!(reader.join().unwrap(), AMOUNT);
        }
    });
}
