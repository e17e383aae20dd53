//! Numbers: running out of them, using them again, leaving none behind.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use greenlet::os::unix::net::UnixStream;
use greenlet::{sleep, spawn, yield_now};

use super::faults::connected;
use crate::support::{
    open_descriptors, rounds, run, run_within, survived_in_child, take_all_descriptors,
};

fn is_out_of_descriptors(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMFILE)
}

#[test]
fn without_descriptors_accepting_is_an_error_and_goes_on_when_one_is_free() {
    let name =
        "net::descriptors::without_descriptors_accepting_is_an_error_and_goes_on_when_one_is_free";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // One that waits already, so that the error comes to it as it would to a server.
        let tries = Rc::new(Cell::new(0));
        let server = spawn({
            let tries = tries.clone();
            move || loop {
                match listener.accept() {
                    Ok(connection) => return (connection, listener),
                    Err(error) => {
                        assert!(is_out_of_descriptors(&error), "{error}");
                        tries.set(tries.get() + 1);
                        sleep(Duration::from_millis(1));
                    }
                }
            }
        });
        yield_now();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let client = socket.unwrap();
        let mut all = take_all_descriptors();
        client.connect(&address.into()).unwrap();
        let begin = Instant::now();
        // Others run: this returns.
        while begin.elapsed() < Duration::from_millis(100) {
            sleep(Duration::from_millis(1));
        }
        // It does not try again and again.
        let most = begin.elapsed().as_millis() + 10;
        assert!((1..=most).contains(&tries.get()), "{} tries", tries.get());
        assert!(is_out_of_descriptors(
            &TcpStream::connect(address).unwrap_err()
        ));
        assert!(is_out_of_descriptors(
            &TcpListener::bind("127.0.0.1:0").unwrap_err()
        ));
        assert!(is_out_of_descriptors(
            &UdpSocket::bind("127.0.0.1:0").unwrap_err()
        ));
        assert!(is_out_of_descriptors(&UnixStream::pair().unwrap_err()));
        all.pop();
        let ((stream, from), _listener) = server.join().unwrap();
        assert_eq!(Some(from), client.local_addr().unwrap().as_socket());
        assert!(is_out_of_descriptors(&stream.try_clone().unwrap_err()));
        drop(all);
    });
}

/// The hub makes its poller when somebody first waits. Without it that is an error, and nothing else.
#[test]
fn without_descriptors_for_a_poller_waiting_is_an_error() {
    let name = "net::descriptors::without_descriptors_for_a_poller_waiting_is_an_error";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut near = UnixStream::from(near);
        let all = take_all_descriptors();
        far.write_all(&[1]).unwrap();
        near.read_exact(&mut [0]).unwrap();
        assert!(is_out_of_descriptors(&near.read(&mut [0]).unwrap_err()));
        let lookup = "localhost:1".to_socket_addrs().map(drop);
        assert!(is_out_of_descriptors(&lookup.unwrap_err()));
        assert_eq!("127.0.0.1:1".to_socket_addrs().unwrap().count(), 1);
        sleep(Duration::from_millis(1));
        drop(all);
        let reader = spawn(move || near.read_exact(&mut [0]).unwrap());
        yield_now();
        far.write_all(&[1]).unwrap();
        reader.join().unwrap();
    });
}

/// A number is used again while events for the old one are on their way.
#[test]
fn a_number_that_is_used_again_hears_nothing_of_its_past() {
    run_within(Duration::from_secs(60), || {
        let mut kept = None;
        for round in rounds(10_000) {
            let (mut near, mut far) = UnixStream::pair().unwrap();
            let reader = spawn(move || near.read_exact(&mut [0]).map(|()| near).unwrap());
            yield_now();
            far.write_all(b"a").unwrap();
            let near = reader.join().unwrap();
            // It is registered, and there is news of it that nobody has seen.
            far.write_all(b"old").unwrap();
            if round % 3 == 0 {
                // A duplicate keeps the old one, and what it is registered for, alive.
                kept = Some(std::os::unix::net::UnixStream::from(
                    near.try_clone().unwrap(),
                ));
            }
            drop(near);
            let (mut near, mut next) = UnixStream::pair().unwrap();
            let reader = spawn(move || {
                let mut text = [0; 8];
                let count = near.read(&mut text).unwrap();
                (count, text)
            });
            yield_now();
            drop(far);
            if round % 2 == 0 {
                yield_now();
            }
            assert!(!reader.is_finished());
            next.write_all(b"new").unwrap();
            assert_eq!(reader.join().unwrap(), (3, *b"new\0\0\0\0\0"));
        }
        drop(kept);
    });
}

/// Whoever takes over a duplicate leaves nothing of it with the hub, where the next one has the same number.
#[test]
fn duplicates_are_taken_over_again_and_again() {
    use std::net;
    use std::os::unix::net::UnixStream as Theirs;

    run(|| {
        let (near, mut far) = Theirs::pair().unwrap();
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        for _ in 0..5 {
            let mut ours = UnixStream::from(near.try_clone().unwrap());
            let reader = spawn(move || ours.read_exact(&mut [0]));
            yield_now();
            far.write_all(b"x").unwrap();
            reader.join().unwrap().unwrap();

            let ours = TcpListener::from(listener.try_clone().unwrap());
            let server = spawn(move || ours.accept().map(drop));
            yield_now();
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            server.join().unwrap().unwrap();
        }
    });
}

/// Who goes on at once is held up, so that others run who have something to close.
#[test]
fn without_descriptors_who_accepts_again_at_once_does_not_spin() {
    let name = "net::descriptors::without_descriptors_who_accepts_again_at_once_does_not_spin";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let client = socket.unwrap();
        let server = spawn(move || listener.incoming().position(|stream| stream.is_ok()));
        yield_now();
        let all = take_all_descriptors();
        let begin = Instant::now();
        client.connect(&address.into()).unwrap();
        sleep(Duration::from_millis(100));
        drop(all);
        let errors = server.join().unwrap().unwrap();
        let most = begin.elapsed().as_millis() as usize / 10 + 1;
        assert!(
            (1..=most).contains(&errors),
            "{errors} errors, at most {most}"
        );
    });
}

/// What sockets do in an ordinary life, and in a short one.
fn lives() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            spawn(move || stream.read(&mut [0; 100]).map(drop));
        }
    });
    for number in 0..20 {
        let stream = TcpStream::connect(address).unwrap();
        let clone = stream.try_clone().unwrap();
        let limit = Duration::from_micros(100);
        greenlet::time::timeout(limit, || (&clone).read(&mut [0])).unwrap_err();
        if number % 2 == 0 {
            (&stream).write_all(b"hello").unwrap();
        }
        if number % 3 == 0 {
            stream.close();
        }
        if number % 5 == 0 {
            drop(std::net::TcpStream::from(clone));
        }
    }
    server.kill();
    TcpStream::connect(address).unwrap_err();
    let (near, _far) = connected();
    let reader = spawn(move || (&near).read(&mut [0]).map(drop));
    yield_now();
    reader.kill();
    // Those that were accepted read the end.
    while greenlet::hub_stats().awaited > 0 {
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn sockets_leave_no_descriptors_behind() {
    if survived_in_child("net::descriptors::sockets_leave_no_descriptors_behind") {
        return;
    }
    // The first time opens what the process keeps.
    run(lives);
    let before = open_descriptors();
    run(lives);
    assert_eq!(open_descriptors(), before);
    let leaking = std::panic::catch_unwind(|| {
        let before = open_descriptors();
        std::mem::forget(UnixStream::pair().unwrap());
        assert_eq!(open_descriptors(), before);
    });
    assert!(leaking.is_err(), "a leak was not noticed");
}
