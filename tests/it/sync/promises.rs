//! Messages that are promised to those who were called; within one thread, where these come soon.

use greenlet::spawn;
use greenlet::sync::channel::{TryRecvError, bounded};

use crate::support::run;
use crate::sync::settle;

#[test]
fn who_does_not_wait_leaves_what_is_promised_to_who_does() {
    run(|| {
        for room in [0, 1, 5] {
            let (sender, receiver) = bounded(room);
            let waiting = [0, 1].map(|_| {
                let receiver = receiver.clone();
                spawn(move || receiver.recv())
            });
            settle();
            (0..2).for_each(|n| sender.try_send(n).unwrap());
            assert_eq!((receiver.len(), receiver.is_empty()), (0, true));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            // They need no room.
            (0..room).for_each(|n| sender.try_send(n).unwrap());
            assert!(sender.try_send(0).is_err());
            assert_eq!(receiver.len(), room);
            let got = waiting.map(|handle| handle.join().unwrap());
            assert_eq!(got, [Ok(0), Ok(1)]);
            assert_eq!(receiver.try_iter().count(), room);
        }
    });
}
