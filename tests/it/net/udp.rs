//! std's tests of UDP, over whatever the module around this one has.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::{UdpSocket, channel, sleep, spawn, uncut, yield_now};
use crate::net::locals;
use crate::support::run;

/// Runs `body` with two sockets of each family, and their addresses.
fn each_family(body: fn(UdpSocket, SocketAddr, UdpSocket, SocketAddr)) {
    run(move || {
        for local in locals() {
            let sockets = [0, 1].map(|_| UdpSocket::bind(local).unwrap());
            let [one, other] = sockets;
            let addresses = [&one, &other].map(|socket| socket.local_addr().unwrap());
            body(one, addresses[0], other, addresses[1]);
        }
    });
}

fn would_block(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

#[test]
fn binding_to_an_address_of_others_is_an_error() {
    run(|| {
        let error = UdpSocket::bind("1.1.1.1:9999").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert!(UdpSocket::bind("1200::AB00:1234::2552:7777:1313:34300").is_err());
    });
}

#[test]
fn a_datagram_arrives_and_tells_from_whom() {
    each_family(|here, here_is, there, there_is| {
        let sender = spawn(move || {
            sleep(Duration::from_millis(10));
            assert_eq!(there.send_to(&[99], here_is).unwrap(), 1);
        });
        let mut bytes = [0; 2];
        assert_eq!(here.recv_from(&mut bytes).unwrap(), (1, there_is));
        assert_eq!(bytes, [99, 0]);
        sender.join().unwrap();
    });
}

#[test]
fn the_other_side_is_known_when_it_is_connected() {
    each_family(|here, _, _there, there_is| {
        let error = here.peer_addr().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert!(here.send(&[1]).is_err());
        here.connect(there_is).unwrap();
        assert_eq!(here.peer_addr().unwrap(), there_is);
    });
}

#[test]
fn sending_to_no_address_is_an_error() {
    each_family(|here, _, _there, _| {
        let error = here.send_to(&[1], &[][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "no addresses to send data to");
    });
}

#[test]
fn a_clone_sends_from_the_same_address() {
    each_family(|here, here_is, there, there_is| {
        let echo = spawn(move || {
            let mut bytes = [0; 2];
            assert_eq!(there.recv_from(&mut bytes).unwrap(), (1, here_is));
            assert_eq!(bytes, [1, 0]);
            there.send_to(&[2], here_is).unwrap();
        });
        let clone = here.try_clone().unwrap();
        let (go, going) = channel();
        let sender = spawn(move || {
            going.recv().unwrap();
            clone.send_to(&[1], there_is).unwrap();
        });
        go.send(()).unwrap();
        let mut bytes = [0; 2];
        assert_eq!(here.recv_from(&mut bytes).unwrap(), (1, there_is));
        assert_eq!(bytes, [2, 0]);
        sender.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn two_clones_receive_a_datagram_each() {
    each_family(|here, here_is, there, _| {
        let clone = here.try_clone().unwrap();
        let receivers = [here, clone].map(|socket| {
            spawn(move || {
                let mut byte = [0];
                socket.recv_from(&mut byte).unwrap();
                byte[0]
            })
        });
        for byte in [1, 2] {
            there.send_to(&[byte], here_is).unwrap();
        }
        let bytes = receivers.map(|receiver| receiver.join().unwrap());
        assert!(matches!(bytes, [1, 2] | [2, 1]));
    });
}

#[test]
fn two_clones_send() {
    each_family(|here, _, there, there_is| {
        let clone = here.try_clone().unwrap();
        let receiver = spawn(move || {
            let mut bytes = [0; 2];
            for byte in &mut bytes {
                there.recv_from(std::slice::from_mut(byte)).unwrap();
            }
            bytes
        });
        let sender = spawn(move || clone.send_to(&[1], there_is).unwrap());
        here.send_to(&[2], there_is).unwrap();
        sender.join().unwrap();
        assert!(matches!(receiver.join().unwrap(), [1, 2] | [2, 1]));
    });
}

#[test]
fn it_shows_its_address() {
    each_family(|here, here_is, _there, _| {
        let fd = here.as_raw_fd();
        let expected = format!("UdpSocket {{ addr: {here_is:?}, fd: {fd:?} }}");
        assert_eq!(format!("{here:?}"), expected);
    });
}

#[test]
fn timeouts_are_kept() {
    each_family(|here, _, _there, _| {
        let long = Some(Duration::from_secs(15410));
        for timeout in [None, long, None] {
            here.set_read_timeout(timeout).unwrap();
            assert_eq!(here.read_timeout().unwrap(), timeout);
            here.set_write_timeout(timeout).unwrap();
            assert_eq!(here.write_timeout().unwrap(), timeout);
        }
        for error in [
            here.set_read_timeout(Some(Duration::ZERO)).unwrap_err(),
            here.set_write_timeout(Some(Duration::ZERO)).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn receiving_waits_until_the_timeout() {
    each_family(|here, here_is, _there, _| {
        let timeout = Duration::from_millis(100);
        here.set_read_timeout(Some(timeout)).unwrap();
        here.send_to(b"hello world", here_is).unwrap();
        let mut text = [0; 11];
        here.recv_from(&mut text).unwrap();
        assert_eq!(&text, b"hello world");
        let begin = Instant::now();
        let error = uncut(|| here.recv_from(&mut text)).unwrap_err();
        assert!(begin.elapsed() >= timeout - Duration::from_millis(10));
        assert!(would_block(error.kind()));
        let begin = Instant::now();
        let error = uncut(|| here.peek_from(&mut text).map(drop)).unwrap_err();
        assert!(begin.elapsed() >= timeout - Duration::from_millis(10));
        assert!(would_block(error.kind()));
    });
}

#[test]
fn one_that_is_connected_sends_receives_and_peeks() {
    each_family(|here, here_is, there, _| {
        here.connect(here_is).unwrap();
        // One that it is not connected to is not heard.
        there.send_to(b"another", here_is).unwrap();
        assert_eq!(here.send(b"hello world").unwrap(), 11);
        let mut text = [0; 11];
        for _ in 0..2 {
            assert_eq!(here.peek(&mut text).unwrap(), 11);
            assert_eq!(&std::mem::take(&mut text), b"hello world");
        }
        assert_eq!(here.recv(&mut text).unwrap(), 11);
        assert_eq!(&text, b"hello world");
    });
}

#[test]
fn a_peek_takes_nothing_and_tells_from_whom() {
    each_family(|here, here_is, there, there_is| {
        there.send_to(b"hello world", here_is).unwrap();
        let mut text = [0; 11];
        for _ in 0..2 {
            assert_eq!(here.peek_from(&mut text).unwrap(), (11, there_is));
            assert_eq!(&std::mem::take(&mut text), b"hello world");
        }
        assert_eq!(here.recv_from(&mut text).unwrap(), (11, there_is));
        assert_eq!(&text, b"hello world");
    });
}

#[test]
fn a_datagram_that_does_not_fit_is_cut_and_an_empty_one_is_one() {
    each_family(|here, here_is, there, there_is| {
        for datagram in [&b"hello"[..], b"", b"x"] {
            there.send_to(datagram, here_is).unwrap();
        }
        let mut text = [0; 2];
        assert_eq!(here.recv_from(&mut text).unwrap(), (2, there_is));
        assert_eq!(&text, b"he");
        assert_eq!(here.recv_from(&mut text).unwrap(), (0, there_is));
        assert_eq!(here.recv_from(&mut text).unwrap(), (1, there_is));
    });
}

#[test]
fn a_refusal_is_told_once() {
    each_family(|here, _, there, there_is| {
        here.connect(there_is).unwrap();
        drop(there);
        here.send(&[1]).unwrap();
        let error = here.recv(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let short = Duration::from_millis(20);
        here.set_read_timeout(Some(short)).unwrap();
        let error = uncut(|| here.recv(&mut [0])).unwrap_err();
        assert!(would_block(error.kind()));
        assert!(here.take_error().unwrap().is_none());
    });
}

#[test]
fn options_are_kept() {
    run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_ttl(100).unwrap();
        assert_eq!(socket.ttl().unwrap(), 100);
        socket.set_multicast_ttl_v4(7).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
        for choice in [false, true] {
            socket.set_broadcast(choice).unwrap();
            assert_eq!(socket.broadcast().unwrap(), choice);
            socket.set_multicast_loop_v4(choice).unwrap();
            assert_eq!(socket.multicast_loop_v4().unwrap(), choice);
        }
        assert!(socket.take_error().unwrap().is_none());
        for local in locals().iter().filter(|local| local.is_ipv6()) {
            let socket = UdpSocket::bind(local).unwrap();
            for choice in [false, true] {
                socket.set_multicast_loop_v6(choice).unwrap();
                assert_eq!(socket.multicast_loop_v6().unwrap(), choice);
            }
        }
    });
}

#[test]
fn groups_are_joined_and_left() {
    run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let (group, here) = (Ipv4Addr::new(224, 0, 0, 113), Ipv4Addr::LOCALHOST);
        socket.join_multicast_v4(&group, &here).unwrap();
        let error = socket.join_multicast_v4(&group, &here).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        socket.leave_multicast_v4(&group, &here).unwrap();
        socket.leave_multicast_v4(&group, &here).unwrap_err();
        socket.join_multicast_v4(&here, &here).unwrap_err();
        let nothing = Ipv6Addr::LOCALHOST;
        socket.join_multicast_v6(&nothing, 0).unwrap_err();
        socket.leave_multicast_v6(&nothing, 0).unwrap_err();
    });
}

#[test]
fn without_blocking_there_is_an_error_instead_of_a_wait() {
    each_family(|here, here_is, there, _| {
        here.set_nonblocking(true).unwrap();
        assert!(would_block(here.recv(&mut [0]).unwrap_err().kind()));
        assert!(would_block(here.peek_from(&mut [0]).unwrap_err().kind()));
        there.send_to(&[1], here_is).unwrap();
        while here.recv(&mut [0]).is_err() {
            yield_now();
        }
        here.set_nonblocking(false).unwrap();
        there.send_to(&[1], here_is).unwrap();
        here.recv(&mut [0]).unwrap();
    });
}
