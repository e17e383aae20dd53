//! Kills of greenlets that the hub runs, in every state.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use greenlet::group::wait_any;
use greenlet::sync::{Event, select};
use greenlet::time::timeout;
use greenlet::{Greenlet, GreenletExit, JoinHandle, current, sleep, spawn, yield_now};

use crate::support::{Drops, Log, Place, act, caught, own, raise, run};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

fn sleeper(drops: &Drops) -> JoinHandle<()> {
    let token = drops.token();
    spawn(move || {
        let _token = token;
        sleep(LONG);
    })
}

#[track_caller]
fn was_killed<R>(handle: JoinHandle<R>) {
    match handle.join() {
        Ok(_) => panic!("it was not killed"),
        Err(payload) => assert!(payload.is::<GreenletExit>()),
    }
}

#[test]
fn parked() {
    run(|| {
        let drops = Drops::new();
        let handle = sleeper(&drops);
        yield_now();
        assert!(handle.kill());
        assert_eq!(drops.count(), 1);
        was_killed(handle);
    });
}

#[test]
fn before_it_ran_drops_the_closure() {
    run(|| {
        let drops = Drops::new();
        let handle = sleeper(&drops);
        assert!(handle.start_kill());
        assert_eq!(drops.count(), 1);
        assert!(handle.is_finished());
        was_killed(handle);
        yield_now();
    });
}

#[test]
fn ready() {
    run(|| {
        let log = Log::new();
        let handle = spawn(own!(log => move || {
            yield_now();
            log.push("went on");
        }));
        yield_now();
        assert!(handle.kill());
        assert_eq!(log.take(), [""; 0]);
        was_killed(handle);
    });
}

#[test]
fn ended() {
    run(|| {
        let handle = spawn(|| 1);
        yield_now();
        assert!(handle.kill());
        assert_eq!(handle.join().unwrap(), 1);
    });
}

#[test]
fn twice() {
    run(|| {
        let drops = Drops::new();
        let handle = sleeper(&drops);
        yield_now();
        handle.start_kill();
        handle.start_kill();
        handle.wait();
        assert_eq!(drops.count(), 1);
        was_killed(handle);
    });
}

#[test]
fn oneself() {
    run(|| {
        let place = Place::<JoinHandle<()>>::new();
        let after = Rc::new(Cell::new(false));
        place.put(spawn(own!(place, after => move || {
            let me = place.take().unwrap();
            me.start_kill();
            after.set(true);
        })));
        sleep(MS);
        assert!(!after.get());
    });
}

#[test]
fn a_joiner_of_the_killed_one_is_told() {
    run(|| {
        let drops = Drops::new();
        let handle = Rc::new(sleeper(&drops));
        let waiter = spawn(own!(handle => move || handle.wait()));
        yield_now();
        handle.start_kill();
        waiter.join().unwrap();
    });
}

#[test]
fn a_destructor_may_wait() {
    run(|| {
        let log = Log::new();
        let begun = Rc::new(Event::new());
        let other = spawn(own!(log, begun => move || {
            begun.wait();
            log.push("another");
        }));
        let handle = spawn(own!(log => move || {
            let _bye = act(own!(log => move || {
                log.push("begins to roll back");
                begun.set();
                sleep(2 * MS);
                log.push("rolled back");
            }));
            sleep(LONG);
        }));
        yield_now();
        assert!(handle.kill());
        assert_eq!(
            log.take(),
            ["begins to roll back", "another", "rolled back"]
        );
        other.join().unwrap();
        was_killed(handle);
    });
}

#[test]
fn a_kill_during_that_waits_for_its_end() {
    run(|| {
        let log = Log::new();
        let handle = spawn(own!(log => move || {
            let _bye = act(own!(log => move || {
                sleep(2 * MS);
                log.push("rolled back");
            }));
            sleep(LONG);
        }));
        yield_now();
        handle.start_kill();
        sleep(MS);
        assert!(handle.kill());
        assert_eq!(log.take(), ["rolled back"]);
        was_killed(handle);
    });
}

#[test]
fn one_that_catches_the_exit_goes_on() {
    run(|| {
        let handle = spawn(|| {
            let caught = catch_unwind(|| sleep(LONG)).unwrap_err();
            assert!(caught.is::<GreenletExit>());
            sleep(MS);
            "went on"
        });
        yield_now();
        assert!(handle.kill());
        assert_eq!(handle.join().unwrap(), "went on");
    });
}

#[test]
fn in_a_switch_it_is_raised_there() {
    run(|| {
        let log = Log::new();
        let inner = Place::<Greenlet<()>>::new();
        let handle = spawn(own!(log, inner => move || {
            let parks = Greenlet::new(own!(log => move |()| {
                sleep(LONG);
                log.push("the inner one went on");
            }));
            inner.put(parks.clone());
            let caught = catch_unwind(AssertUnwindSafe(|| parks.switch(()))).unwrap_err();
            log.push("raised in the switch");
            raise(*caught.downcast::<GreenletExit>().unwrap());
        }));
        yield_now();
        assert!(handle.kill());
        assert_eq!(log.take(), ["raised in the switch"]);
        was_killed(handle);
        // Its parent has died: what it leaves comes to main.
        assert!(inner.take().unwrap().kill());
    });
}

#[test]
fn one_that_dies_before_its_turn_has_none() {
    run(|| {
        let place = Place::<Greenlet<()>>::new();
        let handle = spawn(own!(place => move || {
            place.put(current());
            Greenlet::new(|()| sleep(LONG)).switch(());
        }));
        yield_now();
        handle.start_kill();
        let told = place.take().unwrap();
        assert!(told.kill());
        yield_now();
        assert!(told.is_dead());
        drop(told);
        was_killed(handle);
    });
}

#[test]
fn one_that_goes_on_before_its_turn_has_none() {
    run(|| {
        let place = Place::<Greenlet<String>>::new();
        let main = current::<String>();
        let handle = spawn(own!(place => move || {
            place.put(current());
            let parks = Greenlet::<String>::new(|text| {
                sleep(LONG);
                text
            });
            caught(|| parks.switch(String::new()));
            main.switch("caught".into())
        }));
        yield_now();
        handle.start_kill();
        let told = place.take().unwrap();
        assert!(!told.kill(), "it caught the exit");
        // It waits for a text now. Its turn would bring none.
        yield_now();
        assert!(!handle.is_finished());
        let answers = spawn(move || told.switch("an answer".into()));
        assert_eq!(handle.join().unwrap(), "an answer");
        answers.kill();
    });
}

#[test]
fn a_wake_and_a_kill_in_one_turn_lose_nothing() {
    run(|| {
        let one = spawn(|| {
            sleep(MS);
            1
        });
        let one = Rc::new(one);
        let waiters: Vec<_> = (0..2)
            .map(|_| spawn(own!(one => move || one.wait())))
            .collect();
        yield_now();
        sleep(2 * MS);
        waiters[0].start_kill();
        for waiter in waiters {
            let _ = waiter.join();
        }
        assert_eq!(Rc::into_inner(one).unwrap().join().unwrap(), 1);
    });
}

#[test]
fn an_explicit_kill_of_a_parked_one_is_at_once() {
    run(|| {
        let log = Log::new();
        let parks = Greenlet::new(own!(log => move |()| {
            let _bye = act(own!(log => move || log.push("unwound")));
            sleep(LONG);
        }));
        let main = current::<()>();
        let starter = spawn(own!(parks => move || parks.switch(())));
        yield_now();
        assert!(parks.kill());
        assert_eq!(log.take(), ["unwound"]);
        assert!(main.is_current());
        // Nobody comes back to the one who had switched to it.
        assert!(starter.kill());
        was_killed(starter);
    });
}

#[test]
fn the_drop_of_the_last_handle_unwinds_a_parked_one() {
    run(|| {
        let log = Log::new();
        let parks = Greenlet::new(own!(log => move |()| {
            let _bye = act(own!(log => move || log.push("unwound")));
            sleep(LONG);
        }));
        let place = Place::new();
        place.put(parks);
        let starter = spawn(own!(place => move || {
            let parks = place.take().unwrap();
            let weak = parks.downgrade();
            place.put(parks);
            weak.upgrade().unwrap().try_switch(()).unwrap_err();
        }));
        yield_now();
        drop(place.take());
        yield_now();
        starter.kill();
        let _ = log.take();
    });
}

#[test]
fn hundreds_at_once() {
    run(|| {
        let drops = Drops::new();
        let handles: Vec<_> = (0..300).map(|_| sleeper(&drops)).collect();
        yield_now();
        handles.iter().for_each(|handle| {
            handle.start_kill();
        });
        handles.into_iter().for_each(was_killed);
        assert_eq!(drops.count(), 300);
    });
}

/// Runs `body` in a thread that may leak.
fn may_leak(body: impl FnOnce() + Send + 'static) {
    std::thread::spawn(body).join().unwrap();
}

#[test]
fn one_that_catches_every_exit_at_the_end_of_its_thread_and_waits_again_is_leaked() {
    run(|| {
        may_leak(|| {
            spawn(|| {
                loop {
                    caught(|| sleep(LONG));
                }
            });
            yield_now();
        });
    });
}

#[test]
fn what_a_leaked_one_has_left_in_the_hub_wakes_nobody() {
    run(|| {
        may_leak(|| {
            let main = current::<()>();
            let stubborn = Greenlet::new(move |()| {
                loop {
                    let wait = || timeout(MS, || timeout(2 * MS, || main.switch(())));
                    let _ = catch_unwind(AssertUnwindSafe(wait));
                }
            });
            stubborn.switch(());
            greenlet::shutdown();
            assert_eq!(greenlet::hub_stats().timers, 2);
            let left = greenlet::blocks_in_use();
            sleep(4 * MS);
            assert_eq!(greenlet::hub_stats().timers, 0);
            assert_eq!(greenlet::blocks_in_use(), left);
        });
    });
}

#[test]
fn one_that_is_leaked_has_ended_for_whoever_waits_for_it() {
    run(|| {
        may_leak(|| {
            let leaked = spawn(|| {
                loop {
                    caught(|| sleep(LONG));
                }
            });
            yield_now();
            greenlet::shutdown();
            leaked.wait();
            assert!(leaked.is_finished());
            let chosen = select().join(&leaked, |()| 1).after(LONG, || 2).wait();
            assert_eq!(chosen, 1);
            assert_eq!(wait_any(std::slice::from_ref(&leaked)), 0);
        });
    });
}
