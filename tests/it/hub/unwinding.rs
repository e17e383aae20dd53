//! One greenlet waits in a destructor in the middle of an unwinding: nobody else notices, and it goes on as it was.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::panicking;
use std::time::Duration;

use greenlet::sync::Event;
use greenlet::time::{Elapsed, timeout};
use greenlet::{Greenlet, GreenletExit, JoinHandle, current, sleep, spawn, yield_now};

use crate::support::{
    Log, act, caught, caught_as, own, own_stacks, raise, run, survived_in_child, text,
};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Somebody who unwinds with "planted", and waits for an event in a destructor.
pub(super) fn unwinds_until(go_on: &Rc<Event>) -> JoinHandle<()> {
    let handle = spawn(own!(go_on => move || {
        let _waits = act(move || {
            assert!(panicking());
            go_on.wait();
            assert!(panicking());
        });
        raise("planted")
    }));
    yield_now();
    handle
}

/// Lets it go on, and sees how it ends.
pub(super) fn ends(go_on: &Event, unwinds: JoinHandle<()>) {
    assert!(!unwinds.is_finished());
    go_on.set();
    assert_eq!(text(&*unwinds.join().unwrap_err()), "planted");
    assert!(!panicking());
}

#[test]
fn others_do_not_seem_to_unwind() {
    run(|| {
        let go_on = Rc::new(Event::new());
        let unwinds = unwinds_until(&go_on);
        assert!(!panicking());
        spawn(|| assert!(!panicking())).join().unwrap();
        Greenlet::new(|()| assert!(!panicking())).switch(());
        ends(&go_on, unwinds);
    });
}

#[test]
fn others_are_killed_and_their_time_limits_hold() {
    run(|| {
        let go_on = Rc::new(Event::new());
        let unwinds = unwinds_until(&go_on);
        let parks = spawn(|| sleep(LONG));
        yield_now();
        assert!(parks.kill());
        assert!(parks.join().unwrap_err().is::<GreenletExit>());
        assert_eq!(timeout(MS, || sleep(LONG)), Err(Elapsed));
        let slow = Greenlet::new(|()| sleep(LONG));
        assert_eq!(timeout(MS, || slow.switch(())), Err(Elapsed));
        slow.kill();
        ends(&go_on, unwinds);
    });
}

#[test]
fn others_panic_and_are_caught() {
    run(|| {
        let go_on = Rc::new(Event::new());
        let unwinds = unwinds_until(&go_on);
        assert_eq!(text(&*caught(|| panic!("of main"))), "of main");
        let child = Greenlet::new(|()| raise("of a child"));
        assert_eq!(caught_as::<&str, ()>(|| child.switch(())), "of a child");
        ends(&go_on, unwinds);
    });
}

#[test]
fn locks_of_others_are_not_poisoned() {
    run(|| {
        let go_on = Rc::new(Event::new());
        let (ours, stds) = (greenlet::sync::Mutex::new(0), std::sync::Mutex::new(0));
        let guards = (ours.lock().unwrap(), stds.lock().unwrap());
        let unwinds = unwinds_until(&go_on);
        drop(guards);
        assert!(!ours.is_poisoned() && !stds.is_poisoned());
        ends(&go_on, unwinds);
    });
}

#[test]
fn a_lock_that_is_held_across_that_is_poisoned() {
    run(|| {
        let go_on = Rc::new(Event::new());
        let locks = Rc::new((greenlet::sync::Mutex::new(0), std::sync::Mutex::new(0)));
        let unwinds = spawn(own!(go_on, locks => move || {
            let _ours = locks.0.lock().unwrap();
            let _stds = locks.1.lock().unwrap();
            let _waits = act(move || go_on.wait());
            raise("planted")
        }));
        yield_now();
        ends(&go_on, unwinds);
        assert!(locks.0.is_poisoned() && locks.1.is_poisoned());
    });
}

/// Everybody unwinds, all wait several times, and they end in another order.
#[test]
fn many_unwind_at_once() {
    run(|| {
        let count = if cfg!(miri) { 10 } else { 1000 };
        let turns = Rc::new(AtomicU32::new(0));
        let all: Vec<_> = (0..count)
            .map(|n| {
                spawn(own!(turns => move || {
                    let _waits = act(move || {
                        for _ in 0..1 + n % 5 {
                            assert!(panicking());
                            yield_now();
                            turns.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    sleep(LONG);
                }))
            })
            .collect();
        yield_now();
        all.iter().for_each(|handle| _ = handle.start_kill());
        while turns.load(Ordering::Relaxed) < 3 * count {
            assert!(!panicking());
            yield_now();
        }
        for handle in all {
            assert!(handle.join().unwrap_err().is::<GreenletExit>());
        }
        assert!(!panicking());
    });
}

/// A destructor, in the middle of an unwinding, does `act`.
pub(super) fn amid_unwinding(mut act: impl FnMut()) {
    let payload = catch_unwind(AssertUnwindSafe(|| {
        let _last = crate::support::OnDrop(&mut act);
        raise("planted")
    }));
    assert_eq!(text(&*payload.unwrap_err()), "planted");
}

/// Where each greenlet has a thread, nobody does.
fn knows_how_deep() -> bool {
    own_stacks()
}

#[test]
fn a_time_limit_that_is_set_there_holds() {
    if !knows_how_deep() {
        return;
    }
    run(|| {
        amid_unwinding(|| {
            assert_eq!(timeout(MS, || sleep(LONG)), Err(Elapsed));
            assert!(panicking());
            assert_eq!(timeout(Duration::ZERO, || sleep(LONG)), Err(Elapsed));
            assert_eq!(timeout(LONG, || 7), Ok(7));
            let within = timeout(LONG, || timeout(MS, || sleep(LONG)));
            assert_eq!(within, Ok(Err(Elapsed)));
            let within = timeout(MS, || timeout(LONG, || sleep(LONG)));
            assert_eq!(within, Err(Elapsed));
            let slow = Greenlet::new(|()| sleep(LONG));
            assert_eq!(timeout(MS, || slow.switch(())), Err(Elapsed));
            slow.kill();
        });
        assert!(!panicking());
    });
}

#[test]
fn a_time_limit_from_before_does_not_get_in() {
    if !knows_how_deep() {
        return;
    }
    run(|| {
        let log = Log::new();
        let outcome = timeout(MS, || {
            amid_unwinding(|| {
                sleep(3 * MS);
                log.push("slept");
                // Its own does, though the other one has passed already.
                assert_eq!(timeout(MS, || sleep(LONG)), Err(Elapsed));
                log.push("own limit");
            });
            log.push("unwound");
            sleep(LONG);
        });
        assert_eq!(outcome, Err(Elapsed));
        assert_eq!(log.take(), ["slept", "own limit", "unwound"]);
    });
}

/// What begins within a time limit is deeper than it, also where that was set in the middle of an unwinding.
#[test]
fn a_time_limit_does_not_get_into_an_unwinding_within_it() {
    if !knows_how_deep() {
        return;
    }
    run(|| {
        let log = Log::new();
        amid_unwinding(|| {
            let outcome = timeout(MS, || {
                amid_unwinding(|| {
                    sleep(3 * MS);
                    assert_eq!(timeout(MS, || sleep(LONG)), Err(Elapsed));
                    log.push("slept");
                });
                log.push("unwound");
                sleep(LONG);
            });
            assert_eq!(outcome, Err(Elapsed));
        });
        assert_eq!(log.take(), ["slept", "unwound"]);
    });
}

#[test]
fn a_kill_waits_behind_a_time_limit_that_is_set_there() {
    if !knows_how_deep() {
        return;
    }
    run(|| {
        let log = Log::new();
        let victim = spawn(own!(log => move || {
            amid_unwinding(|| {
                let outcome = timeout(5 * MS, || sleep(LONG));
                assert_eq!(outcome, Err(Elapsed));
                log.push("limit");
            });
            log.push("unwound");
            sleep(LONG);
        }));
        yield_now();
        assert!(victim.kill());
        assert_eq!(log.take(), ["limit", "unwound"]);
        assert!(victim.join().unwrap_err().is::<GreenletExit>());
    });
}

/// An explicit switch is a wait as any other.
#[test]
fn in_switches_by_hand_the_count_goes_along() {
    run(|| {
        let main = current::<u32>();
        let unwinds = |number: u32| {
            Greenlet::new(own!(main => move |_| {
                amid_unwinding(|| {
                    (0..3).for_each(|_| {
                        assert!(panicking());
                        main.switch(number);
                    });
                });
                assert!(!panicking());
                10 * number
            }))
        };
        let all = [1, 2, 3].map(unwinds);
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
            let sent = order.map(|i| {
                assert!(!panicking());
                all[i].switch(0)
            });
            let expected = order.map(|i| i as u32 + 1);
            assert!(sent == expected || sent == expected.map(|n| 10 * n));
        }
    });
}

/// What is left in the middle of an unwinding when its thread ends has taken its share along.
#[test]
fn one_that_is_given_up_leaves_nothing_on_the_count() {
    let name = "hub::unwinding::one_that_is_given_up_leaves_nothing_on_the_count";
    if survived_in_child(name) {
        return;
    }
    struct Asks;
    impl Drop for Asks {
        fn drop(&mut self) {
            if panicking() {
                std::process::abort();
            }
        }
    }
    thread_local!(static LAST: Asks = const { Asks });
    let ends = || {
        LAST.with(|_| ());
        let unwinds = unwinds_until(&Rc::new(Event::new()));
        drop(unwinds);
        assert!(!panicking());
    };
    std::thread::spawn(ends).join().unwrap();
}

/// Threads of which each has some: what they share gives to each what is its own.
#[test]
fn many_threads() {
    let unwinds = || {
        run(|| {
            for _ in 0..50 {
                let go_on = Rc::new(Event::new());
                let all: Vec<_> = (0..4).map(|_| unwinds_until(&go_on)).collect();
                assert!(!panicking());
                go_on.set();
                for one in all {
                    assert_eq!(text(&*one.join().unwrap_err()), "planted");
                }
            }
        });
    };
    std::thread::scope(|scope| (0..4).for_each(|_| _ = scope.spawn(unwinds)));
}

/// The limit passes while a destructor waits for the end of somebody whose last handle it drops.
#[test]
fn a_time_limit_that_passes_in_a_drop_there_holds() {
    if !knows_how_deep() {
        return;
    }
    run(|| {
        let slow_to_end = || {
            let child = Greenlet::new(|()| {
                let _slow = act(|| sleep(5 * MS));
                let parent = current::<()>().parent().unwrap();
                parent.switch(());
            });
            child.switch(());
            child
        };
        amid_unwinding(|| {
            let child = slow_to_end();
            let outcome = timeout(MS, || {
                drop(child);
                sleep(LONG);
            });
            assert_eq!(outcome, Err(Elapsed));
        });
        // One from before is not lost.
        let outcome = timeout(MS, || {
            amid_unwinding(|| drop(slow_to_end()));
            sleep(LONG);
        });
        assert_eq!(outcome, Err(Elapsed));
        // They end nevertheless.
        while greenlet::alive() > 0 {
            sleep(MS);
        }
    });
}

#[test]
fn a_lenient_switch_there_is_not_told_of_a_time_limit_from_before() {
    run(|| {
        let slow = Greenlet::new(|()| sleep(5 * MS));
        let outcome = timeout(MS, || {
            amid_unwinding(|| slow.try_switch(()).unwrap());
            sleep(LONG);
        });
        assert_eq!(outcome, Err(Elapsed));
    });
}

#[test]
fn whoever_kills_itself_there_is_killed_after_that() {
    run(|| {
        let log = Log::new();
        let place = crate::support::Place::<JoinHandle<()>>::new();
        let handle = spawn(own!(log, place => move || {
            yield_now();
            let me = place.take().unwrap();
            amid_unwinding(|| {
                assert!(!me.start_kill() && !me.kill());
                sleep(MS);
                log.push("told");
            });
            place.put(me);
            log.push("unwound");
            sleep(LONG);
        }));
        let id = handle.id();
        place.put(handle);
        while log.len() < 2 {
            yield_now();
        }
        let handle = place.take().unwrap();
        assert_eq!(handle.id(), id);
        assert!(handle.join().unwrap_err().is::<GreenletExit>());
        assert_eq!(log.take(), ["told", "unwound"]);
    });
}

/// A destructor may wait; what ends that wait is not lost where its panics are contained.
#[test]
fn what_is_raised_where_a_drop_is_contained_comes_later() {
    run(|| {
        fn waits() -> crate::support::Act {
            act(|| sleep(LONG))
        }
        // The closure of one that never runs, and the result of one that nobody joins.
        let pending = || {
            let waits = waits();
            spawn(move || drop(waits)).start_kill();
        };
        assert_eq!(
            timeout(MS, || {
                pending();
                sleep(LONG)
            }),
            Err(Elapsed)
        );
        // It has ended before the limit begins: what is raised where one yields would drop the handle amid an unwinding.
        let result = spawn(waits);
        yield_now();
        assert!(result.is_finished());
        assert_eq!(
            timeout(MS, || {
                drop(result);
                sleep(LONG)
            }),
            Err(Elapsed)
        );
        let killed = spawn(move || {
            pending();
            sleep(LONG)
        });
        yield_now();
        assert!(killed.kill());
        assert!(killed.join().unwrap_err().is::<GreenletExit>());
    });
}

/// The body is at work on the question of somebody else; what is due comes before one waits for its answer.
#[test]
fn what_is_due_is_raised_before_one_waits_for_a_body_at_work() {
    if !knows_how_deep() {
        return;
    }
    run(|| {
        let mut items = greenlet::Generator::new(|y: greenlet::Yielder<u32>| {
            sleep(LONG);
            y.yield_(1);
        });
        assert_eq!(timeout(MS, || items.next()), Err(Elapsed));
        let outcome = timeout(MS, || {
            amid_unwinding(|| sleep(3 * MS));
            items.next()
        });
        assert_eq!(outcome, Err(Elapsed));
    });
}
