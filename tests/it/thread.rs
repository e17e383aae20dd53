//! `src/thread`: what `std::thread` has, the tests that std has for parking among it.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use greenlet::thread::{
    self, Thread, ThreadId, current, park, park_timeout, sleep, spawn, yield_now,
};
use greenlet::{Greenlet, GreenletExit, hub_stats};

use crate::support::{caught, run, text};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

fn may_go_anywhere<T: Send + Sync + Clone + 'static>(_: &T) {}

#[test]
fn an_unpark_before_the_park_is_kept() {
    run(|| {
        current().unpark();
        park();
    });
}

#[test]
fn unparks_before_the_park_are_as_one() {
    run(|| {
        current().unpark();
        current().unpark();
        park();
        let begin = Instant::now();
        park_timeout(5 * MS);
        assert!(begin.elapsed() >= 5 * MS);
    });
}

#[test]
fn a_timeout_with_and_without_an_unpark() {
    run(|| {
        for _ in 0..10 {
            current().unpark();
            park_timeout(LONG);
            park_timeout(MS);
            let me = current();
            let other = spawn(move || me.unpark());
            park_timeout(LONG);
            other.join().unwrap();
        }
        park_timeout(Duration::ZERO);
    });
}

#[test]
fn an_unpark_from_another_greenlet() {
    run(|| {
        let parked = spawn(park);
        yield_now();
        assert!(!parked.is_finished());
        parked.thread().unpark();
        parked.join().unwrap();
    });
}

#[test]
fn an_unpark_of_one_that_has_not_begun() {
    run(|| {
        let parked = spawn(park);
        parked.thread().unpark();
        parked.join().unwrap();
    });
}

#[test]
fn an_unpark_from_another_thread() {
    run(|| {
        for _ in 0..100 {
            let me = current();
            let other = std::thread::spawn(move || me.unpark());
            park();
            other.join().unwrap();
        }
    });
}

#[test]
fn a_handle_that_was_taken_while_it_was_parked_already() {
    run(|| {
        let parked = spawn(park);
        sleep(MS);
        let handle = parked.thread().clone();
        let other = std::thread::spawn(move || {
            std::thread::sleep(5 * MS);
            handle.unpark();
        });
        parked.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn the_main_greenlets_of_two_threads_play_ping_pong() {
    const ROUNDS: usize = 300;
    run(|| {
        fn play(other: &Thread, balls: &mpsc::Receiver<()>, back: &mpsc::Sender<()>) {
            for _ in 0..ROUNDS {
                while balls.try_recv().is_err() {
                    park();
                }
                let _ = back.send(());
                other.unpark();
            }
        }
        let (serve, balls) = mpsc::channel();
        let (back, returned) = mpsc::channel();
        let me = current();
        let (tell, who) = mpsc::channel();
        let other = std::thread::spawn(move || {
            tell.send(current()).unwrap();
            play(&me, &balls, &back);
        });
        let partner = who.recv().unwrap();
        serve.send(()).unwrap();
        partner.unpark();
        play(&partner, &returned, &serve);
        other.join().unwrap();
    });
}

#[test]
fn many_wait_for_many_threads() {
    run(|| {
        let parked: Vec<_> = (0..100).map(|_| spawn(park)).collect();
        let handles: Vec<_> = parked.iter().map(|p| p.thread().clone()).collect();
        let others: Vec<_> = handles
            .chunks(25)
            .map(<[_]>::to_vec)
            .map(|some| std::thread::spawn(move || some.iter().for_each(Thread::unpark)))
            .collect();
        for parked in parked {
            parked.join().unwrap();
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(hub_stats().enrolled, 0);
    });
}

#[test]
fn handles_are_send_and_sync_and_outlive_their_greenlet() {
    run(|| {
        let handle = spawn(current).join().unwrap();
        may_go_anywhere(&handle);
        handle.unpark();
        std::thread::spawn(move || handle.unpark()).join().unwrap();
    });
}

#[test]
fn a_handle_outlives_its_thread() {
    run(|| {
        let handle = std::thread::spawn(current).join().unwrap();
        handle.unpark();
    });
}

#[test]
fn ids_and_names() {
    run(|| {
        let ids: HashSet<ThreadId> = (0..10)
            .map(|_| spawn(|| current().id()).join().unwrap())
            .chain([current().id()])
            .collect();
        assert_eq!(ids.len(), 11);
        assert_eq!(current().id(), current().id());
        let named = thread::Builder::new().name("worker".into());
        let named = named.spawn(|| current().name().map(str::to_owned)).unwrap();
        assert_eq!(named.thread().name(), Some("worker"));
        assert_eq!(named.thread().id(), named.id());
        assert_eq!(named.join().unwrap().as_deref(), Some("worker"));
        assert_eq!(spawn(|| current().name().is_none()).join().ok(), Some(true));
        let name = current().name().map(str::to_owned);
        if crate::support::own_stacks() {
            assert_eq!(name.as_deref(), std::thread::current().name());
        }
        assert!(format!("{:?}", current()).starts_with("Thread { id: "));
    });
}

#[test]
fn the_handle_of_one_that_has_ended() {
    run(|| {
        let ended = spawn(|| current().id());
        yield_now();
        assert!(ended.is_finished());
        ended.thread().unpark();
        let id = ended.thread().id();
        assert_eq!(ended.join().unwrap(), id);
        let killed = spawn(|| ());
        let before = killed.thread().clone();
        killed.kill();
        before.unpark();
        assert_eq!(killed.thread().id(), before.id());
        yield_now();
    });
}

#[test]
fn one_that_is_killed_keeps_nothing() {
    run(|| {
        let parked = spawn(park);
        let handle = parked.thread().clone();
        sleep(MS);
        assert_eq!(hub_stats().enrolled, 1);
        assert!(parked.kill());
        assert_eq!(hub_stats().enrolled, 0);
        handle.unpark();
        assert!(parked.join().unwrap_err().is::<GreenletExit>());
    });
}

#[test]
fn explicit_greenlets_park_too() {
    run(|| {
        let me = current();
        let g = Greenlet::new(move |()| {
            let inner = current();
            assert_ne!(inner.id(), me.id());
            spawn(move || inner.unpark());
            park();
        });
        g.switch(());
    });
}

#[test]
fn borrowed_ones_have_handles() {
    run(|| {
        let done = std::cell::Cell::new(false);
        thread::scope(|s| {
            let parked = s.spawn(|| {
                park();
                done.set(true);
            });
            yield_now();
            parked.thread().unpark();
            parked.join().unwrap();
        });
        assert!(done.get());
    });
}

#[test]
fn one_whose_handle_nobody_has_is_in_the_deadlock_report() {
    run(|| {
        let parked = spawn(park);
        let report = text(&*caught(|| parked.wait()));
        assert!(report.contains("deadlock"), "{report}");
        assert!(report.contains("is parked"), "{report}");
        parked.kill();
    });
}

#[test]
fn one_that_has_just_ended_is_not() {
    run(|| {
        let parked = spawn(|| {
            spawn(thread::yield_now);
            park();
        });
        let report = text(&*caught(|| parked.wait()));
        assert!(!report.contains("to switch to it"), "{report}");
        parked.kill();
    });
}

#[test]
fn the_last_handle_goes_while_it_is_parked() {
    run(|| {
        let (tell, who) = mpsc::channel();
        let parked = spawn(move || {
            tell.send(current()).unwrap();
            park();
        });
        yield_now();
        let other = std::thread::spawn(move || {
            let handle = who.recv().unwrap();
            std::thread::sleep(5 * MS);
            drop((handle, who));
        });
        let report = text(&*caught(|| parked.wait()));
        assert!(report.contains("is parked"), "{report}");
        parked.kill();
        other.join().unwrap();
    });
}

#[test]
fn parked_alone_in_main_is_a_deadlock() {
    run(|| {
        let report = text(&*caught(park));
        assert!(report.contains("deadlock"), "{report}");
    });
}

#[test]
fn sleeping_until_a_moment() {
    run(|| {
        let deadline = Instant::now() + 3 * MS;
        thread::sleep_until(deadline);
        assert!(Instant::now() >= deadline);
        assert!(thread::available_parallelism().is_ok());
        assert!(!thread::panicking());
    });
}
