//! A main greenlet for each OS thread, and what happens at the end of one.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use greenlet::{Greenlet, GreenletExit, GreenletId, WeakGreenlet, current, greenlet_local};

use crate::support::{
    self, Act, Log, OnDrop, act, caught, caught_as, complaint, doubler, own, own_stacks, raise,
    run, stderr, survived_in_child,
};

/// Runs `body` on a thread and returns what it tells on a channel until the thread is gone.
fn told_by_thread<E: Send + 'static>(
    body: impl FnOnce(mpsc::Sender<E>) + Send + 'static,
) -> Vec<E> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || body(tell)).join().unwrap();
    told.try_iter().collect()
}

/// A greenlet that is suspended, and tells `word` when it is unwound.
fn last_words<E: Send + Copy + 'static>(tell: &mpsc::Sender<E>, word: E) -> Greenlet<()> {
    let main = current::<()>();
    let g = Greenlet::new(own!(tell => move |()| {
        let _tell = OnDrop(move || tell.send(word).unwrap());
        main.switch(());
    }));
    g.switch(());
    g
}

#[test]
fn each_thread_has_one_main_greenlet_of_its_own() {
    run(|| {
        let here = current::<()>();
        let there = thread::spawn(|| {
            assert_eq!(current::<()>(), current::<()>());
            current::<()>().id()
        });
        assert_ne!(here.id(), there.join().unwrap());
    });
}

#[test]
fn ten_threads_switch_at_once() {
    run(|| {
        let threads: Vec<_> = (0..10)
            .map(|n| {
                thread::spawn(move || {
                    let g = doubler();
                    assert!((0..200).all(|x| g.switch(x + n) == 2 * (x + n)));
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn threads_that_sleep_in_greenlets_do_not_disturb_each_other() {
    run(|| {
        let sleeper = || {
            let g = Greenlet::new(|millis: u64| {
                thread::sleep(Duration::from_millis(millis));
                millis
            });
            assert_eq!(g.switch(5), 5);
        };
        let (a, b) = (thread::spawn(sleeper), thread::spawn(sleeper));
        a.join().unwrap();
        b.join().unwrap();
    });
}

#[test]
fn sixteen_threads_make_and_drop_while_others_do() {
    run(|| {
        let barrier = Arc::new(Barrier::new(16));
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let barrier = Arc::clone(&barrier);
                thread::spawn(move || {
                    barrier.wait();
                    for n in 0..20 {
                        let (g, h) = (doubler(), doubler());
                        assert_eq!((g.switch(n), h.switch(n + 1)), (2 * n, 2 * n + 2));
                    }
                    assert_eq!(greenlet::alive(), 0);
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

/// Python refuses to switch to a greenlet of another thread; here handles cannot get there.
#[test]
fn handles_stay_on_their_thread() {
    /// Has one implementation for what is not `Send`, and an ambiguous second one for what is.
    trait UnlessSend<Which> {
        fn holds() {}
    }
    impl<T> UnlessSend<()> for T {}
    struct IfSend;
    impl<T: Send> UnlessSend<IfSend> for T {}
    trait UnlessSync<Which> {
        fn holds() {}
    }
    impl<T> UnlessSync<()> for T {}
    impl<T: Sync> UnlessSync<IfSend> for T {}

    <Greenlet<()> as UnlessSend<_>>::holds();
    <Greenlet<()> as UnlessSync<_>>::holds();
    <WeakGreenlet<()> as UnlessSend<_>>::holds();
    <WeakGreenlet<()> as UnlessSync<_>>::holds();
    <greenlet::Generator<u8> as UnlessSend<_>>::holds();
    <greenlet::Coroutine<u8, u8> as UnlessSend<_>>::holds();
    <greenlet::Yielder<u8> as UnlessSend<_>>::holds();
    <greenlet::Builder<u8> as UnlessSend<_>>::holds();
}

#[test]
fn ids_are_different_in_different_threads() {
    run(|| {
        let ids = || {
            (0..1500)
                .map(|_| Greenlet::new(|()| ()).id())
                .collect::<Vec<GreenletId>>()
        };
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(ids)).collect();
        let all: HashSet<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(all.len(), 4 * 1500);
    });
}

#[test]
fn a_destructor_may_wait_for_another_thread() {
    run(|| {
        let main = current::<()>();
        let g = Greenlet::new(move |()| {
            let me = current::<()>();
            let wait = OnDrop(|| {
                thread::spawn(|| assert_eq!(doubler().switch(2), 4))
                    .join()
                    .unwrap();
            });
            drop(wait);
            assert_eq!(current::<()>(), me);
            drop(me); // held on its own stack it would keep itself
            main.switch(());
        });
        g.switch(());
        drop(g);
    });
}

#[test]
fn the_end_of_a_thread_unwinds_what_is_suspended_newest_first() {
    run(|| {
        let told = told_by_thread(|tell| {
            (1..=3).for_each(|word| std::mem::forget(last_words(&tell, word)));
        });
        assert_eq!(told, [3, 2, 1]);
    });
}

#[test]
fn handles_in_thread_locals_are_dropped_in_their_own_order() {
    if !own_stacks() {
        return;
    }
    thread_local!(static KEPT: RefCell<Vec<Greenlet<()>>> = const { RefCell::new(vec![]) });
    run(|| {
        for before in [true, false] {
            let told = told_by_thread(move |tell| {
                if before {
                    KEPT.with(|_| ()); // goes after the greenlets of this thread
                }
                let kept: Vec<_> = (1..=3).map(|word| last_words(&tell, word)).collect();
                KEPT.set(kept);
            });
            assert_eq!(told, if before { [3, 2, 1] } else { [1, 2, 3] });
        }
    });
}

#[test]
fn handles_on_the_thread_function_s_own_stack_are_dropped_before() {
    run(|| {
        let told = told_by_thread(|tell| {
            let _a = last_words(&tell, "a");
            let _b = last_words(&tell, "b");
        });
        assert_eq!(told, ["b", "a"]);
    });
}

#[test]
fn the_end_of_a_thread_drops_the_closures_of_pending_ones() {
    run(|| {
        let told = told_by_thread(|tell| {
            let guard = OnDrop(move || tell.send(()).unwrap());
            std::mem::forget(Greenlet::new(move |()| {
                let _ = &guard;
                unreachable!();
            }));
        });
        assert_eq!(told.len(), 1);
    });
}

#[test]
fn the_end_of_a_thread_unwinds_though_the_thread_panics() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let outcome = thread::spawn(move || {
            std::mem::forget(last_words(&tell, 1));
            raise("the thread failed");
        })
        .join();
        assert_eq!(
            *outcome.unwrap_err().downcast::<&str>().unwrap(),
            "the thread failed"
        );
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn greenlets_made_by_destructors_at_the_end_are_ended_too() {
    run(|| {
        let told = told_by_thread(|tell| {
            let main = current::<()>();
            let g = Greenlet::new(move |()| {
                let _remake = OnDrop(|| {
                    std::mem::forget(Greenlet::new(own!(tell => move |()| {
                        let _ = &tell;
                    })))
                });
                let _tell = OnDrop(own!(tell => move || tell.send(1).unwrap()));
                main.switch(());
            });
            g.switch(());
            std::mem::forget(g);
        });
        assert_eq!(told, [1]);
    });
}

#[test]
fn one_that_catches_the_exit_a_few_times_is_told_again() {
    run(|| {
        let told = told_by_thread(|tell| {
            let main = current::<()>();
            let g = Greenlet::new(move |()| {
                for round in 0..3 {
                    caught_as::<GreenletExit, _>(|| main.switch(()));
                    tell.send(round).unwrap();
                }
                main.switch(());
            });
            g.switch(());
            std::mem::forget(g);
        });
        assert_eq!(told, [0, 1, 2]);
    });
}

#[test]
fn one_that_catches_every_exit_is_leaked_with_a_message() {
    let name = "threads::one_that_catches_every_exit_is_leaked_with_a_message";
    let Some(output) = support::child(name) else {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let main = current::<()>();
            let g = Greenlet::builder().name("stubborn").build(move |()| {
                loop {
                    caught(|| main.switch(()));
                    tell.send(()).unwrap();
                }
            });
            g.switch(());
            std::mem::forget(g);
        })
        .join()
        .unwrap();
        assert!(told.try_iter().count() >= 3);
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
fn a_panic_at_the_end_of_a_thread_is_reported_and_the_others_are_unwound() {
    let name = "threads::a_panic_at_the_end_of_a_thread_is_reported_and_the_others_are_unwound";
    let Some(output) = support::child(name) else {
        let told = told_by_thread(|tell| {
            std::mem::forget(last_words(&tell, 1));
            let main = current::<()>();
            let g = Greenlet::new(move |()| {
                caught(|| main.switch(()));
                raise("at the very end");
            });
            g.switch(());
            std::mem::forget(g);
            std::mem::forget(last_words(&tell, 2));
        });
        assert_eq!(told, [2, 1]);
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert!(stderr(&output).contains("at the very end"), "{output:?}");
}

thread_local! {
    /// Used before the first greenlet, so destroyed after the greenlets of the thread.
    static ATTIC: RefCell<Option<Attic>> = const { RefCell::new(None) };
}

/// Looks at handles when the greenlets of its thread are gone.
struct Attic {
    main: Greenlet<()>,
    dead: Greenlet<()>,
    suspended: Greenlet<()>,
    weak: WeakGreenlet<()>,
    tell: mpsc::Sender<String>,
}

impl Drop for Attic {
    fn drop(&mut self) {
        let say = |words: String| self.tell.send(words).unwrap();
        for g in [&self.main, &self.dead, &self.suspended] {
            let words = format!("{g:?}").replace(&g.id().to_string(), "#n");
            say(format!(
                "{words} {} {} {}",
                g.is_dead(),
                g.is_started(),
                g.is_current()
            ));
        }
        say(format!(
            "{}",
            self.suspended.parent() == Some(self.main.clone())
        ));
        say(format!("{}", self.weak.upgrade().is_some()));
        say(format!("{:?}", self.dead.set_parent(&self.suspended)));
        say(format!("{:?}", self.suspended.try_switch(()).is_err()));
        say(format!("{:?}", self.suspended.try_throw("x").is_err()));
        say(complaint(current::<()>));
        say(complaint(|| Greenlet::new(|()| ())));
    }
}

/// The thread-local holds handles of every kind when the thread has no greenlets any more.
fn fill_the_attic(tell: mpsc::Sender<String>) {
    ATTIC.with(|_| ()); // before the first greenlet
    let suspended = doubler_of_units();
    let dead = Greenlet::new(|()| ());
    dead.switch(());
    let weak = suspended.downgrade();
    let main = current();
    ATTIC.set(Some(Attic {
        main,
        dead,
        suspended,
        weak,
        tell,
    }));
}

fn doubler_of_units() -> Greenlet<()> {
    let main = current::<()>();
    let g = Greenlet::new(move |()| {
        loop {
            main.switch(());
        }
    });
    g.switch(());
    g
}

#[test]
fn handles_may_outlive_the_greenlets_of_their_thread() {
    let name = "threads::handles_may_outlive_the_greenlets_of_their_thread";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let told = told_by_thread(fill_the_attic);
        let gone = "the thread-locals of this thread have been destroyed";
        assert_eq!(
            told[0],
            "Greenlet(#n, dead (thread exited), main) true false false"
        );
        assert_eq!(told[1], "Greenlet(#n, dead) true false false");
        assert_eq!(told[2], "Greenlet(#n, dead) true false false");
        assert_eq!(told[3..8], ["true", "true", "Ok(())", "true", "true"]);
        assert!(told[8].contains(gone) && told[9].contains(gone), "{told:?}");
    });
}

#[test]
fn one_handle_that_outlives_its_thread_is_freed_with_it() {
    let name = "threads::one_handle_that_outlives_its_thread_is_freed_with_it";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    thread_local!(static KEPT: RefCell<Option<Greenlet<()>>> = const { RefCell::new(None) });
    run(|| {
        for kind in 0..4 {
            thread::spawn(move || {
                KEPT.with(|_| ());
                let g = match kind {
                    0 => current(),
                    1 => Greenlet::new(|()| ()),
                    _ => doubler_of_units(),
                };
                if kind == 3 {
                    let child = Greenlet::builder().parent(&g).build(|()| ());
                    KEPT.set(Some(child));
                } else {
                    KEPT.set(Some(g));
                }
            })
            .join()
            .unwrap();
        }
    });
}

#[test]
fn a_destructor_that_needs_a_thread_local_already_gone_is_contained() {
    let name = "threads::a_destructor_that_needs_a_thread_local_already_gone_is_contained";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    thread_local!(static NEEDED: RefCell<Vec<u8>> = const { RefCell::new(vec![]) });
    run(|| {
        let told = told_by_thread(|tell| {
            std::mem::forget(last_words(&tell, 1)); // the greenlets of this thread begin here
            NEEDED.with_borrow_mut(|needed| needed.push(1)); // so this goes before them
            let main = current::<()>();
            let g = Greenlet::new(move |()| {
                let _need = OnDrop(|| NEEDED.with_borrow_mut(|needed| needed.push(2)));
                let _contained = OnDrop(own!(tell => move || tell.send(2).unwrap()));
                caught(|| main.switch(()));
            });
            g.switch(());
            std::mem::forget(g);
        });
        assert_eq!(told, [2, 1]);
    });
}

#[test]
fn shutdown_does_the_same_earlier() {
    run(|| {
        let log = Log::new();
        let main = current::<()>();
        let held = [1, 2, 3].map(|number| {
            let g = Greenlet::new(own!(log, main => move |()| {
                let _tell = OnDrop(move || log.push(number));
                main.switch(());
            }));
            g.switch(());
            g
        });
        let pending = Greenlet::new(|()| unreachable!());
        greenlet::shutdown();
        assert_eq!(log.take(), [3, 2, 1]);
        assert!(pending.is_dead() && held.iter().all(Greenlet::is_dead));
        assert_eq!(doubler().switch(1), 2, "and the thread may go on");
    });
}

greenlet_local! {
    static OF_MAIN: RefCell<Option<Act>> = RefCell::new(None);
}

#[test]
fn the_locals_of_main_go_with_its_thread() {
    run(|| {
        let told = told_by_thread(|tell| {
            OF_MAIN.with(|place| {
                *place.borrow_mut() = Some(act(move || tell.send(1).unwrap()));
            });
        });
        assert_eq!(told, [1]);
    });
}

#[test]
fn many_threads_leave_many_greenlets_behind() {
    run(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..10)
            .map(|_| {
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    for _ in 0..5 {
                        let main = current::<()>();
                        let g = Greenlet::new(own!(count => move |()| {
                            let _count = OnDrop(move || {
                                count.fetch_add(1, Ordering::Relaxed);
                            });
                            main.switch(());
                        }));
                        g.switch(());
                        std::mem::forget(g);
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(count.load(Ordering::Relaxed), 50);
    });
}

#[test]
fn the_thread_of_a_greenlet_is_the_thread_that_runs_it() {
    if !own_stacks() {
        return;
    }
    run(|| {
        thread_local!(static NUMBER: RefCell<u32> = const { RefCell::new(0) });
        let here = thread::current().id();
        NUMBER.set(7);
        let g = Greenlet::new(move |()| {
            assert_eq!(thread::current().id(), here);
            assert_eq!(NUMBER.replace(8), 7);
        });
        g.switch(());
        assert_eq!(NUMBER.take(), 8);
    });
}
