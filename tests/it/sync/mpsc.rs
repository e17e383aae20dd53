//! std's tests of `mpsc`, over whatever the module around this one has.

use std::time::{Duration, Instant};

use super::mpsc::{
    RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError, channel, sync_channel,
};
use super::{spawn, yield_now};
use crate::support::run;

const MS: Duration = Duration::from_millis(1);

#[test]
fn one_to_one() {
    run(|| {
        let (sender, receiver) = channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        let sends = spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
        assert_eq!(receiver.iter().collect::<Vec<_>>(), Vec::from_iter(0..100));
        sends.join().unwrap();
        assert_eq!(receiver.recv(), Err(RecvError));
    });
}

#[test]
fn many_to_one() {
    run(|| {
        let (sender, receiver) = channel();
        for number in 0..8 {
            let sender = sender.clone();
            spawn(move || (0..25).for_each(|n| sender.send((number, n)).unwrap()));
        }
        drop(sender);
        let mut next = [0; 8];
        for (number, n) in &receiver {
            assert_eq!(n, next[number], "out of order");
            next[number] += 1;
        }
        assert_eq!(next, [25; 8]);
    });
}

#[test]
fn sending_to_nobody_gives_it_back() {
    run(|| {
        let (sender, receiver) = channel();
        drop(receiver);
        assert_eq!(sender.send(7), Err(SendError(7)));
        let (sender, receiver) = sync_channel(0);
        let waits = spawn(move || sender.send(8));
        yield_now();
        drop(receiver);
        assert_eq!(waits.join().unwrap(), Err(SendError(8)));
        let (sender, receiver) = sync_channel(1);
        drop(receiver);
        assert_eq!(sender.try_send(9), Err(TrySendError::Disconnected(9)));
    });
}

#[test]
fn trying_does_not_wait() {
    run(|| {
        let (sender, receiver) = sync_channel(1);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(sender.try_send(1), Ok(()));
        assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
        drop(sender.clone());
        assert_eq!(receiver.try_recv(), Ok(1));
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        let (sender, _receiver) = sync_channel(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    });
}

#[test]
fn a_limit_is_not_early() {
    run(|| {
        let (sender, receiver) = channel::<u8>();
        let begin = Instant::now();
        assert_eq!(
            receiver.recv_timeout(2 * MS),
            Err(RecvTimeoutError::Timeout)
        );
        assert!(begin.elapsed() >= 2 * MS);
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(1));
        let sends = spawn(move || sender.send(2));
        assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(2));
        sends.join().unwrap().unwrap();
        let late = receiver.recv_timeout(Duration::MAX);
        assert_eq!(late, Err(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn without_room_both_meet() {
    run(|| {
        for room in [0, 1, 2, 5] {
            let (sender, receiver) = sync_channel(room);
            let sends = spawn(move || (0..40).for_each(|n| sender.send(n).unwrap()));
            for n in 0..40 {
                assert_eq!(receiver.recv(), Ok(n));
                if n % 4 == 0 {
                    yield_now();
                }
            }
            assert!(receiver.recv().is_err());
            sends.join().unwrap();
        }
    });
}

#[test]
fn iterators_borrow_try_or_own() {
    run(|| {
        let (sender, receiver) = channel();
        (0..9).for_each(|n| sender.send(n).unwrap());
        assert_eq!(receiver.try_iter().take(3).sum::<i32>(), 3);
        assert_eq!(receiver.iter().take(3).sum::<i32>(), 12);
        assert_eq!(receiver.iter().next(), Some(6));
        drop(sender);
        assert_eq!(receiver.into_iter().collect::<Vec<_>>(), [7, 8]);
    });
}

#[test]
fn ends_are_shown_whatever_they_carry() {
    struct Hidden;
    run(|| {
        let ((sender, receiver), (bounded, _)) = (channel::<Hidden>(), sync_channel::<Hidden>(1));
        let shown = format!("{sender:?} {bounded:?} {receiver:?}");
        assert_eq!(shown, "Sender { .. } SyncSender { .. } Receiver { .. }");
    });
}
