//! Waiting for whatever happens first: crossbeam's and Go's tests of `select`, in our words.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greenlet::io::{Descriptor, PipeReader, pipe};
use greenlet::os::unix::net::UnixStream;
use greenlet::sync::channel::{Receiver, RecvError, SendError, bounded, unbounded};
use greenlet::sync::queue::Queue;
use greenlet::sync::{AsyncResult, Event, Semaphore, remote, select};
use greenlet::time::{Elapsed, timeout};
use greenlet::{JoinHandle, hub_stats, scope, sleep, spawn, yield_now};

use crate::support::{complaint, own_stacks, rounds, run, survived_in_child};
use crate::sync::remote::everywhere;
use crate::sync::{LONG, MS, end, settle};

#[test]
fn what_is_ready_is_chosen_at_once() {
    run(|| {
        let (sender, receiver) = bounded(1);
        let (_other, empty) = bounded::<u8>(1);
        sender.send(7).unwrap();
        let got = select()
            .recv(&empty, |_| None)
            .recv(&receiver, |got| got.ok())
            .after(Duration::ZERO, || None)
            .wait();
        assert_eq!(got, Some(7));
        let mut message = Some(8);
        let sent = select()
            .recv(&receiver, |_| false)
            .send(&sender, &mut message, |sent| sent.is_ok())
            .wait();
        assert!(sent && message.is_none());
        assert_eq!(receiver.recv(), Ok(8));
    });
}

#[test]
fn a_descriptor_that_is_ready_is_chosen() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let (sender, receiver) = bounded::<u8>(1);
        let which = |reader: &PipeReader| {
            select()
                .readable(reader, |ready| ready.map(|()| "reader"))
                .recv(&receiver, |_| Ok("receiver"))
                .after(50 * MS, || Ok("nobody"))
                .wait()
        };
        // It was never waited for, nor read from: that says nothing.
        assert_eq!(which(&reader).unwrap(), "nobody");
        let writes = spawn(move || {
            writer.write_all(b"ab").unwrap();
            writer
        });
        assert_eq!(which(&reader).unwrap(), "reader");
        reader.read_exact(&mut [0]).unwrap();
        // There is more.
        assert_eq!(which(&reader).unwrap(), "reader");
        reader.read_exact(&mut [0]).unwrap();
        assert_eq!(which(&reader).unwrap(), "nobody");
        sender.send(7).unwrap();
        assert_eq!(which(&reader).unwrap(), "receiver");
        let writer = writes.join().unwrap();
        let can = select().writable(&writer, |ready| ready.is_ok());
        assert!(can.default(|| false));
        // The end is something to read.
        drop(writer);
        assert_eq!(which(&reader).unwrap(), "reader");
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert_eq!(hub_stats().awaited, 0);
    });
}

#[test]
fn what_cannot_be_waited_for_says_so() {
    run(|| {
        let (_sender, receiver) = bounded::<u8>(1);
        let file = std::env::current_exe().unwrap();
        let file = Descriptor::new(std::fs::File::open(file).unwrap()).unwrap();
        // The system says of a file that it is always ready.
        let ready = select()
            .recv(&receiver, |_| None)
            .readable(&file, Some)
            .wait();
        ready.unwrap().unwrap();
        let nothing: Option<&PipeReader> = None;
        let ready = select()
            .readable(nothing, |_| false)
            .after(MS, || true)
            .wait();
        assert!(ready);
    });
}

/// Nobody waits, so nobody is told: it is looked, or asked between turns.
#[test]
fn a_select_that_never_waits_sees_what_comes() {
    run(|| {
        for is_registered in [false, true] {
            for rests in [yield_now, || sleep(MS)] {
                let (mut near, mut far) = UnixStream::pair().unwrap();
                if is_registered {
                    assert!(timeout(MS, || near.read(&mut [0])).is_err());
                }
                let look = |near: &UnixStream| {
                    let ready = select().readable(near, |ready| ready.map(|()| true));
                    ready.default(|| Ok(false)).unwrap()
                };
                assert!(!look(&near));
                far.write_all(b"x").unwrap();
                let begin = Instant::now();
                while !look(&near) {
                    assert!(begin.elapsed() < LONG, "registered: {is_registered}");
                    rests();
                }
                near.read_exact(&mut [0]).unwrap();
                assert!(!look(&near));
            }
        }
    });
}

/// Its destructor does that.
struct AtLast<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtLast<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Who has tried to wait while it unwound can be killed by somebody who unwinds, when that is over.
#[test]
fn a_select_that_fails_in_a_destructor_does_not_shield_from_a_kill() {
    run(|| {
        let victim = spawn(|| {
            let (near, _far) = UnixStream::pair().unwrap();
            let (one, two) = (&near, &near);
            let look = AtLast(|| {
                // The second one cannot be registered, since the first one is.
                let both = [one, two].map(|end| {
                    use std::os::fd::AsFd;
                    Descriptor::new(end.as_fd()).unwrap()
                });
                for end in &both {
                    let _ = select()
                        .readable(end, |ready| ready.is_ok())
                        .after(MS, || false)
                        .wait();
                }
            });
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                let _look = look;
                std::panic::resume_unwind(Box::new("planted"));
            }));
            panicked.unwrap_err();
            greenlet::sleep(LONG);
        });
        sleep(20 * MS);
        assert!(!victim.is_finished());
        let begin = Instant::now();
        let killer = spawn(move || {
            let _kill = AtLast(|| assert!(victim.kill()));
            std::panic::resume_unwind(Box::new("planted"));
        });
        killer.join().unwrap_err();
        assert!(begin.elapsed() < LONG);
    });
}

#[test]
fn one_that_waits_for_several_descriptors_is_counted_for_each_and_for_none_afterwards() {
    run(|| {
        let (one, two) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let waiter = spawn(move || {
            select()
                .readable(&two.0, |ready| ready.map(|()| 2))
                .readable(&one.0, |ready| ready.map(|()| 1))
                .readable(&two.1, |ready| ready.map(|()| 3))
                .wait()
        });
        yield_now();
        assert_eq!(hub_stats().awaited, 3);
        (&one.1).write_all(b"x").unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
        assert_eq!(hub_stats().awaited, 0);
    });
}

/// A channel that always has something does not keep a socket from being seen.
#[test]
fn an_arm_that_is_always_ready_starves_no_descriptor() {
    run(|| {
        let (sender, receiver) = bounded(1);
        let (near, mut far) = UnixStream::pair().unwrap();
        let begin = Instant::now();
        for round in 0_u64.. {
            let _ = sender.try_send(());
            if round == 1000 {
                far.write_all(b"x").unwrap();
            }
            let select = select().recv(&receiver, |_| false);
            if select.readable(&near, |ready| ready.is_ok()).wait() {
                assert!(round >= 1000);
                break;
            }
            assert!(begin.elapsed() < LONG, "{round} rounds");
        }
    });
}

#[test]
fn a_descriptor_that_somebody_has_closed_is_an_error() {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    let name = "sync::select::a_descriptor_that_somebody_has_closed_is_an_error";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        // A number that nobody has.
        // SAFETY: not so, and that is what is tested: calls on it fail.
        let nothing = unsafe { BorrowedFd::borrow_raw(1_000_000) };
        let outcomes = [
            greenlet::io::readable(&nothing),
            greenlet::io::writable(&nothing),
        ];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().raw_os_error(), Some(libc::EBADF));
        }
        let (reader, _writer) = pipe().unwrap();
        let number = reader.as_fd().as_raw_fd();
        // Nobody else is in this process who might get the number meanwhile.
        let kept = reader.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: the number gets its descriptor back below.
        unsafe { libc::close(number) };
        let ready = select().readable(&reader, |ready| ready).wait();
        // SAFETY: as above.
        unsafe { libc::dup2(kept.as_raw_fd(), number) };
        assert_eq!(ready.unwrap_err().raw_os_error(), Some(libc::EBADF));
    });
}

#[test]
fn one_event_is_for_one_who_selects() {
    run(|| {
        let (mut reader, mut writer) = pipe().unwrap();
        let got = Rc::new(RefCell::new(vec![]));
        scope(|s| {
            let reader = &reader;
            let waits = [0, 1].map(|n| {
                let got = got.clone();
                s.spawn(move || {
                    let ready = select().readable(reader, |ready| ready).wait();
                    got.borrow_mut().push((n, ready.is_ok()));
                })
            });
            settle();
            writer.write_all(b"x").unwrap();
            waits.into_iter().for_each(|waits| waits.join().unwrap());
        });
        // It was not read, so it was ready for both.
        assert_eq!(got.take(), [(0, true), (1, true)]);
        reader.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn what_comes_first_is_chosen() {
    run(|| {
        let (a, from_a) = bounded(0);
        let (b, from_b) = bounded(0);
        for n in 0..20 {
            let sender = if n % 3 == 0 { a.clone() } else { b.clone() };
            let sends = spawn(move || sender.send(n));
            let (which, got) = select()
                .recv(&from_a, |got| ('a', got))
                .recv(&from_b, |got| ('b', got))
                .wait();
            assert_eq!((which, got), (if n % 3 == 0 { 'a' } else { 'b' }, Ok(n)));
            sends.join().unwrap().unwrap();
        }
    });
}

#[test]
fn one_arm_happens_and_no_other() {
    run(|| {
        let (a, from_a) = bounded(1);
        let (b, to_b) = bounded(1);
        a.send(1).unwrap();
        let mut message = Some(2);
        let received = select()
            .recv(&from_a, |got| got == Ok(1))
            .send(&b, &mut message, |_| false)
            .wait();
        let (arrived, left) = (to_b.try_recv(), from_a.try_recv());
        assert_eq!(received, message == Some(2));
        assert_ne!(arrived.is_ok(), left.is_err());
    });
}

#[test]
fn ends_that_have_gone_are_ready() {
    run(|| {
        let (sender, receiver) = bounded::<u8>(1);
        drop(sender);
        let (to_nobody, nobody) = bounded(0);
        drop(nobody);
        let error = select().recv(&receiver, |got| got).wait();
        assert_eq!(error, Err(RecvError));
        let mut message = Some(7);
        let error = select().send(&to_nobody, &mut message, |sent| sent).wait();
        assert_eq!((error, message), (Err(SendError(7)), None));
        // And if they go meanwhile.
        let (sender, receiver) = bounded::<u8>(0);
        let (to_nobody, nobody) = bounded(0);
        let waits = spawn(move || select().recv(&receiver, |got| got.is_err()).wait());
        let sends = spawn(move || {
            let mut message = Some(8);
            select().send(&to_nobody, &mut message, |sent| sent).wait()
        });
        settle();
        assert!(!waits.is_finished() && !sends.is_finished());
        drop(sender);
        drop(nobody);
        assert!(waits.join().unwrap());
        assert_eq!(sends.join().unwrap(), Err(SendError(8)));
    });
}

#[test]
fn by_default_it_does_not_wait() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let nothing =
            |receiver: &Receiver<u8>| select().recv(receiver, |got| got.ok()).default(|| Some(99));
        assert_eq!(nothing(&receiver), Some(99));
        let mut message = Some(1);
        assert!(
            !select()
                .send(&sender, &mut message, |_| true)
                .default(|| false)
        );
        assert_eq!(message, Some(1));
        let waiting = {
            let sender = sender.clone();
            spawn(move || sender.send(5))
        };
        settle();
        assert_eq!(nothing(&receiver), Some(5));
        waiting.join().unwrap().unwrap();
        let waiting = spawn(move || receiver.recv());
        settle();
        assert!(
            select()
                .send(&sender, &mut message, |sent| sent.is_ok())
                .default(|| false)
        );
        assert_eq!(waiting.join().unwrap(), Ok(1));
        // With nothing at all there is still a default.
        assert_eq!(select().default(|| 3), 3);
    });
}

#[test]
fn time_is_an_arm() {
    run(|| {
        let (_sender, receiver) = bounded::<u8>(0);
        let begin = Instant::now();
        let late = select().recv(&receiver, |_| 0).after(2 * MS, || 1).wait();
        assert_eq!(late, 1);
        assert!(begin.elapsed() >= 2 * MS);
        let at = Instant::now() + 2 * MS;
        let first = select()
            .after(LONG, || 0)
            .at(at, || 1)
            .recv(&receiver, |_| 2)
            .wait();
        assert_eq!(first, 1);
        assert!(Instant::now() >= at);
        assert_eq!(select().after(Duration::ZERO, || 7).wait(), 7);
        // All the time there is can be cut short.
        let cut = timeout(MS, || {
            select()
                .after(Duration::MAX, || ())
                .recv(&receiver, |_| ())
                .wait()
        });
        assert_eq!(cut, Err(Elapsed));
    });
}

#[test]
fn an_arm_that_is_none_is_never_chosen() {
    run(|| {
        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        let none: Option<&Receiver<u8>> = None;
        for _ in 0..4 {
            let chosen = select()
                .recv(none, |_| 0)
                .acquire(None, |_| 1)
                .event(None, |()| 2)
                .join(None::<&JoinHandle<()>>, |()| 3)
                .send(&sender, &mut None, |_| 4)
                .after(MS / 10, || 5)
                .wait();
            assert_eq!(chosen, 5);
        }
        assert_eq!(receiver.recv(), Ok(1));
    });
}

#[test]
fn over_nothing_it_panics() {
    run(|| {
        let words = complaint(|| select::<()>().wait());
        assert!(words.contains("a select over nothing"), "{words}");
        let (sender, receiver) = bounded::<u8>(0);
        let words = complaint(|| {
            let none: Option<&Receiver<u8>> = None;
            select()
                .recv(none, |_| ())
                .send(&sender, &mut None, |_| ())
                .recv_any([], |_, _: Result<u8, _>| ())
                .wait();
        });
        assert!(words.contains("a select over nothing"), "{words}");
        drop(receiver);
    });
}

/// Go's `TestSelfSelect`: two select to send to and to receive from the same channel.
#[test]
fn nobody_sends_to_himself() {
    run(|| {
        for room in [0, 1, 3] {
            let (sender, receiver) = bounded(room);
            let plays = |me: u32| {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                spawn(move || {
                    let mut sent = 0;
                    let mut message = None;
                    while sent < 100 {
                        message.get_or_insert(me);
                        let got = select()
                            .send(&sender, &mut message, |_| None)
                            .recv(&receiver, |got| got.ok())
                            .wait();
                        match got {
                            None => sent += 1,
                            Some(who) => assert!(room > 0 || who != me, "its own message"),
                        }
                    }
                })
            };
            let (a, b) = (plays(0), plays(1));
            // Who is the last has nobody to send to.
            while !a.is_finished() && !b.is_finished() {
                yield_now();
            }
            let drains = spawn({
                let receiver = receiver.clone();
                move || receiver.iter().for_each(drop)
            });
            a.join().unwrap();
            b.join().unwrap();
            end(drains);
        }
        settle();
    });
}

#[test]
fn selects_meet_each_other() {
    run(|| {
        let (a, from_a) = bounded(0);
        let (b, from_b) = bounded(0);
        let sends = spawn(move || {
            for n in 0..60 {
                let (mut first, mut second) = (Some(n), Some(n));
                select()
                    .send(&a, &mut first, |sent| sent.unwrap())
                    .send(&b, &mut second, |sent| sent.unwrap())
                    .wait();
                assert!(first.is_none() != second.is_none(), "sent once");
            }
        });
        let got: Vec<_> = std::iter::from_fn(|| {
            select()
                .recv(&from_a, |got| got.ok())
                .recv(&from_b, |got| got.ok())
                .wait()
        })
        .collect();
        assert_eq!(got, Vec::from_iter(0..60));
        sends.join().unwrap();
    });
}

/// Go's `TestSelectDuplicateChannel`.
#[test]
fn one_channel_in_two_arms() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let waits = |receiver: Receiver<u8>| {
            spawn(move || {
                let (_never, nothing) = bounded::<u8>(0);
                select()
                    .recv(&receiver, |got| got)
                    .recv(&nothing, |got| got)
                    .recv(&receiver, |got| got)
                    .wait()
            })
        };
        let [first, second] = [0, 1].map(|_| waits(receiver.clone()));
        settle();
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(
            (first.join().unwrap(), second.join().unwrap()),
            (Ok(1), Ok(2))
        );
    });
}

#[test]
fn none_starves() {
    run(|| {
        let ends = [0, 1, 2].map(|_| unbounded());
        let [a, b, c] = [0, 1, 2].map(|n: usize| &ends[n].1);
        for (sender, _) in &ends {
            (0..600).for_each(|n| sender.send(n).unwrap());
        }
        let mut counts = [0; 3];
        for _ in 0..600 {
            counts[select().recv(a, |_| 0).recv(b, |_| 1).recv(c, |_| 2).wait()] += 1;
        }
        assert!(
            counts.iter().all(|count| (140..=260).contains(count)),
            "{counts:?}"
        );
        let mut counts = [0; 3];
        for _ in 0..600 {
            counts[select().recv_any([a, b, c], |which, _| which).wait()] += 1;
        }
        assert!(
            counts.iter().all(|count| (140..=260).contains(count)),
            "{counts:?}"
        );
    });
}

/// Whoever shares the hub with others that select sees all of its own arms chosen, however they take turns.
#[test]
fn selects_that_take_turns_starve_no_arm() {
    run(|| {
        let ends = [0, 1].map(|_| unbounded());
        let [a, b] = [0, 1].map(|n: usize| &ends[n].1);
        for (sender, _) in &ends {
            (0..4000).for_each(|n| sender.send(n).unwrap());
        }
        let mut counts = [[0; 2]; 4];
        for turn in 0..1600 {
            let which = match turn % 4 {
                3 => select().recv_any([a, b], |which, _| which).wait(),
                _ => select().recv(a, |_| 0).recv(b, |_| 1).wait(),
            };
            counts[turn % 4][which] += 1;
        }
        for _ in 0..400 {
            let which = select().recv_any([a, b], |which, _| which).wait();
            counts[3][which] += 1;
        }
        let fair = |counts: &[i32; 2]| counts.iter().all(|count| *count >= 120);
        assert!(counts.iter().all(fair), "{counts:?}");
    });
}

/// Crossbeam's fairness of send and receive.
#[test]
fn sending_and_receiving_rotate() {
    run(|| {
        let (sender, receiver) = bounded(4);
        sender.send(0).unwrap();
        let (mut sent, mut received) = (0, 0);
        for _ in 0..400 {
            let mut message = Some(0);
            match select()
                .send(&sender, &mut message, |_| true)
                .recv(&receiver, |_| false)
                .wait()
            {
                true => sent += 1,
                false => received += 1,
            }
        }
        assert!(sent >= 150 && received >= 150, "{sent} {received}");
    });
}

#[test]
fn permits_events_greenlets_and_queues_are_arms() {
    run(|| {
        let seats = Semaphore::new(1);
        let event = Event::new();
        let queue = Queue::bounded(1);
        let answer = AsyncResult::new();
        let ends = spawn(|| sleep(LONG));
        let chosen = |limit| {
            select()
                .acquire(&seats, |seat| {
                    seat.forget();
                    "permit"
                })
                .event(&event, |()| "event")
                .event(answer.ready(), |()| "answer")
                .join(&ends, |()| "end")
                .on(
                    &queue,
                    |item: Option<u8>| if item.is_some() { "item" } else { "closed" },
                )
                .after(limit, || "late")
                .wait()
        };
        assert_eq!(chosen(LONG), "permit");
        assert_eq!(chosen(MS), "late");
        queue.put(7).unwrap();
        assert_eq!(chosen(LONG), "item");
        event.set();
        assert_eq!(chosen(LONG), "event");
        event.clear();
        scope(|s| {
            s.spawn(|| seats.release());
            assert_eq!(chosen(LONG), "permit");
            s.spawn(|| queue.put(8).unwrap());
            assert_eq!(chosen(LONG), "item");
            s.spawn(|| {
                event.set();
                event.clear();
            });
            assert_eq!(chosen(LONG), "event");
            s.spawn(|| queue.close());
            assert_eq!(chosen(LONG), "closed");
        });
        answer.set(1).unwrap();
        assert!(["answer", "closed"].contains(&chosen(LONG)));
        assert_eq!(seats.available(), 0);
        end(ends);
    });
}

#[test]
fn a_greenlet_that_ends_is_chosen_and_joined_without_a_wait() {
    run(|| {
        let ends = spawn(|| {
            yield_now();
            7
        });
        let (_sender, receiver) = bounded::<u8>(0);
        select().join(&ends, |()| ()).recv(&receiver, |_| ()).wait();
        assert_eq!(ends.join().unwrap(), 7);
    });
}

/// What comes first to one that waits is chosen, whatever comes until its turn: that is for others.
#[test]
fn what_it_was_called_for_is_what_it_takes() {
    run(|| {
        for any in [false, true] {
            for turn in 0..8 {
                let ((a, from_a), (b, from_b)) = (bounded(1), bounded(1));
                let chooses = spawn({
                    let (from_a, from_b) = (from_a.clone(), from_b.clone());
                    move || match any {
                        true => select()
                            .recv_any([&from_a, &from_b], |which, _| which)
                            .wait(),
                        false => select().recv(&from_a, |_| 0).recv(&from_b, |_| 1).wait(),
                    }
                });
                settle();
                let next = [&from_a, &from_b].map(|receiver| {
                    let receiver = receiver.clone();
                    let handle = spawn(move || receiver.recv());
                    settle();
                    handle
                });
                let first = turn % 2;
                let both = [&a, &b];
                both[first].send(1).unwrap();
                both[1 - first].send(2).unwrap();
                assert_eq!(chooses.join().unwrap(), first, "{any}");
                drop((a, b));
                let mut expected = [Err(RecvError); 2];
                expected[1 - first] = Ok(2);
                assert_eq!(next.map(|next| next.join().unwrap()), expected);
            }
        }
    });
}

#[test]
fn a_permit_that_is_not_taken_is_given_back() {
    run(|| {
        for _ in 0..4 {
            let seats = Rc::new(Semaphore::new(0));
            let (sender, receiver) = bounded(1);
            let chooses = spawn({
                let seats = seats.clone();
                move || {
                    select()
                        .recv(&receiver, |_| 1)
                        .acquire(&*seats, |seat| {
                            drop(seat);
                            2
                        })
                        .wait()
                }
            });
            settle();
            seats.release();
            sender.send(()).unwrap();
            chooses.join().unwrap();
            assert_eq!(seats.available(), 1);
        }
    });
}

#[test]
fn killed_it_leaves_everything_as_it_is() {
    run(|| {
        let (full, _items) = bounded(1);
        full.send(0).unwrap();
        let (_sender, empty) = bounded::<u8>(0);
        let (_others, also) = bounded::<u8>(0);
        let seats = Rc::new(Semaphore::new(0));
        let event = Rc::new(Event::new());
        let message = Rc::new(RefCell::new(Some(7)));
        let before = hub_stats();
        for late in [false, true] {
            let waits = spawn({
                let (full, empty, also) = (full.clone(), empty.clone(), also.clone());
                let (seats, event, message) = (seats.clone(), event.clone(), message.clone());
                move || {
                    let wait = || {
                        select()
                            .send(&full, &mut message.borrow_mut(), |_| ())
                            .recv(&empty, |_| ())
                            .recv_any([&empty, &also], |_, _| ())
                            .acquire(&*seats, |_| ())
                            .event(&*event, |()| ())
                            .after(LONG, || ())
                            .wait();
                    };
                    match late {
                        true => assert_eq!(timeout(MS, wait), Err(Elapsed)),
                        false => wait(),
                    }
                }
            });
            settle();
            match late {
                true => waits.join().unwrap(),
                false => end(waits),
            }
            assert_eq!(*message.borrow(), Some(7));
            assert_eq!(hub_stats(), before);
        }
    });
}

/// Called for a message of one, and told of the end of the other: it takes one of the two, and whoever waits for
/// messages of the first gets the call if it is the other.
#[test]
fn an_end_does_not_hide_a_call_for_a_message() {
    run(|| {
        for capacity in [0, 1] {
            let ((ends, ended), (sender, receiver)) = (bounded::<u8>(1), bounded(capacity));
            let both = receiver.clone();
            let selects =
                spawn(move || select().recv_any([&ended, &both], |which, _| which).wait());
            settle();
            let waits = spawn(move || receiver.recv());
            settle();
            sender.send(7).unwrap();
            drop(ends);
            match selects.join().unwrap() {
                0 => assert_eq!(waits.join().unwrap(), Ok(7)),
                _ => end(waits),
            }
        }
    });
}

#[test]
fn killed_when_it_was_called_it_passes_that_on() {
    run(|| {
        let message = Rc::new(RefCell::new(Some(7)));
        let (sender, receiver) = bounded(0);
        let (to, from) = bounded(0);
        let seats = Rc::new(Semaphore::new(0));
        let waiter = || {
            let (receiver, to) = (receiver.clone(), to.clone());
            let (seats, message) = (seats.clone(), message.clone());
            let handle = spawn(move || {
                let mut message = message.borrow_mut();
                select()
                    .recv_any([&receiver], |_, _| ())
                    .send(&to, &mut message, |_| ())
                    .acquire(&*seats, |_| ())
                    .wait();
            });
            settle();
            handle
        };
        let [first, next] = [waiter(), {
            let receiver = receiver.clone();
            spawn(move || {
                receiver.recv().unwrap();
            })
        }];
        settle();
        sender.send(1).unwrap();
        end(first);
        next.join().unwrap();
        assert_eq!(*message.borrow(), Some(7));
        let second = waiter();
        seats.release();
        end(second);
        assert!(seats.try_acquire().is_some_and(|seat| {
            seat.forget();
            true
        }));
        // The message is gone if and only if somebody has it.
        let third = waiter();
        assert_eq!(from.recv(), Ok(7));
        end(third);
        assert_eq!(*message.borrow(), None);
    });
}

#[test]
fn a_panic_of_the_closure_comes_after_the_choice() {
    run(|| {
        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        let words = complaint(|| select::<()>().recv(&receiver, |_| panic!("planted")).wait());
        assert_eq!(words, "planted");
        assert!(receiver.is_empty());
        sender.send(2).unwrap();
        assert_eq!(receiver.recv(), Ok(2));
    });
}

#[test]
fn the_closure_may_select_again() {
    run(|| {
        let (sender, receiver) = unbounded();
        (0..3).for_each(|n| sender.send(n).unwrap());
        let sum = select()
            .recv(&receiver, |a| {
                select()
                    .recv(&receiver, |b| {
                        a.unwrap() + 10 * b.unwrap() + 100 * receiver.recv().unwrap()
                    })
                    .wait()
            })
            .wait();
        assert_eq!(sum, 210);
    });
}

#[test]
fn a_wake_for_nothing_chooses_nothing() {
    run(|| {
        let (sender, receiver) = bounded(0);
        let (to, from) = bounded(0);
        let waits = spawn(move || {
            let mut message = Some(9);
            select()
                .recv(&receiver, |got| got.ok())
                .send(&to, &mut message, |_| None)
                .wait()
        });
        settle();
        let _woken = waits.thread();
        settle();
        assert!(!waits.is_finished());
        sender.send(3).unwrap();
        assert_eq!(waits.join().unwrap(), Some(3));
        assert!(from.try_recv().is_err());
    });
}

/// Go's `TestSelectStress`.
#[test]
fn many_select_from_many_channels() {
    run(|| {
        let ends: [_; 4] = std::array::from_fn(|room| bounded(room % 3));
        let got = RefCell::new(vec![0; 4 * 50]);
        scope(|s| {
            for (number, (sender, _)) in ends.iter().enumerate() {
                let sender = sender.clone();
                s.spawn(move || (0..50).for_each(|n| sender.send(50 * number + n).unwrap()));
            }
            for _ in 0..5 {
                let (ends, got) = (&ends, &got);
                s.spawn(move || {
                    for _ in 0..40 {
                        let n = select()
                            .recv(&ends[0].1, |n| n.unwrap())
                            .recv(&ends[1].1, |n| n.unwrap())
                            .recv_any([&ends[2].1, &ends[3].1], |_, n| n.unwrap())
                            .wait();
                        got.borrow_mut()[n] += 1;
                        if n % 7 == 0 {
                            yield_now();
                        }
                    }
                });
            }
        });
        assert_eq!(got.into_inner(), vec![1; 200]);
    });
}

#[test]
fn remote_channels_are_arms() {
    run(|| {
        let (sender, receiver) = remote::channel::bounded(2);
        let (local, here) = bounded(1);
        let thread = std::thread::spawn(move || (0..200).try_for_each(|n| sender.send(n)));
        let feeds = spawn(move || {
            for n in 0..50 {
                local.send(n).unwrap();
                sleep(MS / 20);
            }
        });
        let (mut far, mut near) = (0, 0);
        let (mut receiver, mut here) = (Some(receiver), Some(here));
        while receiver.is_some() || here.is_some() {
            enum Got {
                Far(Result<i32, RecvError>),
                Near(Result<i32, RecvError>),
            }
            match select()
                .on::<&remote::channel::Receiver<i32>, _>(receiver.as_ref(), Got::Far)
                .recv(here.as_ref(), Got::Near)
                .wait()
            {
                Got::Far(Ok(n)) => {
                    assert_eq!(n, far);
                    far += 1;
                }
                Got::Near(Ok(n)) => {
                    assert_eq!(n, near);
                    near += 1;
                }
                Got::Far(Err(_)) => receiver = None,
                Got::Near(Err(_)) => here = None,
            }
        }
        assert_eq!((far, near), (200, 50));
        thread.join().unwrap().unwrap();
        feeds.join().unwrap();
    });
}

/// Between the look and the place in line there is room for a message of another thread.
#[test]
fn a_remote_message_that_comes_at_that_moment_is_seen() {
    run(|| {
        let most = if own_stacks() && !cfg!(miri) {
            20_000
        } else {
            500
        };
        let round = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = remote::channel::unbounded();
        let thread = std::thread::spawn({
            let round = round.clone();
            move || {
                for n in 1.. {
                    while round.load(Ordering::Acquire) < n {
                        std::thread::yield_now();
                    }
                    if round.load(Ordering::Acquire) > most {
                        return;
                    }
                    (0..n % 300).for_each(|_| std::hint::spin_loop());
                    sender.send(n).unwrap();
                }
            }
        });
        for n in rounds(most).map(|n| n + 1) {
            round.store(n, Ordering::Release);
            let got = select()
                .on(&receiver, |got| got.ok())
                .after(Duration::from_secs(10), || None)
                .wait();
            assert_eq!(got, Some(n), "it was not seen");
        }
        round.store(most + 1, Ordering::Release);
        thread.join().unwrap();
    });
}

#[test]
fn a_killed_select_passes_a_remote_message_on() {
    run(|| {
        let (sender, receiver) = remote::channel::unbounded();
        let (_never, nothing) = bounded::<u8>(0);
        let theirs = receiver.clone();
        let killed = spawn(move || {
            select()
                .recv(&nothing, |_| ())
                .on(&theirs, |_: Result<u8, _>| ())
                .wait();
        });
        settle();
        let next = spawn(move || receiver.recv());
        settle();
        sender.send(7).unwrap();
        end(killed);
        assert_eq!(next.join().unwrap(), Ok(7));
    });
}

/// What a local receiver has taken is sent, whatever another thread calls for until its turn: that is for others.
#[test]
fn what_was_sent_is_chosen_and_a_remote_message_stays() {
    run(|| {
        let (far, from_far) = remote::channel::unbounded();
        let (near, from_near) = bounded(0);
        let theirs = from_far.clone();
        let chooses = spawn(move || {
            let mut message = Some(7);
            let sent = select()
                .on(&theirs, |_: Result<u8, _>| false)
                .send(&near, &mut message, |sent| sent.is_ok())
                .wait();
            (sent, message)
        });
        settle();
        assert_eq!(from_near.try_recv(), Ok(7));
        far.send(8).unwrap();
        assert_eq!(chooses.join().unwrap(), (true, None));
        assert_eq!(from_far.try_recv(), Ok(8));
    });
}

#[test]
fn what_is_remote_and_ready_is_chosen_at_once() {
    run(|| {
        let (sender, receiver) = remote::channel::bounded(1);
        let mut message = Some(7);
        let sends = |message: &mut Option<u8>| {
            select()
                .send(&sender, message, |sent| sent.is_ok())
                .after(MS, || false)
                .wait()
        };
        assert!(sends(&mut message) && message.is_none());
        message = Some(8);
        assert!(!sends(&mut message));
        assert_eq!((message, receiver.try_recv()), (Some(8), Ok(7)));
        let nothing: Option<&remote::channel::Sender<u8>> = None;
        let never = select().send(nothing, &mut message, |_| true);
        assert!(!never.default(|| false));
        drop(receiver);
        let error = select().send(&sender, &mut message, |sent| sent).wait();
        assert_eq!((error, message), (Err(SendError(8)), None));

        let seats = remote::Semaphore::new(1);
        let seat = || select().on(&seats, Some).after(MS, || None).wait();
        let first = seat().unwrap();
        assert!(seat().is_none());
        drop(first);
        assert!(seat().is_some());
        assert_eq!(seats.available(), 1);

        let event = remote::Event::new();
        let is_set = || select().on(&event, |()| true).after(MS, || false).wait();
        assert!(!is_set());
        event.set();
        assert!(is_set());

        let (sender, receiver) = remote::oneshot::channel();
        sender.send(9).unwrap();
        let got = select().on(&receiver, |got| got).wait();
        assert_eq!(got, Ok(9));
        assert!(select().on(&receiver, |got| got).wait().is_err());
    });
}

#[test]
fn what_other_threads_bring_is_chosen() {
    run(|| {
        let (_never, nothing) = bounded::<u8>(0);
        let later = |f: Box<dyn FnOnce() + Send>| {
            std::thread::spawn(move || {
                std::thread::sleep(MS);
                f();
            })
        };
        for room in [0, 1] {
            let (sender, receiver) = remote::channel::bounded(room);
            (0..room).for_each(|_| sender.send(0).unwrap());
            let thread = later(Box::new(move || {
                (0..room).for_each(|_| assert_eq!(receiver.recv(), Ok(0)));
                assert_eq!(receiver.recv(), Ok(7));
                sleep(MS);
            }));
            let mut message = Some(7);
            let sent = select()
                .recv(&nothing, |_| false)
                .send(&sender, &mut message, |sent| sent.is_ok())
                .wait();
            assert!(sent && message.is_none());
            message = Some(8);
            let (mut error, wait) = (Ok(()), Instant::now());
            while error.is_ok() && wait.elapsed() < LONG {
                // With room, it may be sent to nobody first.
                message.get_or_insert(8);
                error = select().send(&sender, &mut message, |sent| sent).wait();
            }
            assert_eq!((error, message), (Err(SendError(8)), None));
            thread.join().unwrap();
        }
        let seats = Arc::new(remote::Semaphore::new(0));
        let event = Arc::new(remote::Event::new());
        let (sender, receiver) = remote::oneshot::channel();
        let chosen = || {
            select()
                .recv(&nothing, |_| "nothing")
                .on(&*seats, |seat| {
                    drop(seat);
                    "seat"
                })
                .on(&*event, |()| "event")
                .on(
                    &receiver,
                    |got| if got == Ok(7) { "message" } else { "end" },
                )
                .wait()
        };
        let theirs = seats.clone();
        let thread = later(Box::new(move || theirs.release()));
        assert_eq!(chosen(), "seat");
        thread.join().unwrap();
        assert!(seats.try_acquire().is_some_and(|seat| {
            seat.forget();
            true
        }));
        // Nobody keeps that it was set: whoever sets it is begun when the select waits.
        let theirs = event.clone();
        let thread = spawn(move || {
            later(Box::new(move || {
                theirs.set();
                theirs.clear();
            }))
        });
        assert_eq!(chosen(), "event");
        thread.join().unwrap().join().unwrap();
        let thread = later(Box::new(move || sender.send(7).unwrap()));
        assert_eq!(chosen(), "message");
        thread.join().unwrap();
        assert_eq!(chosen(), "end");
    });
}

/// Called for several things by others, it takes one of them, and the rest is there for the next.
#[test]
fn what_is_remote_and_not_chosen_is_not_lost() {
    run(|| {
        let (first, from_first) = remote::channel::bounded(0);
        let (second, from_second) = remote::channel::bounded(0);
        let seats = Arc::new(remote::Semaphore::new(0));
        let theirs = seats.clone();
        let chooses = spawn(move || {
            let (mut one, mut other) = (Some(1), Some(2));
            let which = select()
                .send(&first, &mut one, |sent| sent.map(|()| 1).unwrap())
                .send(&second, &mut other, |sent| sent.map(|()| 2).unwrap())
                .on(&*theirs, |seat| {
                    drop(seat);
                    3
                })
                .wait();
            assert_eq!((one.is_none(), other.is_none()), (which == 1, which == 2));
            which
        });
        settle();
        let [gets_one, gets_two] = [from_first, from_second].map(|receiver| {
            let receives = spawn(move || receiver.recv());
            settle_one();
            receives
        });
        seats.release();
        let which = chooses.join().unwrap();
        assert_eq!(which, 1, "it was called for that, and is asked first");
        assert_eq!(gets_one.join().unwrap(), Ok(1));
        assert!(gets_two.join().unwrap().is_err());
        assert_eq!(seats.available(), 1);
    });
}

#[test]
fn killed_or_late_it_leaves_what_is_remote_as_it_is() {
    run(|| {
        let (sender, receiver) = remote::channel::bounded(1);
        sender.send(0).unwrap();
        let (to_nobody, nobody) = remote::channel::bounded(0);
        let (_once, comes) = remote::oneshot::channel::<u8>();
        let seats = Rc::new(remote::Semaphore::new(0));
        let event = Rc::new(remote::Event::new());
        let comes = Rc::new(comes);
        let messages = Rc::new(RefCell::new((Some(7), Some(8))));
        let before = hub_stats();
        for late in [false, true] {
            let (sender, to_nobody) = (sender.clone(), to_nobody.clone());
            let (seats, event, comes) = (seats.clone(), event.clone(), comes.clone());
            let theirs = messages.clone();
            let waits = spawn(move || {
                let wait = || {
                    let (full, unmet) = &mut *theirs.borrow_mut();
                    select()
                        .send(&sender, full, |_| ())
                        .send(&to_nobody, unmet, |_| ())
                        .on(&*seats, |_| ())
                        .on(&*event, |()| ())
                        .on(&*comes, |_| ())
                        .after(LONG, || ())
                        .wait();
                };
                match late {
                    true => assert_eq!(timeout(MS, wait), Err(Elapsed)),
                    false => wait(),
                }
            });
            settle();
            match late {
                true => waits.join().unwrap(),
                false => end(waits),
            }
            assert_eq!(*messages.borrow(), (Some(7), Some(8)));
            assert_eq!(hub_stats(), before);
        }
        assert_eq!((receiver.try_recv(), seats.available()), (Ok(0), 0));
        assert!(receiver.try_recv().is_err() && nobody.try_recv().is_err());
    });
}

#[test]
fn killed_when_it_was_called_it_passes_on_what_is_remote() {
    run(|| {
        for room in [0, 1] {
            let (sender, receiver) = remote::channel::bounded(room);
            (0..room).for_each(|_| sender.send(0).unwrap());
            let seats = Rc::new(remote::Semaphore::new(0));
            let selects = |n| {
                let (sender, seats) = (sender.clone(), seats.clone());
                let handle = spawn(move || {
                    let mut message = Some(n);
                    select()
                        .send(&sender, &mut message, |sent| sent.is_ok())
                        .on(&*seats, |seat| {
                            seat.forget();
                            false
                        })
                        .wait()
                });
                settle();
                handle
            };
            let [killed, next] = [1, 2].map(selects);
            let receives = spawn({
                let receiver = receiver.clone();
                move || {
                    (0..room).for_each(|_| assert_eq!(receiver.recv(), Ok(0)));
                    receiver.recv()
                }
            });
            // It has called the first, whose turn has not come.
            settle_one();
            end(killed);
            assert!(next.join().unwrap());
            assert_eq!(receives.join().unwrap(), Ok(2));
            let [killed, next] = [3, 4].map(|n| {
                (0..room).for_each(|_| _ = sender.try_send(0));
                selects(n)
            });
            seats.release();
            end(killed);
            assert!(!next.join().unwrap());
            assert_eq!(seats.available(), 0);
        }
    });
}

/// Lets one that was just spawned come to where it waits; whom it has called is behind it.
fn settle_one() {
    yield_now();
}

/// Go's `TestSelfSelect`, between threads.
#[test]
fn nobody_sends_to_himself_between_threads() {
    run(|| {
        for room in [0, 1, 3] {
            let (sender, receiver) = remote::channel::bounded(room);
            let plays = |me: usize| {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                std::thread::spawn(move || {
                    let (mut sent, mut got) = (0, [0; 2]);
                    let mut message = None;
                    while sent < 500 {
                        message.get_or_insert(me);
                        let which = select()
                            .send(&sender, &mut message, |_| None)
                            .recv(None::<&Receiver<u8>>, |_| None)
                            .on(&receiver, |got| got.ok())
                            .wait();
                        match which {
                            None => sent += 1,
                            Some(who) => got[who] += 1,
                        }
                    }
                    drop(sender);
                    // Who is the last has nobody to send to.
                    receiver.iter().for_each(|who: usize| got[who] += 1);
                    got
                })
            };
            let [a, b] = [0, 1].map(plays);
            drop((sender, receiver));
            let got = [a.join().unwrap(), b.join().unwrap()];
            assert_eq!([got[0][0] + got[1][0], got[0][1] + got[1][1]], [500; 2]);
        }
    });
}

/// On both sides there are selects over two channels: each message is received once, and sent by one arm.
#[test]
fn selects_of_many_threads_meet() {
    run(|| {
        for rooms in [[0, 0], [0, 1], [2, 1]] {
            let [(a, from_a), (b, from_b)] = rooms.map(remote::channel::bounded::<usize>);
            let seats = Arc::new(remote::Semaphore::new(2));
            let seen = Arc::new([const { AtomicUsize::new(0) }; 9 * 40]);
            let (theirs, their_seats) = (seen.clone(), seats.clone());
            let takes = std::thread::spawn(move || {
                everywhere(move |who| {
                    let (mut a, mut b) = (Some(&from_a), Some(&from_b));
                    while a.is_some() || b.is_some() {
                        let got = select()
                            .on::<&remote::channel::Receiver<_>, _>(a, |got| (Some(0), got.ok()))
                            .on::<&remote::channel::Receiver<_>, _>(b, |got| (Some(1), got.ok()))
                            .on(&*their_seats, |seat| {
                                yield_now();
                                drop(seat);
                                (None, None)
                            })
                            .after(MS * (who as u32 % 3 + 1), || (None, None))
                            .wait();
                        match got {
                            (_, Some(n)) => drop(theirs[n].fetch_add(1, Ordering::Relaxed)),
                            (Some(0), None) => a = None,
                            (Some(_), None) => b = None,
                            (None, None) => yield_now(),
                        }
                    }
                });
            });
            let their_seats = seats.clone();
            everywhere(move |who| {
                for n in 0..40 {
                    let item = 40 * who + n;
                    let (mut first, mut second) = (Some(item), Some(item));
                    let mut sent = false;
                    while !sent {
                        sent = select()
                            .send(&a, &mut first, |sent| sent.is_ok())
                            .send(&b, &mut second, |sent| sent.is_ok())
                            .on(&*their_seats, |seat| {
                                drop(seat);
                                false
                            })
                            .after(MS / 10, || false)
                            .wait();
                        assert_eq!(first.is_none() != second.is_none(), sent);
                    }
                }
            });
            takes.join().unwrap();
            assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            assert_eq!(seats.available(), 2);
        }
    });
}

/// Kills and limits of greenlets that select, while other threads receive and take permits.
#[test]
fn kills_and_limits_of_selects_while_other_threads_receive() {
    run(|| {
        for room in [0, 1, 3] {
            let (sender, receiver) = remote::channel::bounded(room);
            let seats = Arc::new(remote::Semaphore::new(1));
            let their_seats = seats.clone();
            let thread = std::thread::spawn(move || {
                let got = receiver.iter().inspect(|n| {
                    let _seat = their_seats.acquire();
                    if n % 8 == 0 {
                        std::thread::sleep(MS / 20);
                    }
                });
                got.collect::<Vec<usize>>()
            });
            let mut sent = Vec::new();
            for n in 0..200 {
                let message = Rc::new(RefCell::new(Some(n)));
                let (sender, seats, theirs) = (sender.clone(), seats.clone(), message.clone());
                let sends = spawn(move || {
                    let mut message = theirs.borrow_mut();
                    let wait = || {
                        select()
                            .send(&sender, &mut message, |sent| sent.unwrap())
                            .on(&*seats, drop)
                            .wait();
                    };
                    timeout(MS / 10, wait)
                });
                yield_now();
                if n % 5 == 0 {
                    sends.start_kill();
                }
                drop(sends.join());
                if message.take().is_none() {
                    sent.push(n);
                }
            }
            drop(sender);
            assert_eq!(thread.join().unwrap(), sent);
            assert_eq!(seats.available(), 1);
        }
    });
}
