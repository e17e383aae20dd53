//! Explicit greenlets and the hub together.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use greenlet::sync::Event;
use greenlet::time::{Elapsed, timeout};
use greenlet::{
    Coroutine, Generator, Greenlet, GreenletExit, JoinHandle, RefusalKind, SwitchError,
    Undeliverable, Yielder, current, scope, sleep, spawn, yield_now,
};

use super::unwinding::{amid_unwinding, ends, unwinds_until};
use crate::support::{Log, Place, act, caught, caught_as, complaint, own, raise, run, text};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

#[test]
fn an_explicit_greenlet_may_park_and_its_switcher_waits() {
    run(|| {
        let parks = Greenlet::new(|n: u32| {
            sleep(MS);
            n + 1
        });
        let other = spawn(|| 5);
        assert_eq!(parks.switch(1), 2);
        assert!(other.is_finished(), "others ran meanwhile");
        other.join().unwrap();
    });
}

#[test]
fn a_parked_greenlet_refuses_a_switch_and_the_value_comes_back() {
    run(|| {
        let parks = Greenlet::new(|n: u32| {
            // Until the refusal has been seen, on a slow machine too.
            sleep(500 * MS);
            n
        });
        let starter = spawn(own!(parks => move || parks.switch(1)));
        yield_now();
        let refused = parks.try_switch(7).unwrap_err();
        let SwitchError::Refused { reason, value } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(value, 7);
        assert!(matches!(reason.kind(), RefusalKind::InHub));
        assert!(
            reason.to_string().contains("is parked in the hub (sleeps)"),
            "{reason}"
        );
        // What it leaves goes to its parent, which made it: main, which sleeps.
        caught_as::<Undeliverable, _>(|| sleep(LONG));
        assert!(parks.is_dead());
        starter.kill();
    });
}

#[test]
fn a_ready_greenlet_refuses_a_switch() {
    run(|| {
        let place = Place::<Greenlet<()>>::new();
        let handle = spawn(own!(place => move || {
            place.put(current());
            yield_now();
        }));
        yield_now();
        let ready = place.take().unwrap();
        let refused = ready.try_switch(()).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("waits in the hub for its turn"),
            "{refused}"
        );
        handle.join().unwrap();
    });
}

#[test]
fn spawned_greenlets_switch_among_each_other() {
    run(|| {
        let log = Log::new();
        let handle = spawn(own!(log => move || {
            let me = current::<u32>();
            let child = Greenlet::new(own!(log => move |n| {
                log.push(n);
                sleep(MS);
                let n = me.switch(n + 1);
                log.push(n);
                n + 1
            }));
            log.push(child.switch(1));
            log.push(child.switch(3));
        }));
        handle.join().unwrap();
        assert_eq!(log.take(), [1, 2, 3, 4]);
    });
}

#[test]
fn one_that_is_raised_in_while_it_yields_has_its_turn_no_more() {
    run(|| {
        let main = current::<u32>();
        let yields = Greenlet::new(move |_: u32| {
            caught_as::<GreenletExit, _>(yield_now);
            main.switch(7)
        });
        let starter = spawn(own!(yields => move || { yields.switch(1); }));
        yield_now();
        assert!(
            !yields.kill(),
            "it has caught that, and gone on before its turn"
        );
        (0..10).for_each(|_| yield_now());
        assert!(
            !yields.is_dead(),
            "a turn that is left over would have run it"
        );
        starter.kill();
        yields.kill();
    });
}

#[test]
fn a_generator_may_park() {
    run(|| {
        let ticks = Generator::new(|y| {
            for n in 0..5 {
                sleep(Duration::from_micros(200));
                y.yield_(n);
            }
        });
        assert_eq!(ticks.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_generator_may_be_used_from_many_greenlets() {
    run(|| {
        let mut numbers = Generator::new(|y| (0..u32::MAX).for_each(|n| y.yield_(n)));
        let first = spawn(move || {
            let got = [(); 3].map(|()| {
                yield_now();
                numbers.next().unwrap()
            });
            (got, numbers)
        });
        let (got, mut numbers) = first.join().unwrap();
        assert_eq!(got, [0, 1, 2]);
        assert_eq!(numbers.next(), Some(3));
    });
}

#[test]
fn a_coroutine_that_was_left_at_work_drops_that_answer() {
    run(|| {
        let mut slow = Coroutine::new(|y, mut n: u32| {
            loop {
                sleep(4 * MS);
                n = y.yield_(n * 10);
            }
        });
        assert!(greenlet::time::timeout(MS, || slow.send(1)).is_err());
        assert_eq!(slow.send(2), 20);
        assert!(greenlet::time::timeout(MS, || slow.send(3)).is_err());
        sleep(8 * MS);
        assert_eq!(slow.send(4), 40);
    });
}

/// Whoever asks is told to end, and the body answers before that is raised: the item is for the next question.
#[test]
fn an_item_for_one_who_is_being_killed_waits_for_the_next_question() {
    run(|| {
        let items = Rc::new(RefCell::new(Generator::new(|y| {
            for n in 0..3 {
                yield_now();
                y.yield_(n);
            }
        })));
        for n in 0..3 {
            let asks = spawn(own!(items => move || items.borrow_mut().next()));
            yield_now();
            // The body has its turn before whoever asks.
            assert!(asks.kill());
            assert!(asks.join().unwrap_err().is::<GreenletExit>());
            assert_eq!(items.borrow_mut().next(), Some(n));
        }
        assert_eq!(items.borrow_mut().next(), None);
    });
}

#[test]
fn an_answer_for_one_who_is_being_killed_is_dropped() {
    run(|| {
        let echo = Rc::new(RefCell::new(Coroutine::new(|y, mut n: u32| {
            loop {
                yield_now();
                n = y.yield_(n * 10);
            }
        })));
        for n in 0..3 {
            let asks = spawn(own!(echo => move || echo.borrow_mut().send(n)));
            yield_now();
            assert!(asks.kill());
            assert!(asks.join().unwrap_err().is::<GreenletExit>());
            assert_eq!(echo.borrow_mut().send(n + 1), (n + 1) * 10);
        }
    });
}

#[test]
fn a_body_that_ends_while_whoever_asks_is_being_killed_has_ended() {
    run(|| {
        for panics in [false, true] {
            let items = Rc::new(RefCell::new(Generator::<u32>::new(move |_| {
                yield_now();
                if panics {
                    raise("the body")
                }
            })));
            let asks = spawn(own!(items => move || items.borrow_mut().next()));
            yield_now();
            assert!(asks.kill());
            let payload = asks.join().unwrap_err();
            assert!(payload.is::<GreenletExit>(), "{}", text(&*payload));
            assert_eq!(items.borrow_mut().next(), None);
        }
    });
}

/// One that is being killed is entered before its turn, by what is thrown at it: it dies of the kill, once.
#[test]
fn what_is_thrown_at_one_who_is_being_killed_comes_too_late() {
    run(|| {
        for by_kill in [false, true] {
            let place = Place::<Greenlet<u32>>::new();
            let waits = spawn(own!(place => move || {
                place.put(current());
                Greenlet::new(|n: u32| {
                    sleep(LONG);
                    n
                })
                .switch(1);
            }));
            yield_now();
            let waiting = place.take().unwrap();
            assert!(waits.start_kill());
            if by_kill {
                waiting.kill();
            } else {
                let _ = waiting.try_throw::<&str>("too late");
            }
            yield_now();
            assert!(waits.is_finished());
            assert!(waits.join().unwrap_err().is::<GreenletExit>());
            drop(waiting);
            sleep(MS);
        }
    });
}

/// A body that ends the one who asks it, and answers then.
#[test]
fn a_body_may_kill_whoever_asks_it() {
    run(|| {
        let place = Place::<Rc<JoinHandle<()>>>::new();
        let items = Rc::new(RefCell::new(Generator::new(own!(place => move |y| {
            let asks: Rc<JoinHandle<()>> = place.take().unwrap();
            assert!(asks.start_kill());
            drop(asks);
            y.yield_(1);
        }))));
        let asks = Rc::new(spawn(own!(items => move || {
            items.borrow_mut().next();
        })));
        place.put(asks.clone());
        asks.wait();
        let asks = Rc::into_inner(asks).unwrap();
        assert!(asks.join().unwrap_err().is::<GreenletExit>());
        assert_eq!(items.borrow_mut().next(), Some(1));
    });
}

#[test]
fn a_generator_that_is_dropped_while_it_works_is_unwound() {
    run(|| {
        let log = Log::new();
        let mut slow = Generator::<u32>::new(own!(log => move |_y| {
            let _act = crate::support::act(own!(log => move || log.push("unwound")));
            sleep(LONG);
        }));
        assert!(greenlet::time::timeout(MS, || slow.next()).is_err());
        drop(slow);
        assert_eq!(log.take(), ["unwound"]);
    });
}

#[test]
fn one_that_is_dropped_and_catches_its_exit_answers_nobody() {
    run(|| {
        let words = Log::new();
        let mut slow = Generator::new(own!(words => move |y| {
            caught(|| sleep(LONG));
            words.push(complaint(|| y.yield_(1)));
        }));
        assert!(greenlet::time::timeout(MS, || slow.next()).is_err());
        drop(slow);
        assert_eq!(words.take(), ["`yield_` while nobody asks this generator"]);
    });
}

#[test]
fn a_throw_at_a_parked_one_is_raised_where_it_waits() {
    run(|| {
        let place = Place::<Greenlet<()>>::new();
        let handle = spawn(own!(place => move || {
            place.put(current());
            let payload = std::panic::catch_unwind(|| sleep(LONG)).unwrap_err();
            *payload.downcast::<u32>().unwrap()
        }));
        yield_now();
        let thrower = spawn(move || place.take().unwrap().throw(7_u32));
        assert_eq!(handle.join().unwrap(), 7);
        thrower.kill();
    });
}

#[test]
fn what_ends_below_a_parked_one_while_another_one_unwinds_is_told() {
    run(|| {
        let go_on = Rc::new(Event::new());
        let unwinds = unwinds_until(&go_on);
        let dies = Greenlet::new(|()| {
            sleep(MS);
            raise("below main");
        });
        let asks = spawn(move || dies.switch(()));
        assert_eq!(caught_as::<&str, _>(|| sleep(LONG)), "below main");
        asks.kill();
        ends(&go_on, unwinds);
    });
}

/// What is due in a body before it answers does not leave whoever asks behind.
#[test]
fn a_body_that_is_killed_before_its_answer_leaves_nobody_behind() {
    run(|| {
        let body = Place::<Greenlet<()>>::new();
        let asks = spawn(own!(body => move || {
            let mut items = Generator::new(own!(body => move |y| {
                body.put(current());
                amid_unwinding(|| sleep(2 * MS));
                y.yield_(1);
            }));
            caught_as::<Undeliverable, _>(|| items.next());
            assert_eq!(items.next(), None);
        }));
        yield_now();
        assert!(!body.take().unwrap().kill(), "it unwinds");
        asks.join().unwrap();
    });
}

/// Whoever happens to run next has nothing to do with it.
#[test]
fn one_whose_last_handle_goes_while_it_runs_lives_on_while_it_is_parked() {
    run(|| {
        let (log, place) = (Log::new(), Place::<Greenlet<()>>::new());
        let greenlet = Greenlet::new(own!(log, place => move |()| {
            sleep(2 * MS);
            drop(place.take());
            let _ends = act(own!(log => move || log.push("ends")));
            sleep(2 * MS);
            log.push("goes on");
        }));
        place.put(greenlet.clone());
        spawn(move || timeout(MS, || greenlet.switch(())).unwrap_err())
            .join()
            .unwrap();
        // What it leaves comes to its parent, which waits for nothing of the kind.
        caught_as::<Undeliverable, _>(|| sleep(LONG));
        assert_eq!(log.take(), ["goes on", "ends"]);
    });
}

#[test]
fn all_who_wait_for_an_end_go_on() {
    run(|| {
        let main = current::<()>();
        let stubborn = Greenlet::new(move |()| {
            caught(|| main.switch(()));
            sleep(LONG);
        });
        stubborn.switch(());
        let kills = [1, 2, 3].map(|_| {
            let handle = spawn(own!(stubborn => move || stubborn.kill()));
            yield_now();
            handle
        });
        kills
            .into_iter()
            .for_each(|handle| assert!(handle.join().unwrap()));
    });
}

#[test]
fn tracing_tells_of_the_turns() {
    run(|| {
        let log = Log::new();
        greenlet::trace::set(Some(std::rc::Rc::new(
            own!(log => move |event: &greenlet::trace::Event| {
                let (origin, target) = event.ends();
                log.push((origin.id(), target.id()));
            }),
        )));
        let main = current::<()>().id();
        let handle = spawn(|| ());
        let other = handle.id();
        handle.join().unwrap();
        greenlet::trace::set(None);
        assert_eq!(log.take(), [(main, other), (other, main)]);
    });
}

#[test]
fn locals_belong_to_the_spawned_greenlet() {
    greenlet::greenlet_local! {
        static NUMBER: std::cell::Cell<u32> = std::cell::Cell::new(0);
    }
    run(|| {
        NUMBER.with(|number| number.set(1));
        let handle = spawn(|| {
            NUMBER.with(|number| number.set(number.get() + 10));
            yield_now();
            NUMBER.with(std::cell::Cell::get)
        });
        assert_eq!(handle.join().unwrap(), 10);
        NUMBER.with(|number| assert_eq!(number.get(), 1));
    });
}

#[test]
fn what_ends_below_one_in_next_while_another_one_unwinds_is_told() {
    run(|| {
        let go_on = Rc::new(Event::new());
        let unwinds = unwinds_until(&go_on);
        let dies = Greenlet::new(|()| {
            sleep(MS);
            raise("below main");
        });
        let asks = spawn(move || dies.switch(()));
        let mut slow = Generator::<()>::new(|_| sleep(LONG));
        assert_eq!(caught_as::<&str, _>(|| slow.next()), "below main");
        asks.kill();
        ends(&go_on, unwinds);
    });
}

/// A question is cut short, and the body comes to its end: whoever asks next is told, and nobody else.
#[test]
fn a_body_that_ends_after_a_question_that_was_cut_short_disturbs_nobody() {
    run(|| {
        let mut items = Generator::new(|_: Yielder<u32>| sleep(3 * MS));
        assert_eq!(timeout(MS, || items.next()), Err(Elapsed));
        sleep(9 * MS);
        assert_eq!(items.size_hint(), (0, Some(0)));
        assert_eq!(items.next(), None);
        assert_eq!(items.next(), None);

        let mut adds = Coroutine::new(|_, number: u32| {
            sleep(3 * MS);
            number + 1
        });
        assert_eq!(timeout(MS, || adds.send(1)), Err(Elapsed));
        sleep(9 * MS);
        assert!(adds.is_ended());
        assert_eq!(adds.try_send(5), Err(5));
        assert_eq!(adds.try_send(6), Err(6));

        let mut late = Coroutine::new(|_, number: u32| {
            sleep(9 * MS);
            number + 1
        });
        assert_eq!(timeout(MS, || late.send(1)), Err(Elapsed));
        assert_eq!(late.try_send(5), Err(5), "what it has left was for another");

        let mut fails = Generator::new(|_: Yielder<u32>| {
            sleep(3 * MS);
            raise("planted")
        });
        assert_eq!(timeout(MS, || fails.next()), Err(Elapsed));
        sleep(9 * MS);
        assert_eq!(caught_as::<&str, _>(|| fails.next()), "planted");
        assert_eq!(fails.next(), None);

        let mut dropped = Generator::new(|_: Yielder<u32>| sleep(3 * MS));
        assert_eq!(timeout(MS, || dropped.next()), Err(Elapsed));
        sleep(9 * MS);
        drop(dropped);
    });
}

/// The body waits for another one, which the hub runs.
#[test]
fn a_body_that_asks_another_one_can_be_asked_again() {
    run(|| {
        let slow = || {
            Generator::new(|y: Yielder<u32>| {
                for number in 0..3 {
                    sleep(3 * MS);
                    y.yield_(number);
                }
            })
        };
        let mut nested = Generator::new(move |y: Yielder<u32>| y.yield_from(slow()));
        assert_eq!(timeout(MS, || nested.next()), Err(Elapsed));
        assert_eq!(nested.collect::<Vec<_>>(), [0, 1, 2]);
        let mut through = Generator::new(|y: Yielder<u32>| {
            let slow = Greenlet::new(|number: u32| {
                sleep(3 * MS);
                number + 1
            });
            y.yield_(slow.switch(1));
        });
        assert_eq!(timeout(MS, || through.next()), Err(Elapsed));
        assert_eq!((through.next(), through.next()), (Some(2), None));
    });
}

/// A greenlet of its own yields for the body.
#[test]
fn whoever_yields_in_the_place_of_a_body_ends_with_it() {
    run(|| {
        let place = Place::<greenlet::JoinHandle<()>>::new();
        let keep = place.clone();
        let mut items = Generator::new(move |y: Yielder<u32>| {
            let deputy = y.clone();
            keep.put(spawn(move || {
                (0..9).for_each(|number| deputy.yield_(number))
            }));
            sleep(LONG);
        });
        assert_eq!((items.next(), items.next()), (Some(0), Some(1)));
        drop(items);
        let deputy = place.take().unwrap();
        assert!(deputy.join().unwrap_err().is::<GreenletExit>());
    });
}

/// The exit waits for the end of the scope, and is raised where the body would yield.
#[test]
fn a_body_that_is_dropped_in_the_closing_wait_of_a_scope_exits() {
    run(|| {
        let log = Log::new();
        let mut items = Generator::new(own!(log => move |y: Yielder<u32>| {
            scope(|s| _ = s.spawn(|| sleep(3 * MS)));
            log.push("closed");
            let payload = caught(|| y.yield_(1));
            log.push(if payload.is::<GreenletExit>() { "exit" } else { "panic" });
        }));
        assert_eq!(timeout(MS, || items.next()), Err(Elapsed));
        drop(items);
        sleep(9 * MS);
        assert_eq!(log.take(), ["closed", "exit"]);
    });
}
