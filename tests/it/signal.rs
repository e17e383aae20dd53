//! `src/signal`. Signals are the whole process's: each test has a kind of its own, or a process.

use std::cell::Cell;
use std::process::id;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use greenlet::process::Command;
use greenlet::signal::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGQUIT, SIGURG, SIGUSR1, SIGUSR2, SIGWINCH, Signals,
    ctrl_c,
};
use greenlet::time::timeout;
use greenlet::{GreenletExit, hub_stats, sleep, spawn, yield_now};

use crate::hub::fork::{fork, wait_for};
use crate::support::{
    caught, open_descriptors, own, run, run_within, survived_in_child, text, ticker,
};

const MS: Duration = Duration::from_millis(1);

/// To this thread, which has handled it when this returns; another one might take its time.
fn send(signal: i32) {
    // SAFETY: a signal that is watched.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// To the thread that runs this: the handler has run when this returns.
fn send_here(signal: i32) {
    // SAFETY: a signal that is watched.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
fn one_that_came_before_and_one_that_comes_while_the_hub_sleeps() {
    run(|| {
        let mut signals = Signals::new([SIGUSR1]).unwrap();
        assert_eq!(signals.pending().count(), 0);
        send(SIGUSR1);
        assert_eq!(signals.next(), Some(SIGUSR1));
        for _ in 0..10 {
            let other = std::thread::spawn(|| {
                std::thread::sleep(2 * MS);
                send(SIGUSR1);
            });
            assert_eq!(signals.next(), Some(SIGUSR1));
            other.join().unwrap();
        }
        assert!(timeout(5 * MS, || signals.next()).is_err());
    });
}

#[test]
fn those_that_come_before_anybody_looks_are_one() {
    run(|| {
        let signals = Signals::new([SIGHUP]).unwrap();
        for _ in 0..1000 {
            send_here(SIGHUP);
        }
        assert_eq!(signals.pending().collect::<Vec<_>>(), [SIGHUP]);
        assert!(timeout(5 * MS, || (&signals).next()).is_err());
        send(SIGHUP);
        assert_eq!((&signals).next(), Some(SIGHUP));
    });
}

#[test]
fn several_kinds_and_several_streams() {
    run(|| {
        let mut both = Signals::new([SIGURG, SIGWINCH]).unwrap();
        let mut one = Signals::new([SIGURG]).unwrap();
        assert_eq!(format!("{one:?}"), format!("[{SIGURG}]"));
        let heard = Rc::new(Cell::new(0));
        let counting = spawn(own!(heard => move || {
            let hears = |_| heard.set(heard.get() + 1);
            one.by_ref().take(2).for_each(hears);
        }));
        yield_now();
        send(SIGWINCH);
        send(SIGURG);
        let mut two = [both.next().unwrap(), both.next().unwrap()];
        two.sort();
        let mut expected = [SIGURG, SIGWINCH];
        expected.sort();
        assert_eq!(two, expected);
        // Two that come before it looks are one.
        while heard.get() == 0 {
            sleep(MS);
        }
        send(SIGURG);
        counting.join().unwrap();
        assert_eq!(both.next(), Some(SIGURG));
    });
}

#[test]
fn from_another_process() {
    run(|| {
        let mut signals = Signals::new([SIGUSR2]).unwrap();
        let script = format!("sleep 0.02; kill -USR2 {}", id());
        let child = spawn(move || Command::new("sh").args(["-c", &script]).status());
        assert_eq!(signals.next(), Some(SIGUSR2));
        assert!(child.join().unwrap().unwrap().success());
    });
}

#[test]
fn a_storm_from_two_threads() {
    run_within(Duration::from_secs(60), || {
        let mut signals = Signals::new([SIGIO]).unwrap();
        let (ticks, ticker) = ticker();
        // However slow the one is who hears of them, it hears of two while they come, and others run.
        let heard = Arc::new(AtomicU32::new(0));
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (heard, ticks) = (heard.clone(), ticks.clone());
                let more = move || {
                    [&heard, &ticks]
                        .iter()
                        .any(|n| n.load(Ordering::SeqCst) < 2)
                };
                std::thread::spawn(move || {
                    for n in (0..).take_while(|n| *n < 20_000 || more()) {
                        send(SIGIO);
                        if n % 500 == 0 {
                            std::thread::sleep(MS);
                        }
                    }
                })
            })
            .collect();
        while !senders.iter().all(|sender| sender.is_finished()) {
            if timeout(20 * MS, || signals.next()).is_ok() {
                heard.fetch_add(1, Ordering::SeqCst);
            }
        }
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        sleep(MS);
        let _ = signals.pending().count();
        send(SIGIO);
        assert_eq!(signals.next(), Some(SIGIO));
        ticker.kill();
    });
}

#[test]
fn a_killed_wait_loses_none() {
    run(|| {
        let signals = Rc::new(Signals::new([SIGALRM]).unwrap());
        let killed = spawn(own!(signals => move || (&*signals).next()));
        yield_now();
        send(SIGALRM);
        killed.start_kill();
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
        assert_eq!((&*signals).next(), Some(SIGALRM));
    });
}

#[test]
fn dropping_a_stream_takes_it_back() {
    if survived_in_child("signal::dropping_a_stream_takes_it_back") {
        return;
    }
    run(|| {
        let before = open_descriptors();
        for _ in 0..10 {
            let mut signals = Signals::new([SIGCONT]).unwrap();
            send(SIGCONT);
            signals.next().unwrap();
            let mut again = Signals::new([SIGCONT]).unwrap();
            assert!(timeout(Duration::ZERO, || again.next()).is_err());
        }
        send(SIGCONT);
        assert_eq!(hub_stats().descriptors, 0);
        // What the hub has stays; ten times as many would be more.
        assert!(open_descriptors() < before + 10);
    });
}

#[test]
fn what_cannot_be_watched() {
    run(|| {
        for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, 4000] {
            Signals::new([SIGQUIT, signal]).unwrap_err();
        }
        let error = Signals::new([libc::SIGKILL]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    });
}

#[test]
fn waiting_for_a_signal_is_no_deadlock() {
    if survived_in_child("signal::waiting_for_a_signal_is_no_deadlock") {
        return;
    }
    run(|| {
        let waits = spawn(ctrl_c);
        let sender = std::thread::spawn(|| {
            std::thread::sleep(20 * MS);
            send_here(SIGINT);
        });
        waits.join().unwrap().unwrap();
        sender.join().unwrap();
        // And without one there is one.
        let parked = caught(greenlet::thread::park);
        assert!(text(&*parked).contains("deadlock"));
    });
}

#[test]
fn one_kind_that_is_named_twice_comes_once() {
    run(|| {
        let signals = Signals::new([libc::SIGVTALRM; 2]).unwrap();
        send(libc::SIGVTALRM);
        assert_eq!(signals.pending().count(), 1);
    });
}

/// The child has a stream of its own: what comes for the parent is not taken away.
#[test]
fn a_child_of_a_fork_takes_nothing_from_its_parent() {
    let name = "signal::a_child_of_a_fork_takes_nothing_from_its_parent";
    if !crate::support::own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let mut signals = Signals::new([SIGUSR1]).unwrap();
        send(SIGUSR1);
        assert_eq!(signals.next(), Some(SIGUSR1));
        let child = fork(std::panic::AssertUnwindSafe(|| {
            // SAFETY: ends a child that hangs.
            unsafe { libc::alarm(20) };
            send(SIGUSR1);
            assert_eq!(signals.next(), Some(SIGUSR1));
            assert!(timeout(100 * MS, || signals.next()).is_err());
        }));
        for _ in 0..20 {
            sleep(2 * MS);
            send(SIGUSR1);
            assert_eq!(timeout(1000 * MS, || signals.next()), Ok(Some(SIGUSR1)));
        }
        assert_eq!(wait_for(child), 0, "the child failed");
    });
}
