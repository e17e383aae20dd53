//! What a tracer sees, may do, and must not break.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use greenlet::trace::{self, Event, Tracer};
use greenlet::{Greenlet, GreenletId, Undeliverable, current, spawn};

use crate::support::{
    Act, Drops, Log, OnDrop, Place, Token, act, caught, caught_as, complaint, own, raise, run,
    survived_in_child,
};

/// Events as words: `switch main a`.
struct Watch {
    log: Log<(&'static str, GreenletId, GreenletId)>,
    names: HashMap<GreenletId, String>,
}

impl Watch {
    /// Sets a tracer that writes down what it is told.
    fn start() -> Watch {
        let log = Log::new();
        trace::set(Some(Rc::new(own!(log => move |event: &Event| {
            let kind = match event {
                Event::Switch { .. } => "switch",
                Event::Throw { .. } => "throw",
            };
            let (origin, target) = event.ends();
            assert!(target.is_current(), "told in the target");
            log.push((kind, origin.id(), target.id()));
        }))));
        let main = (current::<()>().id(), "main".to_owned());
        Watch {
            log,
            names: [main].into(),
        }
    }

    fn name<T: 'static>(&mut self, g: &Greenlet<T>, name: &str) {
        self.names.insert(g.id(), name.to_owned());
    }

    fn seen(&self) -> Vec<String> {
        let name = |id| self.names.get(&id).map_or("?", String::as_str);
        let words = |(kind, origin, target)| format!("{kind} {} {}", name(origin), name(target));
        self.log.take().into_iter().map(words).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        trace::set(None);
    }
}

/// Sets a tracer that acts on its first call only.
fn once(act: impl FnOnce(&Event) + 'static) {
    let act = Cell::new(Some(act));
    trace::set(Some(Rc::new(move |event: &Event| {
        if let Some(act) = act.take() {
            act(event);
        }
    })));
}

#[test]
fn a_start_an_end_and_a_failure_are_told() {
    run(|| {
        let mut watch = Watch::start();
        let g1 = Greenlet::new(|()| ());
        let g2 = Greenlet::new(|()| raise("x"));
        watch.name(&g1, "g1");
        watch.name(&g2, "g2");
        g1.switch(());
        caught(|| g2.switch(()));
        let expected = [
            "switch main g1",
            "switch g1 main",
            "switch main g2",
            "throw g2 main",
        ];
        assert_eq!(watch.seen(), expected);
    });
}

#[test]
fn a_switch_or_throw_at_oneself_is_told() {
    run(|| {
        let watch = Watch::start();
        current::<i32>().switch(1);
        caught(|| current::<i32>().throw("x"));
        caught(|| current::<i32>().kill());
        assert_eq!(
            watch.seen(),
            ["switch main main", "throw main main", "throw main main"]
        );
    });
}

#[test]
fn a_throw_at_a_pending_one_is_told_at_each_step() {
    run(|| {
        let mut watch = Watch::start();
        let g = Greenlet::new(|()| ());
        watch.name(&g, "g");
        let seen = Log::new();
        trace::set(Some(Rc::new(own!(seen => move |event: &Event| {
            seen.push(format!("{event:?}").split(' ').next().unwrap().to_owned());
        }))));
        caught(|| g.throw("x"));
        assert_eq!(seen.take(), ["Throw", "Throw"]);
        let pending = Greenlet::new(|()| ());
        pending.kill();
        assert_eq!(seen.take(), ["Throw", "Switch"]);
    });
}

#[test]
fn a_dead_target_is_told_by_the_name_of_the_real_one() {
    run(|| {
        let dead = Greenlet::new(|x: i32| x);
        dead.switch(0);
        let watch = Watch::start();
        dead.switch(1);
        caught(|| dead.throw("x"));
        assert_eq!(watch.seen(), ["switch main main", "throw main main"]);
    });
}

#[test]
fn a_kill_is_a_throw_there_and_a_switch_back() {
    run(|| {
        let mut watch = Watch::start();
        let main = current::<()>();
        let body = move |()| main.switch(());
        let (killed, dropped) = (Greenlet::new(body.clone()), Greenlet::new(body));
        watch.name(&killed, "killed");
        watch.name(&dropped, "dropped");
        killed.switch(());
        dropped.switch(());
        watch.seen();
        killed.kill();
        drop(dropped);
        let expected = [
            "throw main killed",
            "switch killed main",
            "throw main dropped",
            "switch dropped main",
        ];
        assert_eq!(watch.seen(), expected);
    });
}

#[test]
fn a_kill_of_the_dead_is_not_told() {
    run(|| {
        let g = Greenlet::new(|()| ());
        g.kill();
        let watch = Watch::start();
        g.kill();
        assert!(watch.seen().is_empty());
    });
}

#[test]
fn siblings_are_told_in_the_order_of_their_switches() {
    run(|| {
        let mut watch = Watch::start();
        let b = Greenlet::new(|x: i32| x + 1);
        let a = Greenlet::new(own!(b => move |x| b.switch(x)));
        watch.name(&a, "a");
        watch.name(&b, "b");
        assert_eq!(a.switch(1), 2);
        assert_eq!(
            watch.seen(),
            ["switch main a", "switch a b", "switch b main"]
        );
        a.kill();
    });
}

#[test]
fn set_returns_the_one_before_and_get_the_present_one() {
    run(|| {
        assert!(trace::get().is_none());
        let first: Rc<Tracer> = Rc::new(|_: &Event| ());
        let second: Rc<Tracer> = Rc::new(|_: &Event| ());
        assert!(trace::set(Some(first.clone())).is_none());
        assert!(Rc::ptr_eq(&trace::get().unwrap(), &first));
        assert!(Rc::ptr_eq(
            &trace::set(Some(second.clone())).unwrap(),
            &first
        ));
        assert!(Rc::ptr_eq(&trace::set(None).unwrap(), &second));
        assert!(trace::get().is_none());
    });
}

#[test]
fn the_same_tracer_may_be_set_twice() {
    run(|| {
        let count = Rc::new(Cell::new(0));
        let tracer: Rc<Tracer> =
            Rc::new(own!(count => move |_: &Event| count.set(count.get() + 1)));
        trace::set(Some(tracer.clone()));
        assert!(Rc::ptr_eq(
            &trace::set(Some(tracer.clone())).unwrap(),
            &tracer
        ));
        Greenlet::new(|()| ()).switch(());
        assert_eq!(count.get(), 2);
        trace::set(None);
        assert_eq!(Rc::strong_count(&tracer), 1);
    });
}

#[test]
fn a_tracer_belongs_to_its_thread() {
    run(|| {
        let _watch = Watch::start();
        std::thread::spawn(|| assert!(trace::get().is_none()))
            .join()
            .unwrap();
    });
}

#[test]
fn a_tracer_that_panics_is_removed_and_the_target_gets_its_panic() {
    run(|| {
        let g = Greenlet::new(|_: i32| unreachable!("it must not run"));
        trace::set(Some(Rc::new(|_: &Event| panic!("tracer failed"))));
        assert_eq!(complaint(|| g.switch(1)), "tracer failed");
        assert!(trace::get().is_none());
        assert!(g.is_dead());
    });
}

#[test]
fn a_tracer_that_panics_on_a_return_is_raised_in_the_one_returned_to() {
    run(|| {
        let log = Log::new();
        let main = current::<i32>();
        let g = Greenlet::new(own!(main => move |x| main.switch(x)));
        g.switch(0);
        trace::set(Some(Rc::new(own!(main => move |event: &Event| {
            assert!(event.ends().1 != &main, "not in main");
        }))));
        assert!(complaint(|| g.switch(5)).contains("not in main"));
        assert!(g.is_dead());
        log.push(trace::get().is_none());
        assert_eq!(log.take(), [true]);
    });
}

#[test]
fn a_value_is_dropped_once_if_the_panic_of_a_tracer_wins() {
    run(|| {
        let drops = Drops::new();
        let main = current::<Option<Token>>();
        let g = Greenlet::new(own!(main => move |_| {
            let words = complaint(|| main.switch(None));
            assert_eq!(words, "tracer failed");
            None
        }));
        g.switch(None);
        once(|_| panic!("tracer failed"));
        g.switch(Some(drops.token()));
        assert_eq!(drops.count(), 1);
        assert!(trace::get().is_none(), "removed");
    });
}

#[test]
fn the_first_value_is_dropped_once_if_the_panic_of_a_tracer_wins() {
    run(|| {
        let drops = Drops::new();
        let captured = drops.token();
        let g = Greenlet::new(move |_: Token| {
            let _ = &captured;
            unreachable!();
        });
        once(|_| panic!("tracer failed"));
        caught(|| g.switch(drops.token()));
        assert_eq!(drops.count(), 2, "the value and the closure");
    });
}

#[test]
fn an_item_of_a_generator_is_dropped_once_if_the_panic_of_a_tracer_wins() {
    run(|| {
        let drops = Drops::new();
        let main = current::<()>();
        let mut items = greenlet::Generator::new(own!(drops => move |y| loop {
            y.yield_(drops.token());
        }));
        trace::set(Some(Rc::new(move |event: &Event| {
            assert!(event.ends().1 != &main, "not in main");
        })));
        assert!(complaint(|| items.next()).contains("not in main"));
        assert_eq!(drops.count(), 1);
        drop(items.next());
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn a_throw_gives_way_to_the_panic_of_a_tracer() {
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(own!(main => move |_| {
            assert_eq!(complaint(|| main.switch(1)), "tracer failed");
            2
        }));
        g.switch(0);
        once(|_| panic!("tracer failed"));
        assert_eq!(g.throw("stone"), 2);
    });
}

#[test]
fn a_tracer_may_take_itself_away() {
    run(|| {
        let g = Greenlet::new(|x: i32| x);
        once(|_| {
            trace::set(None);
        });
        assert_eq!(g.switch(1), 1);
        assert!(trace::get().is_none());
    });
}

#[test]
fn what_a_tracer_that_took_itself_away_has_kept_may_panic_when_it_is_dropped() {
    run(|| {
        let kept = OnDrop(|| raise("a planted panic of a destructor"));
        trace::set(Some(Rc::new(move |_: &Event| {
            let _ = &kept;
            trace::set(None);
        })));
        // It is told while main waits in the hub.
        spawn(|| ()).join().unwrap();
        assert!(trace::get().is_none());
    });
}

#[test]
fn a_value_has_left_its_slot_before_the_tracer_runs() {
    run(|| {
        // While the tracer runs in `g`, others switch to `g` and bring another value.
        let main = current::<String>();
        let g = Greenlet::new(own!(main => move |first: String| {
            let second = main.switch(first);
            format!("got {second}")
        }));
        g.switch("first".into());
        once(own!(g, main => move |_| {
            let helper = Greenlet::new(own!(g => move |_: String| g.switch("to the tracer".into())));
            assert_eq!(helper.switch(String::new()), "to the tracer");
            helper.set_parent(&main).unwrap();
            std::mem::drop(helper);
        }));
        assert_eq!(g.switch("second".into()), "got second");
    });
}

#[test]
fn a_tracer_may_switch_to_a_second_greenlet_and_back() {
    run(|| {
        let log = Log::new();
        let main = current::<i32>();
        let g1 = Greenlet::new(own!(main, log => move |x| {
            log.push(("g1", x));
            let y = main.switch(x + 1);
            log.push(("g1", y));
            y + 1
        }));
        let g2 = Greenlet::new(own!(log => move |x| {
            log.push(("g2", x));
            let me = current::<i32>();
            me.parent().unwrap().switch(x + 1)
        }));
        // In g1's first arrival, g2 runs first, and its answer goes to main.
        once(own!(g2 => move |_| assert_eq!(g2.switch(10), 20)));
        assert_eq!(g1.switch(1), 11, "g2's answer");
        assert_eq!(log.take(), [("g2", 10)]);
        assert_eq!(
            g1.switch(20),
            2,
            "the tracer has returned, g1 starts with its own value"
        );
        assert_eq!(log.take(), [("g1", 1)]);
        assert_eq!(g1.switch(30), 31);
        assert_eq!(g2.switch(40), 40);
        trace::set(None);
    });
}

#[test]
fn a_tracer_that_switches_among_three_keeps_the_order() {
    run(|| {
        let seen = Log::new();
        let main = current::<i32>();
        let [g1, g2, g3] = ["g1", "g2", "g3"].map(|name| {
            Greenlet::builder()
                .name(name)
                .build(own!(seen, main => move |x| {
                    seen.push(format!("run {name} {x}"));
                    main.switch(x)
                }))
        });
        let tracer: Rc<Tracer> = Rc::new(own!(seen, g2, g3 => move |event: &Event| {
            let name = |g: &Greenlet<()>| g.name().unwrap_or("main").to_owned();
            let (origin, target) = event.ends();
            seen.push(format!("{} > {}", name(origin), name(target)));
            if name(target) == "g1" && !g2.is_started() {
                g2.switch(2);
            } else if name(target) == "g2" && !g3.is_started() {
                g3.switch(3);
            }
        }));
        trace::set(Some(tracer));
        assert_eq!(g1.switch(1), 3, "the third one's answer comes first");
        let expected = ["main > g1", "g1 > g2", "g2 > g3", "run g3 3", "g3 > main"];
        assert_eq!(seen.take(), expected);
        assert_eq!(g2.switch(0), 2);
        assert_eq!(seen.take(), ["main > g2", "run g2 2", "g2 > main"]);
        assert_eq!(g1.switch(0), 1);
        assert_eq!(seen.take(), ["main > g1", "run g1 1", "g1 > main"]);
        trace::set(None);
    });
}

#[test]
fn a_tracer_in_a_greenlet_s_own_start_may_have_it_switched_to() {
    run(|| {
        let main = current::<i32>();
        let g = Greenlet::new(|x| x * 10);
        // The start is left in the tracer, and finished by somebody else's switch.
        once(own!(main => move |_| {
            assert_eq!(main.switch(1), 2);
        }));
        assert_eq!(g.switch(7), 1);
        assert!(g.is_started());
        assert_eq!(
            g.switch(2),
            70,
            "the body gets its first value, not the tracer's"
        );
        trace::set(None);
    });
}

#[test]
fn a_tracer_may_change_the_parent_during_a_start() {
    run(|| {
        let parent = Greenlet::new(|x: i32| x * 2);
        let g = Greenlet::new(|x: i32| x + 1);
        once(own!(g, parent => move |_| g.set_parent(&parent).unwrap()));
        assert_eq!(g.switch(20), 42);
        trace::set(None);
    });
}

#[test]
fn a_tracer_may_kill_the_one_that_starts() {
    run(|| {
        let g = Greenlet::new(|_: i32| unreachable!());
        once(own!(g => move |_| {
            g.kill();
        }));
        // An exit of its own in the start leaves no value for main.
        caught_as::<Undeliverable, _>(|| g.switch(1));
        assert!(g.is_dead());
    });
}

/// Two greenlets lose their last handle while they run; the tracer of the first arrival lets the second one
/// go before the first has been ended.
#[test]
fn a_tracer_that_switches_between_two_orphans_loses_neither() {
    if survived_in_child("tracing::a_tracer_that_switches_between_two_orphans_loses_neither") {
        return;
    }
    run(|| {
        let drops = Drops::new();
        let main = current::<i32>();
        // Each gives up its own last handle as soon as its child has woken it.
        let orphan = || {
            let place = Place::<Greenlet<i32>>::new();
            let g = Greenlet::new(own!(place, main, drops => move |_| {
                let _token = drops.token();
                main.switch(1);
                let child = place.take().unwrap();
                child.set_parent(&main).unwrap();
                main.switch(2)
            }));
            g.switch(0);
            let child = Greenlet::builder().parent(&g).build(|x: i32| x);
            place.put(child.clone());
            child
        };
        let (first, second) = (orphan(), orphan());
        let done = Rc::new(Cell::new(false));
        trace::set(Some(Rc::new(own!(main, done => move |event: &Event| {
            // On the way from the first orphan to main, the second one runs and becomes one too.
            let (origin, target) = event.ends();
            let left_by_orphan = target == &main && origin.is_started();
            if left_by_orphan && !done.replace(true) {
                assert_eq!(second.switch(5), 2);
            }
        }))));
        assert_eq!(first.switch(5), 2);
        trace::set(None);
        assert!(done.get());
        drop(first);
        assert_eq!(drops.count(), 2);
    });
}

#[test]
fn a_value_that_nobody_wants_may_switch_when_it_is_dropped_under_a_tracer() {
    run(|| {
        let mut watch = Watch::start();
        let main = current::<Option<Act>>();
        let g = Greenlet::new(own!(main => move |_| {
            caught(|| main.switch(None));
            let helper = Greenlet::new(|()| ());
            Some(act(move || helper.switch(())))
        }));
        watch.name(&g, "g");
        g.switch(None);
        watch.seen();
        assert!(g.kill());
        assert_eq!(
            watch.seen(),
            [
                "throw main g",
                "switch g main",
                "switch main ?",
                "switch ? main"
            ]
        );
    });
}
