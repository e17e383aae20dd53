//! Addresses from what a program has: the same as std, and whoever asks for a name waits alone.

use std::cell::Cell;
use std::io;
use std::net;
use std::rc::Rc;
use std::time::Duration;

use greenlet::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs,
};
use greenlet::{GreenletExit, spawn, yield_now};

use crate::support::run;

type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

fn answer<I: Iterator<Item = SocketAddr>>(outcome: io::Result<I>) -> Answer {
    outcome
        .map(Iterator::collect)
        .map_err(|error| (error.kind(), error.to_string()))
}

/// What std says is what we say.
fn same<T: ToSocketAddrs + net::ToSocketAddrs + ?Sized>(what: &T) -> Answer {
    let ours = answer(ToSocketAddrs::to_socket_addrs(what));
    assert_eq!(ours, answer(net::ToSocketAddrs::to_socket_addrs(what)));
    // Through a reference as well.
    assert_eq!(ours, answer(ToSocketAddrs::to_socket_addrs(&what)));
    ours
}

#[test]
fn addresses_are_what_they_are() {
    run(|| {
        let (v4, v6) = (Ipv4Addr::new(77, 88, 21, 11), Ipv6Addr::LOCALHOST);
        let address = SocketAddr::from((v4, 53));
        assert_eq!(same(&address), Ok(vec![address]));
        same(&SocketAddrV4::new(v4, 1)).unwrap();
        same(&SocketAddrV6::new(v6, 1, 2, 3)).unwrap();
        same(&(IpAddr::V4(v4), 1)).unwrap();
        same(&(IpAddr::V6(v6), 1)).unwrap();
        same(&(v4, 1)).unwrap();
        same(&(v6, 1)).unwrap();
        let all = [address, (v6, 80).into()];
        assert_eq!(same(&&all[..]), Ok(all.to_vec()));
        assert_eq!(same(&&all[..0]), Ok(vec![]));
    });
}

#[test]
fn numbers_in_text_are_read_in_place() {
    run(|| {
        for text in ["77.88.21.11:24352", "[2a02:6b8:0:1::1]:53", "[fe80::1%7]:1"] {
            assert_eq!(same(text).unwrap().len(), 1);
            same(&text.to_owned()).unwrap();
        }
        for host in ["77.88.21.11", "2a02:6b8:0:1::1", "::"] {
            same(&(host, 80)).unwrap();
            same(&(host.to_owned(), 80)).unwrap();
        }
        for nonsense in [
            "",
            "127.0.0.1",
            "a",
            "a:",
            "a:b",
            "a:65536",
            "a:-1",
            "[::1]",
        ] {
            assert_eq!(same(nonsense).unwrap_err().0, io::ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn names_are_looked_up() {
    run(|| {
        let here = SocketAddr::from(([127, 0, 0, 1], 23924));
        assert!(same("localhost:23924").unwrap().contains(&here));
        assert!(same(&("localhost", 23924)).unwrap().contains(&here));
        same("a\0b:80").unwrap_err();
        same(":80").unwrap_err();
    });
}

#[test]
fn others_run_while_a_name_is_looked_up() {
    run(|| {
        let turns = Rc::new(Cell::new(0));
        let found = Rc::new(Cell::new(false));
        let other = spawn({
            let (turns, found) = (turns.clone(), found.clone());
            move || {
                while !found.get() {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            }
        });
        // The worker may be so quick that there is nothing to wait for.
        while turns.get() == 0 {
            "localhost:1".to_socket_addrs().unwrap();
        }
        found.set(true);
        other.join().unwrap();
    });
}

#[test]
fn a_lookup_that_is_killed_is_left_to_end_by_itself() {
    run(|| {
        let look_up = || "localhost:1".to_socket_addrs().map(drop).unwrap();
        // The worker may be quicker than whoever cuts it short.
        let (mut killed, mut elapsed) = (false, false);
        while !(killed && elapsed) {
            let asking = spawn(look_up);
            yield_now();
            assert!(asking.kill());
            killed |= asking
                .join()
                .is_err_and(|payload| payload.is::<GreenletExit>());
            elapsed |= greenlet::time::timeout(Duration::from_nanos(1), look_up).is_err();
        }
        look_up();
    });
}
