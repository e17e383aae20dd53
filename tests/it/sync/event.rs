//! Flags that greenlets wait for, within a thread and between threads: gevent's tests of `Event`.

use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, JoinHandle, spawn};

use super::Event;
use crate::support::run;
use crate::sync::{LONG, MS, end, settle};

/// One who waits for it by now.
fn waits(event: &Rc<Event>) -> JoinHandle<()> {
    let event = event.clone();
    let handle = spawn(move || event.wait());
    settle();
    handle
}

#[test]
fn it_is_set_and_taken_back() {
    run(|| {
        let event = Event::default();
        assert!(!event.is_set());
        event.set();
        event.set();
        assert!(event.is_set());
        event.wait();
        assert!(event.wait_timeout(Duration::ZERO));
        event.clear();
        event.clear();
        assert!(!event.is_set());
        assert!(format!("{event:?}").contains("set: false"));
    });
}

#[test]
fn all_who_wait_go_on() {
    run(|| {
        let event = Rc::new(Event::new());
        let waiting = [0, 1, 2].map(|_| waits(&event));
        assert!(waiting.iter().all(|handle| !handle.is_finished()));
        event.set();
        waiting
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn who_waited_has_seen_it_also_if_it_is_down_again() {
    run(|| {
        let event = Rc::new(Event::new());
        let before = waits(&event);
        event.set();
        event.clear();
        let after = waits(&event);
        before.join().unwrap();
        settle();
        end(after);
    });
}

/// One that is called and killed calls nobody else: those who waited have all been called, and later ones have
/// missed it.
#[test]
fn a_killed_one_wakes_nobody_who_came_after_it_was_cleared() {
    run(|| {
        let event = Rc::new(Event::new());
        let before = waits(&event);
        event.set();
        event.clear();
        assert!(before.start_kill());
        assert!(!event.wait_timeout(5 * MS), "nobody has set it since");
        end_of(before);
    });
}

fn end_of(killed: JoinHandle<()>) {
    assert!(killed.join().unwrap_err().is::<GreenletExit>());
}

#[test]
fn a_limit_is_not_early() {
    run(|| {
        let event = Rc::new(Event::new());
        let begin = Instant::now();
        assert!(!event.wait_timeout(2 * MS));
        assert!(begin.elapsed() >= 2 * MS);
        assert_eq!(timeout(MS, || event.wait()), Err(Elapsed));
        let theirs = event.clone();
        let long = spawn(move || {
            (
                theirs.wait_timeout(Duration::MAX),
                theirs.wait_timeout(LONG),
            )
        });
        settle();
        event.set();
        assert_eq!(long.join().unwrap(), (true, true));
    });
}

#[test]
fn a_wake_for_nothing_and_a_kill_change_nothing() {
    run(|| {
        let event = Rc::new(Event::new());
        let [woken, killed] = [0, 1].map(|_| waits(&event));
        let _handle = woken.thread();
        settle();
        assert!(!woken.is_finished());
        end(killed);
        assert!(!event.is_set());
        event.set();
        woken.join().unwrap();
    });
}
