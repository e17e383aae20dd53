//! Groups and pools: gevent's tests of `pool`, in our words.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use greenlet::group::{Group, Pool, as_completed, wait_any};
use greenlet::sync::Event;
use greenlet::thread::park;
use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, hub_stats, inspect, sleep, spawn, yield_now};

use crate::support::{Drops, complaint, own, raise, run};
use crate::sync::{LONG, MS, end, settle};

#[test]
fn members_are_joined() {
    run(|| {
        let group = Group::default();
        assert!(group.is_empty());
        group.join_all().unwrap();
        let sum = Rc::new(Cell::new(0));
        let handles = [1, 2, 3].map(|n| {
            let sum = sum.clone();
            group.spawn(move || {
                (0..n).for_each(|_| yield_now());
                sum.set(sum.get() + n);
                n
            })
        });
        assert_eq!(group.len(), 3);
        assert!(format!("{group:?}").contains("members: 3"));
        group.join_all().unwrap();
        assert_eq!((sum.get(), group.len()), (6, 0));
        assert_eq!(handles.map(|handle| handle.join().unwrap()), [1, 2, 3]);
    });
}

#[test]
fn those_who_are_spawned_meanwhile_are_joined_too() {
    run(|| {
        let group = Group::new();
        let last = Rc::new(Cell::new(false));
        group.spawn({
            let (group, last) = (group.clone(), last.clone());
            move || {
                yield_now();
                group.clone().spawn(move || {
                    yield_now();
                    group.spawn(move || {
                        yield_now();
                        last.set(true);
                    });
                });
            }
        });
        group.join_all().unwrap();
        assert!(last.get());
    });
}

#[test]
fn the_first_panic_is_told_once() {
    run(|| {
        let group = Group::new();
        let first = group.spawn(|| raise("first"));
        let second: greenlet::JoinHandle<()> = group.spawn(|| raise("second"));
        let killed = group.spawn(|| sleep(LONG));
        settle();
        killed.kill();
        let failure = group.join_all().unwrap_err();
        assert_eq!(failure.message(), "first");
        assert!(failure.to_string().contains("panicked: first"));
        assert!(failure.member().contains("greenlet"), "{failure}");
        group.join_all().unwrap();
        let first: std::thread::Result<()> = first.join();
        assert_eq!(*first.unwrap_err().downcast::<&str>().unwrap(), "first");
        assert!(second.join().is_err());
        drop(killed);
        // A kill is no failure.
        end(group.spawn(|| sleep(LONG)).tap());
        group.join_all().unwrap();
    });
}

/// Lets it come to where it waits.
trait Tap {
    fn tap(self) -> Self;
}

impl<R> Tap for greenlet::JoinHandle<R> {
    fn tap(self) -> Self {
        settle();
        self
    }
}

#[test]
fn joining_has_a_limit_and_the_members_go_on() {
    run(|| {
        let group = Group::new();
        let member = group.spawn(park);
        assert_eq!(group.join_all_timeout(MS), Ok(None));
        assert_eq!(group.join_all_timeout(Duration::ZERO), Ok(None));
        assert_eq!(timeout(MS, || group.join_all()), Err(Elapsed));
        let joins = spawn({
            let group = group.clone();
            move || group.join_all()
        });
        settle();
        end(joins);
        assert_eq!(group.len(), 1);
        member.thread().unpark();
        assert_eq!(group.join_all_timeout(Duration::MAX), Ok(Some(())));
    });
}

#[test]
fn all_are_killed() {
    run(|| {
        let group = Group::new();
        let drops = Drops::new();
        for began in [true, false] {
            for _ in 0..3 {
                let token = drops.token();
                group.spawn(move || {
                    sleep(LONG);
                    drop(token);
                });
            }
            if began {
                settle();
            }
        }
        group.kill_all();
        assert_eq!((drops.count(), group.len()), (6, 0));
        group.join_all().unwrap();
        group.kill_all();
        yield_now();
    });
}

#[test]
fn those_who_are_spawned_by_the_dying_are_killed_too() {
    struct Spawns(Group, Rc<Cell<u32>>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            if self.1.get() < 3 {
                let spawns = Spawns(self.0.clone(), self.1.clone());
                self.0.spawn(move || {
                    sleep(LONG);
                    drop(spawns);
                });
            }
        }
    }
    run(|| {
        let (group, count) = (Group::new(), Rc::new(Cell::new(0)));
        let spawns = Spawns(group.clone(), count.clone());
        group.spawn(move || {
            sleep(LONG);
            drop(spawns);
        });
        settle();
        group.kill_all();
        assert_eq!((count.get(), group.len()), (3, 0));
        yield_now();
    });
}

#[test]
fn a_member_that_kills_all_is_left_out() {
    run(|| {
        let group = Group::new();
        let others = [0, 1].map(|_| group.spawn(|| sleep(LONG)));
        let kills = group.spawn({
            let group = group.clone();
            move || {
                group.kill_all();
                group.len()
            }
        });
        assert_eq!(kills.join().unwrap(), 1);
        for other in others {
            assert!(other.join().unwrap_err().is::<GreenletExit>());
        }
    });
}

#[test]
fn a_pool_takes_so_many() {
    run(|| {
        let pool = Pool::new(2);
        assert_eq!((pool.size(), pool.free()), (2, 2));
        let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for _ in 0..10 {
            let (running, most) = (running.clone(), most.clone());
            pool.spawn(move || {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                yield_now();
                running.set(running.get() - 1);
            });
        }
        pool.join_all().unwrap();
        assert_eq!((most.get(), pool.free()), (2, 2));
        let words = complaint(|| Pool::new(0));
        assert!(words.contains("a pool of size 0"), "{words}");
    });
}

#[test]
fn a_full_pool_is_waited_for_or_refuses() {
    run(|| {
        let pool = Pool::new(1);
        let has = pool.spawn(|| sleep(LONG));
        settle();
        let Err(refused) = pool.try_spawn(|| 7) else {
            panic!("it is full");
        };
        assert_eq!(refused(), 7);
        assert_eq!(timeout(MS, || drop(pool.spawn(|| 7))), Err(Elapsed));
        // A killed one that waits for a place has not spawned, and the place is not lost.
        let ran = Rc::new(Cell::new(0));
        let spawns = || {
            let (pool, ran) = (pool.clone(), ran.clone());
            let handle = spawn(move || drop(pool.spawn(move || ran.set(ran.get() + 1))));
            settle();
            handle
        };
        let [gone, told, next] = [spawns(), spawns(), spawns()];
        end(gone);
        has.start_kill();
        // The place is theirs, and they do not know.
        while pool.len() == 1 && !told.is_finished() && !has.is_finished() {
            yield_now();
        }
        told.start_kill();
        next.join().unwrap();
        told.wait();
        pool.join_all().unwrap();
        assert!((1..=2).contains(&ran.get()));
        assert_eq!(pool.free(), 1);
        assert!(pool.try_spawn(|| ()).is_ok());
        pool.join_all().unwrap();
    });
}

#[test]
fn places_of_those_who_die_are_free() {
    run(|| {
        let pool = Pool::new(2);
        let panics: greenlet::JoinHandle<()> = pool.spawn(|| raise("planted"));
        let killed = pool.spawn(|| sleep(LONG));
        let never = {
            settle();
            assert_eq!(pool.free(), 1);
            pool.spawn(|| ())
        };
        assert!(never.start_kill());
        assert_eq!(pool.free(), 1);
        end(killed);
        assert!(panics.join().is_err());
        assert_eq!(pool.free(), 2);
        assert!(pool.join_all().is_err());
        yield_now();
    });
}

#[test]
fn mapping_keeps_the_order() {
    run(|| {
        let work = |n: u64| {
            sleep((5 - n % 5) as u32 * MS / 10);
            10 * n
        };
        let expected = Vec::from_iter((0..20).map(|n| 10 * n));
        for size in [1, 3, 50] {
            let pool = Pool::new(size);
            assert_eq!(pool.map(0..20, work), expected);
            assert_eq!(Vec::from_iter(pool.imap(0..20, work)), expected);
            let mut any = Vec::from_iter(pool.imap_unordered(0..20, work));
            any.sort_unstable();
            assert_eq!(any, expected);
            assert!(pool.is_empty());
        }
        let group = Group::new();
        assert_eq!(group.map(0..20, work), expected);
        assert_eq!(Vec::from_iter(group.imap(0..20, work)), expected);
        assert_eq!(group.imap_unordered(0..20, work).sum::<u64>(), 1900);
        assert!(group.map(0..0, work).is_empty());
        assert_eq!(
            group.imap(0..0, work).count() + group.imap_unordered(0..0, work).count(),
            0
        );
        yield_now();
    });
}

#[test]
fn what_is_done_first_comes_first() {
    run(|| {
        let group = Group::new();
        let work = |n: u32| {
            (0..3 * n).for_each(|_| yield_now());
            n
        };
        assert_eq!(
            Vec::from_iter(group.imap_unordered([3, 1, 2], work)),
            [1, 2, 3]
        );
        yield_now();
    });
}

#[test]
fn a_panic_of_one_is_the_panic_of_all() {
    run(|| {
        let group = Group::new();
        let ended = Rc::new(Cell::new(0));
        let work = {
            let ended = ended.clone();
            move |n: u32| {
                if n == 2 {
                    raise("planted");
                }
                sleep(if n < 2 { MS } else { LONG });
                ended.set(ended.get() + 1);
            }
        };
        assert_eq!(complaint(|| group.map(0..5, work)), "planted");
        group.join_all().unwrap_err();
        assert_eq!(ended.get(), 2, "the others are killed");
        let work = |n: u32| if n == 2 { raise("planted") } else { n };
        let mut all = group.imap(0..4, work);
        assert_eq!((all.next(), all.next()), (Some(0), Some(1)));
        assert_eq!(complaint(|| all.next()), "planted");
        assert_eq!((all.next(), all.next()), (Some(3), None));
        let mut all = group.imap_unordered(2..3, work);
        assert_eq!(complaint(|| all.next()), "planted");
        assert_eq!(all.next(), None);
        group.join_all().unwrap_err();
        yield_now();
    });
}

/// Of items without end only so many begin as may run ahead; and no more when nobody asks.
#[test]
fn what_is_mapped_does_not_run_away() {
    run(|| {
        for unordered in [false, true] {
            let group = Group::new();
            let begun = Rc::new(Cell::new(0_usize));
            let work = {
                let begun = begun.clone();
                move |n: u64| {
                    begun.set(begun.get() + 1);
                    n
                }
            };
            let mut all: Box<dyn Iterator<Item = u64>> = match unordered {
                true => Box::new(group.imap_unordered(0.., work)),
                false => Box::new(group.imap(0.., work)),
            };
            assert_eq!(all.by_ref().take(5).sum::<u64>(), 10);
            settle();
            let ahead = begun.get();
            assert!((5..=2 * 1024 + 10).contains(&ahead), "{ahead} have begun");
            drop(all);
            group.join_all().unwrap();
            assert!(begun.get() <= ahead + 1);
        }
    });
}

#[test]
fn a_panic_of_the_items_comes_last() {
    run(|| {
        let group = Group::new();
        let items = || {
            (0..4).inspect(|n| {
                if *n == 2 {
                    raise("planted")
                }
            })
        };
        let mut all = group.imap(items(), |n| n);
        assert_eq!((all.next(), all.next()), (Some(0), Some(1)));
        assert_eq!(complaint(|| all.next()), "planted");
        let mut all = group.imap_unordered(items(), |n| n);
        assert_eq!((all.next(), all.next()), (Some(0), Some(1)));
        assert_eq!(complaint(|| all.next()), "planted");
        assert_eq!(complaint(|| group.map(items(), |n| n)), "planted");
        group.join_all().unwrap();
        yield_now();
    });
}

#[test]
fn a_killed_map_kills_its_members() {
    run(|| {
        let pool = Pool::new(2);
        let maps = spawn({
            let pool = pool.clone();
            move || pool.map(0..5, |_| sleep(LONG))
        });
        settle();
        assert_eq!(pool.len(), 2);
        end(maps);
        pool.join_all().unwrap();
        assert_eq!(pool.free(), 2);
        yield_now();
    });
}

#[test]
fn who_is_waited_for_is_killed_as_well() {
    run(|| {
        let group = Group::new();
        for way in 0..2 {
            let waits = spawn({
                let group = group.clone();
                move || match way {
                    0 => drop(group.map(0..5, |_| sleep(LONG))),
                    _ => group.apply(|| sleep(LONG)),
                }
            });
            settle();
            assert_eq!(group.len(), if way == 0 { 5 } else { 1 });
            end(waits);
            group.join_all().unwrap();
        }
        yield_now();
    });
}

#[test]
fn a_member_that_asks_its_own_pool_does_it_itself() {
    run(|| {
        let pool = Pool::new(1);
        assert_eq!(pool.apply(|| 6 * 7), 42);
        let inner = pool.clone();
        let sum = pool.apply(move || inner.apply(|| 1) + inner.map(0..3, |n| n).len());
        assert_eq!(sum, 4);
        assert_eq!(complaint(|| pool.apply(|| raise("planted"))), "planted");
        assert_eq!(pool.join_all().unwrap_err().message(), "planted");
        assert_eq!(pool.free(), 1);
    });
}

#[test]
fn it_runs_ahead_by_the_size_of_the_pool() {
    run(|| {
        let begun = Rc::new(Cell::new(0));
        let pool = Pool::new(3);
        let items = (0..100).inspect({
            let begun = begun.clone();
            move |_| begun.set(begun.get() + 1)
        });
        let mut all = pool.imap(items, |n| n);
        settle();
        assert!(begun.get() <= 8, "{}", begun.get());
        assert_eq!(all.next(), Some(0));
        settle();
        assert!(begun.get() <= 9, "{}", begun.get());
        drop(all);
        settle();
        pool.join_all().unwrap();
    });
}

/// What runs goes on, and nothing more begins: also if the feeder waits for a place at that moment.
#[test]
fn dropping_the_iterator_begins_nothing_more() {
    run(|| {
        for unordered in [false, true] {
            let pool = Pool::new(1);
            let ran = Rc::new(RefCell::new(Vec::new()));
            let go_on = Rc::new(Event::new());
            let work = {
                let (ran, go_on) = (ran.clone(), go_on.clone());
                move |n: u32| {
                    go_on.wait();
                    ran.borrow_mut().push(n);
                }
            };
            let all: Box<dyn Iterator<Item = ()>> = match unordered {
                true => Box::new(pool.imap_unordered(0..9, work)),
                false => Box::new(pool.imap(0..9, work)),
            };
            settle();
            assert_eq!(pool.free(), 0);
            drop(all);
            settle();
            go_on.set();
            settle();
            pool.join_all().unwrap();
            assert_eq!(*ran.borrow(), [0], "unordered: {unordered}");
            assert_eq!(pool.free(), 1);
        }
        yield_now();
    });
}

#[test]
fn a_member_that_maps_over_its_own_pool_does_not_wait_for_itself() {
    run(|| {
        let pool = Pool::new(1);
        let maps = pool.spawn({
            let pool = pool.clone();
            move || {
                let squares = pool.map(0..4, |n| n * n);
                let ordered: Vec<_> = pool.imap(0..4, |n| n * n).collect();
                let any = pool.imap_unordered(0..4, |n| n * n).count();
                (squares, ordered, any)
            }
        });
        let squares = vec![0, 1, 4, 9];
        assert_eq!(maps.join().unwrap(), (squares.clone(), squares, 4));
        yield_now();
    });
}

#[test]
fn whoever_ends_first() {
    run(|| {
        let handles = [LONG, 2 * MS, LONG].map(|time| spawn(move || sleep(time)));
        assert_eq!(wait_any(&handles), 1);
        assert_eq!(wait_any(&handles), 1);
        let before = hub_stats();
        assert_eq!(timeout(MS, || wait_any(&handles[..1])), Err(Elapsed));
        let _woken = handles[0].thread();
        assert_eq!(timeout(MS, || wait_any(&handles[2..])), Err(Elapsed));
        assert_eq!(hub_stats(), before);
        let [never, _, killed] = handles;
        killed.start_kill();
        let handles = [never, killed];
        assert_eq!(wait_any(&handles), 1);
        handles[0].kill();
        let words = complaint(|| wait_any::<()>(&[]));
        assert!(words.contains("no greenlets"), "{words}");
    });
}

#[test]
fn in_the_order_in_which_they_end() {
    run(|| {
        let handles = [6_u32, 2, 4].map(|n| {
            spawn(move || {
                (0..n).for_each(|_| yield_now());
                if n == 4 {
                    raise("planted");
                }
                n
            })
        });
        let all = as_completed(handles).map(|(number, outcome)| (number, outcome.ok()));
        assert_eq!(Vec::from_iter(all), [(1, Some(2)), (2, None), (0, Some(6))]);
        // One that is dropped leaves them running.
        let done = Rc::new(Cell::new(false));
        let theirs = done.clone();
        drop(as_completed([spawn(move || {
            yield_now();
            theirs.set(true);
        })]));
        settle();
        assert!(done.get());
        assert_eq!(as_completed::<()>([]).count(), 0);
    });
}

/// Those who wait for a place when all are killed get it, and what they spawn is killed as well.
#[test]
fn who_waits_to_spawn_is_not_missed_when_all_are_killed() {
    run(|| {
        let pool = Pool::new(1);
        pool.spawn(park);
        let begun = Rc::new(Cell::new(0));
        let spawners = [1, 2, 3].map(|_| {
            let (pool, begun) = (pool.clone(), begun.clone());
            spawn(move || {
                pool.spawn(move || {
                    begun.set(begun.get() + 1);
                    sleep(LONG);
                })
            })
        });
        settle();
        pool.kill_all();
        assert!(pool.is_empty());
        for spawner in spawners {
            let member = spawner.join().unwrap();
            assert!(member.join().unwrap_err().is::<GreenletExit>());
        }
        assert_eq!(begun.get(), 0);
        assert_eq!(pool.free(), 1);
        settle();
    });
}

/// Whoever called the group, not the group.
#[test]
fn members_know_where_they_were_spawned() {
    run(|| {
        let group = Group::new();
        let never = |_: u32| sleep(LONG);
        let mut lazy = group.imap(0..1, never);
        let mut unordered = group.imap_unordered(0..1, never);
        let mut ended = as_completed([group.spawn(|| sleep(LONG))]);
        let all = spawn(move || {
            let _ = timeout(MS, || lazy.next());
            let _ = timeout(MS, || unordered.next());
            let _ = timeout(MS, || ended.next());
            inspect::dump()
        });
        let dump = all.join().unwrap();
        for seen in dump.greenlets().iter().filter(|seen| !seen.is_main()) {
            assert!(seen.site().file().ends_with("group.rs"), "{dump}");
            assert!(seen.site().file().contains("tests"), "{dump}");
        }
        assert!(dump.greenlets().len() >= 5, "{dump}");
        group.kill_all();
        settle();
    });
}

/// One was let in, and is killed before its turn: whoever kills all has waited for it to sit down.
#[test]
fn killing_all_waits_for_nobody_who_never_comes() {
    run(|| {
        let (pool, go) = (Pool::new(1), Rc::new(Event::new()));
        pool.spawn(own!(go => move || go.wait()));
        let comes = spawn(own!(pool => move || _ = pool.spawn(|| ())));
        yield_now();
        go.set();
        let kills = spawn(own!(pool => move || {
            comes.start_kill();
            pool.kill_all();
        }));
        kills.join().unwrap();
        assert_eq!((pool.len(), pool.free()), (0, 1));
    });
}

/// The exit of a member is not that of whoever waits for its result.
#[test]
fn a_member_that_is_killed_leaves_whoever_maps_with_words() {
    run(|| {
        let group = Group::new();
        let kills = spawn(own!(group => move || group.kill_all()));
        let said = complaint(|| group.apply(|| sleep(LONG)));
        assert!(said.contains("killed before it had a result"), "{said}");
        kills.join().unwrap();
    });
}
