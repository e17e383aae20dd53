//! A fork of a program with a live hub.

use std::io::{Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use greenlet::fs::File;
use greenlet::group::Group;
use greenlet::net::{TcpListener, TcpStream};
use greenlet::sync::Event;
use greenlet::time::{Instant, timeout};
use greenlet::{scope, sleep, spawn, yield_now};

use crate::support::{act, own_stacks, run, survived_in_child};

const MS: Duration = Duration::from_millis(1);

/// Forks; the child runs `child` and ends with status 0, or 101 if it panics.
pub(crate) fn fork(child: impl FnOnce() + std::panic::UnwindSafe) -> libc::pid_t {
    // SAFETY: this process has no other thread that holds a lock which the child takes (it runs one test).
    match unsafe { libc::fork() } {
        0 => {
            let outcome = std::panic::catch_unwind(child);
            // SAFETY: ends the process.
            unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 101 }) }
        }
        pid => pid,
    }
}

pub(crate) fn wait_for(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

#[test]
fn the_child_has_a_fresh_hub_and_the_parent_is_undisturbed() {
    if !own_stacks()
        || survived_in_child("hub::fork::the_child_has_a_fresh_hub_and_the_parent_is_undisturbed")
    {
        return;
    }
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (mut said, mut say) = pipe().unwrap();
        let server = spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _told = act(|| ());
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream.write_all(&byte).unwrap();
        });
        let group = Group::new();
        let member = group.spawn(greenlet::thread::park);
        let theirs = group.clone();
        yield_now();
        sleep(Duration::from_millis(1));
        let pid = fork(std::panic::AssertUnwindSafe(move || {
            // What waited in the parent's hub is not here.
            let left = server.join().unwrap_err();
            let told = left.downcast_ref::<String>().expect("words");
            assert!(told.contains("a fork has left it to the parent"), "{told}");
            assert_eq!((theirs.join_all(), theirs.len()), (Ok(()), 1));
            // Nor are they waited for beside those of the child.
            theirs.spawn(|| sleep(MS));
            assert_eq!((theirs.join_all(), theirs.len()), (Ok(()), 1));
            theirs.spawn(|| sleep(Duration::from_secs(3600)));
            theirs.kill_all();
            assert_eq!(theirs.len(), 1);
            assert_eq!(greenlet::hub_stats().timers, 0);
            let own = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = own.local_addr().unwrap();
            let echo = spawn(move || {
                let (mut stream, _) = own.accept().unwrap();
                stream.write_all(b"child").unwrap();
            });
            let mut text = String::new();
            TcpStream::connect(address)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            echo.join().unwrap();
            assert_eq!(text, "child");
            sleep(Duration::from_millis(2));
            assert_eq!(greenlet::offload(|| 2), 2);
            say.write_all(b"!").unwrap();
        }));
        assert_eq!(wait_for(pid), 0, "the child failed");
        let mut byte = [0];
        said.read_exact(&mut byte).unwrap();
        // The server of the parent still waits in the parent's epoll set.
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        member.thread().unpark();
        assert_eq!(group.join_all(), Ok(()));
    });
}

/// Forks in a greenlet while `main` waits; then both processes go on, and the child ends with `main`, which is to
/// say what has become of it.
fn main_goes_on_in_both(test: &str, main: fn()) {
    if !own_stacks() || survived_in_child(test) {
        return;
    }
    let parent = std::process::id();
    run(move || {
        let forks = spawn(|| {
            // SAFETY: this process runs one test, and what other threads do is nothing to the child.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: ends a child that hangs.
                unsafe { libc::alarm(10) };
                yield_now();
            } else {
                assert_eq!(wait_for(pid), 0, "the child failed");
            }
        });
        let outcome = std::panic::catch_unwind(main);
        forks.join().unwrap();
        if std::process::id() != parent {
            // SAFETY: ends the process.
            unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 101 }) }
        }
        outcome.unwrap();
    });
}

#[test]
fn a_main_greenlet_that_is_ready_goes_on() {
    main_goes_on_in_both(
        "hub::fork::a_main_greenlet_that_is_ready_goes_on",
        yield_now,
    );
}

#[test]
fn a_main_greenlet_that_sleeps_goes_on_sleeping() {
    main_goes_on_in_both(
        "hub::fork::a_main_greenlet_that_sleeps_goes_on_sleeping",
        || {
            let begin = Instant::now();
            sleep(20 * MS);
            assert!(begin.elapsed() >= 20 * MS);
            assert!(timeout(MS, || sleep(1000 * MS)).is_err());
        },
    );
}

#[test]
fn a_main_greenlet_is_told_that_others_were_left_behind() {
    main_goes_on_in_both(
        "hub::fork::a_main_greenlet_is_told_that_others_were_left_behind",
        || {
            let other = spawn(|| sleep(20 * MS));
            let begin = Instant::now();
            if other.join().is_ok() {
                assert!(begin.elapsed() >= 20 * MS);
            }
        },
    );
}

#[test]
fn a_scope_waits_for_the_greenlet_that_forks_and_for_no_other() {
    let name = "hub::fork::a_scope_waits_for_the_greenlet_that_forks_and_for_no_other";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let parent = std::process::id();
        let mut numbers = vec![1; 100];
        let mut pid = -1;
        scope(|s| {
            let (numbers, pid) = (&numbers, &mut pid);
            s.spawn(move || {
                // SAFETY: as above.
                *pid = unsafe { libc::fork() };
                if *pid == 0 {
                    // SAFETY: ends a child that hangs.
                    unsafe { libc::alarm(10) };
                    sleep(5 * MS);
                }
                assert_eq!(numbers.iter().sum::<i32>(), 100);
            });
            s.spawn(|| sleep(2 * MS));
            yield_now();
        });
        numbers.fill(2);
        if std::process::id() != parent {
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
        assert_eq!(wait_for(pid), 0, "the child failed");
    });
}

/// Main waits for the group in both.
#[test]
fn a_group_is_waited_for_until_the_member_that_forks_has_ended_and_no_other() {
    let name =
        "hub::fork::a_group_is_waited_for_until_the_member_that_forks_has_ended_and_no_other";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let parent = std::process::id();
        let group = Group::new();
        let others = group.spawn(|| sleep(2 * MS));
        let forks = group.spawn(|| {
            // SAFETY: as above.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                // SAFETY: ends a child that hangs.
                unsafe { libc::alarm(10) };
                sleep(5 * MS);
            }
            pid
        });
        assert_eq!(group.join_all(), Ok(()));
        let pid = forks.join().unwrap();
        if std::process::id() != parent {
            assert!(others.join().is_err());
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
        assert_eq!(wait_for(pid), 0, "the child failed");
    });
}

/// Other threads may hold the lock of the pool at the fork, or be about to make it.
#[test]
fn the_child_has_a_pool_of_its_own_whoever_uses_that_of_the_parent() {
    let name = "hub::fork::the_child_has_a_pool_of_its_own_whoever_uses_that_of_the_parent";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let done = Arc::new(AtomicBool::new(false));
        let users = [(); 2].map(|()| {
            let done = done.clone();
            thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    greenlet::pool_stats();
                }
            })
        });
        for _ in 0..50 {
            let pid = fork(|| {
                // SAFETY: ends a child that hangs.
                unsafe { libc::alarm(10) };
                assert_eq!(greenlet::pool_stats().workers, 0);
                assert_eq!(greenlet::offload(|| 2), 2);
            });
            assert_eq!(wait_for(pid), 0, "the child failed");
        }
        done.store(true, Ordering::Relaxed);
        for user in users {
            user.join().unwrap();
        }
    });
}

/// Work that forks goes on in both; the worker of the child has no pool to go back to.
#[test]
fn a_worker_may_fork() {
    if !own_stacks() || survived_in_child("hub::fork::a_worker_may_fork") {
        return;
    }
    run(|| {
        let pid = greenlet::offload(|| {
            fork(|| assert_eq!(thread::spawn(|| greenlet::offload(|| 2)).join().unwrap(), 2))
        });
        assert_eq!(wait_for(pid), 0, "the child failed");
        assert_eq!(greenlet::offload(|| 3), 3);
    });
}

/// What a worker of the parent is at, or another greenlet has, is nothing to the child.
#[test]
fn files_folders_and_streams_can_be_used_whoever_uses_those_of_the_parent() {
    let name = "hub::fork::files_folders_and_streams_can_be_used_whoever_uses_those_of_the_parent";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let (reader, mut writer) = pipe().unwrap();
        let file = Rc::new(File::from(OwnedFd::from(reader)));
        let theirs = file.clone();
        let reads = spawn(move || (&*theirs).read(&mut [0]).unwrap());
        let writes = spawn(|| {
            let _lock = greenlet::io::stdout().lock();
            sleep(50 * MS);
        });
        while greenlet::pool_stats().workers == greenlet::pool_stats().idle {
            sleep(MS);
        }
        sleep(10 * MS);
        let pid = fork(std::panic::AssertUnwindSafe(|| {
            // SAFETY: ends a child that hangs.
            unsafe { libc::alarm(10) };
            writer.write_all(b"ab").unwrap();
            assert_eq!((&*file).read(&mut [0]).unwrap(), 1);
            writeln!(greenlet::io::stdout(), "the child").unwrap();
            greenlet::io::stdout().flush().unwrap();
            assert!(greenlet::fs::read_dir("/").unwrap().count() > 0);
        }));
        assert_eq!(wait_for(pid), 0, "the child failed");
        writer.write_all(b"c").unwrap();
        assert_eq!(reads.join().unwrap(), 1);
        writes.join().unwrap();
    });
}

/// Those who were left behind stand there for ever.
#[test]
fn what_others_waited_for_may_be_dropped() {
    let name = "hub::fork::what_others_waited_for_may_be_dropped";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let parent = std::process::id();
        let mut pid = -1;
        let event = Event::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        scope(|s| {
            s.spawn(|| event.wait());
            s.spawn(|| _ = listener.accept());
            yield_now();
            // SAFETY: as above.
            pid = unsafe { libc::fork() };
            if pid > 0 {
                event.set();
                listener.close();
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drop(event);
            drop(listener);
        }));
        if std::process::id() != parent {
            // SAFETY: ends the process.
            unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 101 }) }
        }
        outcome.unwrap();
        assert_eq!(wait_for(pid), 0, "the child failed");
    });
}

/// A daemon closes all that it has, and opens its own: those are nobody else's.
#[test]
fn the_child_may_close_all_descriptors_before_it_waits() {
    let name = "hub::fork::the_child_may_close_all_descriptors_before_it_waits";
    if !own_stacks() || !cfg!(target_os = "linux") || survived_in_child(name) {
        return;
    }
    run(|| {
        // The hub has a poller.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(timeout(MS, || listener.accept()).is_err());
        let pid = fork(|| {
            // SAFETY: all of them are the parent's as well.
            (3..100).for_each(|number| _ = unsafe { libc::close(number) });
            let mut files: Vec<_> = (0..8)
                .map(|_| {
                    std::fs::File::options()
                        .write(true)
                        .open("/dev/null")
                        .unwrap()
                })
                .collect();
            sleep(MS);
            greenlet::io::pipe().unwrap();
            files
                .iter_mut()
                .for_each(|file| file.write_all(b"mine").unwrap());
        });
        assert_eq!(wait_for(pid), 0, "the child failed");
    });
}

/// Those who waited in the parent are called in vain by nobody.
#[test]
fn what_threads_share_goes_to_those_who_are_there() {
    use greenlet::sync::remote::{Mutex, Semaphore, channel};
    let name = "hub::fork::what_threads_share_goes_to_those_who_are_there";
    if !own_stacks() || survived_in_child(name) {
        return;
    }
    run(|| {
        let (mutex, permits) = (Arc::new(Mutex::new(0)), Arc::new(Semaphore::new(0)));
        let (sender, receiver) = channel::bounded(0);
        let mut guard = Some(mutex.lock().unwrap());
        let theirs = (mutex.clone(), permits.clone(), receiver.clone());
        let waits = [
            spawn(move || drop(theirs.0.lock().unwrap())),
            spawn(move || theirs.1.acquire().forget()),
            spawn(move || assert_eq!(theirs.2.recv(), Ok(1))),
        ];
        yield_now();
        let pid = fork(std::panic::AssertUnwindSafe(|| {
            // SAFETY: ends a child that hangs.
            unsafe { libc::alarm(10) };
            drop(guard.take());
            assert_eq!(*mutex.lock().unwrap(), 0);
            permits.release();
            assert_eq!(permits.available(), 1);
            assert!(sender.try_send(1).is_err());
        }));
        assert_eq!(wait_for(pid), 0, "the child failed");
        drop(guard.take());
        permits.release();
        sender.send(1).unwrap();
        waits.into_iter().for_each(|waits| waits.join().unwrap());
    });
}

/// It goes on in both, and waits on.
#[test]
fn a_main_greenlet_that_waits_for_threads_is_called_by_those_of_its_process() {
    if crate::support::emulated() {
        return; // it cannot fork while its threads work
    }
    main_goes_on_in_both(
        "hub::fork::a_main_greenlet_that_waits_for_threads_is_called_by_those_of_its_process",
        || {
            let permits = Arc::new(greenlet::sync::remote::Semaphore::new(0));
            let theirs = permits.clone();
            // In the child it is not there.
            thread::spawn(move || {
                thread::sleep(20 * MS);
                theirs.release();
            });
            let permit = permits.acquire_timeout(50 * MS);
            if permit.map(greenlet::sync::remote::Permit::forget).is_none() {
                let theirs = permits.clone();
                thread::spawn(move || theirs.release());
                permits.acquire().forget();
            }
            assert_eq!(permits.available(), 0);
        },
    );
}
