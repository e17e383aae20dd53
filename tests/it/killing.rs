//! Killed, dropped, resurrected, and told to exit while unwinding.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;

use greenlet::{Greenlet, GreenletExit, RefusalKind, SwitchError, Undeliverable, current};

use crate::support::{
    self, Act, Drops, Log, OnDrop, Place, Token, act, caught, caught_as, complaint, doubler, own,
    raise, run, stderr, survived_in_child, text,
};

/// Suspended at a switch to main, with a token on its stack.
fn holder(drops: &Drops) -> Greenlet<i32> {
    let main = current::<i32>();
    let token = drops.token();
    let g = Greenlet::new(move |x| {
        let _token = token;
        main.switch(x)
    });
    g.switch(0);
    g
}

/// Runs on a thread that ends with whatever it leaves, unbalanced.
fn on_a_thread(body: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .name("inner".into())
        .spawn(body)
        .unwrap()
        .join()
        .unwrap_or_else(|panic| resume_unwind(panic));
}

mod kill {
    use super::*;

    #[test]
    fn unwinds_the_greenlet_and_says_that_it_is_dead() {
        run(|| {
            let drops = Drops::new();
            let g = holder(&drops);
            assert!(g.kill());
            assert!(g.is_dead());
            assert_eq!(drops.count(), 1);
        });
    }

    #[test]
    fn raises_greenlet_exit() {
        run(|| {
            let main = current::<()>();
            let seen = Place::new();
            let g = Greenlet::new(own!(seen => move |()| {
                let payload = caught(|| main.switch(()));
                seen.put(payload.is::<GreenletExit>());
                resume_unwind(payload)
            }));
            g.switch(());
            assert!(g.kill());
            assert_eq!(seen.take(), Some(true));
        });
    }

    #[test]
    fn of_a_pending_one_drops_its_closure() {
        run(|| {
            let drops = Drops::new();
            let token = drops.token();
            let g = Greenlet::new(move |()| {
                let _token = &token;
                unreachable!();
            });
            assert!(g.kill());
            assert!(g.is_dead());
            assert_eq!(drops.count(), 1);
        });
    }

    #[test]
    fn of_a_declared_one_needs_no_body() {
        run(|| {
            let g = Greenlet::<()>::declare();
            assert!(g.kill() && g.is_dead());
            assert!(complaint(|| g.define(|()| ())).contains("is dead"));
        });
    }

    #[test]
    fn of_a_dead_one_does_nothing() {
        run(|| {
            let g = Greenlet::new(|()| ());
            g.switch(());
            assert!(g.kill() && g.kill());
        });
    }

    #[test]
    fn makes_the_killer_the_parent_meanwhile() {
        run(|| {
            let log = Log::new();
            let drops = Drops::new();
            let g = holder(&drops);
            let killer = Greenlet::new(own!(g, log => move |x| {
                log.push(g.kill());
                x + 1
            }));
            assert_eq!(
                killer.switch(1),
                2,
                "control came back to the killer, not to main"
            );
            assert_eq!(log.take(), [true]);
        });
    }

    #[test]
    fn leaves_the_parent_of_a_survivor_as_it_was() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::new(own!(main => move |_| {
                caught_as::<GreenletExit, _>(|| main.switch(1));
                main.switch(2);
                3
            }));
            g.switch(0);
            let killer = Greenlet::new(own!(g => move |_| i32::from(g.kill()) + 50));
            assert_eq!(
                killer.switch(0),
                2,
                "it caught the exit and switched to main"
            );
            assert_eq!(g.parent(), Some(main));
            assert_eq!(
                killer.switch(0),
                50,
                "any value ends the wait: it is not dead"
            );
            assert_eq!(g.switch(0), 3, "the result goes to its own parent");
        });
    }

    #[test]
    fn of_one_that_catches_and_switches_away_is_false() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::new(move |_| {
                caught_as::<GreenletExit, _>(|| main.switch(1));
                main.switch(2) + 1
            });
            g.switch(0);
            assert!(!g.kill());
            assert!(g.is_started());
            assert_eq!(g.switch(2), 3);
        });
    }

    #[test]
    fn of_one_that_catches_and_returns_is_true_and_the_result_is_dropped() {
        run(|| {
            let drops = Drops::new();
            let main = current::<Option<Token>>();
            let g = Greenlet::new(own!(drops => move |_| {
                caught_as::<GreenletExit, _>(|| main.switch(None));
                Some(drops.token())
            }));
            g.switch(None);
            assert!(g.kill());
            assert_eq!(drops.count(), 1);
        });
    }

    #[test]
    fn raises_what_the_greenlet_died_of_instead() {
        run(|| {
            let main = current::<()>();
            let g = Greenlet::new(move |()| {
                caught(|| main.switch(()));
                raise("something else");
            });
            g.switch(());
            assert_eq!(complaint(|| g.kill()), "something else");
            assert!(g.is_dead());
        });
    }

    #[test]
    fn of_oneself_unwinds() {
        run(|| {
            let drops = Drops::new();
            let token = drops.token();
            let g = Greenlet::new(move |x: i32| {
                let _token = token;
                current::<i32>().kill();
                x
            });
            caught_as::<Undeliverable, _>(|| g.switch(1));
            assert!(g.is_dead());
            assert_eq!(drops.count(), 1);
            caught_as::<GreenletExit, _>(|| current::<()>().kill());
        });
    }

    #[test]
    fn of_main_is_raised_in_main() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::new(own!(main => move |x| i32::from(main.kill()) + x));
            caught_as::<GreenletExit, _>(|| g.switch(7));
            assert!(g.is_started() && main.is_current());
            assert_eq!(g.switch(0), 7, "main is not dead");
        });
    }

    #[test]
    fn lets_the_dying_switch_to_others() {
        run(|| {
            let log = Log::new();
            let main = current::<i32>();
            let helper = doubler();
            helper.switch(0);
            let g = Greenlet::new(own!(log, main => move |_| {
                let _goodbye = OnDrop(own!(log => move || {
                    let helper = Greenlet::new(|x: i32| x * 2);
                    log.push(helper.try_switch(21).unwrap());
                }));
                main.switch(1)
            }));
            g.switch(0);
            assert!(g.kill());
            assert_eq!(log.take(), [42]);
        });
    }

    #[test]
    fn may_happen_inside_a_destructor_of_one_that_is_killed() {
        run(|| {
            let drops = Drops::new();
            let inner = holder(&drops);
            let main = current::<i32>();
            let outer = Greenlet::new(own!(inner => move |_| {
                let _killer = OnDrop(move || {
                    inner.kill();
                });
                main.switch(1)
            }));
            outer.switch(0);
            assert!(outer.kill());
            assert!(inner.is_dead());
            assert_eq!(drops.count(), 1);
        });
    }

    #[test]
    fn drops_a_value_that_comes_for_the_killer() {
        run(|| {
            let drops = Drops::new();
            let main = current::<Option<Token>>();
            let g = Greenlet::new(own!(main => move |_| {
                caught_as::<GreenletExit, _>(|| main.switch(None));
                main.switch(None)
            }));
            g.switch(None);
            let killer = Greenlet::new(own!(g => move |_| {
                assert!(!g.kill());
                None
            }));
            killer.switch(None);
            assert_eq!(drops.count(), 0);
            killer.switch(Some(drops.token()));
            assert_eq!(drops.count(), 1);
            g.kill();
        });
    }

    #[test]
    fn the_killer_itself_may_be_killed_while_it_waits() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::new(own!(main => move |_| {
                caught_as::<GreenletExit, _>(|| main.switch(1));
                main.switch(2);
                3
            }));
            g.switch(0);
            let killer = Greenlet::new(own!(g => move |_| i32::from(g.kill())));
            assert_eq!(killer.switch(0), 2);
            assert!(killer.kill());
            drop(killer);
            assert_eq!(g.switch(0), 3, "its own parent is there again");
        });
    }

    /// Killers that give up in the order in which they came leave none of them behind as the parent.
    #[test]
    fn by_two_who_give_up_in_the_order_they_came() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::new(own!(main => move |_| {
                for round in 1..=2 {
                    caught_as::<GreenletExit, _>(|| main.switch(round));
                }
                main.switch(3);
                4
            }));
            g.switch(0);
            let [first, second] = [(); 2].map(|()| {
                Greenlet::new(own!(g, main => move |_| {
                    g.kill();
                    main.switch(50)
                }))
            });
            assert_eq!(first.switch(0), 2);
            assert_eq!(second.switch(0), 3);
            assert_eq!(first.switch(0), 50);
            assert_eq!(second.switch(0), 50);
            assert_eq!(g.switch(0), 4, "the result goes to main");
            assert!(g.is_dead() && first.kill() && second.kill());
        });
    }

    #[test]
    fn by_two_who_are_freed_before_the_killed_one_ends() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::new(own!(main => move |_| {
                for round in 1..=2 {
                    caught_as::<GreenletExit, _>(|| main.switch(round));
                }
                main.switch(3);
                4
            }));
            g.switch(0);
            let killer = || Greenlet::new(own!(g => move |_| i32::from(g.kill())));
            let (first, second) = (killer(), killer());
            first.switch(0);
            second.switch(0);
            assert_eq!((first.switch(0), second.switch(0)), (0, 0));
            drop((first, second));
            let _reuse: Vec<_> = (0..10).map(|_| doubler()).collect();
            assert_eq!(g.switch(0), 4);
        });
    }

    #[test]
    fn works_on_a_greenlet_that_waits_for_another_type() {
        run(|| {
            let main = current::<String>();
            let g = Greenlet::new(move |x: i32| main.switch("hi".into()).len() as i32 + x);
            let h = Greenlet::new(own!(g => move |_: String| g.switch(1).to_string()));
            h.switch("go".into());
            assert!(g.kill() && h.kill());
        });
    }

    #[test]
    fn keeps_a_killed_generator_of_work_from_going_on() {
        run(|| {
            let count = Rc::new(Cell::new(0));
            let main = current::<()>();
            let g = Greenlet::new(own!(count => move |()| loop {
                count.set(count.get() + 1);
                main.switch(());
            }));
            (0..3).for_each(|_| g.switch(()));
            assert!(g.kill());
            g.switch(());
            assert_eq!(count.get(), 3);
        });
    }
}

mod drop_of_the_last_handle {
    use super::*;

    #[test]
    fn unwinds_at_once() {
        run(|| {
            let drops = Drops::new();
            let g = holder(&drops);
            let other = g.clone();
            drop(g);
            assert_eq!(drops.count(), 0);
            drop(other);
            assert_eq!(drops.count(), 1);
        });
    }

    #[test]
    fn of_a_pending_one_drops_its_closure() {
        run(|| {
            let drops = Drops::new();
            let token = drops.token();
            drop(Greenlet::new(move |()| {
                let _token = &token;
                unreachable!();
            }));
            assert_eq!(drops.count(), 1);
        });
    }

    #[test]
    fn of_a_declared_one_is_quiet() {
        run(|| drop(Greenlet::<()>::declare()));
    }

    #[test]
    fn of_a_pending_one_that_knows_itself_weakly_frees_it_once() {
        let name = "killing::drop_of_the_last_handle::of_a_pending_one_that_knows_itself_weakly_frees_it_once";
        if survived_in_child(name) {
            return;
        }
        run(|| {
            let g = Greenlet::<i32>::declare();
            let me = g.downgrade();
            g.define(move |x| x + i32::from(me.upgrade().is_some()));
            drop(g);
            assert_eq!(greenlet::blocks_in_use(), (0, 0));
            // The block that was freed is handed out once.
            let [a, b] = [(); 2].map(|()| Greenlet::new(|x: i32| x));
            assert_ne!(a, b);
        });
    }

    #[test]
    fn of_a_suspended_one_that_knows_itself_weakly_frees_it_once() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::<i32>::declare();
            let me = g.downgrade();
            g.define(move |x| {
                let _me = me;
                main.switch(x)
            });
            g.switch(0);
            drop(g);
        });
    }

    #[test]
    fn makes_the_dropper_the_parent_meanwhile() {
        run(|| {
            let log = Log::new();
            let drops = Drops::new();
            let g = Place::new();
            g.put(holder(&drops));
            let dropper = Greenlet::new(own!(g, log, drops => move |x| {
                drop(g.take());
                log.push(drops.count());
                x + 1
            }));
            assert_eq!(dropper.switch(1), 2);
            assert_eq!(log.take(), [1]);
        });
    }

    #[test]
    fn reports_a_panic_and_goes_on() {
        run(|| {
            let log = Log::new();
            let main = current::<()>();
            let g = Greenlet::new(own!(log => move |()| {
                let payload = caught(|| main.switch(()));
                log.push(payload.is::<GreenletExit>());
                panic!("instead of the exit");
            }));
            g.switch(());
            drop(g);
            assert_eq!(log.take(), [true]);
        });
    }

    #[test]
    fn says_on_standard_error_what_could_not_be_raised() {
        let name =
            "killing::drop_of_the_last_handle::says_on_standard_error_what_could_not_be_raised";
        let Some(output) = support::child(name) else {
            return run(|| {
                let main = current::<()>();
                let g = Greenlet::new(move |()| {
                    caught(|| main.switch(()));
                    raise("the lost words");
                });
                g.switch(());
                drop(g);
            });
        };
        assert!(output.status.success());
        assert!(stderr(&output).contains("the lost words"), "{output:?}");
    }

    #[test]
    fn lets_it_live_on_if_it_catches_the_exit_and_switches_away() {
        run(|| {
            let log = Log::new();
            let main = current::<()>();
            let place = Place::<Greenlet<()>>::new();
            let g = Greenlet::new(own!(log, place => move |()| {
                caught_as::<GreenletExit, _>(|| main.switch(()));
                log.push("caught");
                place.put(current());
                main.switch(());
                log.push("went on");
            }));
            g.switch(());
            drop(g);
            assert_eq!(log.take(), ["caught"]);
            place.take().unwrap().switch(());
            assert_eq!(log.take(), ["went on"]);
        });
    }

    #[test]
    fn may_be_survived_ten_times_by_resurrection() {
        run(|| {
            let main = current::<u32>();
            let place = Place::<Greenlet<u32>>::new();
            let g = Greenlet::new(own!(place => move |_| {
                for round in 0..10 {
                    caught_as::<GreenletExit, _>(|| main.switch(round));
                    place.put(current());
                }
                10
            }));
            g.switch(0);
            let mut held = Some(g);
            for _ in 0..9 {
                drop(held.take());
                held = place.take();
                assert!(held.as_ref().is_some_and(Greenlet::is_started));
            }
            drop(held);
            let last = place.take().unwrap();
            assert!(last.is_dead(), "it returned after the tenth");
        });
    }

    #[test]
    fn while_it_runs_ends_it_at_its_next_switch_and_the_value_arrives() {
        run(|| {
            let drops = Drops::new();
            let main = current::<i32>();
            let place = Place::<Greenlet<i32>>::new();
            let g = Greenlet::new(own!(place, drops, main => move |_| {
                let _token = drops.token();
                main.switch(1);
                let child = place.take().unwrap();
                child.set_parent(&main).unwrap(); // the child's was the last handle to me
                assert_eq!(drops.count(), 0, "it still runs");
                main.switch(42)
            }));
            assert_eq!(g.switch(0), 1);
            let child = Greenlet::builder().parent(&g).build(|x| x);
            place.put(child.clone());
            drop(g);
            assert_eq!(child.switch(5), 42, "what it sent is not lost");
            assert_eq!(drops.count(), 1, "and it was ended on the way");
        });
    }

    #[test]
    fn while_it_runs_is_forgiven_if_it_takes_a_new_handle() {
        run(|| {
            let main = current::<i32>();
            let place = Place::<Greenlet<i32>>::new();
            let g = Greenlet::new(own!(place, main => move |_| {
                main.switch(1);
                let child = place.take().unwrap();
                child.set_parent(&main).unwrap();
                place.put(current());
                main.switch(42) + 1
            }));
            g.switch(0);
            let child = Greenlet::builder().parent(&g).build(|x| x);
            place.put(child.clone());
            drop(g);
            assert_eq!(child.switch(5), 42);
            assert_eq!(place.take().unwrap().switch(7), 8);
        });
    }

    #[test]
    fn of_two_at_once_ends_both() {
        type Value = Option<Act>;
        run(|| {
            let drops = Drops::new();
            let main = current::<Value>();
            // Each loses its last handle while it runs, when its child has woken it, and sends what it got.
            let orphan = || {
                let place = Place::<Greenlet<Value>>::new();
                let g = Greenlet::new(own!(place, main, drops => move |_| {
                    let _token = drops.token();
                    let value = main.switch(None);
                    let child = place.take().unwrap();
                    child.set_parent(&main).unwrap();
                    drop(child);
                    main.switch(value)
                }));
                g.switch(None);
                let child = Greenlet::builder().parent(&g).build(|value| value);
                place.put(child.clone());
                child
            };
            let (first, second) = (orphan(), orphan());
            // The value of the first is dropped on arrival, because main waits for an end; its destructor
            // makes the second run before the first has been ended.
            let chatty = act(move || {
                second.switch(None);
            });
            let victim = Greenlet::new(own!(main => move |_| {
                caught(|| main.switch(None));
                first.switch(Some(chatty))
            }));
            victim.switch(None);
            assert!(!victim.kill());
            assert_eq!(drops.count(), 2);
        });
    }

    /// A child keeps its parent; here the parent's stack keeps the child. Python's collector does not find
    /// such a cycle either.
    #[test]
    fn does_not_end_one_that_is_kept_by_a_child_on_its_own_stack() {
        run(|| {
            let drops = Drops::new();
            let main = current::<()>();
            let g = Greenlet::new(own!(drops, main => move |()| {
                let _token = drops.token();
                let child = Greenlet::new(own!(main => move |()| main.switch(())));
                child.switch(());
                main.switch(());
            }));
            g.switch(());
            drop(g);
            assert_eq!((drops.count(), greenlet::alive()), (0, 2));
            greenlet::shutdown();
            assert_eq!((drops.count(), greenlet::alive()), (1, 0));
        });
    }

    #[test]
    fn finds_weak_handles_dead_already() {
        run(|| {
            let seen = Place::new();
            let main = current::<()>();
            let g = Greenlet::<()>::declare();
            let weak = g.downgrade();
            g.define(own!(seen, weak => move |()| {
                let _look = OnDrop(own!(seen => move || seen.put(weak.upgrade().is_none())));
                main.switch(());
            }));
            g.switch(());
            assert!(weak.upgrade().is_some());
            drop(g);
            assert_eq!(seen.take(), Some(true));
            assert!(weak.upgrade().is_none());
        });
    }

    #[test]
    fn may_happen_in_a_destructor_of_another_that_is_dropped() {
        run(|| {
            let drops = Drops::new();
            let main = current::<i32>();
            let mut held = holder(&drops);
            for _ in 0..50 {
                let inner = held;
                held = Greenlet::new(own!(main, drops => move |x| {
                    let _token = drops.token();
                    let _inner = inner;
                    main.switch(x)
                }));
                held.switch(0);
            }
            drop(held);
            assert_eq!(drops.count(), 51);
        });
    }

    #[test]
    fn of_one_that_holds_itself_happens_at_the_end_of_its_thread() {
        run(|| {
            let (tell, told) = std::sync::mpsc::channel();
            on_a_thread(move || {
                let g = Greenlet::<()>::declare();
                let main = current::<()>();
                g.define(own!(g => move |()| {
                    let _me = g;
                    let _tell = OnDrop(move || tell.send(()).unwrap());
                    main.switch(());
                }));
                g.switch(());
                drop(g);
                assert_eq!(greenlet::alive(), 1, "a cycle through its own stack");
            });
            told.try_recv().expect("unwound at the end of its thread");
        });
    }

    #[test]
    fn may_be_the_work_of_a_body_that_held_it() {
        run(|| {
            // A dead greenlet whose result was its own handle.
            let place = Place::new();
            let g = Greenlet::<Option<Box<dyn std::any::Any>>>::declare();
            g.define(own!(g => move |_| Some(Box::new(g) as Box<dyn std::any::Any>)));
            place.put(g.switch(None));
            assert!(g.is_dead());
            drop(g);
            assert!(place.take().flatten().is_some());
        });
    }

    #[test]
    fn a_throw_at_the_dropper_is_raised_out_of_the_drop() {
        run(|| {
            let main = current::<i32>();
            let g = Greenlet::new(own!(main => move |_| {
                caught_as::<GreenletExit, _>(|| main.switch(1));
                main.switch(2)
            }));
            g.switch(0);
            let weak = g.downgrade();
            let place = Place::new();
            place.put(g);
            let dropper = Greenlet::new(own!(place => move |_| {
                drop(place.take());
                3
            }));
            assert_eq!(dropper.switch(0), 2, "it survives, and the dropper waits");
            assert!(weak.upgrade().is_none());
            assert_eq!(
                complaint(|| dropper.throw("at the dropper")),
                "at the dropper"
            );
            assert!(dropper.is_dead());
            greenlet::shutdown();
        });
    }
}

/// A greenlet that has switched away out of a destructor that runs while it unwinds.
mod parked_while_unwinding {
    use super::*;

    /// It has sent 1 out of a destructor; it sends 2 from behind the unwinding, and 3 at its end. What is
    /// raised at the second switch is logged.
    fn parked(log: &Log<String>) -> Greenlet<i32> {
        let main = current::<i32>();
        let g = Greenlet::new(own!(log => move |_| {
            let first = caught(|| {
                let _park = OnDrop(own!(main => move || {
                    main.switch(1);
                }));
                raise("first")
            });
            log.push(text(&*first));
            match catch_unwind(AssertUnwindSafe(|| main.switch(2))) {
                Ok(_) => log.push("nothing raised".into()),
                Err(payload) if payload.is::<GreenletExit>() => log.push("exit".into()),
                Err(payload) => log.push(text(&*payload)),
            }
            3
        }));
        assert_eq!(g.try_switch(0).unwrap(), 1);
        g
    }

    #[test]
    fn it_goes_on_where_it_was() {
        run(|| {
            let log = Log::new();
            let g = parked(&log);
            assert_eq!(g.try_switch(0).unwrap(), 2);
            assert_eq!(g.switch(0), 3);
            assert_eq!(log.take(), ["first", "nothing raised"]);
        });
    }

    #[test]
    fn a_second_kill_is_deferred() {
        run(|| {
            let log = Log::new();
            let g = parked(&log);
            assert!(!g.kill());
            assert!(!g.kill(), "twice is once");
            assert!(log.take().is_empty());
            assert_eq!(g.try_switch(0).unwrap(), 3, "2 was never sent");
            assert_eq!(log.take(), ["first", "exit"]);
        });
    }

    #[test]
    fn a_throw_is_deferred() {
        run(|| {
            let log = Log::new();
            let g = parked(&log);
            match g.try_throw("second") {
                Err(SwitchError::Deferred(refusal)) => {
                    assert!(matches!(refusal.kind(), RefusalKind::Unwinding));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(g.try_switch(0).unwrap(), 3);
            assert_eq!(log.take(), ["first", "second"]);
        });
    }

    #[test]
    fn a_plain_throw_panics_in_the_thrower_and_is_deferred() {
        run(|| {
            let log = Log::new();
            let g = parked(&log);
            assert!(complaint(|| g.throw("second")).starts_with("throw deferred"));
            assert_eq!(g.try_switch(0).unwrap(), 3);
            assert_eq!(log.take(), ["first", "second"]);
        });
    }

    #[test]
    fn an_exit_does_not_displace_what_was_deferred_before() {
        run(|| {
            let log = Log::new();
            let g = parked(&log);
            drop(g.try_throw("second"));
            assert!(!g.kill());
            assert_eq!(g.try_switch(0).unwrap(), 3);
            assert_eq!(log.take(), ["first", "second"]);
        });
    }

    #[test]
    fn a_throw_displaces_a_deferred_exit() {
        run(|| {
            let log = Log::new();
            let g = parked(&log);
            assert!(!g.kill());
            drop(g.try_throw("second"));
            assert_eq!(g.try_switch(0).unwrap(), 3);
            assert_eq!(log.take(), ["first", "second"]);
        });
    }

    #[test]
    fn the_drop_of_its_last_handle_raises_nothing() {
        run(|| {
            on_a_thread(|| {
                let log = Log::new();
                drop(parked(&log));
                assert_eq!(greenlet::alive(), 1, "it is there until its thread ends");
                assert!(log.take().is_empty());
            });
        });
    }

    #[test]
    fn one_that_nobody_holds_ends_when_it_is_switched_to() {
        run(|| {
            let log = Log::new();
            let g = parked(&log);
            let child = Greenlet::builder().parent(&g).build(|x| x);
            drop(g);
            // The result of a child wakes it: only then may the exit be raised.
            assert_eq!(child.try_switch(0).unwrap(), 2);
            drop(child);
            assert_eq!(log.take(), ["first", "exit"]);
        });
    }

    #[test]
    fn the_end_of_its_thread_leaks_it_with_a_message() {
        let name = "killing::parked_while_unwinding::the_end_of_its_thread_leaks_it_with_a_message";
        let Some(output) = support::child(name) else {
            let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
            on_a_thread(own!(ended => move || {
                let main = current::<i32>();
                let g = Greenlet::builder().name("stubborn").build(move |_| {
                    let _park = OnDrop(own!(main => move || {
                        main.switch(1);
                        ended.store(true, std::sync::atomic::Ordering::Relaxed);
                    }));
                    raise("first")
                });
                assert_eq!(g.try_switch(0).unwrap(), 1);
            }));
            assert!(!ended.load(std::sync::atomic::Ordering::Relaxed));
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let words = stderr(&output);
        assert!(
            words.contains("'stubborn'") && words.contains("is leaked"),
            "{words}"
        );
    }

    #[test]
    fn a_lenient_switch_in_the_destructor_is_told_at_once() {
        run(|| {
            let log = Log::new();
            let main = current::<i32>();
            let g = Greenlet::new(own!(log, main => move |_| {
                let first = caught(|| {
                    let _park = OnDrop(own!(log, main => move || {
                        match main.try_switch(1) {
                            Err(SwitchError::Thrown(payload)) => log.push(text(&*payload)),
                            other => panic!("{other:?}"),
                        }
                    }));
                    raise("first")
                });
                log.push(text(&*first));
                2
            }));
            assert_eq!(g.try_switch(0).unwrap(), 1);
            match g.try_throw("told") {
                Ok(value) => assert_eq!(value, 2),
                other => panic!("{other:?}"),
            }
            assert_eq!(log.take(), ["told", "first"]);
        });
    }

    #[test]
    fn a_lenient_switch_in_the_destructor_is_told_of_a_kill() {
        run(|| {
            let log = Log::new();
            let main = current::<i32>();
            let g = Greenlet::new(own!(log, main => move |_| {
                let _park = OnDrop(own!(log, main => move || {
                    match main.try_switch(1) {
                        Err(SwitchError::Thrown(payload)) => log.push(payload.is::<GreenletExit>()),
                        other => panic!("{other:?}"),
                    }
                }));
                raise(GreenletExit)
            }));
            assert_eq!(g.try_switch(0).unwrap(), 1);
            assert!(g.kill());
            assert_eq!(log.take(), [true]);
        });
    }

    #[test]
    fn a_result_for_one_that_waits_there_arrives() {
        run(|| {
            let log = Log::new();
            let g = Greenlet::new(own!(log => move |_| {
                let first = caught(|| {
                    let _ask = OnDrop(own!(log => move || {
                        let child = Greenlet::new(|x: i32| x + 1);
                        log.push(child.switch(41).to_string());
                    }));
                    raise("first")
                });
                log.push(text(&*first));
                2
            }));
            assert_eq!(g.switch(0), 2);
            assert_eq!(log.take(), ["42", "first"]);
        });
    }

    #[test]
    fn a_panic_for_one_that_waits_there_passes_it_over() {
        let name =
            "killing::parked_while_unwinding::a_panic_for_one_that_waits_there_passes_it_over";
        if survived_in_child(name) {
            return;
        }
        run(|| {
            let log = Log::new();
            let g = Greenlet::new(own!(log => move |_| {
                let first = caught(|| {
                    let _ask = OnDrop(own!(log => move || {
                        let child = Greenlet::new(|_: i32| raise("child failed"));
                        child.switch(0);
                        log.push("resumed".to_owned());
                    }));
                    raise("first")
                });
                log.push(text(&*first));
                2
            }));
            match g.try_switch(0) {
                Err(SwitchError::Thrown(payload)) => assert_eq!(text(&*payload), "child failed"),
                other => panic!("{other:?}"),
            }
            assert!(log.take().is_empty());
            assert_eq!(g.try_switch(0).unwrap(), 2);
            assert_eq!(log.take(), ["resumed", "first"]);
        });
    }

    #[test]
    fn kill_from_a_destructor_reports_what_it_cannot_raise() {
        run(|| {
            let log = Log::new();
            let main = current::<i32>();
            let victim = Greenlet::new(own!(main => move |_| {
                caught(|| main.switch(1));
                raise("victim failed")
            }));
            victim.switch(0);
            let g = Greenlet::new(own!(log, victim => move |_| {
                let _killer = OnDrop(own!(log => move || log.push(victim.kill())));
                raise("first")
            }));
            match g.try_switch(0) {
                Err(SwitchError::Thrown(payload)) => assert_eq!(text(&*payload), "first"),
                other => panic!("{other:?}"),
            }
            assert_eq!(log.take(), [true]);
            assert!(victim.is_dead());
        });
    }

    #[test]
    fn a_throw_at_oneself_is_deferred_too() {
        run(|| {
            let log = Log::new();
            let main = current::<i32>();
            let g = Greenlet::new(own!(log => move |_| {
                let first = caught(|| {
                    let _throw = OnDrop(own!(log => move || {
                        match current::<i32>().try_throw("own stone") {
                            Err(SwitchError::Deferred(_)) => log.push("deferred".to_owned()),
                            other => panic!("{other:?}"),
                        }
                        assert!(!current::<i32>().kill());
                    }));
                    raise("first")
                });
                log.push(text(&*first));
                log.push(complaint(|| main.switch(1)));
                2
            }));
            assert_eq!(g.switch(0), 2);
            assert_eq!(log.take(), ["deferred", "first", "own stone"]);
        });
    }

    #[test]
    fn what_was_deferred_and_never_raised_is_reported() {
        let name =
            "killing::parked_while_unwinding::what_was_deferred_and_never_raised_is_reported";
        let Some(output) = support::child(name) else {
            return run(|| {
                let main = current::<i32>();
                let g = Greenlet::new(move |_| {
                    caught(|| {
                        let _park = OnDrop(own!(main => move || {
                            main.switch(1);
                        }));
                        raise("first")
                    });
                    2
                });
                assert_eq!(g.try_switch(0).unwrap(), 1);
                assert!(matches!(
                    g.try_throw("too late"),
                    Err(SwitchError::Deferred(_))
                ));
                assert_eq!(g.try_switch(0).unwrap(), 2);
            });
        };
        assert!(output.status.success(), "{output:?}");
        assert!(stderr(&output).contains("too late"), "{output:?}");
    }

    /// The child of a dying greenlet ends it from a destructor: what the dying one leaves cannot be raised
    /// in the child, nor in itself, so it goes to its own parent.
    #[test]
    fn a_child_that_unwinds_may_end_its_parent_with_a_panic() {
        let name =
            "killing::parked_while_unwinding::a_child_that_unwinds_may_end_its_parent_with_a_panic";
        if survived_in_child(name) {
            return;
        }
        run(|| {
            let main = current::<i32>();
            let place = Place::new();
            let parent = Greenlet::<i32>::declare();
            parent.define(own!(place, parent, main => move |_| {
                let child = Greenlet::new(own!(parent, main => move |_| {
                    let _throw = OnDrop(own!(parent, main => move || {
                        parent.throw(GreenletExit);
                        main.switch(5);
                    }));
                    raise("child")
                }));
                place.put(child);
                caught_as::<GreenletExit, _>(|| main.switch(1));
                drop(parent);
                raise("parent")
            }));
            assert_eq!(parent.switch(0), 1);
            let child = place.take().unwrap();
            match child.try_switch(0) {
                Err(SwitchError::Thrown(payload)) => assert_eq!(text(&*payload), "parent"),
                other => panic!("{other:?}"),
            }
            assert!(parent.is_dead() && child.is_started());
            // Any value ends its wait, then it sends 5, and dies of its own panic.
            assert_eq!(child.try_switch(0).unwrap(), 5);
            match child.try_switch(0) {
                Err(SwitchError::Thrown(payload)) => assert_eq!(text(&*payload), "child"),
                other => panic!("{other:?}"),
            }
        });
    }
}
