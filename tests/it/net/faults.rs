//! What the other side can do to a connection.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use greenlet::net::{SocketAddr, TcpListener, TcpStream};
use greenlet::os::unix::net::UnixStream;
use greenlet::{sleep, spawn, yield_now};

use super::{locals, nobody};
use crate::support::run;

/// A listener, and where it is.
fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection.
pub(super) fn connected() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let stream = TcpStream::connect(address).unwrap();
    (stream, listener.accept().unwrap().0)
}

/// Closes a connection with a reset.
fn reset(stream: TcpStream) {
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

fn is_reset(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

#[test]
fn a_reset_ends_a_read_and_is_told_once() {
    run(|| {
        let (mut near, far) = connected();
        let reader = spawn(move || {
            let error = near.read(&mut [0; 8]).unwrap_err();
            (error.kind(), near.read(&mut [0; 8]).unwrap())
        });
        yield_now();
        reset(far);
        assert_eq!(reader.join().unwrap(), (ErrorKind::ConnectionReset, 0));
        // The same when nobody waits yet.
        let (mut near, far) = connected();
        reset(far);
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_ends_all_who_read_and_write() {
    run(|| {
        let (near, far) = connected();
        let near = Rc::new(near);
        let readers = [0, 1, 2].map(|_| {
            let near = near.clone();
            spawn(move || (&*near).read(&mut [0; 8]).map_err(|error| error.kind()))
        });
        let writers = [0, 1].map(|_| {
            let near = near.clone();
            spawn(move || (&*near).write_all(&vec![0; 8 << 20]).unwrap_err().kind())
        });
        sleep(Duration::from_millis(10));
        reset(far);
        // The error is told to one of them; the others read the end.
        for reader in readers {
            let outcome = reader.join().unwrap();
            assert!(
                matches!(outcome, Ok(0) | Err(ErrorKind::ConnectionReset)),
                "{outcome:?}"
            );
        }
        for writer in writers {
            assert!(is_reset(writer.join().unwrap()));
        }
    });
}

#[test]
fn a_connection_that_is_refused_is_an_error_and_others_run_meanwhile() {
    run(|| {
        let turns = Rc::new(Cell::new(0));
        let other = spawn({
            let turns = turns.clone();
            move || turns.set(1)
        });
        let dead = nobody();
        for attempt in [
            TcpStream::connect(dead),
            TcpStream::connect_timeout(&dead, Duration::from_secs(5)),
        ] {
            assert_eq!(attempt.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
        other.join().unwrap();
    });
}

/// Where no way leads: at once what std says. Some machines have a way, at whose end somebody or nobody answers.
#[test]
fn an_address_that_cannot_be_reached_is_the_error_that_std_has() {
    run(|| {
        let limit = Duration::from_millis(100);
        let mut unreached = 0;
        for address in ["255.255.255.255:80", "240.0.0.1:80", "[ff02::1]:80"] {
            let address: SocketAddr = address.parse().unwrap();
            let Err(std) = std::net::TcpStream::connect_timeout(&address, limit) else {
                continue;
            };
            let ours = TcpStream::connect_timeout(&address, limit).unwrap_err();
            assert_eq!(ours.kind(), std.kind(), "{address}");
            assert_eq!(ours.raw_os_error(), std.raw_os_error(), "{address}");
            if std.kind() != ErrorKind::TimedOut {
                let ours = TcpStream::connect(address).unwrap_err();
                assert_eq!(ours.raw_os_error(), std.raw_os_error(), "{address}");
                unreached += 1;
            }
        }
        assert!(unreached > 0, "all of them are somewhere");
    });
}

/// An address that answers nothing is simulated by a listener whose queue is full.
#[cfg(target_os = "linux")]
#[test]
fn a_connection_that_is_not_answered_times_out_and_can_be_killed() {
    run(|| {
        let (listener, address) = listener();
        socket2::SockRef::from(&listener).listen(0).unwrap();
        let mut made = vec![];
        // What is answered is answered by then, on a busy machine too.
        let limit = Duration::from_millis(500);
        let error = loop {
            let begin = std::time::Instant::now();
            match TcpStream::connect_timeout(&address, limit) {
                Ok(stream) => made.push(stream),
                Err(error) => {
                    assert!(begin.elapsed() >= limit);
                    break error;
                }
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(error.to_string(), "connection timed out");
        let stuck = spawn(move || TcpStream::connect(address).map(drop));
        sleep(Duration::from_millis(5));
        assert!(stuck.kill());
        let outcome = greenlet::time::timeout(limit, || TcpStream::connect(address).map(drop));
        assert!(outcome.is_err());
    });
}

#[test]
fn a_reset_in_the_queue_of_connections_harms_nobody() {
    run(|| {
        let (listener, address) = listener();
        reset(TcpStream::connect(address).unwrap());
        let mut second = TcpStream::connect(address).unwrap();
        second.write_all(b"second").unwrap();
        let mut texts = vec![];
        // Some systems take the dead one out of the queue, some give an error, some give it to us.
        while !texts.contains(&"second".to_owned()) {
            let Ok((mut stream, _)) = listener.accept() else {
                continue;
            };
            let mut text = [0; 6];
            if stream.read_exact(&mut text).is_ok() {
                texts.push(String::from_utf8(text.to_vec()).unwrap());
            }
        }
    });
}

#[test]
fn each_direction_ends_by_itself() {
    run(|| {
        for first in [0, 1] {
            let (one, other) = connected();
            let mut ends = [one, other];
            ends[first].shutdown(Shutdown::Write).unwrap();
            assert_eq!(ends[1 - first].read(&mut [0]).unwrap(), 0);
            // The other way is open, for as long as somebody likes.
            for byte in 0..100 {
                ends[1 - first].write_all(&[byte]).unwrap();
                let mut got = [0];
                ends[first].read_exact(&mut got).unwrap();
                assert_eq!(got, [byte]);
            }
            ends[1 - first].shutdown(Shutdown::Write).unwrap();
            assert_eq!(ends[first].read(&mut [0]).unwrap(), 0);
            assert!(is_reset(ends[first].write(&[0]).unwrap_err().kind()));
        }
    });
}

#[test]
fn shutting_down_ends_those_who_wait_here() {
    run(|| {
        let (near, _far) = connected();
        let near = Rc::new(near);
        let reader = spawn({
            let near = near.clone();
            move || (&*near).read(&mut [0; 8]).unwrap()
        });
        let writer = spawn({
            let near = near.clone();
            move || (&*near).write_all(&vec![0; 8 << 20]).unwrap_err().kind()
        });
        sleep(Duration::from_millis(10));
        near.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
        assert!(is_reset(writer.join().unwrap()));
    });
}

#[test]
fn much_is_written_to_a_slow_reader() {
    run(|| {
        const AMOUNT: usize = 8 << 20;
        let byte = |at: usize| (at ^ (at >> 8) ^ (at >> 16)) as u8;
        let (mut near, mut far) = connected();
        let writer = spawn(move || {
            let all: Vec<_> = (0..AMOUNT).map(byte).collect();
            let mut rest = &all[..];
            let mut short = 0;
            while !rest.is_empty() {
                let count = near.write(rest).unwrap();
                short += usize::from(count < rest.len());
                rest = &rest[count..];
            }
            short
        });
        let mut at = 0;
        let mut buffer = vec![0; 50_000];
        loop {
            let count = far.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            for got in &buffer[..count] {
                assert_eq!(*got, byte(at));
                at += 1;
            }
            if at % 7 == 0 {
                sleep(Duration::from_micros(100));
            }
        }
        assert_eq!(at, AMOUNT);
        assert!(writer.join().unwrap() > 0, "no write was cut short");
    });
}

/// Reads to the end, with room to spare each time: every read comes back short.
fn read_short(mut stream: impl Read) -> Vec<u8> {
    let mut seen = vec![];
    let mut buffer = [0; 100];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return seen,
            count => seen.extend_from_slice(&buffer[..count]),
        }
    }
}

/// What the far end does, with pauses at which the near end may have its turn.
fn last_words<S: Write>(mut far: S, pauses: u32, shut: impl FnOnce(S)) {
    let pause = |bit: u32| {
        if pauses & bit != 0 {
            sleep(Duration::from_micros(10));
        }
    };
    far.write_all(b"the ").unwrap();
    pause(1);
    far.write_all(b"last ").unwrap();
    pause(2);
    far.write_all(b"words").unwrap();
    pause(4);
    shut(far);
}

#[test]
fn the_end_is_never_lost_after_a_short_read() {
    run(|| {
        let (listener, address) = listener();
        for round in 0..1000 {
            let far = TcpStream::connect(address).unwrap();
            let near = listener.accept().unwrap().0;
            let registered = round & 8 != 0;
            let reader = spawn(move || read_short(near));
            if registered {
                // It waits before there is anything.
                yield_now();
            }
            if round & 16 != 0 {
                last_words(far, round, |far| far.shutdown(Shutdown::Write).unwrap());
            } else {
                last_words(far, round, drop);
            }
            assert_eq!(reader.join().unwrap(), b"the last words");
        }
    });
}

#[test]
fn the_end_is_never_lost_between_unix_sockets() {
    run(|| {
        for round in 0..1000 {
            let (far, near) = UnixStream::pair().unwrap();
            let reader = spawn(move || read_short(near));
            if round & 8 != 0 {
                yield_now();
            }
            last_words(far, round, drop);
            assert_eq!(reader.join().unwrap(), b"the last words");
        }
    });
}

/// The far end is a thread of its own, so everything may come between any two steps.
#[test]
fn the_end_is_never_lost_from_another_thread() {
    run(|| {
        let (listener, address) = listener();
        let far = std::thread::spawn(move || {
            for round in 0..1000_u32 {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.write_all(b"the last ").unwrap();
                (0..round % 50).for_each(|_| std::hint::spin_loop());
                stream.write_all(b"words").unwrap();
            }
        });
        for _ in 0..1000 {
            let stream = listener.accept().unwrap().0;
            assert_eq!(read_short(stream), b"the last words");
        }
        far.join().unwrap();
    });
}

#[test]
fn urgent_data_does_not_hide_the_end() {
    run(|| {
        for local in locals() {
            let listener = TcpListener::bind(local).unwrap();
            let address = listener.local_addr().unwrap();
            let far = TcpStream::connect(address).unwrap();
            let near = listener.accept().unwrap().0;
            let reader = spawn(move || read_short(near));
            yield_now();
            (&far).write_all(b"abc").unwrap();
            socket2::SockRef::from(&far).send_out_of_band(b"!").unwrap();
            (&far).write_all(b"def").unwrap();
            drop(far);
            assert_eq!(reader.join().unwrap(), b"abcdef");
        }
    });
}
