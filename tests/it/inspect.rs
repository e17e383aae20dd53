//! What is seen of greenlets from outside, by the thread itself and by others.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use greenlet::group::Group;
use greenlet::inspect::{self, Dump, Options, Seen, State};
use greenlet::net::TcpListener;
use greenlet::sync::{Mutex, RwLock, Semaphore, channel, remote, select};
use greenlet::{Greenlet, GreenletId, JoinHandle, current, sleep, spawn, thread, yield_now};

use crate::support::{asks, rounds, run, survived_in_child};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Whether stacks that do not run can be walked in this build.
fn walks() -> bool {
    greenlet::BACKEND == "direct" && cfg!(all(target_os = "linux", not(miri)))
}

fn named(name: &str, f: impl FnOnce() + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name.into()).spawn(f).unwrap()
}

fn seen<'a>(dump: &'a Dump, name: &str) -> &'a Seen {
    let seen = dump
        .greenlets()
        .iter()
        .find(|seen| seen.name() == Some(name));
    seen.unwrap_or_else(|| panic!("no {name} in {dump}"))
}

#[inline(never)]
fn sleeps_in_here() {
    sleep(LONG);
    std::hint::black_box(());
}

#[inline(never)]
fn calls_what_sleeps() {
    sleeps_in_here();
    std::hint::black_box(());
}

#[test]
fn a_dump_names_what_each_greenlet_does() {
    run(|| {
        let sleeper = named("sleeper", calls_what_sleeps);
        let parked = named("parked", thread::park);
        yield_now();
        let ready = named("ready", || ());
        let dump = inspect::dump();
        assert_eq!(dump.greenlets().len(), 4);
        assert_eq!(dump.missed(), 0);

        let main = &dump.greenlets()[0];
        assert!(main.is_main());
        assert_eq!((main.state(), main.spawner()), (State::Running, None));

        let asleep = seen(&dump, "sleeper");
        assert_eq!(asleep.state(), State::Parked);
        assert!(asleep.waits().is_some());
        assert_eq!(asleep.spawner(), Some(main.id()));
        assert!(asleep.site().file().ends_with("inspect.rs"));
        let left = asleep.deadline().unwrap();
        assert!(left > LONG / 2 && left <= LONG, "{left:?}");
        assert_eq!(asleep.turns(), 1);

        assert_eq!(seen(&dump, "parked").waits(), Some("is parked"));
        assert_eq!(seen(&dump, "parked").deadline(), None);
        assert_eq!(seen(&dump, "ready").state(), State::Ready);
        assert_eq!(seen(&dump, "ready").turns(), 0);
        [sleeper, parked, ready].iter().for_each(|g| _ = g.kill());
    });
}

#[test]
fn a_dump_shows_the_calls_of_greenlets_that_do_not_run() {
    if !walks() {
        return;
    }
    run(|| {
        let sleeper = named("sleeper", calls_what_sleeps);
        yield_now();
        let dump = inspect::dump();
        let calls = seen(&dump, "sleeper").calls();
        let names: Vec<_> = calls.iter().map(|call| &*call.name).collect();
        let position = |part: &str| {
            let position = names.iter().position(|name| name.contains(part));
            position.unwrap_or_else(|| panic!("no {part} in {names:#?}"))
        };
        assert!(
            position("sleep") < 2 && position("sleeps_in_here") < 4,
            "{names:#?}"
        );
        assert!(position("sleeps_in_here") < position("calls_what_sleeps"));
        assert!(names.len() < 10, "{names:#?}");
        if !cfg!(debug_assertions) {
            sleeper.kill();
            return;
        }
        let mut places = calls.iter().filter_map(|call| call.place.as_deref());
        assert!(places.any(|place| place.contains("inspect.rs:")));
        let text = dump.to_string();
        assert!(text.contains("inspect::calls_what_sleeps"), "{text}");
        assert!(
            text.contains("a_dump_shows_the_calls_of_greenlets"),
            "{text}"
        );
        sleeper.kill();
    });
}

#[test]
fn greenlets_with_the_same_stack_are_printed_once() {
    if !walks() {
        return;
    }
    run(|| {
        let sleepers: Vec<_> = (0..5).map(|_| spawn(calls_what_sleeps)).collect();
        yield_now();
        let text = inspect::dump().to_string();
        assert_eq!(
            text.matches("inspect::calls_what_sleeps").count(),
            1,
            "{text}"
        );
        assert_eq!(text.matches("as greenlet #").count(), 4, "{text}");
        sleepers.iter().for_each(|g| _ = g.kill());
    });
}

#[test]
fn explicit_greenlets_are_seen_as_well() {
    run(|| {
        let main = current::<()>();
        let suspended = Greenlet::builder().name("suspended").build(move |()| {
            waits_for_main(&main);
        });
        let pending = Greenlet::<()>::builder().name("pending").build(|()| ());
        suspended.switch(());
        let dump = inspect::dump();
        assert_eq!(seen(&dump, "suspended").state(), State::Suspended);
        assert_eq!(seen(&dump, "pending").state(), State::Pending);
        assert!(seen(&dump, "pending").frames().is_empty());
        if walks() {
            let text = seen(&dump, "suspended").calls().to_string();
            assert!(text.contains("waits_for_main"), "{text}");
        }
        suspended.switch(());
        pending.kill();
    });
}

#[inline(never)]
fn waits_for_main(main: &Greenlet<()>) {
    main.switch(());
    std::hint::black_box(());
}

#[test]
fn one_greenlet_sees_the_others_and_itself() {
    run(|| {
        let parked = named("parked", thread::park);
        let dump = named_dump("looks");
        assert_eq!(seen(&dump, "looks").state(), State::Running);
        assert_eq!(dump.greenlets()[0].state(), State::Parked);
        assert_eq!(
            dump.greenlets()[0].holder(),
            Some(seen(&dump, "looks").id())
        );
        if walks() {
            let text = dump.greenlets()[0].calls().to_string();
            assert!(text.contains("named_dump"), "{text}");
        }
        parked.kill();
    });
}

#[inline(never)]
fn named_dump(name: &str) -> Dump {
    let looks = thread::Builder::new().name(name.into());
    looks.spawn(inspect::dump).unwrap().join().unwrap()
}

/// Two greenlets that lock two mutexes in opposite orders.
fn cross() -> [JoinHandle<()>; 2] {
    let (a, b) = (Rc::new(Mutex::new(())), Rc::new(Mutex::new(())));
    let locker = |name: &str, first: &Rc<Mutex<()>>, second: &Rc<Mutex<()>>| {
        let (first, second) = (first.clone(), second.clone());
        named(name, move || {
            let _first = first.lock().unwrap();
            yield_now();
            // The other one may be killed while it has it.
            drop(second.lock());
        })
    };
    [locker("a", &a, &b), locker("b", &b, &a)]
}

#[test]
fn a_cycle_is_found_while_others_run() {
    run(|| {
        let mut crossed = cross();
        let joins = named("joins", {
            let [a, _] = &mut crossed;
            let a = std::mem::replace(a, spawn(|| ()));
            move || a.join().unwrap()
        });
        (0..4).for_each(|_| yield_now());
        let dump = inspect::dump();
        let cycles = dump.cycles();
        assert_eq!(cycles.len(), 1, "{dump}");
        let mut names: Vec<_> = cycles[0].iter().filter_map(|seen| seen.name()).collect();
        names.sort();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(seen(&dump, "a").holder(), Some(seen(&dump, "b").id()));
        assert_eq!(seen(&dump, "joins").holder(), Some(seen(&dump, "a").id()));
        let text = dump.to_string();
        assert!(text.contains("in a circle:"), "{text}");
        assert!(text.contains("waits for a mutex, made at "), "{text}");
        drop(dump);
        crossed[1].kill();
        (0..4).for_each(|_| yield_now());
        assert!(inspect::dump().cycles().is_empty());
        joins.join().unwrap();
        crossed.into_iter().for_each(|g| g.wait());
    });
}

#[test]
fn whoever_has_a_deadline_is_in_no_cycle() {
    run(|| {
        let place: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let first = named("first", {
            let place = place.clone();
            move || {
                let second = place.take().unwrap();
                let _ = greenlet::time::timeout(LONG, || second.wait());
                second.start_kill();
            }
        });
        let first = Rc::new(first);
        *place.borrow_mut() = Some(named("second", {
            let first = first.clone();
            move || first.wait()
        }));
        (0..3).for_each(|_| yield_now());
        let dump = inspect::dump();
        assert_eq!(seen(&dump, "second").holder(), Some(first.id()));
        assert!(dump.cycles().is_empty(), "{dump}");
        first.kill();
        (0..3).for_each(|_| yield_now());
    });
}

#[test]
fn a_scope_waits_for_its_last_greenlet() {
    run(|| {
        let mut found = None;
        greenlet::scope(|s| {
            s.spawn(|| ());
            s.spawn(|| {
                sleep(MS);
                let dump = inspect::dump();
                let main = &dump.greenlets()[0];
                found = Some((main.waits(), main.holder(), dump.greenlets()[1].id()));
            });
        });
        let (waits, holder, last) = found.unwrap();
        assert_eq!(waits, Some("waits for the greenlets of a scope"));
        assert_eq!(holder, Some(last));
    });
}

#[test]
fn the_tree_shows_who_spawned_whom() {
    run(|| {
        let outer = named("outer", || {
            let inner = named("inner", || sleep(LONG));
            inner.wait();
        });
        (0..2).for_each(|_| yield_now());
        let tree = inspect::dump().tree();
        let lines: Vec<_> = tree.lines().collect();
        assert!(lines[0].starts_with("the main greenlet"), "{tree}");
        assert!(lines[1].starts_with("  greenlet 'outer'"), "{tree}");
        assert!(lines[2].starts_with("    greenlet 'inner'"), "{tree}");
        assert_eq!(lines.len(), 3);
        outer.kill();
        let tree = inspect::dump().tree();
        assert!(
            tree.lines().nth(1).unwrap().starts_with("greenlet 'inner'"),
            "{tree}"
        );
        greenlet::shutdown();
    });
}

#[test]
fn waiting_time_goes_on_while_the_thread_has_nothing_to_do() {
    run(|| {
        let parked = named("parked", thread::park);
        yield_now();
        sleep(50 * MS);
        let dump = inspect::dump();
        let waiting = seen(&dump, "parked").waiting().unwrap();
        assert!(waiting >= 40 * MS, "{waiting:?}");
        assert!(dump.greenlets()[0].waiting().is_none());
        parked.kill();
    });
}

#[test]
fn stacks_are_measured() {
    if greenlet::BACKEND == "baton" || !cfg!(target_os = "linux") {
        return;
    }
    run(|| {
        #[inline(never)]
        fn deep(bytes: usize) {
            let room = [1_u8; 64 * 1024];
            std::hint::black_box((&room, bytes));
        }
        let builder = thread::Builder::new()
            .name("deep".into())
            .stack_size(512 * 1024);
        let deep = builder
            .spawn(|| {
                deep(1);
                sleep(LONG);
            })
            .unwrap();
        yield_now();
        let dump = inspect::dump();
        let stack = seen(&dump, "deep").stack();
        assert_eq!(stack.size, 512 * 1024);
        assert!((64 << 10..512 << 10).contains(&stack.deepest), "{stack:?}");
        if walks() {
            assert!((1..16 * 1024).contains(&stack.used), "{stack:?}");
        }
        let less = inspect::dump_with(Options::new().stacks(false).frames(false));
        assert_eq!(seen(&less, "deep").stack().deepest, 0);
        assert!(seen(&less, "deep").frames().is_empty());
        deep.kill();
    });
}

/// Also those that stand at different ends of it.
#[test]
fn those_who_wait_for_one_thing_have_the_same_object() {
    run(|| {
        let mutex = Rc::new(Mutex::new(()));
        let semaphores = [0, 1].map(|_| Rc::new(Semaphore::new(0)));
        let guard = mutex.lock();
        let lock = |name: &str| {
            let mutex = mutex.clone();
            named(name, move || drop(mutex.lock()))
        };
        let acquire = |name: &str, at: usize| {
            let semaphore = semaphores[at].clone();
            named(name, move || semaphore.acquire().forget())
        };
        let waiting = [lock("a"), lock("b"), acquire("c", 0), acquire("d", 1)];
        yield_now();
        let dump = inspect::dump();
        let [a, b, c, d] =
            ["a", "b", "c", "d"].map(|name| seen(&dump, name).objects().next().unwrap());
        assert_eq!(a, b);
        assert_eq!(c.made, d.made);
        assert_ne!(c.address, d.address);
        assert!(a.made.line() + 1 == c.made.line() && c.made.file().ends_with("inspect.rs"));
        let json = dump.to_json();
        assert!(json.contains(&format!("\"objects\":[{{\"address\":{},", a.address)));
        // One place says too little.
        let text = dump.to_string();
        assert!(
            text.contains(&format!("made at {} ({:#x})", d.made, d.address)),
            "{text}"
        );
        assert!(!text.contains(&format!("made at {} (0x", a.made)), "{text}");
        drop(guard);
        semaphores.iter().for_each(|semaphore| semaphore.release());
        waiting.into_iter().for_each(|g| g.join().unwrap());
    });
}

#[test]
fn a_select_waits_for_each_of_its_things() {
    run(|| {
        let (_sender, receiver) = channel::bounded::<()>(1);
        let seats = Rc::new(Semaphore::new(0));
        let (remote_sender, remote) = remote::channel::bounded::<()>(1);
        let of_seats = seats.clone();
        let waits = named("waits", move || {
            select()
                .recv(&receiver, |_| ())
                .acquire(&*of_seats, |permit| permit.forget())
                .on(&remote, |_| ())
                .wait();
        });
        yield_now();
        let dump = inspect::dump();
        let lines = seen(&dump, "waits").objects().map(|it| it.made.line());
        let mut lines: Vec<u32> = lines.collect();
        lines.sort_unstable();
        assert_eq!([lines[1] - lines[0], lines[2] - lines[1]], [1, 1], "{dump}");
        let text = dump.to_string();
        assert!(text.contains("one of several things, made at "), "{text}");
        assert_eq!(text.matches(" and at ").count(), 2, "{text}");
        if walks() {
            let known_to = seen(&dump, "waits").known_to().unwrap();
            assert!(known_to.contains(&thread::current().id()), "{dump}");
        }
        seats.release();
        waits.join().unwrap();
        drop(remote_sender);
    });
}

/// Whatever there is to wait for in one select: what was made, greenlets, descriptors.
#[test]
fn a_select_waits_for_greenlets_and_descriptors_as_well() {
    run(|| {
        let ends = named("ends", thread::park);
        let (end, id) = (ends.thread().clone(), ends.id());
        let (reader, _writer) = greenlet::io::pipe().unwrap();
        let fd = reader.as_fd().as_raw_fd();
        let waits = named("waits", move || {
            let (_sender, receiver) = channel::bounded::<()>(1);
            select()
                .recv(&receiver, |_| ())
                .join(&ends, |()| ())
                .readable(&reader, |_| ())
                .wait();
        });
        yield_now();
        let dump = inspect::dump();
        let waiting = seen(&dump, "waits");
        assert_eq!(waiting.objects().count(), 1, "{dump}");
        assert_eq!(waiting.descriptors(), [fd], "{dump}");
        let holders: Vec<Vec<GreenletId>> = waiting.holders().collect();
        assert_eq!(holders.len(), 3, "{dump}");
        assert_eq!(holders.concat(), [id], "{dump}");
        assert_eq!(waiting.holder(), None, "{dump}");
        let text = dump.to_string();
        assert!(
            text.contains(&format!(", descriptor {fd} (spawned at ")),
            "{text}"
        );
        let can_end = format!(", greenlet 'ends' ({id}) can end that");
        assert!(text.contains(&can_end), "{text}");
        let json = dump.to_json();
        assert!(json.contains(&format!("\"descriptors\":[{fd}]")), "{json}");
        let id = id.to_string();
        assert!(json.contains(&format!("[{}]", &id[1..])), "{json}");
        end.unpark();
        waits.join().unwrap();
    });
}

#[test]
fn who_reads_from_a_socket_says_from_which() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = listener.as_fd().as_raw_fd();
        let accepts = named("accepts", move || drop(listener.accept()));
        yield_now();
        let dump = inspect::dump();
        assert_eq!(seen(&dump, "accepts").descriptors(), [fd], "{dump}");
        accepts.kill();
    });
}

/// All of them have to end.
#[test]
fn who_waits_for_several_has_all_of_them_as_holders() {
    run(|| {
        let group = Group::new();
        let ids = |handles: &[JoinHandle<()>]| {
            let mut ids: Vec<GreenletId> = handles.iter().map(JoinHandle::id).collect();
            ids.sort();
            ids
        };
        let members = [(); 30].map(|()| group.spawn(thread::park));
        let of_group = group.clone();
        let joins = named("joins", move || of_group.join_all().unwrap());
        let lock = Rc::new(RwLock::new(()));
        let readers = [(); 3].map(|()| {
            let lock = lock.clone();
            named("reads", move || {
                let _read = lock.read();
                thread::park();
            })
        });
        yield_now();
        let writes = named("writes", move || drop(lock.write()));
        yield_now();
        let holders = |name: &str| {
            let dump = inspect::dump();
            let mut things: Vec<Vec<GreenletId>> = seen(&dump, name).holders().collect();
            assert_eq!(things.len(), 1, "{dump}");
            things[0].sort();
            things.remove(0)
        };
        assert_eq!(holders("joins"), ids(&members));
        assert_eq!(holders("writes"), ids(&readers));
        assert!(members[..20].iter().all(JoinHandle::kill));
        readers[0].kill();
        assert_eq!(holders("joins"), ids(&members[20..]));
        assert_eq!(holders("writes"), ids(&readers[1..]));
        group.kill_all();
        joins.join().unwrap();
        assert!(readers.iter().all(JoinHandle::kill));
        writes.join().unwrap();
    });
}

/// Also when it is a select in which they wait, or a group for which they do.
#[test]
fn who_waits_for_one_alone_is_in_a_circle() {
    run(|| {
        let group = Group::new();
        let (tell, told) = channel::bounded::<JoinHandle<()>>(1);
        let of_group = group.clone();
        let joins = named("joins the group", move || of_group.join_all().unwrap());
        let member = group.spawn(move || {
            let joins = told.recv().unwrap();
            select().join(&joins, |()| ()).wait();
        });
        tell.send(joins).unwrap();
        yield_now();
        yield_now();
        let dump = inspect::dump();
        let cycles = dump.cycles();
        assert_eq!(cycles.len(), 1, "{dump}");
        let inside = cycles[0].iter().map(|seen| seen.id());
        let mut inside: Vec<GreenletId> = inside.collect();
        inside.sort();
        let mut expected = vec![member.id(), seen(&dump, "joins the group").id()];
        expected.sort();
        assert_eq!(inside, expected, "{dump}");
        assert!(dump.to_string().contains("a group of greenlets, made at "));
        member.kill();
        group.join_all().unwrap();
    });
}

#[test]
fn who_may_know_what_another_waits_for_is_found() {
    run(|| {
        let (sender, receiver) = channel::bounded::<()>(1);
        let has = named("has it", move || {
            thread::park();
            sender.send(()).unwrap();
        });
        let wants = named("wants it", move || receiver.recv().unwrap());
        let strange = named("strange", thread::park);
        yield_now();
        let dump = inspect::dump();
        let known_to = seen(&dump, "wants it").known_to();
        assert_eq!(known_to.is_some(), walks(), "{dump}");
        if let Some(known_to) = known_to {
            assert!(known_to.contains(&has.id()), "{dump}");
            assert!(!known_to.contains(&wants.id()), "{dump}");
        }
        let other = inspect::dump_with(Options::new().frames(false));
        assert!(seen(&other, "wants it").known_to().is_none());
        has.thread().unpark();
        strange.kill();
        has.join().unwrap();
        wants.join().unwrap();
    });
}

#[test]
fn json_has_everything() {
    run(|| {
        let parked = named("with \"quotes\"", thread::park);
        yield_now();
        let json = inspect::dump().to_json();
        for part in [
            "\"cycles\":[]",
            "\"name\":\"with \\\"quotes\\\"\"",
            "\"state\":\"parked\"",
            "\"waits\":\"is parked\"",
            "\"deadline\":null",
            "\"objects\":[]",
            "\"known_to\":",
            "\"main\":true",
        ] {
            assert!(json.contains(part), "no {part} in {json}");
        }
        assert_eq!(json.lines().count(), 1);
        assert_eq!(json.matches('{').count(), json.matches('}').count());
        parked.kill();
    });
}

/// Another thread, with a hub in the middle of `f`, which tells when it is there and is told when to stop.
fn other_thread(
    f: impl FnOnce(mpsc::Sender<()>, &AtomicBool) + Send + 'static,
) -> (impl FnOnce(), i32) {
    static NUMBERS: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = NUMBERS.lock();
    let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    let (there, is_there) = mpsc::channel();
    let (number, numbered) = mpsc::channel();
    let other = std::thread::spawn(move || {
        // SAFETY: asks who we are.
        number.send(unsafe { libc::gettid() }).unwrap();
        f(there, stop);
    });
    is_there.recv().unwrap();
    let end = move || {
        stop.store(true, Ordering::Relaxed);
        other.join().unwrap();
    };
    (end, numbered.recv().unwrap())
}

fn dump_of(number: i32) -> Dump {
    let all = inspect::dump_all();
    let of = all.into_iter().find(|dump| dump.number() == number);
    of.expect("that thread")
}

#[inline(never)]
fn keeps_the_thread(there: &mpsc::Sender<()>, stop: &AtomicBool) {
    there.send(()).unwrap();
    while !stop.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}

#[test]
fn a_thread_that_is_stuck_in_a_loop_is_seen() {
    if !asks() {
        return;
    }
    run(|| {
        let (end, number) = other_thread(|there, stop| {
            let sleeper = named("sleeper", calls_what_sleeps);
            yield_now();
            keeps_the_thread(&there, stop);
            sleeper.kill();
        });
        let dump = dump_of(number);
        assert_eq!(dump.greenlets().len(), 2, "{dump}");
        let text = dump.to_string();
        assert_eq!(dump.greenlets()[0].state(), State::Running);
        assert_eq!(walks(), text.contains("keeps_the_thread"), "{text}");
        assert_eq!(walks(), text.contains("calls_what_sleeps"), "{text}");
        end();
    });
}

#[test]
fn a_thread_that_is_stuck_in_a_greenlet_is_seen() {
    if !asks() {
        return;
    }
    run(|| {
        let (end, number) = other_thread(|there, stop| {
            greenlet::scope(|s| {
                let hog = thread::Builder::new().name("hog".into());
                let hog = hog.spawn_scoped(s, || keeps_the_thread(&there, stop));
                hog.unwrap().join().unwrap();
            });
        });
        let dump = dump_of(number);
        let hog = seen(&dump, "hog");
        assert_eq!(hog.state(), State::Running, "{dump}");
        assert_eq!(
            walks(),
            hog.calls().to_string().contains("keeps_the_thread"),
            "{dump}"
        );
        assert_eq!(dump.greenlets()[0].holder(), Some(hog.id()));
        assert_eq!(dump.greenlets()[0].calls().is_empty(), !walks());
        end();
    });
}

/// What can be said of those that have not had a turn: who made them, where, and in which order.
fn check_those_that_wait_for_their_first_turn(
    dump: &Dump,
    spawner: GreenletId,
    ids: &[GreenletId],
) {
    let waiting = dump
        .greenlets()
        .iter()
        .filter(|seen| ids.contains(&seen.id()));
    let waiting: Vec<_> = waiting.collect();
    let newest_first: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(
        waiting.iter().map(|seen| seen.id()).collect::<Vec<_>>(),
        newest_first,
        "{dump}"
    );
    for seen in waiting {
        assert_eq!(seen.state(), State::Ready, "{dump}");
        assert_eq!(seen.turns(), 0);
        assert_eq!(seen.spawner(), Some(spawner), "{dump}");
        assert!(seen.site().file().ends_with("inspect.rs"), "{dump}");
        assert!(seen.calls().is_empty(), "{dump}");
    }
    let json = dump.to_json();
    for id in ids {
        let number = id.to_string().replace('#', "\"id\":");
        assert!(json.contains(&number), "{json}");
    }
}

#[test]
fn those_that_have_not_had_a_turn_are_seen() {
    run(|| {
        let before = inspect::dump().greenlets().len();
        let handles: Vec<_> = (0..5).map(|_| spawn(yield_now)).collect();
        let ids: Vec<_> = handles.iter().map(|handle| handle.id()).collect();
        let dump = inspect::dump();
        assert_eq!(dump.greenlets().len(), before + 5, "{dump}");
        let me = thread::current().id();
        check_those_that_wait_for_their_first_turn(&dump, me, &ids);
        // One that is asked for, and one that has a name, stay where they are in the order.
        handles[3].thread();
        let named = named("named", yield_now);
        let later = spawn(yield_now);
        let dump = inspect::dump();
        let ids = [&ids[..], &[named.id(), later.id()]].concat();
        check_those_that_wait_for_their_first_turn(&dump, me, &ids);
        handles
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        named.join().unwrap();
        later.join().unwrap();
    });
}

#[test]
fn those_that_have_not_had_a_turn_are_seen_of_a_thread_that_is_stuck() {
    if !asks() {
        return;
    }
    run(|| {
        let (tell, told) = mpsc::channel();
        let (end, number) = other_thread(move |there, stop| {
            let handles: Vec<_> = (0..100).map(|_| spawn(|| ())).collect();
            let ids: Vec<_> = handles.iter().map(|handle| handle.id()).collect();
            tell.send((thread::current().id(), ids)).unwrap();
            keeps_the_thread(&there, stop);
            handles
                .into_iter()
                .for_each(|handle| handle.join().unwrap());
        });
        let dump = dump_of(number);
        let (spawner, ids) = told.recv().unwrap();
        check_those_that_wait_for_their_first_turn(&dump, spawner, &ids);
        end();
    });
}

#[test]
fn a_thread_that_waits_is_seen_and_goes_on_waiting() {
    if !asks() {
        return;
    }
    run(|| {
        let (end, number) = other_thread(|there, stop| {
            let sleeper = named("sleeper", calls_what_sleeps);
            yield_now();
            there.send(()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                sleep(20 * MS);
            }
            sleeper.kill();
        });
        sleep(5 * MS);
        for _ in 0..20 {
            let dump = dump_of(number);
            assert_eq!(dump.greenlets().len(), 2, "{dump}");
            let asleep = seen(&dump, "sleeper");
            assert_eq!(asleep.state(), State::Parked);
            assert!(asleep.deadline().is_some());
        }
        end();
    });
}

/// Signals come at any instruction of switching, spawning and ending. Nothing is read that is not there.
#[test]
fn storm_a_thread_that_works_can_be_looked_at_all_the_time() {
    if !asks() {
        return;
    }
    run(|| {
        let (end, number) = other_thread(|there, stop| {
            let yielders: Vec<_> = (0..3)
                .map(|_| {
                    spawn(|| {
                        loop {
                            yield_now();
                        }
                    })
                })
                .collect();
            let main = current::<u32>();
            let echo = Greenlet::new(move |mut n| {
                loop {
                    n = main.switch(n);
                }
            });
            there.send(()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                spawn(|| sleep(Duration::from_micros(10))).join().unwrap();
                assert_eq!(echo.switch(7), 7);
            }
            yielders.iter().for_each(|g| _ = g.kill());
        });
        // Each look waits until that thread has a processor.
        for _ in rounds(1000) {
            let dump = dump_of(number);
            assert!(dump.greenlets().len() + dump.missed() >= 4, "{dump}");
        }
        end();
    });
}

/// Nor where an unwinder is about to go on in a frame further out, and has written its registers over those of its own.
#[test]
fn storm_a_thread_that_unwinds_can_be_looked_at_all_the_time() {
    if !asks() {
        return;
    }
    run(|| {
        let (end, number) = other_thread(|there, stop| {
            let sleeper = spawn(|| sleep(LONG));
            yield_now();
            there.send(()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..100 {
                    let caught =
                        std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(1)));
                    assert!(caught.is_err());
                }
                yield_now();
            }
            sleeper.kill();
        });
        for _ in rounds(3000) {
            let dump = dump_of(number);
            assert!(dump.greenlets().len() + dump.missed() >= 2, "{dump}");
        }
        end();
    });
}

/// A path that nobody else has.
fn path(name: &str) -> std::path::PathBuf {
    let name = format!("greenlet-{name}-{}", std::process::id());
    std::env::temp_dir().join(name)
}

fn ask(path: &std::path::Path, word: &str) -> String {
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    stream.write_all(word.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn other_processes_are_answered() {
    if !asks() {
        return;
    }
    run(|| {
        let path = path("serve");
        let served = inspect::serve(&path).unwrap();
        let sleeper = named("served", calls_what_sleeps);
        yield_now();
        for word in ["", "\n", "text\n"] {
            assert!(ask(&path, word).contains("greenlet 'served' (#"));
        }
        let json = ask(&path, "json\n");
        assert!(json.contains("\"name\":\"served\"") && json.starts_with("{\"thread\":"));
        assert_eq!(json.contains("calls_what_sleeps"), walks());
        let brief = ask(&path, "brief\n");
        assert!(brief.contains("\"name\":\"served\"") && !brief.contains("calls_what_sleeps"));
        assert!(ask(&path, "what?\n").contains("known are text, json and brief"));
        // Somebody who connects and goes disturbs nobody.
        drop(std::os::unix::net::UnixStream::connect(&path).unwrap());
        assert!(ask(&path, "brief\n").contains("served"));
        drop(served);
        assert!(!path.exists());
        sleeper.kill();
    });
}

#[test]
fn a_relative_path_is_that_of_the_folder_of_the_time() {
    let name = "inspect::a_relative_path_is_that_of_the_folder_of_the_time";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        let folder = path("relative");
        std::fs::create_dir(&folder).unwrap();
        std::env::set_current_dir(&folder).unwrap();
        let served = inspect::serve("socket").unwrap();
        std::env::set_current_dir("/").unwrap();
        assert!(folder.join("socket").exists());
        drop(served);
        assert!(!folder.join("socket").exists());
        std::fs::remove_dir(&folder).unwrap();
    });
}

#[test]
fn a_path_that_cannot_be_served_is_an_error_and_stays() {
    run(|| {
        let taken = path("taken");
        std::fs::write(&taken, "precious").unwrap();
        let error = inspect::serve(&taken).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "precious");
        std::fs::remove_file(&taken).unwrap();
        let nowhere = taken.join("in/no/folder");
        let error = inspect::serve(nowhere).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

#[inline(never)]
fn uses(bytes: usize) {
    let mut room = [0_u8; 1024];
    std::hint::black_box(&mut room);
    if bytes > 1024 {
        uses(bytes - 1024);
    }
    std::hint::black_box(&mut room);
}

#[test]
fn a_census_tells_how_deep_stacks_are_used_by_where_they_are_spawned() {
    if greenlet::BACKEND == "baton" || !cfg!(all(target_os = "linux", not(miri))) {
        return;
    }
    run(|| {
        // Those that began before do not count, nor does what they used.
        let before = named("before", || {
            uses(150 * 1024);
            yield_now();
        });
        yield_now();
        inspect::census(true);
        let shallow = |line: &mut u32| {
            *line = line!() + 1;
            spawn(|| uses(1024)).join().unwrap();
        };
        let deep = |line: &mut u32| {
            *line = line!() + 1;
            spawn(|| uses(100 * 1024)).join().unwrap();
        };
        let mut lines = [0; 2];
        for _ in 0..3 {
            deep(&mut lines[1]);
            shallow(&mut lines[0]);
        }
        before.join().unwrap();
        yield_now();
        let stacks = inspect::stacks();
        let used = |line: u32| {
            let here =
                |site: &&inspect::Site| site.site.file() == file!() && site.site.line() == line;
            stacks
                .iter()
                .find(here)
                .unwrap_or_else(|| panic!("no {line}: {stacks}"))
        };
        assert_eq!(used(lines[0]).ended, 3);
        assert!(used(lines[0]).deepest < 50 * 1024, "{stacks}");
        assert!(used(lines[1]).deepest >= 100 * 1024, "{stacks}");
        assert!(used(lines[1]).deepest < 250 * 1024, "{stacks}");
        assert!(
            stacks
                .to_string()
                .contains(&format!("inspect.rs:{}:", lines[1]))
        );

        // A size is learned from those.
        let size_of_next = |learn: bool| {
            let builder = thread::Builder::new().name("learns".into());
            let builder = if learn {
                builder.learned_stack_size()
            } else {
                builder
            };
            let learns = builder.spawn(yield_now).unwrap();
            yield_now();
            let size = seen(&inspect::dump(), "learns").stack().size;
            learns.join().unwrap();
            size
        };
        let first = size_of_next(true);
        (0..20).for_each(|_| _ = size_of_next(false));
        let learned = size_of_next(true);
        assert_eq!(first, 256 * 1024);
        assert!((16 << 10..=128 << 10).contains(&learned), "{learned}");
        inspect::census(false);
    });
}
