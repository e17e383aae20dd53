//! Channels, within a thread and between threads: crossbeam's tests of its three kinds, and Go's, in our words.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::time::{Elapsed, timeout};
use greenlet::{JoinHandle, scope, sleep, spawn, yield_now};

use super::channel::{
    Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError, bounded, unbounded,
};
use crate::support::{Drops, Token, complaint, run};
use crate::sync::{LONG, MS, end, settle};

/// The kinds: without room, with some, without a bound.
const ROOMS: [Option<usize>; 5] = [Some(0), Some(1), Some(2), Some(7), None];

fn with_room<T>(room: Option<usize>) -> (Sender<T>, Receiver<T>) {
    room.map_or_else(unbounded, bounded)
}

/// A rule of all kinds.
fn each(rule: fn(Option<usize>)) {
    run(move || ROOMS.into_iter().for_each(rule));
}

/// A full channel of so much room, which holds 0, 1, 2 and so on.
fn full(room: usize) -> (Sender<usize>, Receiver<usize>) {
    let (sender, receiver) = bounded(room);
    (0..room).for_each(|n| sender.send(n).unwrap());
    (sender, receiver)
}

/// One who sends a number, and waits by now.
fn sends<T: 'static>(sender: &Sender<T>, message: T) -> JoinHandle<Result<(), SendError<T>>> {
    let sender = sender.clone();
    let handle = spawn(move || sender.send(message));
    settle();
    handle
}

/// One who receives, and waits by now.
fn receives<T: 'static>(receiver: &Receiver<T>) -> JoinHandle<Result<T, RecvError>> {
    let receiver = receiver.clone();
    let handle = spawn(move || receiver.recv());
    settle();
    handle
}

#[test]
fn what_is_sent_comes_out_in_order() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let sends = spawn(move || (0..50).try_for_each(|n| sender.send(n)));
        assert_eq!(receiver.iter().collect::<Vec<_>>(), Vec::from_iter(0..50));
        assert_eq!(receiver.recv(), Err(RecvError));
        sends.join().unwrap().unwrap();
    });
}

#[test]
fn it_knows_how_much_room_there_is_and_how_much_is_in_it() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        assert_eq!((sender.capacity(), receiver.capacity()), (room, room));
        assert!(sender.is_empty() && receiver.is_empty());
        assert_eq!(sender.is_full(), room == Some(0));
        for n in 0..room.unwrap_or(5) {
            assert_eq!((sender.len(), receiver.len()), (n, n));
            sender.try_send(n).unwrap();
        }
        assert_eq!(sender.is_full(), room.is_some());
        assert_eq!(receiver.try_iter().count(), room.unwrap_or(5));
        assert!(receiver.is_empty());
    });
}

#[test]
fn both_ends_know_their_channel() {
    run(|| {
        let (sender, receiver) = bounded::<()>(1);
        let (other, others) = unbounded::<()>();
        assert!(sender.same_channel(&sender.clone()) && !sender.same_channel(&other));
        assert!(receiver.same_channel(&receiver.clone()) && !receiver.same_channel(&others));
        assert!(format!("{sender:?} {receiver:?}").contains("len: 0"));
    });
}

#[test]
fn trying_never_waits() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        for n in 0..room.unwrap_or(3) {
            sender.try_send(n).unwrap();
        }
        if room.is_some() {
            assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
        }
        (0..room.unwrap_or(3)).for_each(|n| assert_eq!(receiver.try_recv(), Ok(n)));
        drop(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn what_was_sent_is_received_after_the_senders_have_gone() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let count = room.unwrap_or(4);
        (0..count).for_each(|n| sender.send(n).unwrap());
        assert!(!receiver.is_disconnected());
        drop(sender);
        assert!(receiver.is_disconnected());
        (0..count).for_each(|n| assert_eq!(receiver.recv(), Ok(n)));
        assert_eq!(receiver.recv(), Err(RecvError));
        let late = receiver.recv_timeout(LONG);
        assert_eq!(late, Err(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn what_is_sent_to_nobody_comes_back() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        drop(receiver);
        assert!(sender.is_disconnected());
        assert_eq!(sender.send(1), Err(SendError(1)));
        assert_eq!(sender.try_send(2), Err(TrySendError::Disconnected(2)));
        let late = sender.send_timeout(3, LONG);
        assert_eq!(late, Err(SendTimeoutError::Disconnected(3)));
        let error = sender.send_deadline(4, Instant::now()).unwrap_err();
        assert!(!error.to_string().is_empty() && !format!("{error:?}").contains('4'));
        assert_eq!(error.into_inner(), 4);
    });
}

#[test]
fn who_waits_to_send_gets_it_back_when_the_receivers_go() {
    run(|| {
        for room in [0, 1, 3] {
            let (sender, receiver) = full(room);
            let waiting = [10, 11, 12].map(|n| sends(&sender, n));
            let other = receiver.clone();
            drop(receiver);
            settle();
            assert!(!waiting[0].is_finished(), "one is left");
            drop(other);
            let back = waiting.map(|handle| handle.join().unwrap());
            assert_eq!(back, [10, 11, 12].map(|n| Err(SendError(n))));
        }
    });
}

#[test]
fn who_waits_to_receive_is_told_when_the_senders_go() {
    each(|room| {
        let (sender, receiver) = with_room::<u8>(room);
        let waiting = [0, 1, 2].map(|_| receives(&receiver));
        let other = sender.clone();
        drop(sender);
        settle();
        assert!(!waiting[0].is_finished(), "one is left");
        drop(other);
        waiting
            .into_iter()
            .for_each(|handle| assert_eq!(handle.join().unwrap(), Err(RecvError)));
    });
}

#[test]
fn without_room_a_sender_waits_until_it_is_taken() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let waiting = sends(&sender, 7);
        assert!(!waiting.is_finished());
        assert_eq!((sender.len(), receiver.len()), (0, 0));
        assert_eq!(receiver.recv(), Ok(7));
        waiting.join().unwrap().unwrap();
    });
}

#[test]
fn with_room_a_sender_waits_until_there_is_some() {
    run(|| {
        let (sender, receiver) = full(3);
        let waiting = sends(&sender, 3);
        assert!(!waiting.is_finished());
        assert_eq!(sender.len(), 3);
        assert_eq!(receiver.recv(), Ok(0));
        waiting.join().unwrap().unwrap();
        assert_eq!(Vec::from_iter(receiver.try_iter()), [1, 2, 3]);
    });
}

#[test]
fn a_limit_is_not_early_and_gives_the_message_back() {
    each(|room| {
        let (sender, receiver) = with_room::<usize>(room);
        let begin = Instant::now();
        let late = receiver.recv_timeout(2 * MS);
        assert_eq!(late, Err(RecvTimeoutError::Timeout));
        let late = receiver.recv_deadline(begin + 4 * MS);
        assert_eq!(late, Err(RecvTimeoutError::Timeout));
        assert!(begin.elapsed() >= 4 * MS);
        let Some(room) = room else { return };
        (0..room).for_each(|n| sender.send(n).unwrap());
        let begin = Instant::now();
        let late = sender.send_timeout(8, 2 * MS);
        assert_eq!(late, Err(SendTimeoutError::Timeout(8)));
        let late = sender.send_deadline(9, begin + 4 * MS);
        assert_eq!(late, Err(SendTimeoutError::Timeout(9)));
        assert!(begin.elapsed() >= 4 * MS);
        assert_eq!(receiver.try_iter().count(), room);
    });
}

#[test]
fn no_time_at_all_and_all_the_time_there_is() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let late = receiver.recv_timeout(Duration::ZERO);
        assert_eq!(late, Err(RecvTimeoutError::Timeout));
        let sends = spawn(move || {
            settle();
            (0..20).try_for_each(|n| sender.send_timeout(n, Duration::MAX))
        });
        for n in 0..20 {
            assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(n));
        }
        sends.join().unwrap().unwrap();
        assert!(receiver.recv_timeout(Duration::MAX).is_err());
    });
}

#[test]
fn many_to_many_lose_nothing_and_double_nothing() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let seen = RefCell::new([0; 200]);
        scope(|s| {
            for first in 0..4 {
                let sender = sender.clone();
                s.spawn(move || {
                    for n in (first..200).step_by(4) {
                        sender.send(n).unwrap();
                        if n % 3 == 0 {
                            yield_now();
                        }
                    }
                });
            }
            drop(sender);
            for _ in 0..4 {
                let receiver = receiver.clone();
                let seen = &seen;
                s.spawn(move || {
                    for n in receiver {
                        seen.borrow_mut()[n] += 1;
                        if n % 5 == 0 {
                            yield_now();
                        }
                    }
                });
            }
        });
        assert_eq!(seen.into_inner(), [1; 200]);
    });
}

#[test]
fn receivers_are_served_in_the_order_in_which_they_asked() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let waiting = [0, 1, 2, 3].map(|_| receives(&receiver));
        (0..4).for_each(|n| sender.try_send(n).unwrap());
        let got = waiting.map(|handle| handle.join().unwrap().unwrap());
        assert_eq!(got, [0, 1, 2, 3]);
    });
}

/// Another one may take what was meant for a killed one, which takes nothing with it.
#[test]
fn what_was_sent_for_one_that_is_killed_is_there_for_others() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let waiting = receives(&receiver);
        sender.try_send(7).unwrap();
        waiting.kill();
        assert_eq!(receiver.try_recv(), Ok(7));
    });
}

/// Who asks when all senders have gone finds what is left, whoever was called for it.
#[test]
fn the_end_is_told_when_nothing_is_left() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let waiting = receives(&receiver);
        sender.try_send(7).unwrap();
        drop(sender);
        assert_eq!(receiver.recv(), Ok(7));
        assert_eq!(waiting.join().unwrap(), Err(RecvError));
    });
}

#[test]
fn there_is_never_more_than_there_is_room_for() {
    run(|| {
        for room in [1, 2] {
            let (sender, receiver) = bounded(room);
            let receivers = [(); 5].map(|()| receives(&receiver));
            let senders: Vec<_> = (0..20).map(|n| sends(&sender, n)).collect();
            for handle in receivers {
                handle.join().unwrap().unwrap();
            }
            for taken in 5..20 {
                settle();
                assert_eq!(receiver.len(), room.min(20 - taken));
                let sent = senders.iter().filter(|handle| handle.is_finished());
                assert_eq!(sent.count(), (taken + room).min(20));
                receiver.recv().unwrap();
            }
            senders
                .into_iter()
                .for_each(|handle| handle.join().unwrap().unwrap());
        }
    });
}

#[test]
fn nobody_who_waits_is_passed_over() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let receivers = [(); 5].map(|()| {
            let receiver = receiver.clone();
            spawn(move || receiver.iter().count())
        });
        drop(receiver);
        for burst in 0..40 {
            (0..5 + burst % 3).for_each(|n| sender.send(n).unwrap());
            yield_now();
        }
        drop(sender);
        let got = receivers.map(|handle| handle.join().unwrap());
        assert!(got.iter().all(|&count| count >= 20), "{room:?}: {got:?}");
    });
}

#[test]
fn senders_are_served_in_the_order_in_which_they_asked() {
    run(|| {
        for room in [0, 1, 2] {
            let (sender, receiver) = full(room);
            let waiting = [100, 101, 102].map(|n| sends(&sender, n));
            let got = Vec::from_iter(receiver.iter().take(room + 3));
            assert_eq!(got, Vec::from_iter((0..room).chain(100..103)));
            waiting
                .into_iter()
                .for_each(|handle| handle.join().unwrap().unwrap());
        }
    });
}

#[test]
fn a_wake_for_nothing_changes_nothing() {
    run(|| {
        for room in [0, 1] {
            let (sender, receiver) = full(room);
            let waiting = [10, 11].map(|n| sends(&sender, n));
            // Whoever asks for the handle wakes it.
            let _woken = waiting[0].thread();
            settle();
            assert!(waiting.iter().all(|handle| !handle.is_finished()));
            let mut got = Vec::new();
            // Each that was accepted returns, and only then the next.
            for n in 0..room + 2 {
                got.push(receiver.recv().unwrap());
                settle();
                let done = waiting.iter().filter(|handle| handle.is_finished());
                assert_eq!(done.count(), (n + 1).min(2), "room {room}");
            }
            waiting
                .into_iter()
                .for_each(|handle| handle.join().unwrap().unwrap());
            got.sort_unstable();
            assert_eq!(got, Vec::from_iter((0..room).chain([10, 11])));
            let waiting = receives(&receiver);
            let _woken = waiting.thread();
            settle();
            assert!(!waiting.is_finished());
            sender.send(5).unwrap();
            assert_eq!(waiting.join().unwrap(), Ok(5));
        }
    });
}

#[test]
fn a_killed_receiver_has_taken_nothing() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let first = receives(&receiver);
        end(first);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        // It was told, and never got to look: the next in line has it.
        let [first, second, third] = [0, 1, 2].map(|_| receives(&receiver));
        sender.try_send(1).unwrap();
        end(first);
        assert_eq!(second.join().unwrap(), Ok(1));
        sender.try_send(2).unwrap();
        end(third);
        // Nobody is in line: it stays.
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_receiver_that_is_late_has_taken_nothing() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        for _ in 0..3 {
            let theirs = receiver.clone();
            let late = spawn(move || timeout(MS, || theirs.recv()));
            settle();
            std::thread::sleep(2 * MS);
            let sent = sender.try_send(1).is_ok();
            match late.join().unwrap() {
                Ok(got) => assert_eq!(got, Ok(1)),
                Err(Elapsed) => assert_eq!(receiver.try_recv().is_ok(), sent),
            }
            assert!(receiver.is_empty());
        }
    });
}

#[test]
fn a_killed_senders_message_was_received_or_dropped_and_never_both() {
    run(|| {
        for room in [0, 1, 2] {
            let drops = Drops::new();
            let (sender, receiver) = bounded::<(u32, Token)>(room);
            let send = |n| sends(&sender, (n, drops.token()));
            let _held: Vec<_> = (0..room as u32).map(send).collect();
            let [first, second, third] = [10, 11, 12].map(send);
            end(first);
            assert_eq!(drops.count(), 1);
            // Accepted, and raised in before it knows: it has been received, or it has not been sent.
            let mut got = vec![receiver.recv().unwrap().0];
            second.start_kill();
            let taken_back = drops.count() - 1 - got.len();
            assert!(taken_back <= 1);
            settle();
            drop(sender);
            got.extend(receiver.iter().map(|(n, _)| n));
            assert_eq!(got.contains(&12), third.join().is_ok());
            assert!(!got.contains(&10));
            assert!(got.iter().filter(|n| **n == 11).count() <= 1);
            assert_eq!(drops.count(), room + 3);
            assert!(second.join().is_err());
        }
    });
}

/// The place of one that is killed when it has been let in is for the next one, who is told.
#[test]
fn a_killed_senders_place_is_for_the_next() {
    run(|| {
        for room in [1, 2] {
            for told in [false, true] {
                let (sender, receiver) = full(room);
                let [first, second] = [10, 11].map(|n| sends(&sender, n));
                if !told {
                    end(first);
                    assert_eq!(receiver.recv(), Ok(0));
                    second.join().unwrap().unwrap();
                    continue;
                }
                assert_eq!(receiver.recv(), Ok(0));
                first.start_kill();
                settle();
                assert!(first.is_finished());
                if sender.len() == room && !second.is_finished() {
                    // Theirs went in all the same.
                    assert_eq!(receiver.recv(), Ok(if room == 1 { 10 } else { 1 }));
                    settle();
                }
                assert!(second.is_finished(), "it is in, and nobody tells it");
                second.join().unwrap().unwrap();
            }
        }
    });
}

#[test]
fn a_sender_that_is_late_has_sent_or_not() {
    run(|| {
        for room in [0, 1] {
            for _ in 0..3 {
                let drops = Drops::new();
                let (sender, receiver) = bounded::<Token>(room);
                (0..room).for_each(|_| sender.send(drops.token()).map_err(|_| ()).unwrap());
                let token = drops.token();
                let theirs = sender.clone();
                let late = spawn(move || timeout(MS, || theirs.send(token).is_ok()));
                settle();
                std::thread::sleep(2 * MS);
                drop(receiver.try_recv());
                let _sent = late.join().unwrap();
                drop(sender);
                receiver.iter().for_each(drop);
                assert_eq!(drops.count(), room + 1);
            }
        }
    });
}

#[test]
fn messages_are_dropped_with_the_last_receiver() {
    each(|room| {
        let drops = Drops::new();
        let (sender, receiver) = with_room(room);
        let count = room.unwrap_or(10);
        (0..count).for_each(|_| assert!(sender.send(drops.token()).is_ok()));
        let other = receiver.clone();
        drop(receiver);
        assert_eq!(drops.count(), 0);
        drop(other);
        assert_eq!(drops.count(), count);
        drop(sender.send(drops.token()));
        assert_eq!(drops.count(), count + 1);
    });
}

#[test]
fn a_message_whose_destructor_uses_the_channel() {
    struct Echo(Sender<Option<Echo>>, Rc<Cell<bool>>);
    impl Drop for Echo {
        fn drop(&mut self) {
            assert!(matches!(
                self.0.try_send(None),
                Err(TrySendError::Disconnected(_))
            ));
            assert_eq!(self.0.len(), 0);
            self.1.set(true);
        }
    }
    run(|| {
        let told = Rc::new(Cell::new(false));
        let (sender, receiver) = unbounded();
        let message = Echo(sender.clone(), told.clone());
        assert!(sender.send(Some(message)).is_ok());
        drop(receiver);
        assert!(told.get());
    });
}

#[test]
fn iterators_borrow_try_or_own() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let feeds = spawn(move || (0..30).try_for_each(|n| sender.send(n)));
        let mut got = Vec::from_iter(receiver.iter().take(5));
        for n in &receiver {
            got.push(n);
            if n == 9 {
                break;
            }
        }
        // One within another.
        for n in receiver.iter().take(5) {
            got.push(n);
            got.extend(receiver.iter().take(1));
        }
        got.extend(receiver.try_iter().take(1));
        got.extend(receiver);
        assert_eq!(got, Vec::from_iter(0..30));
        feeds.join().unwrap().unwrap();
    });
}

#[test]
fn a_channel_goes_through_a_channel() {
    run(|| {
        let (sender, receiver) = bounded::<Box<dyn std::any::Any + Send>>(1);
        let (inner, answers) = bounded::<u32>(0);
        // Both are `Send` only between threads.
        drop((inner, answers));
        sender.send(Box::new(7_u32)).unwrap();
        assert!(receiver.recv().unwrap().is::<u32>());
        let (sender, receiver) = bounded::<Receiver<u32>>(0);
        let gives = spawn(move || {
            let (numbers, number) = bounded(1);
            numbers.send(4).unwrap();
            sender.send(number).map_err(|_| ()).unwrap();
        });
        assert_eq!(receiver.recv().unwrap().recv(), Ok(4));
        gives.join().unwrap();
    });
}

/// Without room, what was left to one that waits is not for whoever comes before it has its turn.
#[test]
fn a_question_and_its_answer_go_through_one_channel() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let answers = {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            spawn(move || {
                for _ in 0..20 {
                    let n: u32 = receiver.recv().unwrap();
                    sender.send(n + 100).unwrap();
                }
            })
        };
        for n in 0..20 {
            settle();
            sender.send(n).unwrap();
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            assert_eq!(receiver.recv(), Ok(n + 100));
        }
        answers.join().unwrap();
        // Two are promised something, and one of them goes: its message is for whoever comes.
        let [first, second] = [0, 1].map(|_| receives(&receiver));
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        first.start_kill();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        settle();
        let mut got = vec![second.join().unwrap().unwrap()];
        got.push(receiver.try_recv().unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
        let third = sends(&sender, 3);
        assert_eq!(receiver.recv(), Ok(3));
        third.join().unwrap().unwrap();
    });
}

/// The sieve of Go's tests: a chain of channels without room.
#[test]
fn primes_from_a_chain_of_filters() {
    run(|| {
        let (sender, mut numbers) = bounded(0);
        spawn(move || (2_u32..).try_for_each(|n| sender.send(n)));
        let mut primes = Vec::new();
        while primes.len() < 15 {
            let prime = numbers.recv().unwrap();
            primes.push(prime);
            let (sender, filtered) = bounded(0);
            let before = std::mem::replace(&mut numbers, filtered);
            spawn(move || {
                let others = before.iter().filter(|n| n % prime != 0);
                others
                    .map(|n| sender.send(n))
                    .take_while(Result::is_ok)
                    .count()
            });
        }
        assert_eq!(primes[10..], [31, 37, 41, 43, 47]);
        drop(numbers);
        // They end one by one.
        while greenlet::alive() > 0 {
            settle();
        }
    });
}

#[test]
fn two_play_ping_pong() {
    each(|room| {
        let (ping, pings) = with_room(room);
        let (pong, pongs) = with_room(room);
        let echo = spawn(move || pings.iter().try_for_each(|n| pong.send(n + 1)));
        for n in 0..100 {
            ping.send(n).unwrap();
            assert_eq!(pongs.recv(), Ok(n + 1));
        }
        drop(ping);
        echo.join().unwrap().unwrap();
    });
}

#[test]
fn limits_and_messages_race_and_nothing_is_lost() {
    each(|room| {
        let (sender, receiver) = with_room(room);
        let feeds = spawn(move || {
            for n in 0..30 {
                let mut message = n;
                while let Err(late) = sender.send_timeout(message, MS / 10) {
                    message = late.into_inner();
                }
                if n % 4 == 0 {
                    sleep(MS / 4);
                }
            }
        });
        let mut got = Vec::new();
        loop {
            match receiver.recv_timeout(MS / 8) {
                Ok(n) => got.push(n),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        assert_eq!(got, Vec::from_iter(0..30));
        feeds.join().unwrap();
    });
}

#[test]
fn nothing_is_big_or_small() {
    run(|| {
        let (sender, receiver) = bounded(2);
        sender.send(()).unwrap();
        assert_eq!(receiver.recv(), Ok(()));
        let (sender, receiver) = unbounded();
        sender.send([7_u8; 7_000]).unwrap();
        assert_eq!(receiver.recv().unwrap()[6_999], 7);
        // Room that is not there until it is used.
        let (sender, receiver) = bounded(usize::MAX - 1);
        sender.send(1).unwrap();
        assert_eq!(sender.capacity(), Some(usize::MAX - 1));
        assert_eq!(receiver.recv(), Ok(1));
    });
}

#[test]
fn a_panic_between_send_and_receive_leaves_the_channel_as_it_is() {
    run(|| {
        let (sender, receiver) = bounded(1);
        let theirs = sender.clone();
        let words = complaint(move || {
            theirs.send(1).unwrap();
            panic!("planted");
        });
        assert_eq!(words, "planted");
        assert_eq!(receiver.recv(), Ok(1));
        drop(sender);
        assert_eq!(receiver.recv(), Err(RecvError));
    });
}
