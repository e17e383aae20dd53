//! A backtrace taken inside a greenlet shows its frames, and ends.

use std::backtrace::Backtrace;

use greenlet::{Greenlet, current};

use crate::support::{Place, caught, doubler, own, run};

/// So many frames are too many for what is tested here: the walk did not end where it should.
const TOO_MANY: usize = 200;

fn frames(trace: &str) -> Vec<&str> {
    let numbered = |line: &&str| {
        line.trim_start()
            .split_once(": ")
            .is_some_and(|(number, _)| number.parse::<u32>().is_ok())
    };
    trace.lines().filter(numbered).collect()
}

fn here() -> String {
    Backtrace::force_capture().to_string()
}

#[inline(never)]
fn outermost(place: &Place<String>) {
    middle_of_the_body(place);
    std::hint::black_box(());
}

#[inline(never)]
fn middle_of_the_body(place: &Place<String>) {
    place.put(here());
    std::hint::black_box(());
}

fn check(trace: &str) {
    let frames = frames(trace);
    assert!(trace.contains("middle_of_the_body"), "{trace}");
    assert!(trace.contains("outermost"), "{trace}");
    assert!(frames.len() < TOO_MANY, "{} frames", frames.len());
}

#[test]
fn inside_a_greenlet_it_contains_the_functions_of_the_body() {
    run(|| {
        let place = Place::new();
        Greenlet::new(own!(place => move |()| outermost(&place))).switch(());
        check(&place.take().unwrap());
    });
}

#[test]
fn it_ends_at_the_entry_on_a_stack_of_ours() {
    if greenlet::BACKEND != "direct" {
        return;
    }
    run(|| {
        let place = Place::new();
        let g = Greenlet::new(own!(place => move |()| outermost(&place)));
        called_from_here(&g);
        let trace = place.take().unwrap();
        assert!(!trace.contains("called_from_here"), "{trace}");
    });
}

#[inline(never)]
fn called_from_here(g: &Greenlet<()>) {
    g.switch(());
    std::hint::black_box(());
}

#[test]
fn it_is_the_same_after_many_switches() {
    run(|| {
        let place = Place::new();
        let main = current::<i32>();
        let g = Greenlet::new(own!(place => move |_| {
            outermost(&place);
            for n in 1..=1000 {
                main.switch(n);
            }
            outermost(&place);
            0
        }));
        g.switch(0);
        let before = place.take().unwrap();
        (1..1000).for_each(|n| {
            g.switch(n);
        });
        g.switch(1000);
        assert!(g.is_dead());
        let after = place.take().unwrap();
        check(&after);
        // The portable backend's walk goes on into the native stack, as it is at that time.
        if greenlet::BACKEND != "corosensei" {
            assert_eq!(frames(&before).len(), frames(&after).len());
        }
    });
}

#[test]
fn of_main_it_is_right_after_greenlets_have_run() {
    run(|| {
        let place = Place::new();
        let g = doubler();
        (0..100).for_each(|n| assert_eq!(g.switch(n), 2 * n));
        outermost(&place);
        check(&place.take().unwrap());
    });
}

#[test]
fn one_that_was_kept_is_good_while_its_greenlet_is_suspended() {
    run(|| {
        let place = Place::<Backtrace>::new();
        let main = current::<()>();
        let g = Greenlet::new(own!(place => move |()| {
            deep_inside(&place);
            main.switch(());
        }));
        g.switch(());
        let others = doubler();
        others.switch(1);
        let trace = place.take().unwrap().to_string();
        assert!(trace.contains("deep_inside"), "{trace}");
        g.switch(());
    });
}

#[inline(never)]
fn deep_inside(place: &Place<Backtrace>) {
    place.put(Backtrace::force_capture());
    std::hint::black_box(());
}

#[test]
fn it_goes_through_foreign_frames() {
    extern "C" fn foreign(
        callback: extern "C" fn(*const Place<String>),
        place: *const Place<String>,
    ) {
        callback(place);
    }
    extern "C" fn callback(place: *const Place<String>) {
        // SAFETY: the caller lends it for the call.
        outermost(unsafe { &*place });
    }
    run(|| {
        let place = Place::new();
        let body = own!(place => move |()| foreign(callback, &raw const place));
        Greenlet::new(body).switch(());
        check(&place.take().unwrap());
    });
}

#[test]
fn it_is_taken_while_a_panic_unwinds_a_greenlet() {
    run(|| {
        let place = Place::new();
        let main = current::<()>();
        let g = Greenlet::new(own!(place => move |()| {
            let _look = crate::support::OnDrop(move || outermost(&place));
            main.switch(());
        }));
        g.switch(());
        caught(|| g.throw("x"));
        check(&place.take().unwrap());
    });
}

#[test]
fn nested_greenlets_show_their_own_frames() {
    run(|| {
        let place = Place::new();
        let outer = Greenlet::new(own!(place => move |()| {
            Greenlet::new(own!(place => move |()| outermost(&place))).switch(());
        }));
        outer.switch(());
        check(&place.take().unwrap());
    });
}
