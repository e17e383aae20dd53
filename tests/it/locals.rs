//! `greenlet_local!`: what greenlet keeps in attributes and context variables.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use greenlet::{Greenlet, current, greenlet_local};

use crate::support::{Act, Drops, Log, Place, Token, act, caught, complaint, own, raise, run};

greenlet_local! {
    static NUMBER: Cell<u32> = Cell::new(1);
    /// Documented, and another visibility.
    pub(crate) static WORDS: RefCell<Vec<&'static str>> = RefCell::new(vec![]);
    static SHARED: RefCell<Rc<Cell<u32>>> = RefCell::new(Rc::default());
}

#[test]
fn a_new_greenlet_starts_with_fresh_values() {
    run(|| {
        NUMBER.with(|number| number.set(7));
        let g = Greenlet::new(|()| NUMBER.with(|number| assert_eq!(number.replace(8), 1)));
        g.switch(());
        NUMBER.with(|number| assert_eq!(number.get(), 7));
    });
}

#[test]
fn a_creator_hands_a_value_on_by_moving_it_into_the_body() {
    run(|| {
        NUMBER.with(|number| number.set(7));
        let inherited = NUMBER.with(Cell::get);
        let g = Greenlet::new(move |()| {
            NUMBER.with(|number| number.set(inherited));
            NUMBER.with(|number| assert_eq!(number.replace(8), 7));
        });
        g.switch(());
        NUMBER.with(|number| assert_eq!(number.get(), 7, "its changes stay inside"));
    });
}

#[test]
fn greenlets_share_what_they_are_given() {
    run(|| {
        let shared = Rc::new(Cell::new(0));
        let adder = |n: u32| {
            Greenlet::new(own!(shared => move |()| {
                SHARED.with(|place| place.replace(shared));
                SHARED.with(|place| place.borrow().set(place.borrow().get() + n));
            }))
        };
        adder(1).switch(());
        adder(10).switch(());
        assert_eq!(shared.get(), 11);
    });
}

#[test]
fn scopes_that_interleave_do_not_mix() {
    run(|| {
        let main = current::<()>();
        let enter_and_leave = |word: &'static str| {
            Greenlet::new(own!(main => move |()| {
                WORDS.with(|words| words.borrow_mut().push(word));
                main.switch(());
                assert_eq!(WORDS.with(|words| words.borrow_mut().pop()), Some(word));
                main.switch(());
                assert!(WORDS.with(|words| words.borrow().is_empty()));
            }))
        };
        let (a, b) = (enter_and_leave("a"), enter_and_leave("b"));
        // First in, first out: not the order of a stack.
        for g in [&a, &b, &a, &b, &a, &b] {
            g.switch(());
        }
        assert!(a.is_dead() && b.is_dead());
    });
}

#[test]
fn a_value_lives_from_its_first_use_to_the_end_of_its_greenlet() {
    greenlet_local!(static KEPT: RefCell<Option<Token>> = RefCell::new(None));
    run(|| {
        let drops = Drops::new();
        let main = current::<()>();
        let g = Greenlet::new(own!(drops, main => move |()| {
            KEPT.with(|kept| kept.replace(Some(drops.token())));
            main.switch(());
            assert!(KEPT.with(|kept| kept.borrow().is_some()));
        }));
        g.switch(());
        assert_eq!(drops.count(), 0);
        g.switch(());
        assert_eq!(drops.count(), 1, "at the end, though a handle lives");
    });
}

#[test]
fn values_are_dropped_when_their_greenlet_is_killed_or_fails() {
    greenlet_local!(static KEPT: RefCell<Option<Token>> = RefCell::new(None));
    run(|| {
        let drops = Drops::new();
        let main = current::<()>();
        let body = own!(drops => move |()| {
            KEPT.with(|kept| kept.replace(Some(drops.token())));
            main.switch(());
            raise("failed");
        });
        let (killed, failed) = (Greenlet::new(body.clone()), Greenlet::new(body));
        killed.switch(());
        failed.switch(());
        killed.kill();
        assert_eq!(drops.count(), 1);
        caught(|| failed.switch(()));
        assert_eq!(drops.count(), 2);
    });
}

greenlet_local! {
    static FIRST: RefCell<Option<Act>> = RefCell::new(None);
    static SECOND: RefCell<Option<Act>> = RefCell::new(None);
}

fn keep(place: &RefCell<Option<Act>>, destructor: impl FnMut() + 'static) {
    *place.borrow_mut() = Some(act(destructor));
}

#[test]
fn the_youngest_goes_first_and_on_its_own_greenlet() {
    run(|| {
        let log = Log::new();
        let g = Greenlet::declare();
        g.define(own!(log, g => move |()| {
            FIRST.with(|place| keep(place, own!(log, g => move || log.push((1, g.is_current())))));
            SECOND.with(|place| keep(place, own!(log, g => move || log.push((2, g.is_current())))));
        }));
        g.switch(());
        assert_eq!(log.take(), [(2, true), (1, true)]);
    });
}

#[test]
fn a_destructor_may_use_locals_again() {
    run(|| {
        let log = Log::new();
        let g = Greenlet::new(own!(log => move |()| {
            FIRST.with(|place| keep(place, own!(log => move || {
                SECOND.with(|place| keep(place, own!(log => move || log.push("second"))));
                log.push("first");
            })));
        }));
        g.switch(());
        assert_eq!(log.take(), ["first", "second"]);
    });
}

#[test]
fn a_destructor_that_makes_locals_again_and_again_is_given_up_until_the_handle_goes() {
    greenlet_local!(static AGAIN: RefCell<Option<Again>> = RefCell::new(None));
    const TIMES: usize = 8;
    struct Again(Drops);
    impl Drop for Again {
        fn drop(&mut self) {
            drop(self.0.token());
            let drops = self.0.clone();
            if drops.count() < TIMES {
                AGAIN.with(|place| place.replace(Some(Again(drops))));
            }
        }
    }
    run(|| {
        let drops = Drops::new();
        let g = Greenlet::new(own!(drops => move |()| {
            AGAIN.with(|place| place.replace(Some(Again(drops))));
        }));
        g.switch(());
        let at_the_end = drops.count();
        assert!((1..TIMES).contains(&at_the_end), "{at_the_end}");
        drop(g);
        // What it left was dropped by whoever dropped the handle, and made one more there.
        assert_eq!(drops.count(), at_the_end + 1);
    });
}

#[test]
fn a_destructor_may_switch() {
    run(|| {
        let log = Log::new();
        let main = current::<i32>();
        let g = Greenlet::new(own!(log => move |_| {
            FIRST.with(|place| keep(place, own!(log => move || log.push(main.switch(1)))));
            2
        }));
        assert_eq!(g.switch(0), 1);
        assert!(!g.is_dead());
        assert_eq!(g.switch(5), 2);
        assert_eq!(log.take(), [5]);
    });
}

#[test]
fn a_destructor_that_panics_does_not_take_the_result_along() {
    run(|| {
        let g = Greenlet::new(|x: i32| {
            FIRST.with(|place| keep(place, || panic!("in a local")));
            x + 1
        });
        assert_eq!(g.switch(1), 2);
    });
}

#[test]
fn a_body_may_switch_while_it_holds_a_local() {
    run(|| {
        let main = current::<u32>();
        let body = move |first: u32| {
            NUMBER.with(|number| {
                number.set(first);
                main.switch(0);
                number.get()
            })
        };
        let (a, b) = (Greenlet::new(body.clone()), Greenlet::new(body));
        a.switch(10);
        b.switch(20);
        assert_eq!((a.switch(0), b.switch(0)), (10, 20));
    });
}

#[test]
fn an_initialiser_may_use_its_own_local() {
    greenlet_local!(static OUTER: u32 = if NUMBER.with(|n| n.replace(0)) == 1 { OUTER.with(|inner| *inner) } else { 5 });
    run(|| assert_eq!(OUTER.with(|value| *value), 5));
}

#[test]
fn an_initialiser_that_panics_is_tried_again() {
    greenlet_local!(static FUSSY: u32 = if NUMBER.with(|n| n.replace(2)) == 1 { panic!("not yet") } else { 5 });
    run(|| {
        assert_eq!(complaint(|| FUSSY.with(|value| *value)), "not yet");
        assert_eq!(FUSSY.with(|value| *value), 5);
    });
}

#[test]
fn locals_are_found_from_any_depth_and_any_handle_keeps_none() {
    fn depth(n: u32) -> u32 {
        if n == 0 {
            NUMBER.with(Cell::get)
        } else {
            depth(n - 1)
        }
    }
    run(|| {
        let place = Place::new();
        let g = Greenlet::new(own!(place => move |()| {
            NUMBER.with(|number| number.set(9));
            place.put(depth(20));
        }));
        g.switch(());
        assert_eq!(place.take(), Some(9));
        assert_eq!(depth(3), 1);
    });
}
