//! std's tests of threads, over whatever the module around this one has.

use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::mpsc::{Sender, channel};
use super::thread::{self, Builder, Scope, Thread, ThreadId};
use crate::support::run;

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// What a thread dies of that panics like this.
fn payload(panics: impl FnOnce() + Send + 'static) -> Box<dyn Any + Send> {
    thread::spawn(panics).join().unwrap_err()
}

#[test]
fn without_a_name() {
    run(|| {
        let named = thread::spawn(|| thread::current().name().is_some());
        assert!(named.thread().name().is_none());
        assert!(!named.join().unwrap());
    });
}

#[test]
fn with_a_name() {
    run(|| {
        let builder = Builder::new().name("Ada Lovelace".to_owned());
        let names = builder.spawn(|| assert_eq!(thread::current().name(), Some("Ada Lovelace")));
        let names = names.unwrap();
        assert_eq!(names.thread().name(), Some("Ada Lovelace"));
        names.join().unwrap();
        // The system keeps fifteen bytes of a name; the thread has all of it.
        let long = "a name that is longer than the system keeps".repeat(9);
        let builder = Builder::new().name(long.clone());
        let name = builder.spawn(|| thread::current().name().map(str::to_owned));
        assert_eq!(name.unwrap().join().unwrap(), Some(long));
    });
}

#[test]
fn a_name_with_a_zero_in_it_panics() {
    run(|| {
        let builder = Builder::new().name("Ada l\0velace".to_owned());
        assert!(catch_unwind(AssertUnwindSafe(|| builder.spawn(|| ()))).is_err());
    });
}

#[test]
fn it_runs() {
    run(|| {
        let (sender, receiver) = channel();
        let sends = thread::spawn(move || sender.send(()).unwrap());
        receiver.recv().unwrap();
        sends.join().unwrap();
    });
}

#[test]
fn whether_it_has_ended() {
    run(|| {
        let goes_on = Arc::new(AtomicBool::new(true));
        let waits = thread::spawn({
            let goes_on = goes_on.clone();
            move || {
                while goes_on.load(Ordering::Relaxed) {
                    thread::sleep(MS);
                }
                "ended"
            }
        });
        thread::sleep(3 * MS);
        assert!(!waits.is_finished());
        goes_on.store(false, Ordering::Relaxed);
        while !waits.is_finished() {
            thread::yield_now();
        }
        assert_eq!(waits.join().unwrap(), "ended");
    });
}

#[test]
fn joining_one_that_has_panicked_is_an_error() {
    run(|| assert!(thread::spawn(|| panic!()).join().is_err()));
}

#[test]
fn each_spawns_the_next() {
    fn spawn(left: u32, sender: Sender<()>) {
        let _ = thread::spawn(move || match left {
            0 => sender.send(()).unwrap(),
            _ => spawn(left - 1, sender),
        });
    }
    run(|| {
        let (sender, receiver) = channel();
        spawn(10, sender);
        receiver.recv().unwrap();
    });
}

#[test]
fn one_that_is_spawned_outlives_its_spawner() {
    run(|| {
        let (sender, receiver) = channel();
        let spawner = thread::spawn(move || {
            let _ = thread::spawn(move || {
                thread::sleep(5 * MS);
                sender.send(7).unwrap();
            });
        });
        spawner.join().unwrap();
        assert_eq!(receiver.recv(), Ok(7));
    });
}

#[test]
fn a_long_line_of_children_does_not_keep_its_ancestors() {
    fn child(generation: u32) -> Box<dyn FnOnce() + Send> {
        Box::new(move || {
            if generation < 16 {
                let _ = thread::spawn(child(generation + 1));
            }
        })
    }
    run(|| {
        thread::spawn(child(0)).join().unwrap();
        // Those of std end by themselves; the others have their turns.
        for _ in 0..20 {
            thread::yield_now();
        }
    });
}

#[test]
fn what_is_moved_in_is_not_copied() {
    fn check(spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) {
        let value: Box<i32> = Box::new(1);
        let here = &raw const *value as usize;
        let seen = Arc::new(AtomicUsize::new(0));
        let sees = seen.clone();
        spawn(Box::new(move || {
            sees.store(&raw const *value as usize, Ordering::Relaxed);
        }));
        while seen.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        assert_eq!(seen.load(Ordering::Relaxed), here);
    }
    run(|| {
        check(|body| drop(thread::spawn(body)));
        check(|body| drop(Builder::new().spawn(body).unwrap()));
        check(|body| thread::spawn(body).join().unwrap());
        let value: Box<i32> = Box::new(1);
        let here = &raw const *value as usize;
        let back = thread::spawn(move || value).join().unwrap();
        assert_eq!(&raw const *back as usize, here);
    });
}

#[test]
fn a_panic_with_a_literal() {
    run(|| {
        let died_of = payload(|| panic!("static string"));
        assert_eq!(
            *died_of.downcast::<&'static str>().unwrap(),
            "static string"
        );
    });
}

#[test]
fn a_panic_with_a_string() {
    run(|| {
        let died_of = payload(|| panic_any("owned string".to_owned()));
        assert_eq!(*died_of.downcast::<String>().unwrap(), "owned string");
    });
}

#[test]
fn a_panic_with_anything() {
    run(|| {
        let died_of = payload(|| panic_any(Box::new(413_u16) as Box<dyn Any + Send>));
        let inner = died_of.downcast::<Box<dyn Any + Send>>().unwrap();
        assert_eq!(*inner.downcast::<u16>().unwrap(), 413);
    });
}

#[test]
fn a_panic_with_a_unit() {
    struct Juju;
    run(|| assert!(payload(|| panic_any(Juju)).is::<Juju>()));
}

#[test]
fn an_unpark_before_a_park() {
    run(|| {
        for _ in 0..10 {
            thread::current().unpark();
            thread::park();
        }
    });
}

#[test]
fn an_unpark_by_somebody_else() {
    run(|| {
        for _ in 0..10 {
            let parked = thread::current();
            let unparks = thread::spawn(move || {
                thread::sleep(MS);
                parked.unpark();
            });
            thread::park();
            unparks.join().unwrap();
        }
    });
}

#[test]
fn a_park_with_a_limit() {
    run(|| {
        for _ in 0..10 {
            thread::current().unpark();
            thread::park_timeout(LONG);
        }
        for _ in 0..10 {
            thread::park_timeout(MS);
        }
        for _ in 0..10 {
            let parked = thread::current();
            let unparks = thread::spawn(move || {
                thread::sleep(MS);
                parked.unpark();
            });
            thread::park_timeout(LONG);
            unparks.join().unwrap();
        }
    });
}

#[test]
fn a_handle_unparks_and_outlives() {
    run(|| {
        let parked = thread::spawn(thread::park);
        parked.thread().unpark();
        let handle: Thread = parked.thread().clone();
        parked.join().unwrap();
        handle.unpark();
    });
}

#[test]
fn a_sleep_is_not_too_short() {
    run(|| {
        let begin = Instant::now();
        thread::sleep(2 * MS);
        assert!(begin.elapsed() >= 2 * MS);
        thread::sleep(Duration::ZERO);
    });
}

#[test]
fn numbers_are_each_somebody_s_own() {
    run(|| {
        let mine: ThreadId = thread::current().id();
        assert_eq!(mine, thread::current().id());
        let spawned: Vec<_> = (0..8)
            .map(|_| thread::spawn(|| thread::current().id()))
            .collect();
        let mut all: HashSet<_> = spawned.iter().map(|one| one.thread().id()).collect();
        for one in spawned {
            assert!(all.contains(&one.join().unwrap()));
        }
        assert!(all.insert(mine));
        assert_eq!(all.len(), 9);
        assert!(!format!("{mine:?}").is_empty());
    });
}

#[test]
fn a_scope_lets_borrow() {
    fn read(x: &u8) {
        thread::scope(|s| {
            s.spawn(|| assert_eq!(*x, 42));
        });
    }
    run(|| {
        read(&42);
        let (mut list, mut sum) = (vec![1, 2, 3], 0);
        let length = thread::scope(|s| {
            let counts = s.spawn(|| list.len());
            s.spawn(|| sum += list.iter().sum::<i32>());
            counts.join().unwrap()
        });
        list.push(4);
        assert_eq!((length, list.len(), sum), (3, 4, 6));
    });
}

#[test]
fn a_scope_spawns_from_within() {
    run(|| {
        let count = AtomicU32::new(0);
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    count.fetch_add(1, Ordering::Relaxed);
                    s.spawn(|| {
                        thread::sleep(2 * MS);
                        count.fetch_add(10, Ordering::Relaxed);
                    });
                });
            }
        });
        assert_eq!(count.into_inner(), 33);
    });
}

#[test]
fn a_result_is_dropped_before_its_scope_ends() {
    struct Spawns<'scope, 'env>(&'scope Scope<'scope, 'env>, &'env AtomicBool);
    impl Drop for Spawns<'_, '_> {
        fn drop(&mut self) {
            thread::sleep(5 * MS);
            let ended = self.1;
            self.0.spawn(move || {
                thread::sleep(5 * MS);
                ended.store(true, Ordering::Relaxed);
            });
        }
    }
    run(|| {
        let ended = &AtomicBool::new(false);
        thread::scope(|s| {
            s.spawn(move || {
                thread::sleep(5 * MS);
                Spawns(s, ended)
            });
        });
        assert!(ended.load(Ordering::Relaxed));
    });
}

#[test]
fn a_panic_that_nobody_joins_is_one_of_the_scope() {
    run(|| {
        let scope = || thread::scope(|s| _ = s.spawn(|| panic!("nobody joins")));
        assert!(catch_unwind(scope).is_err());
        let joined = thread::scope(|s| s.spawn(|| panic!("joined")).join().is_err());
        assert!(joined);
        let mine = catch_unwind(|| {
            thread::scope(|s| {
                s.spawn(|| thread::sleep(2 * MS));
                panic!("my own")
            })
        });
        let died_of: Box<dyn Any + Send> = mine.unwrap_err();
        assert_eq!(*died_of.downcast::<&'static str>().unwrap(), "my own");
        // A greenlet that was ended before its turn has that turn still.
        thread::yield_now();
    });
}

#[test]
fn a_builder_spawns_in_a_scope() {
    run(|| {
        let text = String::from("borrowed");
        let name = thread::scope(|s| {
            let builder = Builder::new().name("scoped".into()).stack_size(256 * 1024);
            let reads =
                builder.spawn_scoped(s, || (thread::current().name().unwrap().to_owned(), &text));
            let reads = reads.unwrap();
            assert_eq!(reads.thread().name(), Some("scoped"));
            let (name, read) = reads.join().unwrap();
            assert_eq!(*read, "borrowed");
            name
        });
        assert_eq!(name, "scoped");
    });
}

#[test]
fn there_is_a_processor() {
    run(|| assert!(thread::available_parallelism().unwrap().get() > 0));
}

#[test]
fn whether_somebody_panics() {
    struct Looks(Arc<AtomicBool>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.store(thread::panicking(), Ordering::Relaxed);
        }
    }
    run(|| {
        assert!(!thread::panicking());
        let seen = Arc::new(AtomicBool::new(false));
        let looks = Looks(seen.clone());
        assert!(
            thread::spawn(move || {
                let _looks = looks;
                panic!()
            })
            .join()
            .is_err()
        );
        assert!(seen.load(Ordering::Relaxed) && !thread::panicking());
    });
}

/// Types can be told where std takes them.
#[test]
fn what_a_closure_returns_can_be_told() {
    run(|| {
        let fails = thread::spawn::<_, Result<u8, String>>(|| Err("told".to_owned()));
        assert_eq!(fails.join().unwrap(), Err("told".to_owned()));
        let builder = Builder::new().stack_size("65536".parse().unwrap());
        let size = builder.spawn::<_, Option<u8>>(|| None).unwrap();
        assert_eq!(size.join().unwrap(), None);
        let within = thread::scope::<_, Option<u8>>(|scope| {
            let child = scope.spawn::<_, Option<u8>>(|| Some(1));
            let other = Builder::new().spawn_scoped::<_, u8>(scope, || 2).unwrap();
            Some(child.join().unwrap()? + other.join().unwrap())
        });
        assert_eq!(within, Some(3));
    });
}

#[test]
fn a_number_or_none_takes_no_more_than_a_number() {
    assert_eq!(size_of::<Option<ThreadId>>(), size_of::<ThreadId>());
}
