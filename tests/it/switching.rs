//! Values, states, and who may switch to whom.

use std::cell::Cell;
use std::collections::HashSet;
use std::rc::Rc;

use greenlet::{Greenlet, RefusalKind, SwitchError, current};

use crate::support::{Act, Drops, Log, OnDrop, Place, act, complaint, doubler, own, run};

#[test]
fn control_goes_back_and_forth() {
    run(|| {
        let log = Log::new();
        let main = current::<()>();
        let g = Greenlet::new(own!(log => move |()| {
            log.push(1);
            main.switch(());
            log.push(3);
        }));
        log.push(0);
        g.switch(());
        log.push(2);
        g.switch(());
        log.push(4);
        assert_eq!(log.take(), [0, 1, 2, 3, 4]);
        assert!(g.is_dead());
    });
}

#[test]
fn the_first_value_is_the_argument_and_the_last_is_the_result() {
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(move |first| {
            assert_eq!(first, 1);
            assert_eq!(main.switch(2), 3);
            4
        });
        assert_eq!(g.switch(1), 2);
        assert_eq!(g.switch(3), 4);
    });
}

/// There and back again, twice.
fn echo<T: PartialEq + Clone + std::fmt::Debug + 'static>(value: T) {
    let main = current::<T>();
    let g = Greenlet::new(move |first| main.switch(first));
    assert_eq!(g.switch(value.clone()), value);
    assert_eq!(g.switch(value.clone()), value);
    assert!(g.is_dead());
}

#[test]
fn values_of_every_shape_arrive_as_they_were() {
    run(|| {
        echo(());
        echo(7_u8);
        echo((1, "two", 3.0));
        echo(String::from("text"));
        echo(vec![Some(1), None]);
        echo(Box::new([9_u64; 100]));
        echo([7_u8; 5000]);
        echo(Err::<(), &str>("no"));
        echo(u128::MAX);
    });
}

#[test]
fn values_may_be_aligned_more_than_the_stack_is() {
    #[repr(align(256))]
    #[derive(Clone, Debug, PartialEq)]
    struct Aligned(u8);
    run(|| {
        echo(Aligned(1));
        let g = Greenlet::new(|value: Aligned| {
            assert_eq!(std::ptr::from_ref(&value).addr() % 256, 0);
            value
        });
        g.switch(Aligned(2));
    });
}

#[test]
fn a_value_is_dropped_by_its_receiver_and_once() {
    run(|| {
        let drops = Drops::new();
        let main = current::<Option<crate::support::Token>>();
        let g = Greenlet::new(move |first| {
            drop(first);
            main.switch(None)
        });
        assert!(g.switch(Some(drops.token())).is_none());
        assert_eq!(drops.count(), 1);
        let back = g.switch(Some(drops.token()));
        assert_eq!(drops.count(), 1);
        drop(back);
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn two_children_interleave() {
    run(|| {
        let log = Log::new();
        let main = current::<()>();
        let body = own!(log => move |()| {
            log.push(());
            main.switch(());
            log.push(());
        });
        let g = Greenlet::new(body.clone());
        let h = Greenlet::new(body);
        g.switch(());
        assert_eq!(log.take().len(), 1);
        h.switch(());
        assert_eq!(log.take().len(), 1);
        h.switch(());
        assert_eq!(log.take().len(), 1);
        assert!(h.is_dead() && !g.is_dead());
        g.switch(());
        assert_eq!(log.take().len(), 1);
        assert!(h.is_dead() && g.is_dead());
    });
}

#[test]
fn a_greenlet_starts_another() {
    run(|| {
        let log = Log::new();
        let main = current::<()>();
        let g = Greenlet::new(own!(log => move |()| {
            let f = Greenlet::new(own!(log => move |()| {
                log.push("f");
                main.switch(());
            }));
            log.push("g");
            f.switch(());
        }));
        g.switch(());
        assert_eq!(log.take(), ["g", "f"]);
        assert!(!g.is_dead());
        g.kill();
    });
}

#[test]
fn greenlets_nest_to_any_depth() {
    fn nest(depth: u32) -> u32 {
        match depth {
            0 => 0,
            _ => Greenlet::new(|depth| 1 + nest(depth - 1)).switch(depth),
        }
    }
    run(|| assert_eq!(nest(200), 200));
}

#[test]
fn a_switch_leaves_from_any_depth_of_calls() {
    fn dive(depth: u32, main: &Greenlet<u32>) -> u32 {
        match depth {
            0 => main.switch(0),
            _ => 1 + dive(depth - 1, main),
        }
    }
    run(|| {
        let main = current();
        let g = Greenlet::new(move |depth| dive(depth, &main));
        assert_eq!(g.switch(500), 0);
        assert_eq!(g.switch(7), 507);
    });
}

#[test]
fn siblings_and_cousins_switch_to_each_other() {
    run(|| {
        let log = Log::new();
        let (a, b, c) = (
            Greenlet::<u32>::declare(),
            Greenlet::<u32>::declare(),
            Greenlet::<u32>::declare(),
        );
        let ring = [a.clone(), b.clone(), c.clone()];
        c.set_parent(&b).unwrap();
        let main = current::<u32>();
        for (number, g) in ring.iter().enumerate() {
            let next = ring[(number + 1) % 3].downgrade();
            g.define(own!(log, main => move |mut n| loop {
                log.push((number, n));
                let next = next.upgrade().unwrap();
                n = if n == 6 { main.switch(n) } else { next.switch(n + 1) };
            }));
        }
        assert_eq!(a.switch(1), 6);
        let expected = [(0, 1), (1, 2), (2, 3), (0, 4), (1, 5), (2, 6)];
        assert_eq!(log.take(), expected);
        // Each holds the next one on its stack.
        assert!(ring.iter().all(Greenlet::kill));
    });
}

#[test]
fn a_switch_to_oneself_returns_at_once() {
    run(|| {
        assert_eq!(current::<i32>().switch(7), 7);
        let g = Greenlet::new(|x: i32| current::<i32>().switch(x + 1));
        assert_eq!(g.switch(1), 2);
    });
}

#[test]
fn a_switch_to_a_dead_greenlet_comes_back_to_its_parent() {
    run(|| {
        let g = Greenlet::new(|x: i32| x);
        g.switch(1);
        assert!(g.is_dead());
        assert_eq!(g.switch(25), 25);
        assert_eq!(g.switch(26), 26);
    });
}

#[test]
fn a_switch_to_a_dead_greenlet_leaves_the_caller_if_that_is_not_the_ancestor() {
    run(|| {
        let dead = Greenlet::new(|x: i32| x);
        dead.switch(0);
        let a = Greenlet::new(own!(dead => move |x| dead.switch(x + 1) + 100));
        assert_eq!(a.switch(1), 2, "main, the parent of the dead one, goes on");
        assert!(a.is_started());
        assert_eq!(a.switch(5), 105);
    });
}

#[test]
fn a_switch_to_a_dead_greenlet_starts_its_pending_parent() {
    run(|| {
        let dead = Greenlet::new(|x: i32| x);
        dead.switch(0);
        let parent = Greenlet::new(|x: i32| x * 2);
        dead.set_parent(&parent).unwrap();
        assert_eq!(dead.switch(21), 42);
        assert!(parent.is_dead());
        assert_eq!(dead.switch(21), 21, "now it goes past both");
    });
}

#[test]
fn states_are_told_by_questions_and_in_words() {
    fn told<T: 'static>(g: &Greenlet<T>) -> (bool, bool, bool, String) {
        let words = format!("{g:?}").replace(&g.id().to_string(), "#n");
        (g.is_started(), g.is_current(), g.is_dead(), words)
    }
    run(|| {
        let main = current::<()>();
        let g = Greenlet::new(own!(main => move |()| {
            let me = current::<()>();
            assert_eq!(told(&me), (true, true, false, "Greenlet(#n, current)".into()));
            assert_eq!(told(&main), (true, false, false, "Greenlet(#n, suspended, main)".into()));
            main.switch(());
        }));
        assert_eq!(
            told(&main),
            (true, true, false, "Greenlet(#n, current, main)".into())
        );
        assert_eq!(
            told(&g),
            (false, false, false, "Greenlet(#n, pending)".into())
        );
        g.switch(());
        assert_eq!(
            told(&g),
            (true, false, false, "Greenlet(#n, suspended)".into())
        );
        g.switch(());
        assert_eq!(told(&g), (false, false, true, "Greenlet(#n, dead)".into()));
    });
}

#[test]
fn a_name_is_kept_through_life_and_told() {
    run(|| {
        let g = Greenlet::builder().name("worker").build(|()| ());
        assert_eq!(g.name(), Some("worker"));
        assert!(format!("{g:?}").starts_with("Greenlet('worker' #"));
        g.switch(());
        assert_eq!(g.name(), Some("worker"));
        assert_eq!(Greenlet::new(|()| ()).name(), None);
    });
}

#[test]
fn main_is_an_ordinary_greenlet() {
    run(|| {
        let main = current::<i32>();
        assert!(main.is_started() && main.is_current());
        assert_eq!(main, current::<i32>());
        let g = Greenlet::new(own!(main => move |x| main.switch(x + 1)));
        assert_eq!(g.switch(1), 2);
        g.kill();
    });
}

#[test]
fn current_is_the_one_that_runs() {
    run(|| {
        let main = current::<bool>();
        let g = Greenlet::declare();
        g.define(own!(main => move |_| {
            let me = current::<bool>();
            let parent = me.parent();
            main.switch(parent == Some(main.clone()) && me != main)
        }));
        assert!(g.switch(false));
        assert_eq!(
            current::<()>(),
            main,
            "the same greenlet, as another family"
        );
        g.kill();
    });
}

#[test]
fn handles_are_equal_if_the_greenlet_is_the_same() {
    run(|| {
        let g = Greenlet::new(|()| ());
        let h = Greenlet::new(|()| ());
        assert_eq!(g, g.clone());
        assert_ne!(g, h);
        assert_ne!(g.id(), h.id());
        let set: HashSet<_> = [g.clone(), h.clone(), g.clone()].into();
        assert_eq!(set.len(), 2);
    });
}

#[test]
fn ids_are_never_used_again() {
    run(|| {
        let ids: HashSet<_> = (0..3000).map(|_| Greenlet::new(|()| ()).id()).collect();
        assert_eq!(ids.len(), 3000);
    });
}

#[test]
fn a_greenlet_is_not_dead_during_its_first_switch() {
    run(|| {
        let place = Place::<Greenlet<()>>::new();
        let g = Greenlet::new(own!(place => move |()| {
            let me = place.take().unwrap();
            assert!(!me.is_dead() && me.is_started());
        }));
        place.put(g.clone());
        g.switch(());
    });
}

#[test]
fn a_declared_greenlet_refuses_until_it_has_a_body() {
    run(|| {
        let g = Greenlet::<i32>::declare();
        match g.try_switch(5) {
            Err(SwitchError::Refused { reason, value }) => {
                assert!(matches!(reason.kind(), RefusalKind::NoBody));
                assert_eq!(value, 5);
            }
            other => panic!("{other:?}"),
        }
        assert!(complaint(|| g.switch(5)).contains("has no body"));
        assert!(!g.is_started() && !g.is_dead());
        g.define(|x| x + 1);
        assert_eq!(g.switch(5), 6);
    });
}

#[test]
fn a_greenlet_that_waits_for_another_type_refuses_and_the_value_comes_back() {
    run(|| {
        let main = current::<String>();
        let g = Greenlet::new(move |x: i32| main.switch("from g".into()).len() as i32 + x);
        let h = Greenlet::new(own!(g => move |_: String| g.switch(1).to_string()));
        assert_eq!(h.switch("go".into()), "from g");
        match g.try_switch(5) {
            Err(SwitchError::Refused { reason, value }) => {
                assert!(matches!(reason.kind(), RefusalKind::OtherFamily));
                let words = reason.to_string();
                assert!(words.contains("String") && words.contains("i32"), "{words}");
                assert_eq!(value, 5);
            }
            other => panic!("{other:?}"),
        }
        let words = complaint(|| g.switch(5));
        assert!(words.starts_with("switch refused"), "{words}");
        assert!(g.kill() && h.kill());
    });
}

#[test]
fn the_body_is_consumed_by_its_one_run() {
    run(|| {
        let drops = Drops::new();
        let token = drops.token();
        let main = current::<()>();
        let g = Greenlet::new(move |()| {
            let _token = token;
            main.switch(());
        });
        g.switch(());
        assert_eq!(drops.count(), 0);
        g.switch(());
        assert_eq!(drops.count(), 1, "though a handle lives");
        assert!(complaint(|| g.define(|()| ())).contains("is dead"));
    });
}

#[test]
fn large_bodies_are_carried_as_well() {
    run(|| {
        let large = [3_u8; 4000];
        let g =
            Greenlet::new(move |n: usize| large.iter().map(|&b| usize::from(b)).sum::<usize>() + n);
        assert_eq!(g.switch(1), 12_001);
        let unused = Greenlet::new(move |n: usize| n + large.len());
        drop(unused);
    });
}

#[test]
fn a_captured_value_may_switch_when_it_is_dropped() {
    run(|| {
        let main = current::<i32>();
        let farewell = OnDrop(own!(main => move || assert_eq!(main.switch(1), 2)));
        let g = Greenlet::new(move |_| {
            let _farewell = farewell;
            3
        });
        assert_eq!(g.switch(0), 1);
        assert!(g.is_started());
        assert_eq!(g.switch(2), 3);
        assert!(g.is_dead());
    });
}

#[test]
fn a_destructor_deep_in_a_container_may_switch() {
    struct Nested(
        #[expect(dead_code, reason = "dropped")] Vec<Nested>,
        Option<Act>,
    );
    run(|| {
        let main = current::<()>();
        let log = Log::new();
        let g = Greenlet::new(own!(log => move |()| {
            let bottom = act(move || {
                main.switch(());
            });
            let mut nested = Nested(vec![], Some(bottom));
            for _ in 0..50 {
                nested = Nested(vec![nested, Nested(vec![], None)], None);
            }
            assert!(nested.1.is_none());
            drop(nested);
            log.push("dropped");
        }));
        g.switch(());
        assert!(log.take().is_empty() && g.is_started());
        g.switch(());
        assert_eq!(log.take(), ["dropped"]);
    });
}

#[test]
fn two_greenlets_switch_out_of_a_sort() {
    run(|| {
        let main = current::<()>();
        let sorted = Log::new();
        let sorter = |items: Vec<u32>| {
            Greenlet::new(own!(main, sorted => move |()| {
                let mut items = items;
                items.sort_by(|a, b| {
                    main.switch(());
                    a.cmp(b)
                });
                sorted.push(items);
            }))
        };
        let (g, h) = (sorter(vec![3, 1, 2]), sorter(vec![9, 8, 7, 6]));
        while !(g.is_dead() && h.is_dead()) {
            g.switch(());
            h.switch(());
        }
        let sorted = sorted.take();
        assert!(sorted.contains(&vec![1, 2, 3]) && sorted.contains(&vec![6, 7, 8, 9]));
    });
}

#[test]
fn a_switch_may_leave_from_below_foreign_frames() {
    extern "C" fn callback(main: *const Greenlet<i32>) -> i32 {
        // SAFETY: the caller passes a reference that lives while it waits.
        unsafe { &*main }.switch(1)
    }
    extern "C" fn foreign(
        f: extern "C" fn(*const Greenlet<i32>) -> i32,
        main: *const Greenlet<i32>,
    ) -> i32 {
        f(main) + 10
    }
    run(|| {
        let main = current::<i32>();
        let body = move |_| foreign(callback, &raw const main);
        let (g, h) = (Greenlet::new(body.clone()), Greenlet::new(body));
        assert_eq!((g.switch(0), h.switch(0)), (1, 1));
        assert_eq!((g.switch(5), h.switch(6)), (15, 16));
    });
}

#[test]
fn floating_point_values_survive_switches() {
    run(|| {
        let main = current::<f64>();
        let g = Greenlet::new(move |mut x: f64| {
            let mut sum = 0.5;
            loop {
                sum += x;
                x = main.switch(sum);
            }
        });
        let mut own = 1.0_f64;
        for step in 1..=100 {
            own *= 1.01;
            let sum = g.switch(1.0);
            assert_eq!(sum, 0.5 + f64::from(step));
        }
        assert!((own - 2.704_813_829_421_526).abs() < 1e-9);
    });
}

#[test]
fn a_borrow_of_ones_own_stack_holds_across_switches() {
    run(|| {
        let main = current::<usize>();
        let g = Greenlet::new(move |_| {
            let mut numbers = vec![1, 2, 3];
            for number in &mut numbers {
                *number = main.switch(*number);
            }
            numbers.iter().sum()
        });
        assert_eq!(g.switch(0), 1);
        assert_eq!(g.switch(10), 2);
        assert_eq!(g.switch(20), 3);
        assert_eq!(g.switch(30), 60);
    });
}

#[test]
fn many_greenlets_take_turns() {
    run(|| {
        let count = if crate::support::own_stacks() {
            5000
        } else {
            200
        };
        let main = current::<usize>();
        let all: Vec<_> = (0..count)
            .map(|n| Greenlet::new(own!(main => move |x| main.switch(x + n) + n)))
            .collect();
        for (n, g) in all.iter().enumerate() {
            assert_eq!(g.switch(1), n + 1);
        }
        for (n, g) in all.iter().enumerate().rev() {
            assert_eq!(g.switch(2), n + 2);
        }
        assert!(all.iter().all(Greenlet::is_dead));
    });
}

#[test]
fn a_doubler_answers_for_ever() {
    run(|| {
        let g = doubler();
        let rounds = if crate::support::own_stacks() {
            100_000
        } else {
            1000
        };
        assert!((0..rounds).all(|n| g.switch(n) == 2 * n));
    });
}

#[test]
fn one_may_switch_while_a_refcell_is_free_again() {
    run(|| {
        let seen = Rc::new(Cell::new(0));
        let g = Greenlet::new(own!(seen => move |x: i32| {
            seen.set(seen.get() + x);
            x
        }));
        g.switch(3);
        assert_eq!((seen.get(), Rc::strong_count(&seen)), (3, 1));
    });
}
