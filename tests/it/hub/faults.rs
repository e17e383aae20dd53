//! What can go wrong around a hub: the clock, the poller, destructors, hooks.

use std::cell::Cell;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::os::unix::net::UnixStream;
use greenlet::sync::{channel, remote, select};
use greenlet::time::{Elapsed, sleep_until, timeout, timeout_at};
use greenlet::{GreenletExit, hub_stats, offload, sleep, spawn, thread, yield_now};

use crate::support::{
    Drops, OnDrop, child, complaint, own, own_stacks, raise, run, stderr, survived_in_child,
    take_all_descriptors, text,
};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Times that no clock of ours has ever shown, or will.
fn past_and_future() -> (Vec<Instant>, Vec<Instant>) {
    let now = Instant::now();
    let spans = [1, 3600, 1 << 40, 1 << 55].map(Duration::from_secs);
    let past = spans.into_iter().filter_map(|span| now.checked_sub(span));
    let future = spans.into_iter().filter_map(|span| now.checked_add(span));
    (
        past.chain([now]).collect(),
        future
            .filter(|at| *at > now + Duration::from_secs(60))
            .collect(),
    )
}

#[test]
fn deadlines_long_past_and_far_ahead() {
    run(|| {
        let (past, future) = past_and_future();
        for at in past {
            sleep_until(at);
            assert_eq!(timeout_at(at, || sleep(LONG)), Err(Elapsed));
            assert_eq!(timeout_at(at, || 1), Ok(1));
        }
        for at in future {
            assert_eq!(timeout_at(at, || sleep(MS)), Ok(()));
            assert_eq!(timeout(MS, || sleep_until(at)), Err(Elapsed));
            let sleeper = spawn(move || sleep_until(at));
            yield_now();
            assert!(sleeper.kill());
        }
        assert_eq!(hub_stats().timers, 0);
    });
}

/// A process that is stopped for a while: what was due meanwhile comes late, nothing comes early, all of it comes.
#[test]
fn a_process_that_is_stopped_loses_no_timer() {
    if survived_in_child("hub::faults::a_process_that_is_stopped_loses_no_timer") {
        return;
    }
    run(|| {
        let id = std::process::id();
        let script = format!("kill -STOP {id}; sleep 0.2; kill -CONT {id}");
        let mut stopper = Command::new("sh").args(["-c", &script]).spawn().unwrap();
        let sleepers: Vec<_> = (0..100_u32)
            .map(|n| {
                spawn(move || {
                    let begin = Instant::now();
                    match n % 3 {
                        0 => sleep(n * 4 * MS),
                        1 => assert!(timeout(n * 4 * MS, || sleep(LONG)).is_err()),
                        _ => thread::park_timeout(n * 4 * MS),
                    }
                    assert!(begin.elapsed() >= n * 4 * MS, "number {n} is early");
                })
            })
            .collect();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert!(stopper.wait().unwrap().success());
        assert_eq!(hub_stats().timers, 0);
    });
}

/// Somebody closes a descriptor that is not theirs.
#[cfg(target_os = "linux")]
#[test]
fn a_poller_that_was_closed_from_outside_is_told() {
    let name = "hub::faults::a_poller_that_was_closed_from_outside_is_told";
    if let Some(output) = child(name) {
        let words =
            "greenlet: somebody has closed a descriptor that belongs to a hub (its poller: ";
        assert!(stderr(&output).contains(words), "{output:?}");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(libc::SIGABRT));
        return;
    }
    run(|| {
        let (mut near, _far) = UnixStream::pair().unwrap();
        timeout(MS, || near.read(&mut [0])).unwrap_err();
        let pollers = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let target = std::fs::read_link(&path).ok()?;
                let number: i32 = path.file_name()?.to_str()?.parse().ok()?;
                (target.to_str()? == "anon_inode:[eventpoll]").then_some(number)
            });
        for number in pollers.collect::<Vec<_>>() {
            // SAFETY: what is tested; this process does nothing afterwards.
            unsafe { libc::close(number) };
        }
        let _ = catch_unwind(AssertUnwindSafe(|| near.read(&mut [0])));
        // SAFETY: nothing is left to do; this is not what is expected.
        unsafe { libc::_exit(0) };
    });
}

#[test]
fn without_descriptors_for_a_poller_everything_else_goes_on() {
    let name = "hub::faults::without_descriptors_for_a_poller_everything_else_goes_on";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut near = UnixStream::from(near);
        let all = take_all_descriptors();
        let error = near.read(&mut [0]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        let ran = Rc::new(Cell::new(0));
        let others = [1, 2].map(|n| {
            spawn(own!(ran => move || {
                sleep(n * MS);
                ran.set(ran.get() + n);
            }))
        });
        let words = complaint(|| offload(|| unreachable!("it must not run")));
        assert!(words.starts_with("nothing can be offloaded: "), "{words}");
        assert!(words.contains("os error 24"), "{words}");
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(ran.get(), 3);
        assert_eq!(timeout(MS, || sleep(LONG)), Err(Elapsed));
        drop(all);
        assert_eq!(offload(|| 7), 7);
        let reader = spawn(move || near.read(&mut [0]).unwrap());
        yield_now();
        far.write_all(&[1]).unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn a_select_that_cannot_wait_keeps_its_message_and_stands_nowhere() {
    let name = "hub::faults::a_select_that_cannot_wait_keeps_its_message_and_stands_nowhere";
    if survived_in_child(name) {
        return;
    }
    run(|| {
        let (near, inner) = channel::bounded(0);
        let (_far, outer) = remote::channel::bounded::<i32>(1);
        let all = take_all_descriptors();
        let mut message = Some(String::from("kept"));
        let words = complaint(|| {
            select()
                .send(&near, &mut message, drop)
                .on(&outer, drop)
                .wait();
        });
        assert!(
            words.contains("cannot be woken by other threads"),
            "{words}"
        );
        assert_eq!(message.as_deref(), Some("kept"));
        let words = complaint(|| {
            let (full, _far) = remote::channel::bounded(0);
            select().send(&full, &mut message, drop).wait();
        });
        assert!(
            words.contains("cannot be woken by other threads"),
            "{words}"
        );
        assert_eq!(message.as_deref(), Some("kept"));
        assert!(inner.try_recv().is_err(), "nobody stands there any more");
        drop(all);
        spawn(move || near.send(message.unwrap()).unwrap());
        assert_eq!(inner.recv().unwrap(), "kept");
    });
}

/// What a greenlet leaves, if it must not be dropped.
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        raise("a planted panic of a destructor");
    }
}

#[test]
fn what_nobody_joins_may_panic_when_it_is_dropped() {
    let name = "hub::faults::what_nobody_joins_may_panic_when_it_is_dropped";
    if let Some(output) = child(name) {
        assert!(output.status.success(), "{}", stderr(&output));
        let told = stderr(&output)
            .matches("a planted panic of a destructor")
            .count();
        assert_eq!(told, 3, "{}", stderr(&output));
        let told = stderr(&output)
            .matches("died of a panic, and nobody joined it")
            .count();
        assert_eq!(told, 1, "{}", stderr(&output));
        return;
    }
    run(|| {
        // The handle goes before it runs, while it waits, and after its end.
        drop(spawn(|| Explosive));
        yield_now();
        let waits = spawn(|| {
            yield_now();
            Explosive
        });
        yield_now();
        drop(waits);
        yield_now();
        let ended = spawn(|| Explosive);
        yield_now();
        drop(ended);
        // It is a panic that nobody joins, with such a payload.
        drop(spawn(|| raise(Explosive)));
        yield_now();
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn a_destructor_may_spawn_while_it_is_killed() {
    run(|| {
        let drops = Drops::new();
        let handle = spawn(own!(drops => move || {
            let _last = OnDrop(own!(drops => move || {
                let token = drops.token();
                drop(spawn(move || {
                    yield_now();
                    drop(token);
                }));
                let token = drops.token();
                // It may wait for it, too.
                assert_eq!(spawn(move || { sleep(MS); drop(token); 7 }).join().unwrap(), 7);
            }));
            sleep(LONG);
        }));
        yield_now();
        assert!(handle.kill());
        assert!(handle.join().unwrap_err().is::<GreenletExit>());
        assert_eq!(drops.count(), 2);
        // The closure of one that has not begun, which spawns when it is dropped.
        let last = OnDrop(own!(drops => move || {
            let token = drops.token();
            drop(spawn(move || drop(token)));
        }));
        let pending = spawn(move || drop(last));
        assert!(pending.kill());
        while drops.count() < 3 {
            yield_now();
        }
        yield_now();
    });
}

/// A hook that waits.
fn wait_in_hook() {
    std::panic::set_hook(Box::new(|_| {
        if greenlet::alive() > 0 {
            sleep(2 * MS);
            assert_eq!(offload(|| 3), 3);
        }
    }));
}

/// Others run, and the panic goes on when the hook returns.
#[test]
fn a_panic_hook_may_wait() {
    if survived_in_child("hub::faults::a_panic_hook_may_wait") {
        return;
    }
    wait_in_hook();
    run(|| {
        let turns = Rc::new(Cell::new(0));
        let other = spawn(own!(turns => move || {
            loop {
                turns.set(turns.get() + 1);
                yield_now();
            }
        }));
        let panics = spawn(|| panic!("after the hook"));
        let before = turns.get();
        assert_eq!(text(&*panics.join().unwrap_err()), "after the hook");
        assert!(turns.get() > before);
        let caught = catch_unwind(AssertUnwindSafe(|| panic!("in main")));
        assert_eq!(text(&*caught.unwrap_err()), "in main");
        other.kill();
    });
}

/// To std it is one thread that panics while it is in its hook, unless what the first one has of the count goes with it.
#[test]
fn others_may_panic_and_be_killed_while_a_hook_waits() {
    if survived_in_child("hub::faults::others_may_panic_and_be_killed_while_a_hook_waits") {
        return;
    }
    wait_in_hook();
    run(|| {
        for _ in 0..3 {
            let both = [0, 1].map(|n| spawn(move || panic!("number {n}")));
            yield_now();
            assert!(!std::thread::panicking());
            let killed = spawn(|| sleep(LONG));
            yield_now();
            assert!(killed.kill());
            assert!(!both[0].is_finished() && !both[1].is_finished());
            for (n, one) in both.into_iter().enumerate() {
                assert_eq!(text(&*one.join().unwrap_err()), format!("number {n}"));
            }
            assert!(!std::thread::panicking());
        }
    });
}

/// In a hook nothing is raised, but for a time limit that was set there.
#[test]
fn a_hook_that_waits_is_not_cut_short() {
    // Where each greenlet has a thread, not even by its own limit.
    if !own_stacks() || survived_in_child("hub::faults::a_hook_that_waits_is_not_cut_short") {
        return;
    }
    std::panic::set_hook(Box::new(|_| {
        if greenlet::alive() > 0 {
            sleep(3 * MS);
            assert_eq!(timeout(MS, || sleep(LONG)), Err(Elapsed));
            assert_eq!(timeout(Duration::ZERO, || sleep(LONG)), Err(Elapsed));
        }
    }));
    run(|| {
        for _ in 0..3 {
            let panics = spawn(|| {
                let outcome = timeout(MS, || panic!("after the hook"));
                match outcome {
                    Ok(()) => unreachable!(),
                    Err(Elapsed) => panic!("the limit got into the hook"),
                }
            });
            yield_now();
            panics.start_kill();
            assert_eq!(text(&*panics.join().unwrap_err()), "after the hook");
            assert!(!std::thread::panicking());
        }
    });
}
