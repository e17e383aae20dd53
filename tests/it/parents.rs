//! Who gets what a greenlet leaves behind.

use greenlet::{Greenlet, ParentError, Undeliverable, current};

use crate::support::{
    Drops, Log, OnDrop, Place, Token, caught, caught_as, complaint, own, own_stacks, raise, run,
    survived_in_child,
};

#[test]
fn the_parent_is_the_greenlet_that_made_it() {
    run(|| {
        let main = current::<()>();
        let inner = Place::new();
        let g = Greenlet::new(own!(inner => move |()| {
            inner.put(Greenlet::new(|()| ()));
        }));
        assert_eq!(g.parent(), Some(main));
        g.switch(());
        assert_eq!(inner.take().unwrap().parent(), Some(g));
    });
}

#[test]
fn a_builder_may_name_another_parent() {
    run(|| {
        let parent = Greenlet::new(|()| ());
        let child = Greenlet::builder().parent(&parent).build(|()| ());
        assert_eq!(child.parent(), Some(parent));
    });
}

#[test]
fn main_has_no_parent_and_takes_none() {
    run(|| {
        let main = current::<()>();
        assert_eq!(main.parent(), None);
        let g = Greenlet::new(|()| ());
        assert_eq!(main.set_parent(&g), Err(ParentError::Main));
        assert_eq!(main.set_parent(&main), Err(ParentError::Main));
        assert_eq!(
            ParentError::Main.to_string(),
            "cannot set the parent of a main greenlet"
        );
        assert_eq!(main.parent(), None);
    });
}

#[test]
fn no_greenlet_is_its_own_parent() {
    run(|| {
        let g = Greenlet::new(|()| ());
        assert_eq!(g.set_parent(&g), Err(ParentError::Cycle));
        assert_eq!(g.parent(), Some(current()));
    });
}

#[test]
fn deeper_cycles_are_refused_too() {
    run(|| {
        let [a, b, c] = [(); 3].map(|()| Greenlet::new(|()| ()));
        b.set_parent(&a).unwrap();
        c.set_parent(&b).unwrap();
        assert_eq!(a.set_parent(&c), Err(ParentError::Cycle));
        assert_eq!(ParentError::Cycle.to_string(), "cyclic parent chain");
        assert_eq!(a.parent(), Some(current()));
        c.set_parent(&a).unwrap();
        b.set_parent(&c).unwrap();
    });
}

#[test]
fn a_result_goes_to_the_parent_not_to_the_one_who_switched_last() {
    run(|| {
        let main = current::<i32>();
        let child = Greenlet::new(move |x: i32| main.switch(x) + 1);
        assert_eq!(child.switch(1), 1);
        let other = Greenlet::new(own!(child => move |x: i32| child.switch(x) + 1000));
        assert_eq!(other.switch(5), 6, "main is the parent of both");
        assert!(child.is_dead() && !other.is_dead());
        other.kill();
    });
}

#[test]
fn a_parent_set_while_it_is_suspended_gets_the_result() {
    run(|| {
        let main = current::<i32>();
        let child = Greenlet::new(own!(main => move |x: i32| main.switch(x) + 1));
        let parent = Greenlet::new(own!(child => move |x: i32| 100 + child.switch(x)));
        child.switch(0);
        child.set_parent(&parent).unwrap();
        assert_eq!(child.parent(), Some(parent.clone()));
        assert_eq!(parent.switch(5), 106);
        assert!(parent.is_dead());
    });
}

#[test]
fn a_parent_set_while_it_runs_gets_the_result() {
    run(|| {
        let parent = Greenlet::new(|x: i32| x * 2);
        let child = Greenlet::new(own!(parent => move |x: i32| {
            current::<i32>().set_parent(&parent).unwrap();
            x + 1
        }));
        assert_eq!(child.switch(20), 42);
    });
}

#[test]
fn a_parent_set_after_death_receives_what_is_forwarded() {
    run(|| {
        let child = Greenlet::new(|x: i32| x);
        child.switch(0);
        let parent = Greenlet::new(|x: i32| x * 2);
        child.set_parent(&parent).unwrap();
        assert_eq!(child.switch(4), 8);
    });
}

#[test]
fn dead_parents_are_passed_over() {
    run(|| {
        let a = Greenlet::new(|x: i32| x);
        let b = Greenlet::builder().parent(&a).build(|x: i32| x);
        let c = Greenlet::builder().parent(&b).build(|x: i32| x + 1);
        a.switch(0);
        b.switch(0);
        assert!(a.is_dead() && b.is_dead());
        assert_eq!(c.switch(1), 2);
    });
}

#[test]
fn a_pending_parent_is_started_by_the_result() {
    run(|| {
        let parent = Greenlet::new(|x: [u64; 100]| x.map(|n| n + 1));
        let child = Greenlet::builder()
            .parent(&parent)
            .build(|x: [u64; 100]| x.map(|n| n * 2));
        assert_eq!(child.switch([5; 100]), [11; 100]);
        assert!(parent.is_dead() && child.is_dead());
    });
}

#[test]
fn a_pending_parent_that_fails_passes_the_panic_to_its_own_parent() {
    run(|| {
        let parent = Greenlet::new(|_: i32| panic!("parent failed"));
        let child = Greenlet::builder().parent(&parent).build(|x: i32| x);
        assert_eq!(complaint(|| child.switch(1)), "parent failed");
        assert!(parent.is_dead());
    });
}

#[test]
fn a_result_for_a_parent_without_a_body_becomes_an_error_further_up() {
    run(|| {
        let parent = Greenlet::<i32>::declare();
        let child = Greenlet::builder().parent(&parent).build(|x: i32| x);
        let error: Undeliverable = caught_as(|| child.switch(1));
        assert!(error.to_string().contains("no body"), "{error}");
        assert!(child.is_dead() && parent.is_dead());
    });
}

#[test]
fn a_dead_greenlet_gets_a_failing_parent_again_and_again() {
    run(|| {
        let child = Greenlet::new(|x: i32| x);
        child.switch(0);
        for round in 0..3 {
            let parent = Greenlet::new(move |x: i32| panic!("round {round}, value {x}"));
            child.set_parent(&parent).unwrap();
            let words = complaint(|| child.switch(7));
            assert_eq!(words, format!("round {round}, value 7"));
            assert_eq!(child.switch(8), 8, "past the dead parent");
        }
    });
}

#[test]
fn a_child_keeps_its_ancestors() {
    run(|| {
        let drops = Drops::new();
        let token = drops.token();
        let parent = Greenlet::new(move |x: i32| {
            let _token = &token;
            x
        });
        let weak = parent.downgrade();
        let child = Greenlet::builder().parent(&parent).build(|x: i32| x);
        drop(parent);
        assert_eq!(drops.count(), 0);
        assert_eq!(child.parent(), weak.upgrade());
        drop(child);
        assert_eq!(drops.count(), 1);
        assert!(weak.upgrade().is_none());
    });
}

#[test]
fn a_parent_does_not_keep_its_children() {
    run(|| {
        let drops = Drops::new();
        let main = current::<()>();
        let token = drops.token();
        let parent = Greenlet::new(own!(main => move |()| {
            let child = Greenlet::new(own!(main => move |()| {
                let _token = token;
                main.switch(());
            }));
            child.switch(());
            drop(child);
            main.switch(());
        }));
        parent.switch(());
        assert_eq!(drops.count(), 0, "the child waits");
        parent.switch(());
        assert_eq!(drops.count(), 1, "ended where its only handle was dropped");
        parent.switch(());
        assert!(parent.is_dead());
    });
}

#[test]
fn a_result_for_a_parent_that_waits_for_another_type_is_dropped_and_an_error_raised() {
    run(|| {
        let drops = Drops::new();
        let child = Greenlet::new(|token: Token| token);
        let h = Greenlet::new(own!(child, drops => move |text: String| {
            child.switch(drops.token());
            text
        }));
        let error: Undeliverable = caught_as(|| h.switch("go".into()));
        let words = error.to_string();
        assert!(
            words.contains("Token") && words.contains("String"),
            "{words}"
        );
        assert_eq!(drops.count(), 1);
        assert!(child.is_dead() && h.is_started());
        h.kill();
    });
}

#[test]
fn a_value_forwarded_to_an_ancestor_that_waits_for_another_type_is_an_error_there() {
    run(|| {
        let drops = Drops::new();
        let dead = Greenlet::new(|token: Option<Token>| token);
        dead.switch(None);
        let h = Greenlet::new(own!(dead, drops => move |text: String| {
            dead.switch(Some(drops.token()));
            text
        }));
        let error: Undeliverable = caught_as(|| h.switch("go".into()));
        assert!(error.to_string().contains("is dead"), "{error}");
        assert_eq!(drops.count(), 1);
        h.kill();
    });
}

#[test]
fn a_parent_may_change_hands_while_its_last_child_is_unwound() {
    run(|| {
        let log = Log::new();
        let main = current::<i32>();
        let old = Greenlet::new(own!(log, main => move |x: i32| {
            let _last_word = OnDrop(move || log.push("old parent unwound"));
            main.switch(x)
        }));
        old.switch(0);
        let child = Greenlet::builder().parent(&old).build(|x: i32| x);
        drop(old);
        assert!(log.take().is_empty());
        child.set_parent(&main).unwrap();
        assert_eq!(log.take(), ["old parent unwound"]);
        assert_eq!(child.switch(3), 3);
    });
}

/// The destructor of a pending parent's closure takes the child away from it, while the child's panic is on
/// its way through that parent.
#[test]
fn a_pending_parent_may_lose_its_dying_child_while_it_is_passed_over() {
    let name = "parents::a_pending_parent_may_lose_its_dying_child_while_it_is_passed_over";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        let main = current::<i32>();
        let place = Place::<Greenlet<i32>>::new();
        let take_away = OnDrop(own!(place => move || {
            let child = place.take().unwrap();
            child.set_parent(&main).unwrap();
        }));
        let parent = Greenlet::new(move |x: i32| {
            let _ = &take_away;
            x
        });
        let child = Greenlet::builder()
            .parent(&parent)
            .build(|_| raise("on its way"));
        drop(parent);
        place.put(child.clone());
        assert_eq!(complaint(|| child.switch(1)), "on its way");
    });
}

/// A chain in which each greenlet is the parent of the next one. Returns the last, which keeps them all.
fn chain(length: usize, mut with: impl FnMut(&Greenlet<usize>)) -> Greenlet<usize> {
    let mut last = Greenlet::new(|x: usize| x);
    for _ in 1..length {
        let next = Greenlet::builder().parent(&last).build(|x: usize| x + 1);
        with(&last);
        last = next;
    }
    last
}

#[test]
fn a_long_chain_of_dead_parents_is_walked_and_freed() {
    run(|| {
        let length = if own_stacks() { 100_000 } else { 400 };
        // Each dies before its child runs.
        let last = chain(length, |g| {
            g.kill();
        });
        assert_eq!(last.switch(1), 2);
        assert_eq!(last.switch(7), 7);
        drop(last);
    });
}

#[test]
fn a_long_chain_of_pending_parents_is_run_through_by_a_result() {
    run(|| {
        let length = if own_stacks() { 100_000 } else { 400 };
        let last = chain(length, |_| {});
        assert_eq!(last.switch(1), length);
    });
}

#[test]
fn a_long_chain_of_pending_parents_is_ended_by_a_panic() {
    run(|| {
        let last = chain(100_000, |_| {});
        assert_eq!(
            caught_as::<&str, _>(|| last.throw("all of you")),
            "all of you"
        );
        assert!(last.is_dead() && last.parent().unwrap().is_dead());
    });
}

#[test]
fn a_long_chain_of_pending_parents_is_dropped() {
    if survived_in_child("parents::a_long_chain_of_pending_parents_is_dropped") {
        return;
    }
    run(|| drop(chain(100_000, |_| {})));
}

#[test]
fn a_long_chain_of_suspended_parents_is_unwound_by_a_drop() {
    if survived_in_child("parents::a_long_chain_of_suspended_parents_is_unwound_by_a_drop") {
        return;
    }
    run(|| {
        // As many as fit into 32 bits, or have a thread each.
        let length = match cfg!(target_pointer_width = "32") {
            _ if !own_stacks() => 200,
            true => 2_000,
            false => 20_000,
        };
        let main = current::<usize>();
        let drops = Drops::new();
        let mut last = main.clone();
        for _ in 0..length {
            let token = drops.token();
            let next = Greenlet::builder()
                .parent(&last)
                .build(own!(main => move |x: usize| {
                    let _token = token;
                    main.switch(x)
                }));
            next.switch(0);
            last = next;
        }
        drop(last);
        assert_eq!(drops.count(), length);
    });
}

#[test]
fn weak_handles_do_not_keep_and_tell_whether_it_is_there() {
    run(|| {
        let pending = Greenlet::new(|()| ());
        let weak = pending.downgrade();
        assert_eq!(weak.upgrade(), Some(pending.clone()));
        assert!(format!("{weak:?}").starts_with("WeakGreenlet(#"));
        drop(pending);
        assert!(weak.upgrade().is_none());
        assert_eq!(format!("{weak:?}"), "WeakGreenlet(gone)");
        let dead = Greenlet::new(|()| ());
        let weak = dead.downgrade();
        dead.switch(());
        assert_eq!(weak.upgrade(), Some(dead.clone()), "dead, but held");
        let twin = weak.clone();
        drop((dead, weak));
        assert!(twin.upgrade().is_none());
    });
}

#[test]
fn a_weak_handle_to_main_is_always_good() {
    run(|| {
        let weak = current::<()>().downgrade();
        assert_eq!(weak.upgrade(), Some(current()));
        drop(weak);
        assert!(current::<()>().is_started());
    });
}

#[test]
fn a_panic_skips_dead_ancestors() {
    run(|| {
        let a = Greenlet::new(|x: i32| x);
        let b = Greenlet::builder().parent(&a).build(|_: i32| raise(7_u8));
        a.switch(0);
        assert_eq!(*caught(|| b.switch(0)).downcast::<u8>().unwrap(), 7);
    });
}
