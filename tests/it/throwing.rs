//! What is raised in whom: by `throw`, by panics, and by results that nobody can take.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use greenlet::{Greenlet, GreenletExit, RefusalKind, SwitchError, Undeliverable, current};

use crate::support::{
    Drops, Log, OnDrop, Place, caught, caught_as, complaint, own, raise, run, text,
};

/// Waits at a switch to main, catches what is raised there, and answers with its words.
fn catcher() -> Greenlet<String> {
    let main = current::<String>();
    Greenlet::new(move |first: String| {
        match catch_unwind(AssertUnwindSafe(|| main.switch(first))) {
            Ok(value) => format!("value {value}"),
            Err(payload) => format!("caught {}", text(&*payload)),
        }
    })
}

#[test]
fn what_is_thrown_is_raised_at_the_pending_switch() {
    run(|| {
        let g = catcher();
        g.switch("start".into());
        assert_eq!(g.throw("stone"), "caught stone");
        assert!(g.is_dead());
    });
}

#[test]
fn any_payload_arrives_as_it_was() {
    #[derive(Debug, PartialEq)]
    struct Custom(Vec<u8>);
    run(|| {
        let g = Greenlet::new(|()| {
            let parent = current::<()>().parent().unwrap();
            let custom: Custom = caught_as(|| parent.switch(()));
            assert_eq!(custom, Custom(vec![1, 2, 3]));
        });
        g.switch(());
        g.throw(Custom(vec![1, 2, 3]));
        assert!(g.is_dead());
    });
}

#[test]
fn one_that_catches_goes_on_and_the_thrower_waits() {
    run(|| {
        let log = Log::new();
        let main = current::<i32>();
        let g = Greenlet::new(own!(log, main => move |_| {
            caught_as::<&str, _>(|| main.switch(1));
            log.push("caught");
            main.switch(2) + 100
        }));
        assert_eq!(g.switch(0), 1);
        assert_eq!(g.throw("x"), 2);
        assert_eq!(log.take(), ["caught"]);
        assert_eq!(g.switch(3), 103);
    });
}

#[test]
fn what_is_not_caught_goes_to_the_parent_not_to_the_thrower() {
    run(|| {
        let main = current::<i32>();
        let b = Greenlet::new(own!(main => move |x| main.switch(x)));
        b.switch(0);
        let a = Greenlet::new(own!(b => move |_| b.throw("from a") + 100));
        assert_eq!(caught_as::<&str, _>(|| a.switch(0)), "from a");
        assert!(b.is_dead());
        assert!(a.is_started(), "the thrower waits for its own switch");
        assert_eq!(a.switch(5), 105);
    });
}

#[test]
fn a_body_may_raise_again_what_it_was_thrown() {
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(move |_| {
            let payload = caught(|| main.switch(1));
            std::panic::resume_unwind(payload)
        });
        g.switch(0);
        assert_eq!(caught_as::<u64, _>(|| g.throw(9_u64)), 9);
        assert!(g.is_dead());
    });
}

#[test]
fn a_panic_is_raised_in_the_parent_with_its_message() {
    run(|| {
        let n = 3;
        let g = Greenlet::new(move |()| panic!("number {n}"));
        assert_eq!(complaint(|| g.switch(())), "number 3");
        assert!(g.is_dead());
    });
}

#[test]
fn a_panic_climbs_from_parent_to_parent_until_it_is_caught() {
    run(|| {
        let log = Log::new();
        let g1 = Greenlet::new(own!(log => move |()| {
            let g2 = Greenlet::new(own!(log => move |()| {
                let g3 = Greenlet::new(|()| raise("deep"));
                let _unwound = OnDrop(own!(log => move || log.push("g2 unwound")));
                g3.switch(());
            }));
            log.push(if complaint(|| g2.switch(())) == "deep" { "g1 caught" } else { "?" });
        }));
        g1.switch(());
        assert_eq!(log.take(), ["g2 unwound", "g1 caught"]);
    });
}

#[test]
fn a_panic_goes_to_a_parent_set_late() {
    run(|| {
        let main = current::<i32>();
        let g1 = Greenlet::new(own!(main => move |_| {
            let words = complaint(|| main.switch(1));
            assert_eq!(words, "for g1");
            2
        }));
        let g2 = Greenlet::new(own!(main => move |_| {
            main.switch(1);
            raise("for g1")
        }));
        g1.switch(0);
        g2.switch(0);
        g2.set_parent(&g1).unwrap();
        assert_eq!(g2.switch(0), 2);
        assert!(g1.is_dead() && g2.is_dead());
        assert_eq!(g2.switch(25), 25);
    });
}

#[test]
fn a_pending_greenlet_ends_without_having_run() {
    run(|| {
        let drops = Drops::new();
        let token = drops.token();
        let g = Greenlet::new(move |()| {
            let _token = &token;
            unreachable!("it must not run");
        });
        assert_eq!(
            caught_as::<&str, _>(|| g.throw("before the start")),
            "before the start"
        );
        assert!(g.is_dead());
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn thrown_at_a_pending_one_it_is_raised_in_the_parent_of_that_one() {
    run(|| {
        let main = current::<i32>();
        let parent = Greenlet::new(own!(main => move |_| {
            assert_eq!(complaint(|| main.switch(1)), "for the child");
            2
        }));
        parent.switch(0);
        let child = Greenlet::builder().parent(&parent).build(|x| x);
        assert_eq!(child.throw("for the child"), 2);
        assert!(child.is_dead() && parent.is_dead());
    });
}

#[test]
fn pending_parents_of_a_pending_one_end_with_it() {
    run(|| {
        let [a, b, c] = [(); 3].map(|()| Greenlet::new(|()| unreachable!()));
        b.set_parent(&a).unwrap();
        c.set_parent(&b).unwrap();
        assert_eq!(caught_as::<&str, _>(|| c.throw("x")), "x");
        assert!(a.is_dead() && b.is_dead() && c.is_dead());
    });
}

#[test]
fn one_without_a_body_refuses_and_gives_the_payload_back() {
    run(|| {
        let g = Greenlet::<i32>::declare();
        match g.try_throw("keep this") {
            Err(SwitchError::Refused { reason, value }) => {
                assert!(matches!(reason.kind(), RefusalKind::NoBody));
                assert_eq!(value, "keep this");
            }
            other => panic!("{other:?}"),
        }
        assert!(complaint(|| g.throw("x")).contains("has no body"));
        assert!(!g.is_dead());
        g.define(|x| x);
        assert_eq!(g.switch(1), 1);
    });
}

#[test]
fn thrown_at_a_dead_one_it_is_raised_in_its_first_live_ancestor() {
    run(|| {
        let dead = Greenlet::new(|x: i32| x);
        dead.switch(0);
        assert_eq!(
            caught_as::<&str, _>(|| dead.throw("back to me")),
            "back to me"
        );
        // The thrower is not the ancestor: it waits, and main is told.
        let thrower = Greenlet::new(own!(dead => move |_| dead.throw("to main") + 1));
        assert_eq!(caught_as::<&str, _>(|| thrower.switch(0)), "to main");
        assert_eq!(thrower.switch(1), 2);
    });
}

#[test]
fn thrown_at_oneself_it_is_raised_at_once() {
    run(|| {
        assert_eq!(caught_as::<&str, _>(|| current::<()>().throw("me")), "me");
        let g = Greenlet::new(|x: i32| {
            assert_eq!(caught_as::<&str, _>(|| current::<i32>().throw("me")), "me");
            x + 1
        });
        assert_eq!(g.switch(1), 2);
    });
}

#[test]
fn a_child_may_throw_at_main() {
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(move |_| main.throw("up") + 1);
        assert_eq!(caught_as::<&str, _>(|| g.switch(0)), "up");
        assert!(g.is_started());
        assert_eq!(g.switch(1), 2);
    });
}

#[test]
fn try_switch_returns_what_is_thrown_at_the_caller() {
    run(|| {
        let g = Greenlet::new(|_: i32| raise("inside"));
        match g.try_switch(0) {
            Err(SwitchError::Thrown(payload)) => assert_eq!(text(&*payload), "inside"),
            other => panic!("{other:?}"),
        }
        match g.try_throw("at the dead") {
            Err(SwitchError::Thrown(payload)) => assert_eq!(text(&*payload), "at the dead"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn errors_speak() {
    run(|| {
        let g = Greenlet::<i32>::declare();
        let refused = g.try_switch(1).unwrap_err();
        assert!(refused.to_string().contains("no body"));
        assert!(format!("{refused:?}").starts_with("Refused"));
        assert_eq!(refused.into_value(), Some(1));
        g.define(|_| raise("boom"));
        let thrown = g.try_switch(1).unwrap_err();
        assert_eq!(thrown.to_string(), "thrown: boom");
        assert_eq!(format!("{thrown:?}"), "Thrown(\"boom\")");
        assert_eq!(thrown.into_value(), None);
    });
}

#[test]
fn a_thrown_exit_makes_the_thrower_the_parent() {
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(own!(main => move |_| {
            caught_as::<GreenletExit, _>(|| main.switch(1));
            7
        }));
        g.switch(0);
        let thrower = Greenlet::new(own!(g => move |_| g.throw(GreenletExit) + 100));
        assert_eq!(thrower.switch(0), 107, "the result went to the thrower");
    });
}

#[test]
fn after_a_thrown_exit_there_is_no_value_to_wait_for() {
    run(|| {
        let main = current::<i32>();
        let suspended = Greenlet::new(own!(main => move |_| main.switch(1)));
        suspended.switch(0);
        let pending = Greenlet::new(|x: i32| x);
        for g in [suspended, pending] {
            let error: Undeliverable = caught_as(|| g.throw(GreenletExit));
            assert!(
                error.to_string().contains("`kill` waits for none"),
                "{error}"
            );
            assert!(g.is_dead());
            caught_as::<Undeliverable, _>(|| g.throw(GreenletExit));
        }
    });
}

#[test]
fn one_that_exits_by_itself_leaves_no_value_for_its_parent() {
    run(|| {
        let g = Greenlet::new(|_: i32| raise(GreenletExit));
        let error: Undeliverable = caught_as(|| g.switch(0));
        assert!(error.to_string().contains("left no value"), "{error}");
        assert!(g.is_dead());
    });
}

#[test]
fn an_exit_is_not_an_error_to_catch_by_name() {
    run(|| {
        let main = current::<()>();
        let g = Greenlet::new(own!(main => move |()| {
            // What a program does that handles its own errors only.
            match catch_unwind(AssertUnwindSafe(|| main.switch(()))) {
                Err(payload) if payload.is::<String>() => {}
                Err(payload) => std::panic::resume_unwind(payload),
                Ok(()) => {}
            }
        }));
        g.switch(());
        assert!(g.kill());
    });
}

#[test]
fn a_throw_is_not_lost_in_a_destructor_that_panics() {
    run(|| {
        let troublemaker = OnDrop(|| panic!("in the destructor"));
        let g = Greenlet::new(move |()| {
            let _ = &troublemaker;
        });
        assert_eq!(caught_as::<&str, _>(|| g.throw("kept")), "kept");
    });
}

#[test]
fn destructors_run_in_order_when_a_throw_unwinds() {
    run(|| {
        let log = Log::new();
        let main = current::<()>();
        let g = Greenlet::new(own!(log => move |()| {
            let _first = OnDrop(own!(log => move || log.push(1)));
            let _second = OnDrop(own!(log => move || log.push(2)));
            main.switch(());
            log.push(0);
        }));
        g.switch(());
        caught(|| g.throw("x"));
        assert_eq!(log.take(), [2, 1]);
    });
}

#[test]
fn greenlets_may_each_wait_inside_a_handler() {
    run(|| {
        let main = current::<u32>();
        let body = |number: u32| {
            Greenlet::new(own!(main => move |_| {
                let outcome = catch_unwind(AssertUnwindSafe(|| raise(number)));
                let payload = outcome.unwrap_err();
                // Switched away with a caught panic in hand, and again inside another catch.
                let again = caught_as::<u32, u32>(|| {
                    main.switch(number);
                    std::panic::resume_unwind(payload)
                });
                assert!(!std::thread::panicking());
                again * 10
            }))
        };
        let all = [1, 2, 3].map(body);
        assert_eq!([0, 1, 2].map(|i| all[i].switch(0)), [1, 2, 3]);
        assert_eq!([2, 0, 1].map(|i| all[i].switch(0)), [30, 10, 20]);
    });
}

#[test]
fn a_panic_caught_here_is_not_seen_there() {
    run(|| {
        let main = current::<bool>();
        let g = Greenlet::new(own!(main => move |_| {
            caught(|| raise("here"));
            main.switch(std::thread::panicking())
        }));
        assert!(!g.switch(false));
        assert!(!std::thread::panicking());
        assert!(!g.switch(false));
    });
}

#[test]
fn three_unwinds_in_flight_finish_in_any_order() {
    run(|| {
        let log = Log::new();
        let main = current::<u32>();
        let all = [1, 2, 3].map(|number| {
            Greenlet::new(own!(main, log => move |_| {
                let payload = caught(|| {
                    let _park = OnDrop(own!(main => move || {
                        assert!(std::thread::panicking());
                        main.switch(number);
                    }));
                    raise(number)
                });
                log.push(*payload.downcast::<u32>().unwrap());
                number * 10
            }))
        });
        for (i, g) in all.iter().enumerate() {
            assert_eq!(g.try_switch(0).unwrap(), i as u32 + 1);
        }
        for i in [1, 0, 2] {
            assert_eq!(all[i].try_switch(0).unwrap(), (i as u32 + 1) * 10);
        }
        assert_eq!(log.take(), [2, 1, 3]);
        assert!(!std::thread::panicking());
    });
}

#[test]
fn a_panic_survives_a_destructor_that_switches() {
    if crate::support::survived_in_child("throwing::a_panic_survives_a_destructor_that_switches") {
        return;
    }
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(own!(main => move |_| {
            let _park = OnDrop(move || {
                main.switch(1);
            });
            raise("the panic")
        }));
        assert_eq!(g.switch(0), 1);
        // As errors: while somebody is parked mid-unwind, nobody else can be sure not to be unwinding.
        match g.try_switch(0) {
            Err(SwitchError::Thrown(payload)) => assert_eq!(text(&*payload), "the panic"),
            other => panic!("{other:?}"),
        }
        assert!(g.is_dead());
    });
}

#[test]
fn a_plain_switch_too_is_told_of_a_panic_that_was_parked() {
    let name = "throwing::a_plain_switch_too_is_told_of_a_panic_that_was_parked";
    if crate::support::survived_in_child(name) {
        return;
    }
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(own!(main => move |_| {
            let _park = OnDrop(move || {
                main.switch(1);
            });
            raise("the panic")
        }));
        assert_eq!(g.switch(0), 1);
        assert_eq!(complaint(|| g.switch(0)), "the panic");
        assert!(g.is_dead());
    });
}

#[test]
fn a_value_thrown_is_dropped_once() {
    run(|| {
        let drops = Rc::new(Cell::new(0));
        struct Payload(std::sync::Arc<std::sync::atomic::AtomicUsize>);
        impl Drop for Payload {
            fn drop(&mut self) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let count = std::sync::Arc::default();
        let g = Greenlet::new(|()| ());
        let payload: Payload = caught_as(|| g.throw(Payload(std::sync::Arc::clone(&count))));
        drops.set(count.load(std::sync::atomic::Ordering::Relaxed));
        assert_eq!(drops.get(), 0);
        drop(payload);
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}

#[test]
fn a_throw_at_one_who_waits_for_another_type_needs_no_type() {
    run(|| {
        let place = Place::<String>::new();
        let g = Greenlet::new(own!(place => move |_: i32| {
            let parent = current::<String>().parent().unwrap();
            let words = complaint(|| parent.try_switch("text".into()).unwrap());
            place.put(words);
            1
        }));
        // Main waits for an `i32`, so the switch inside is refused, and its error is what panics.
        assert_eq!(g.switch(0), 1);
        assert!(place.take().unwrap().contains("Refused"));
    });
}
