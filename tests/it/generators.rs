//! Generators and coroutines.

use std::cell::RefCell;
use std::iter::FusedIterator;

use greenlet::{Coroutine, Generator, Greenlet, GreenletExit, Yielder, current};

use crate::support::{
    Act, Drops, Log, OnDrop, Place, act, caught, caught_as, complaint, own, own_stacks, raise, run,
    survived_in_child,
};

fn counter(from: u32, to: u32) -> Generator<u32> {
    Generator::new(move |y| (from..to).for_each(|n| y.yield_(n)))
}

#[test]
fn three_rounds_of_five_items_interleave_with_the_caller() {
    run(|| {
        let log = Log::new();
        for _ in 0..3 {
            let items = Generator::new(own!(log => move |y| {
                for n in 0..5 {
                    log.push(format!("made {n}"));
                    y.yield_(n);
                }
            }));
            for n in items {
                log.push(format!("got {n}"));
            }
            let expected: Vec<_> = (0..5)
                .flat_map(|n| [format!("made {n}"), format!("got {n}")])
                .collect();
            assert_eq!(log.take(), expected);
        }
    });
}

#[test]
fn items_may_be_yielded_from_any_depth() {
    fn walk(n: u32, y: &Yielder<u32>) {
        if n > 0 {
            walk(n - 1, y);
            y.yield_(n);
            walk(n - 1, y);
        }
    }
    run(|| {
        let ruler: Vec<_> = Generator::new(|y| walk(4, &y)).collect();
        assert_eq!(ruler, [1, 2, 1, 3, 1, 2, 1, 4, 1, 2, 1, 3, 1, 2, 1]);
    });
}

#[test]
fn a_generator_may_yield_two_levels_up() {
    run(|| {
        // The inner one yields items of its own, and for the outer one.
        let outer = Generator::new(|up: Yielder<String>| {
            let inner = Generator::new(own!(up => move |y: Yielder<u32>| {
                for n in 0..3 {
                    up.yield_(format!("past the middle: {n}"));
                    y.yield_(n);
                }
            }));
            for n in inner {
                up.yield_(format!("through the middle: {n}"));
            }
        });
        let expected: Vec<_> = (0..3)
            .flat_map(|n| {
                [
                    format!("past the middle: {n}"),
                    format!("through the middle: {n}"),
                ]
            })
            .collect();
        assert_eq!(outer.collect::<Vec<_>>(), expected);
    });
}

fn permutations(items: Vec<u32>) -> Generator<Vec<u32>> {
    Generator::new(move |y| {
        let Some((first, rest)) = items.split_first() else {
            return y.yield_(vec![]);
        };
        for shorter in permutations(rest.to_vec()) {
            for place in 0..=shorter.len() {
                let mut longer = shorter.clone();
                longer.insert(place, *first);
                y.yield_(longer);
            }
        }
    })
}

#[test]
fn permutations_of_four_are_made_by_recursion() {
    run(|| {
        let all: Vec<_> = permutations(vec![1, 2, 3, 4]).collect();
        assert_eq!(all.len(), 24);
        let mut sorted = all.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), 24);
        let zipped = permutations(vec![1, 2, 3]).zip(permutations(vec![4, 5, 6]));
        let pairs: Vec<_> = zipped.collect();
        assert_eq!(pairs[0], (vec![1, 2, 3], vec![4, 5, 6]));
        assert_eq!(pairs.len(), 6);
    });
}

#[test]
fn items_come_in_the_same_order_direct_or_nested() {
    run(|| {
        let direct = counter(0, 10).collect::<Vec<_>>();
        let nested = Generator::new(|y: Yielder<u32>| y.yield_from(counter(0, 10)));
        let in_call = Generator::new(|y| {
            let each = |n| y.yield_(n);
            (0..10).for_each(each);
        });
        assert_eq!(direct, (0..10).collect::<Vec<_>>());
        assert_eq!(direct, nested.collect::<Vec<_>>());
        assert_eq!(direct, in_call.collect::<Vec<_>>());
    });
}

#[test]
fn five_generators_nest_in_each_other() {
    fn nested(depth: u32) -> Generator<u32> {
        Generator::new(move |y| {
            for _ in 0..depth {
                y.yield_(depth);
                y.yield_from(nested(depth - 1));
            }
        })
    }
    fn expected(depth: u32, all: &mut Vec<u32>) {
        for _ in 0..depth {
            all.push(depth);
            expected(depth - 1, all);
        }
    }
    run(|| {
        let mut all = vec![];
        expected(5, &mut all);
        assert_eq!(nested(5).collect::<Vec<_>>(), all);
    });
}

#[test]
fn yielding_while_nobody_asks_is_an_error_not_a_hang() {
    run(|| {
        let place = Place::<Yielder<u32>>::new();
        let mut stolen = Generator::new(own!(place => move |y: Yielder<u32>| {
            place.put(y.clone());
            y.yield_(1);
        }));
        assert_eq!(stolen.next(), Some(1));
        let y = place.take().unwrap();
        assert!(complaint(|| y.yield_(2)).contains("nobody asks"));
        assert_eq!(stolen.next(), None);
        assert!(complaint(|| y.yield_(3)).contains("nobody asks"));
    });
}

#[test]
fn an_infinite_one_is_taken_from() {
    run(|| {
        let numbers = Generator::new(|y| y.yield_from(0_u64..));
        let odd = numbers.filter(|n| n % 2 == 1).take(3);
        assert_eq!(odd.collect::<Vec<_>>(), [1, 3, 5]);
    });
}

#[test]
fn it_is_fused_and_says_so() {
    fn fused<I: FusedIterator>(items: I) -> I {
        items
    }
    run(|| {
        let mut items = fused(counter(0, 1));
        assert_eq!(items.size_hint(), (0, None));
        assert_eq!(items.next(), Some(0));
        for _ in 0..3 {
            assert_eq!(items.next(), None);
        }
        assert_eq!(items.size_hint(), (0, Some(0)));
    });
}

#[test]
fn nothing_runs_before_the_first_item_is_asked_for() {
    run(|| {
        let drops = Drops::new();
        let token = drops.token();
        let unused = Generator::new(move |y: Yielder<u32>| {
            let _token = &token;
            y.yield_(1);
            unreachable!("never asked");
        });
        drop(unused);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_generator_may_be_empty() {
    run(|| assert_eq!(Generator::<u8>::new(|_| ()).next(), None));
}

#[test]
fn a_drop_before_the_end_unwinds_the_body() {
    run(|| {
        let drops = Drops::new();
        let mut items = Generator::new(own!(drops => move |y| {
            let _token = drops.token();
            let payload = caught(|| y.yield_(1));
            assert!(payload.is::<GreenletExit>());
            std::panic::resume_unwind(payload);
        }));
        items.next();
        assert_eq!(drops.count(), 0);
        drop(items);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn breaking_out_of_a_loop_unwinds_the_nested_ones_too() {
    run(|| {
        let drops = Drops::new();
        let token = drops.token();
        let outer = Generator::new(move |y: Yielder<u32>| {
            let inner = Generator::new(move |y: Yielder<u32>| {
                let _token = token;
                y.yield_from(0..100);
            });
            y.yield_from(inner);
        });
        for n in outer {
            if n == 3 {
                break;
            }
        }
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_panic_of_the_body_is_raised_in_next_and_ends_it() {
    run(|| {
        let mut items = Generator::new(|y| {
            y.yield_(1);
            raise("in the body");
        });
        assert_eq!(items.next(), Some(1));
        assert_eq!(complaint(|| items.next()), "in the body");
        assert_eq!(items.next(), None);
        assert_eq!(items.size_hint(), (0, Some(0)));
    });
}

#[test]
fn a_panic_is_raised_in_whoever_asks_not_in_the_creator() {
    run(|| {
        let items = Place::new();
        items.put(Generator::new(|y: Yielder<u32>| {
            y.yield_(1);
            raise("in the body");
        }));
        let asker = Greenlet::new(own!(items => move |_: String| {
            let mut items = items.take().unwrap();
            assert_eq!(items.next(), Some(1));
            complaint(|| items.next())
        }));
        assert_eq!(asker.switch(String::new()), "in the body");
    });
}

#[test]
fn the_end_is_told_to_whoever_asks_not_to_the_creator() {
    run(|| {
        let items = Place::new();
        let creator = Greenlet::new(own!(items => move |()| items.put(counter(0, 2))));
        creator.switch(());
        let asker =
            Greenlet::new(own!(items => move |_| items.take().unwrap().collect::<Vec<u32>>()));
        assert_eq!(asker.switch(vec![]), [0, 1]);
    });
}

#[test]
fn greenlets_may_take_turns_at_one_generator() {
    run(|| {
        let items = std::rc::Rc::new(RefCell::new(counter(0, 6)));
        let take = || Greenlet::new(own!(items => move |_: Option<u32>| items.borrow_mut().next()));
        let got: Vec<_> = (0..7).map(|_| take().switch(None)).collect();
        assert_eq!(got[..6], [0, 1, 2, 3, 4, 5].map(Some));
        assert_eq!(got[6], None);
    });
}

#[test]
fn a_body_may_switch_to_other_greenlets_between_items() {
    run(|| {
        let helper = Greenlet::new(|x: u32| x + 1);
        let mut items = Generator::new(own!(helper => move |y| y.yield_(helper_result(&helper))));
        fn helper_result(_: &Greenlet<u32>) -> u32 {
            // Made here, so that its result comes here.
            Greenlet::new(|x: u32| x + 1).switch(41)
        }
        assert_eq!(items.next(), Some(42));
        assert_eq!(items.next(), None);
        drop(helper);
    });
}

#[test]
fn a_body_that_waits_elsewhere_is_waited_for() {
    run(|| {
        let log = Log::new();
        let asker_place = Place::<Generator<u32>>::new();
        let main = current::<()>();
        let asker = Greenlet::new(own!(asker_place, main, log => move |()| {
            let mut items = Generator::new(own!(main => move |y| {
                main.switch(()); // elsewhere: in no `yield_`
                y.yield_(1);
            }));
            let payload = caught(|| items.next());
            log.push(payload.is::<u8>());
            asker_place.put(items);
        }));
        asker.switch(());
        // The asker is told something else while the body waits for a switch of main.
        caught_as::<Undone, _>(|| {
            asker.throw(7_u8);
            raise(Undone);
        });
        assert_eq!(log.take(), [true]);
        let mut items = asker_place.take().unwrap();
        // Nobody switches to it any more.
        assert!(complaint(|| items.next()).contains("deadlock"));
    });
}

struct Undone;

#[test]
fn a_body_that_catches_the_exit_and_yields_again_finds_nobody() {
    run(|| {
        let log = Log::new();
        let mut items = Generator::new(own!(log => move |y: Yielder<u32>| {
            let _last_word = OnDrop(own!(y, log => move || {
                let words = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| y.yield_(2))) {
                    Ok(()) => "asked".to_owned(),
                    Err(payload) => crate::support::text(&*payload),
                };
                log.push(words);
            }));
            y.yield_(1);
        }));
        items.next();
        drop(items);
        assert!(log.take()[0].contains("nobody asks"));
    });
}

#[test]
fn debug_tells_the_state() {
    run(|| {
        let mut items = counter(0, 1);
        assert!(format!("{items:?}").contains("pending"));
        items.next();
        assert!(format!("{items:?}").contains("suspended"));
        items.next();
        assert!(format!("{items:?}").contains("dead"));
        assert!(format!("{:?}", Coroutine::new(|_, x: u32| x)).starts_with("Coroutine("));
    });
}

#[test]
fn many_generators_may_live_at_once() {
    run(|| {
        let count = if own_stacks() { 1000 } else { 100 };
        let mut all: Vec<_> = (0..count).map(|n| counter(n, n + 2)).collect();
        for round in 0..2 {
            for (n, items) in all.iter_mut().enumerate() {
                assert_eq!(items.next(), Some(n as u32 + round));
            }
        }
    });
}

#[test]
fn a_coroutine_is_primed_answers_and_ends_with_its_result() {
    run(|| {
        let mut sum = Coroutine::new(|y, first: u32| {
            let mut sum = first;
            while sum < 10 {
                sum += y.yield_(sum);
            }
            sum * 100
        });
        assert!(!sum.is_ended());
        assert_eq!((sum.send(1), sum.send(2)), (1, 3));
        assert_eq!(sum.send(7), 1000);
        assert!(sum.is_ended());
        assert_eq!(sum.try_send(5), Err(5));
        assert!(complaint(|| sum.send(5)).contains("has ended"));
    });
}

#[test]
fn a_coroutine_that_is_closed_unwinds() {
    run(|| {
        let drops = Drops::new();
        let mut c = Coroutine::new(own!(drops => move |y, _: u32| {
            let _token = drops.token();
            y.yield_(1);
            2
        }));
        c.send(0);
        assert!(c.close() && c.is_ended());
        assert_eq!(drops.count(), 1);
        assert!(c.close(), "again is no harm");
        assert_eq!(c.try_send(3), Err(3));
    });
}

#[test]
fn a_coroutine_that_was_not_started_is_closed() {
    run(|| {
        let drops = Drops::new();
        let token = drops.token();
        let mut c = Coroutine::new(move |_, x: u32| {
            let _token = &token;
            x
        });
        assert!(c.close());
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_coroutine_that_survives_its_close_says_so() {
    run(|| {
        let main = current::<u8>();
        let mut c = Coroutine::new(move |y, _: u32| {
            caught(|| y.yield_(1));
            main.switch(0);
            2
        });
        c.send(0);
        assert!(!c.close());
        assert!(!c.is_ended());
        assert!(complaint(|| c.send(1)).contains("waits elsewhere"));
        drop(c);
    });
}

#[test]
fn close_raises_what_the_body_died_of_instead() {
    run(|| {
        let mut c = Coroutine::new(|y, _: u32| {
            caught(|| y.yield_(1));
            raise("instead")
        });
        c.send(0);
        assert_eq!(complaint(|| c.close()), "instead");
        assert!(c.is_ended());
    });
}

#[test]
fn a_coroutine_may_not_be_sent_to_by_its_own_body() {
    run(|| {
        let place = std::rc::Rc::new(RefCell::new(None::<Coroutine<u32, u32>>));
        let c = Coroutine::new(own!(place => move |_, x: u32| {
            // Its own handle is lent out while it runs.
            assert!(place.try_borrow_mut().is_err());
            x
        }));
        *place.borrow_mut() = Some(c);
        assert_eq!(place.borrow_mut().as_mut().unwrap().send(1), 1);
        place.take();
    });
}

/// The body ends while the one who asked is gone: a local of it switches away in its destructor, the asker
/// is killed and drops the generator, and the body, which somebody else holds, goes on to its end.
#[test]
fn the_one_who_asked_may_go_while_the_body_ends() {
    if survived_in_child("generators::the_one_who_asked_may_go_while_the_body_ends") {
        return;
    }
    greenlet::greenlet_local! {
        static LAST: RefCell<Option<Act>> = RefCell::new(None);
    }
    run(|| {
        let main = current::<()>();
        let body = Place::<Greenlet<()>>::new();
        let asker = Greenlet::new(own!(main, body => move |()| {
            let mut items = Generator::<u32>::new(own!(main, body => move |_| {
                body.put(current());
                let switch_away = own!(main => move || main.switch(()));
                LAST.with(|last| last.replace(Some(act(switch_away))));
            }));
            items.next();
        }));
        asker.switch(()); // the body is in the destructor of its local
        assert!(asker.kill(), "the asker goes, and the generator with it");
        drop(asker);
        // What was freed is used for something else.
        let _small: Vec<_> = (0..100).map(|_| Box::new([usize::MAX / 3; 6])).collect();
        let body = body.take().unwrap();
        while !body.is_dead() {
            drop(body.try_switch(()));
        }
    });
}
