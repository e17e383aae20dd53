//! What every call keeps that waits for something which somebody brings.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::time::{Elapsed, timeout};
use greenlet::{Generator, GreenletExit, JoinHandle, hub_stats, spawn, yield_now};

use super::{Brought, Call, LONG, MS, Scene, settle};
use crate::counting::counted;

/// A call that is made of steps of its own, in turn, may not need to wait in some of them.
const TRIES: u32 = 50;
/// After so many waits all pools are full.
const WARM: u32 = 10;

pub(super) fn what_is_there_is_had<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    scene.bring();
    scene.get();
    let scene = Scene::of(call);
    scene.bring();
    scene.waiter().join().unwrap().unwrap();
}

/// What was brought may still be on its way, so one time must do.
pub(super) fn what_is_there_lets_nobody_else_run<T: 'static>(call: &Rc<Call<T>>) {
    if !call.at_once {
        return;
    }
    let alone = (0..TRIES).any(|_| {
        let scene = Scene::of(call);
        scene.bring();
        settle();
        let ran = Rc::new(Cell::new(false));
        let other = spawn({
            let ran = ran.clone();
            move || ran.set(true)
        });
        scene.get();
        let alone = !ran.get();
        other.join().unwrap();
        alone
    });
    assert!(alone, "it parks although there is something");
}

pub(super) fn what_comes_later_ends_the_wait<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    let waiter = scene.waits();
    scene.bring();
    assert_eq!(waiter.join().unwrap().unwrap(), 1);
}

pub(super) fn each_item_is_for_one<T: 'static>(call: &Rc<Call<T>>) {
    if call.alone {
        return;
    }
    let scene = Scene::of(call);
    let waiters = [0, 1, 2].map(|_| scene.waits());
    let mut brought = 0;
    loop {
        scene.bring();
        brought += 1;
        // Until one has ended for each item, or all if it stays: some work on other threads.
        let done = || waiters.iter().filter(|waiter| waiter.is_finished()).count();
        while done() < if call.stays { 3 } else { brought } {
            yield_now();
        }
        settle();
        if call.stays {
            break;
        }
        assert_eq!(done(), brought, "one item was for several");
        if brought == 3 {
            break;
        }
    }
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap().unwrap(), 1);
    }
}

/// Whoever asks for the handle of a greenlet wakes it, if it is parked.
pub(super) fn a_wake_for_nothing_does_not_end_it<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    let waiter = scene.waits();
    let _handle = waiter.thread();
    settle();
    assert!(!waiter.is_finished(), "a wake is a hint");
    scene.bring();
    assert_eq!(waiter.join().unwrap().unwrap(), 1);
}

pub(super) fn a_limit_is_not_early_and_leaves_nothing_behind<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    // What is made for the first wait may stay.
    too_late(&scene, MS);
    let before = hub_stats();
    for micros in [1, 300, 1500, 5000] {
        too_late(&scene, Duration::from_micros(micros));
        assert_eq!(hub_stats(), before);
    }
    still_there(scene);
}

fn too_late<T: 'static>(scene: &Scene<T>, limit: Duration) {
    let begin = Instant::now();
    assert!(matches!(timeout(limit, || scene.wait()), Err(Elapsed)));
    assert!(begin.elapsed() >= limit, "too early");
}

pub(super) fn no_time_at_all_takes_nothing_away<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    too_late(&scene, Duration::ZERO);
    if call.lossy {
        return;
    }
    scene.bring();
    once(&scene, timeout(Duration::ZERO, || scene.wait()));
}

pub(super) fn all_the_time_there_is_is_enough<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    let later = scene.bring_later();
    assert_eq!(timeout(Duration::MAX, || scene.wait()).unwrap().unwrap(), 1);
    later.join().unwrap();
}

pub(super) fn an_outer_limit_passes_through_an_inner_one<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    let begin = Instant::now();
    let outer = timeout(3 * MS, || timeout(LONG, || scene.wait()));
    assert!(matches!(outer, Err(Elapsed)));
    assert!(begin.elapsed() >= 3 * MS);
    still_there(scene);
}

pub(super) fn an_inner_limit_ends_at_the_inner_one<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    let inner = timeout(LONG, || timeout(3 * MS, || scene.wait()));
    assert!(matches!(inner, Ok(Err(Elapsed))));
    still_there(scene);
}

/// The item comes and the time passes before the one who waits has its next turn.
pub(super) fn in_time_or_too_late_and_never_both<T: 'static>(call: &Rc<Call<T>>) {
    for late in [false, true].into_iter().cycle().take(6) {
        let scene = Scene::of(call);
        let waiter = spawn({
            let scene = scene.share();
            move || timeout(2 * MS, || scene.wait())
        });
        yield_now();
        if !late {
            scene.bring();
        }
        std::thread::sleep(3 * MS);
        if late {
            scene.bring();
        }
        let outcome = waiter.join().unwrap();
        if !call.lossy {
            once(&scene, outcome);
        }
    }
}

/// Whether or not it was had in time, it is had once.
#[track_caller]
fn once<T: 'static>(scene: &Scene<T>, outcome: Result<Brought, Elapsed>) {
    match outcome {
        Ok(brought) => assert_eq!(brought.unwrap(), 1),
        Err(Elapsed) => scene.get(),
    }
    if !scene.call.stays && scene.call.leave.is_some() {
        // There was one, and there is no other.
        assert!(timeout(MS, || scene.wait()).is_err());
    }
}

pub(super) fn killed_while_it_waits_it_has_taken_nothing<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    too_late(&scene, MS);
    let before = hub_stats();
    for _ in 0..3 {
        let waiter = scene.waits();
        assert!(waiter.kill());
        exited(waiter);
        assert_eq!(hub_stats(), before);
    }
    still_there(scene);
}

#[track_caller]
fn exited(waiter: JoinHandle<Brought>) {
    assert!(waiter.join().unwrap_err().is::<GreenletExit>());
}

/// What comes after all that is had.
#[track_caller]
fn still_there<T: 'static>(scene: Scene<T>) {
    if !scene.call.lossy {
        scene.bring();
        scene.get();
    }
}

pub(super) fn killed_when_something_has_come_it_passes_that_on<T: 'static>(call: &Rc<Call<T>>) {
    if call.lossy {
        return;
    }
    for turns in [0, 0, 1, 1, 2, 3] {
        let scene = Scene::of(call);
        let waiter = scene.waits();
        scene.bring();
        (0..turns).for_each(|_| yield_now());
        waiter.start_kill();
        match waiter.join() {
            Ok(brought) => assert_eq!(brought.unwrap(), 1),
            Err(exit) => {
                assert!(exit.is::<GreenletExit>());
                scene.get();
            }
        }
    }
}

pub(super) fn killed_before_it_runs_it_has_not_begun<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    scene.bring();
    let waiter = scene.waiter();
    assert!(waiter.start_kill());
    assert!(waiter.is_finished());
    exited(waiter);
    scene.get();
    // The hub finds that it is dead, and forgets it.
    yield_now();
}

pub(super) fn the_other_side_leaves<T: 'static>(call: &Rc<Call<T>>) {
    let Some(leave) = call.leave else { return };
    let scene = Scene::of(call);
    let waiter = scene.waits();
    leave(&scene.thing);
    // It may say so in any way that is no item.
    assert!(!matches!(waiter.join().unwrap(), Ok(1)));
}

pub(super) fn it_is_the_same_in_main_and_in_a_generator<T: 'static>(call: &Rc<Call<T>>) {
    let scene = Scene::of(call);
    let later = scene.bring_later();
    scene.get();
    later.join().unwrap();

    let scene = Scene::of(call);
    let later = scene.bring_later();
    let mut items = Generator::new({
        let scene = scene.share();
        move |y| y.yield_(scene.wait().unwrap())
    });
    assert_eq!(items.next(), Some(1));
    assert_eq!(items.next(), None);
    later.join().unwrap();

    // A panic of somebody else that is caught meanwhile changes nothing.
    let scene = Scene::of(call);
    let later = scene.bring_later();
    let waiter = scene.waiter();
    let caught = catch_unwind(AssertUnwindSafe(|| std::panic::resume_unwind(Box::new(7))));
    assert!(caught.is_err());
    assert_eq!(waiter.join().unwrap().unwrap(), 1);
    later.join().unwrap();
}

/// What is made for the first wait is not made again.
pub(super) fn in_the_long_run_it_allocates_nothing<T: 'static>(call: &Rc<Call<T>>) {
    if call.allocates || greenlet::BACKEND == "baton" {
        return;
    }
    let waited = || {
        let scene = Scene::of(call);
        too_late(&scene, MS);
        scene
    };
    let mut scene = waited();
    for round in 0..2 * WARM {
        let later = scene.bring_later();
        // Its start may take memory, and is not what is counted.
        yield_now();
        let count = counted(|| scene.get());
        later.join().unwrap();
        assert!(round < WARM || count == 0, "{count} in round {round}");
        if call.stays || call.alone {
            scene = waited();
        }
    }
}
