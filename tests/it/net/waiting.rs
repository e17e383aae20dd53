//! Those who wait for a socket: several at once, cut short, timed out, killed, closed.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::net::{Incoming, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use greenlet::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use greenlet::{hub_stats, sleep, spawn, yield_now};

use super::Folder;
use super::faults::connected;
use crate::support::{OnDrop, run};

/// `call` waits in three greenlets; `close` ends all of them with an error, and every call from then on.
fn closing<T: 'static, R: 'static>(
    thing: T,
    call: fn(&T) -> io::Result<R>,
    close: impl FnOnce(&T),
) {
    let thing = Rc::new(thing);
    let waiting = [0, 1, 2].map(|_| {
        let thing = thing.clone();
        spawn(move || call(&thing).map(drop).unwrap_err().to_string())
    });
    // One that has found some room to write may be on its way to wait again.
    while hub_stats().awaited < 3 {
        sleep(Duration::from_millis(1));
    }
    close(&thing);
    for waiting in waiting {
        let words = waiting.join().unwrap();
        assert!(words.contains("closed"), "{words}");
    }
    let error = call(&thing).map(drop).unwrap_err();
    assert!(error.to_string().contains("closed"));
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(hub_stats().awaited, 0);
}

#[test]
fn closing_ends_those_who_wait() {
    run(|| {
        let folder = Folder::new();
        let (near, _far) = connected();
        closing(near, |mut s| s.read(&mut [0]), TcpStream::close);
        let (near, _far) = connected();
        closing(
            near,
            |mut s| s.write_all(&vec![0; 8 << 20]),
            TcpStream::close,
        );
        let (near, _far) = connected();
        closing(near, |s| s.peek(&mut [0]), TcpStream::close);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        closing(listener, TcpListener::accept, TcpListener::close);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        closing(socket, |s| s.recv(&mut [0]), UdpSocket::close);
        let (near, _far) = UnixStream::pair().unwrap();
        closing(near, |mut s| s.read(&mut [0]), UnixStream::close);
        let listener = UnixListener::bind(folder.path("socket")).unwrap();
        closing(listener, UnixListener::accept, UnixListener::close);
        let (near, _far) = UnixDatagram::pair().unwrap();
        closing(near, |s| s.recv(&mut [0]), UnixDatagram::close);
    });
}

#[test]
fn several_readers_share_what_comes() {
    run(|| {
        const AMOUNT: usize = 300_000;
        let (near, mut far) = connected();
        let near = Rc::new(near);
        let counts = Rc::new(RefCell::new([0; 256]));
        let readers: Vec<_> = (1..=8)
            .map(|room| {
                let (near, counts) = (near.clone(), counts.clone());
                spawn(move || {
                    let mut buffer = vec![0; 13 * room];
                    loop {
                        let count = (&*near).read(&mut buffer).unwrap();
                        for byte in &buffer[..count] {
                            counts.borrow_mut()[usize::from(*byte)] += 1;
                        }
                        if count == 0 {
                            return;
                        }
                    }
                })
            })
            .collect();
        let all: Vec<_> = (0..AMOUNT).map(|at| at as u8).collect();
        for chunk in all.chunks(1009) {
            far.write_all(chunk).unwrap();
            yield_now();
        }
        far.shutdown(Shutdown::Write).unwrap();
        for reader in readers {
            reader.join().unwrap();
        }
        for (byte, count) in counts.borrow().iter().enumerate() {
            let expected = AMOUNT / 256 + usize::from(byte < AMOUNT % 256);
            assert_eq!(*count, expected, "byte {byte}");
        }
    });
}

#[test]
fn several_writers_share_the_room() {
    run(|| {
        const EACH: usize = 400_000;
        let (near, mut far) = connected();
        let near = Rc::new(near);
        let writers: Vec<_> = (0..6)
            .map(|byte| {
                let near = near.clone();
                spawn(move || (&*near).write_all(&vec![byte; EACH]).unwrap())
            })
            .collect();
        let mut counts = [0; 6];
        let mut buffer = vec![0; 70_000];
        while counts.iter().sum::<usize>() < 6 * EACH {
            let count = far.read(&mut buffer).unwrap();
            for byte in &buffer[..count] {
                counts[usize::from(*byte)] += 1;
            }
        }
        assert_eq!(counts, [EACH; 6]);
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

/// A reader is woken, and killed before its turn: the next one gets what came.
#[test]
fn a_reader_that_is_killed_when_it_is_woken_passes_that_on() {
    run(|| {
        let mut passed_on = 0;
        for _ in 0..100 {
            let (near, mut far) = UnixStream::pair().unwrap();
            let (mut bell, mut ringer) = UnixStream::pair().unwrap();
            let near = Rc::new(near);
            let seen = Rc::new(Cell::new(0));
            let readers = [0, 1].map(|_| {
                let (near, seen) = (near.clone(), seen.clone());
                spawn(move || {
                    let mut byte = [0];
                    (&*near).read_exact(&mut byte).unwrap();
                    seen.set(seen.get() + byte[0]);
                })
            });
            let [first, second] = readers;
            let killer = spawn(move || {
                bell.read_exact(&mut [0]).unwrap();
                first.start_kill();
                first
            });
            // So that what they are registered with has been told.
            sleep(Duration::from_millis(1));
            // One look brings both: the killer is woken first, then the first reader, which is killed.
            ringer.write_all(&[0]).unwrap();
            far.write_all(&[7]).unwrap();
            let first = killer.join().unwrap();
            let read_by_first = first.join().is_ok();
            if read_by_first {
                far.write_all(&[0]).unwrap();
            } else {
                passed_on += 1;
            }
            second.join().unwrap();
            assert_eq!(seen.get(), 7);
        }
        assert!(passed_on > 0, "the first was never killed in time");
    });
}

/// There is one event, and enough for all: each who gets some calls the next.
#[test]
fn one_event_is_enough_for_all_who_wait() {
    run(|| {
        let (near, mut far) = UnixStream::pair().unwrap();
        let near = Rc::new(near);
        let readers = [0, 1, 2].map(|_| {
            let near = near.clone();
            spawn(move || (&*near).read_exact(&mut [0]).unwrap())
        });
        sleep(Duration::from_millis(1));
        far.write_all(&[1, 2, 3]).unwrap();
        for reader in readers {
            reader.join().unwrap();
        }

        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let acceptors = [0, 1, 2].map(|_| {
            let listener = listener.clone();
            spawn(move || listener.accept().map(drop).unwrap())
        });
        sleep(Duration::from_millis(1));
        // These do not park, so the hub hears of all at once.
        let _clients = [0, 1, 2].map(|_| std::net::TcpStream::connect(address).unwrap());
        for acceptor in acceptors {
            acceptor.join().unwrap();
        }
    });
}

/// Killed and timed out at any moment: what was not read stays there.
#[test]
fn a_read_that_is_cut_short_has_read_nothing() {
    run(|| {
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut near = UnixStream::from(near);
        let feeder = std::thread::spawn(move || {
            for number in 0..400_u32 {
                far.write_all(&number.to_ne_bytes()).unwrap();
                std::thread::sleep(Duration::from_micros(u64::from(number % 7) * 30));
            }
        });
        let mut expected = 0;
        while expected < 400 {
            let limit = Duration::from_micros(u64::from(expected % 5) * 40);
            let mut bytes = [0; 4];
            // The numbers are written whole, and so they are read.
            if let Ok(count) = greenlet::time::timeout(limit, || near.read(&mut bytes)) {
                assert_eq!(count.unwrap(), 4);
                assert_eq!(u32::from_ne_bytes(bytes), expected);
                expected += 1;
            }
        }
        feeder.join().unwrap();
        assert_eq!(hub_stats().timers, 0);
    });
}

#[test]
fn a_read_that_times_out_loses_nothing() {
    run(|| {
        let (mut near, mut far) = connected();
        let limit = Duration::from_millis(20);
        let begin = Instant::now();
        greenlet::time::timeout(limit, || near.read(&mut [0; 8])).unwrap_err();
        near.set_read_timeout(Some(limit)).unwrap();
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= 2 * limit, "a timeout came early");
        assert_eq!((hub_stats().timers, hub_stats().awaited), (0, 0));
        far.write_all(b"late").unwrap();
        let mut text = [0; 8];
        assert_eq!(near.read(&mut text).unwrap(), 4);
        assert_eq!(&text[..4], b"late");
    });
}

#[test]
fn timeouts_are_never_early() {
    run(|| {
        let (mut near, _far) = connected();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for micros in [1, 90, 500, 999, 1500, 7001] {
            let timeout = Duration::from_micros(micros);
            near.set_read_timeout(Some(timeout)).unwrap();
            socket.set_read_timeout(Some(timeout)).unwrap();
            assert_eq!(near.read_timeout().unwrap(), Some(timeout));
            for _ in 0..5 {
                let begin = Instant::now();
                near.read(&mut [0]).unwrap_err();
                assert!(begin.elapsed() >= timeout);
                let begin = Instant::now();
                socket.recv(&mut [0]).unwrap_err();
                assert!(begin.elapsed() >= timeout);
            }
        }
        near.set_read_timeout(Some(Duration::MAX)).unwrap();
        assert!(greenlet::time::timeout(Duration::from_millis(5), || near.read(&mut [0])).is_err());
    });
}

#[test]
fn a_timeout_that_is_changed_counts_from_the_next_call_on() {
    run(|| {
        let (near, _far) = connected();
        let near = Rc::new(near);
        let wait = Duration::from_millis(20);
        for (first, then) in [(Some(wait), None), (None, Some(wait))] {
            near.set_read_timeout(first).unwrap();
            let reader = spawn({
                let near = near.clone();
                move || (&*near).read(&mut [0])
            });
            yield_now();
            near.set_read_timeout(then).unwrap();
            sleep(3 * wait);
            assert_eq!(reader.is_finished(), first.is_some());
            match first {
                Some(_) => {
                    let error = reader.join().unwrap().unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                }
                None => assert!(reader.kill()),
            }
        }
    });
}

#[test]
fn each_connection_wakes_one_who_accepts() {
    run(|| {
        const EACH: usize = 5;
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let acceptors = [0, 1, 2, 3].map(|_| {
            let listener = listener.clone();
            spawn(move || {
                let streams = listener.incoming().take(EACH).map(|stream| {
                    let mut number = [0];
                    stream.unwrap().read_exact(&mut number).unwrap();
                    number[0]
                });
                streams.collect::<Vec<_>>()
            })
        });
        yield_now();
        let count = acceptors.len() * EACH;
        let clients: Vec<_> = (0..count as u8)
            .map(|number| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(&[number]).unwrap();
                if number % 3 == 0 {
                    sleep(Duration::from_millis(1));
                }
                stream
            })
            .collect();
        let accepted = acceptors.map(|acceptor| acceptor.join().unwrap());
        let mut accepted = accepted.concat();
        accepted.sort();
        assert_eq!(accepted, (0..count as u8).collect::<Vec<_>>());
        drop(clients);
    });
}

#[test]
fn an_accept_that_is_killed_has_taken_nobody() {
    run(|| {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            let acceptor = spawn({
                let listener = listener.clone();
                move || listener.accept().map(drop)
            });
            yield_now();
            let client = TcpStream::connect(address).unwrap();
            acceptor.start_kill();
            let taken = acceptor.join().is_ok();
            if !taken {
                let (_, from) = listener.accept().unwrap();
                assert_eq!(from, client.local_addr().unwrap());
            }
        }
    });
}

/// What is there already is read without a wait, for ever if one likes; others have their turn all the same.
#[test]
fn who_never_needs_to_wait_gives_way() {
    run(|| {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let done = Rc::new(Cell::new(false));
        let turns = Rc::new(Cell::new(0_u32));
        let other = spawn({
            let (done, turns) = (done.clone(), turns.clone());
            move || {
                while !done.get() {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            }
        });
        let sleeper = spawn({
            let done = done.clone();
            move || {
                let mut naps = 0;
                while !done.get() {
                    sleep(Duration::from_micros(100));
                    naps += 1;
                }
                naps
            }
        });
        let mut in_a_row = 0;
        let mut last = 0;
        for _ in 0..50 {
            far.write_all(&[0; 1000]).unwrap();
            for _ in 0..1000 {
                near.read_exact(&mut [0]).unwrap();
                in_a_row = if turns.get() == last { in_a_row + 1 } else { 0 };
                last = turns.get();
                assert!(in_a_row < 200, "nobody else has had a turn");
            }
        }
        done.set(true);
        other.join().unwrap();
        assert!(sleeper.join().unwrap() > 2, "timers were starved");
    });
}

/// A connection to this machine is there at once.
#[test]
fn who_connects_again_and_again_gives_way() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Rc::new(Cell::new(0));
        let accepting = spawn({
            let accepted = accepted.clone();
            move || {
                for stream in listener.incoming() {
                    drop(stream.unwrap());
                    accepted.set(accepted.get() + 1);
                }
            }
        });
        for connected in 0..1000 {
            assert_eq!(
                TcpStream::connect(address).unwrap().peer_addr().unwrap(),
                address
            );
            assert!(connected - accepted.get() < 200, "nobody else has a turn");
        }
        assert!(accepting.kill());
    });
}

/// Somebody has a timer that is due whenever the hub looks. Sockets are looked at all the same.
#[test]
fn timers_that_are_always_due_keep_no_reader_waiting() {
    run(|| {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let reader = spawn(move || near.read_exact(&mut [0]).unwrap());
        yield_now();
        far.write_all(&[1]).unwrap();
        for _ in 0..1000 {
            sleep(Duration::from_nanos(1));
        }
        assert!(reader.is_finished());
    });
}

/// A limit that has passed before it begins: what is there is read, in the end.
#[test]
fn a_read_without_any_time_sees_what_is_there() {
    run(|| {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let mut attempt = move || greenlet::time::timeout(Duration::ZERO, || near.read(&mut [0]));
        attempt().unwrap_err();
        far.write_all(&[1]).unwrap();
        let attempts = (0..10).filter_map(|_| attempt().ok()).next();
        assert_eq!(attempts.unwrap().unwrap(), 1);
    });
}

#[test]
fn a_clone_lives_on_when_the_original_has_gone() {
    run(|| {
        let (near, mut far) = connected();
        for registered in [false, true] {
            let mut original = near.try_clone().unwrap();
            if registered {
                let limit = Duration::from_millis(1);
                greenlet::time::timeout(limit, || original.read(&mut [0])).unwrap_err();
            }
            let mut clone = original.try_clone().unwrap();
            let reader = spawn(move || {
                let mut byte = [0];
                clone.read_exact(&mut byte).unwrap();
                clone.write_all(&byte).unwrap();
            });
            yield_now();
            drop(original);
            far.write_all(&[9]).unwrap();
            reader.join().unwrap();
            far.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn sockets_go_to_std_and_come_back() {
    run(|| {
        let (near, far) = connected();
        near.set_read_timeout(Some(Duration::from_millis(30)))
            .unwrap();
        greenlet::time::timeout(Duration::from_millis(1), || (&near).read(&mut [0])).unwrap_err();
        assert_eq!(hub_stats().descriptors, 1);
        let mut near = std::net::TcpStream::from(near);
        assert_eq!(hub_stats().descriptors, 0);
        // It blocks, for as long as it was told to.
        let begin = Instant::now();
        let error = super::stds::uncut(|| near.read(&mut [0])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(begin.elapsed() >= Duration::from_millis(20));
        near.set_read_timeout(None).unwrap();
        let helper = std::thread::spawn({
            let mut far = std::net::TcpStream::from(far);
            move || {
                std::thread::sleep(Duration::from_millis(20));
                far.write_all(&[1]).unwrap();
                far
            }
        });
        near.read_exact(&mut [0]).unwrap();
        let mut far = TcpStream::from(helper.join().unwrap());
        near.set_write_timeout(Some(Duration::from_secs(3)))
            .unwrap();
        let mut near = TcpStream::from(near);
        assert_eq!(near.read_timeout().unwrap(), None);
        assert_eq!(near.write_timeout().unwrap(), Some(Duration::from_secs(3)));
        let reader = spawn(move || near.read_exact(&mut [0]).map(|()| near).unwrap());
        yield_now();
        far.write_all(&[2]).unwrap();
        let near = reader.join().unwrap();
        // And as nothing but a descriptor, non-blocking mode included.
        near.set_nonblocking(true).unwrap();
        let mut near = std::net::TcpStream::from(std::os::fd::OwnedFd::from(near));
        assert_eq!(
            near.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
    });
}

#[test]
fn sockets_may_cross_a_caught_panic_as_those_of_std_may() {
    fn safe<T: UnwindSafe + RefUnwindSafe>() {}
    safe::<TcpStream>();
    safe::<TcpListener>();
    safe::<Incoming<'_>>();
    safe::<UdpSocket>();
    safe::<UnixStream>();
    safe::<UnixListener>();
    safe::<UnixDatagram>();
}

/// At the end of a thread what is suspended is unwound; destructors find that nothing can wait any more.
#[test]
fn at_the_end_of_a_thread_waiting_is_an_error() {
    run(|| {
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (near, mut far) = UnixStream::pair().unwrap();
            let folder = Folder::new();
            let path = folder.path("socket");
            let listener = UnixListener::bind(&path).unwrap();
            spawn(move || {
                let _last = OnDrop(move || {
                    far.write_all(b"x").unwrap();
                    // What is there is read.
                    (&near).read_exact(&mut [0]).unwrap();
                    let mut words = vec![(&near).read(&mut [0]).unwrap_err()];
                    words.extend(listener.accept().err());
                    words.extend("localhost".to_socket_addrs().err());
                    assert!(("localhost", 1).to_socket_addrs().is_ok());
                    for error in words {
                        tell.send(error.to_string()).unwrap();
                    }
                });
                sleep(Duration::from_secs(1000));
            });
            yield_now();
        });
        thread.join().unwrap();
        let words: Vec<_> = told.iter().collect();
        assert_eq!(words.len(), 3);
        assert!(
            words[..2]
                .iter()
                .all(|words| words.contains("the thread is ending"))
        );
    });
}

/// The limit is over before anybody has looked for events: what is there counts.
#[test]
fn the_shortest_limit_gets_what_is_there() {
    run(|| {
        for waits_first in [false, true] {
            let (mut near, mut far) = connected();
            near.set_read_timeout(Some(Duration::from_nanos(1)))
                .unwrap();
            if waits_first {
                assert!(near.read(&mut [0]).is_err());
            }
            far.write_all(b"x").unwrap();
            let begin = Instant::now();
            let mut tries = 0;
            while near.read(&mut [0]).is_err() {
                tries += 1;
                assert!(begin.elapsed() < Duration::from_secs(10), "{tries} tries");
            }
        }
    });
}
