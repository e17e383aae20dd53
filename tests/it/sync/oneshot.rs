//! Channels for one message, within a thread and between threads: gevent's tests of `AsyncResult` that fit.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use greenlet::spawn;
use greenlet::time::{Elapsed, timeout};

use super::oneshot::{RecvError, RecvTimeoutError, TryRecvError, channel};
use crate::support::{Drops, run};
use crate::sync::{MS, end, settle};

#[test]
fn one_message() {
    run(|| {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert!(!sender.is_disconnected());
        sender.send(7).unwrap();
        assert_eq!(receiver.recv(), Ok(7));
        let (sender, receiver) = channel();
        let waiting = spawn(move || receiver.recv());
        settle();
        sender.send(8).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(8));
    });
}

#[test]
fn one_that_is_not_sent() {
    run(|| {
        let (sender, receiver) = channel::<u8>();
        let waiting = spawn(move || receiver.recv());
        settle();
        drop(sender);
        assert_eq!(waiting.join().unwrap(), Err(RecvError));
        let (sender, receiver) = channel::<u8>();
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        let late = receiver.recv_timeout(Duration::MAX);
        assert_eq!(late, Err(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn one_that_nobody_wants_comes_back() {
    run(|| {
        let (sender, receiver) = channel();
        drop(receiver);
        assert!(sender.is_disconnected());
        assert_eq!(sender.send(7), Err(7));
        let drops = Drops::new();
        let (sender, receiver) = channel();
        assert!(sender.send(drops.token()).is_ok());
        drop(receiver);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn it_comes_in_time_or_not() {
    run(|| {
        let (sender, receiver) = channel();
        let late = receiver.recv_timeout(MS);
        assert_eq!(late, Err(RecvTimeoutError::Timeout));
        let outer = timeout(MS, || receiver.recv_timeout(Duration::MAX));
        assert_eq!(outer, Err(Elapsed));
        sender.send(7).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(7));
    });
}

#[test]
fn a_killed_one_leaves_the_message_to_whoever_has_the_end() {
    run(|| {
        let (sender, receiver) = channel();
        let receiver = Rc::new(RefCell::new(receiver));
        let theirs = receiver.clone();
        let killed = spawn(move || theirs.borrow().recv_timeout(Duration::MAX));
        settle();
        sender.send(7).unwrap();
        end(killed);
        assert_eq!(receiver.borrow().try_recv(), Ok(7));
    });
}
