//! What a greenlet has left, handed over to the hub of another thread: its value, its panic, its exit. A
//! `JoinHandle` stays where it is; whoever joins it sends what comes of it by a oneshot channel.

use std::any::Any;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use greenlet::sync::remote::oneshot::{self, Receiver, RecvError, RecvTimeoutError};
use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, JoinHandle, scope, sleep, spawn, yield_now};

use crate::support::{caught, raise, run, text, ticker, two_more};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

type Outcome<R> = Result<R, Box<dyn Any + Send>>;

/// What becomes of a greenlet on a thread of its own, which `begin` spawns.
fn elsewhere<R: Send + 'static>(
    begin: impl FnOnce() -> JoinHandle<R> + Send + 'static,
) -> (Receiver<Outcome<R>>, thread::JoinHandle<()>) {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::spawn(move || {
        let outcome = begin().join();
        assert!(sender.send(outcome).is_ok(), "somebody waits for it");
    });
    (receiver, thread)
}

#[test]
fn a_value_goes_from_hub_to_hub_while_others_run() {
    run(|| {
        let (ticks, others) = ticker();
        let (receiver, thread) = elsewhere({
            let ticks = ticks.clone();
            move || {
                spawn(move || {
                    // Those of the thread that waits go on.
                    two_more(&ticks);
                    vec![String::from("made there")]
                })
            }
        });
        assert_eq!(receiver.recv().unwrap().unwrap(), ["made there"]);
        others.kill();
        thread.join().unwrap();
    });
}

#[test]
fn a_panic_goes_from_hub_to_hub_as_it_is() {
    run(|| {
        let (receiver, thread) = elsewhere(|| spawn(|| -> u8 { raise((7, vec!["words"])) }));
        let payload = receiver.recv().unwrap().unwrap_err();
        let payload = payload.downcast::<(i32, Vec<&str>)>().unwrap();
        assert_eq!(*payload, (7, vec!["words"]));
        thread.join().unwrap();
        // Raised again, it is a panic of whoever has waited.
        let (receiver, thread) = elsewhere(|| spawn(|| -> u8 { raise("planted") }));
        let waits = spawn(move || match receiver.recv().unwrap() {
            Ok(value) => value,
            Err(payload) => resume_unwind(payload),
        });
        assert_eq!(text(&*waits.join().unwrap_err()), "planted");
        thread.join().unwrap();
    });
}

/// The exit of one hub is a payload like any other in the next, where nobody was killed.
#[test]
fn an_exit_goes_from_hub_to_hub_and_kills_nobody_there() {
    run(|| {
        let killed = || {
            let handle = spawn(|| sleep(LONG));
            yield_now();
            assert!(handle.kill());
            handle
        };
        let (receiver, thread) = elsewhere(killed);
        let payload = receiver.recv().unwrap().unwrap_err();
        assert!(payload.is::<GreenletExit>());
        thread.join().unwrap();
        // Raised again, it ends the one that raises it, as an exit of its own would.
        let waits = spawn(move || -> () { resume_unwind(payload) });
        assert!(waits.join().unwrap_err().is::<GreenletExit>());
        let again = caught(|| resume_unwind(Box::new(GreenletExit)));
        assert!(again.is::<GreenletExit>());
        sleep(MS);
    });
}

/// The other hub is asked to kill, by the same means.
#[test]
fn a_kill_is_asked_for_from_another_hub() {
    run(|| {
        let (asks, asked) = oneshot::channel();
        let (receiver, thread) = elsewhere(move || {
            let handle = spawn(|| sleep(LONG));
            asked.recv().unwrap();
            assert!(handle.kill());
            handle
        });
        let early = receiver.recv_timeout(2 * MS).map(drop);
        assert_eq!(early, Err(RecvTimeoutError::Timeout));
        asks.send(()).unwrap();
        let payload = receiver.recv().unwrap().unwrap_err();
        assert!(payload.is::<GreenletExit>());
        thread.join().unwrap();
    });
}

#[test]
fn who_waits_for_the_other_hub_can_be_late_or_killed() {
    run(|| {
        let (asks, asked) = oneshot::channel::<()>();
        let (receiver, thread) = elsewhere(move || spawn(move || asked.recv().is_ok()));
        assert!(matches!(
            timeout(MS, || receiver.recv_timeout(LONG)),
            Err(Elapsed)
        ));
        scope(|s| {
            let waits = s.spawn(|| receiver.recv_timeout(LONG).map(drop));
            sleep(MS);
            assert!(waits.kill());
            assert!(waits.join().unwrap_err().is::<GreenletExit>());
        });
        // Neither has taken anything.
        asks.send(()).unwrap();
        assert!(receiver.recv().unwrap().unwrap());
        thread.join().unwrap();
    });
}

/// One that joins there, and is killed, has nothing to send; its end of the channel goes.
#[test]
fn one_that_is_killed_while_it_joins_sends_nothing() {
    run(|| {
        let (sender, receiver) = oneshot::channel::<Outcome<u8>>();
        let thread = thread::spawn(move || {
            let never = spawn(|| {
                sleep(LONG);
                7
            });
            let joins = spawn(move || sender.send(never.join()).is_ok());
            sleep(2 * MS);
            assert!(joins.kill());
        });
        assert!(matches!(receiver.recv(), Err(RecvError)));
        thread.join().unwrap();
    });
}

/// Each hub waits for the greenlets of the others.
#[test]
fn many_hubs_hand_over_to_one() {
    run(|| {
        let hubs: Vec<_> = (0..4_u64)
            .map(|n| {
                elsewhere(move || {
                    spawn(move || {
                        let inner: Vec<_> = (0..8).map(|m| spawn(move || n * m)).collect();
                        inner.into_iter().map(|it| it.join().unwrap()).sum::<u64>()
                    })
                })
            })
            .collect();
        let waits: Vec<_> = hubs
            .into_iter()
            .map(|(receiver, thread)| {
                let waits = spawn(move || receiver.recv().unwrap().unwrap());
                (waits, thread)
            })
            .collect();
        let sums = waits.into_iter().map(|(waits, thread)| {
            let sum = waits.join().unwrap();
            thread.join().unwrap();
            sum
        });
        assert_eq!(sums.collect::<Vec<_>>(), [0, 28, 56, 84]);
    });
}
