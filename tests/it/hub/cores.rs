//! A hub for each core.

use std::io::{Read, Write};
use std::net;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use greenlet::net::TcpListener;
use greenlet::sync::remote;
use greenlet::time::timeout;
use greenlet::{GreenletExit, per_core, sleep, spawn};

use crate::support::{caught, own_stacks, run, survived_in_child, text};

const MS: Duration = Duration::from_millis(1);

#[test]
fn each_core_has_a_hub_of_its_own_and_the_results_are_in_order() {
    run(|| {
        let doubled = per_core(4, |core| {
            let handle = spawn(move || {
                sleep(Duration::from_millis(1));
                (core * 2, greenlet::alive())
            });
            handle.join().unwrap()
        });
        assert_eq!(doubled.unwrap(), [(0, 1), (2, 1), (4, 1), (6, 1)]);
    });
}

#[test]
fn others_run_meanwhile() {
    run(|| {
        let other = spawn(|| 1);
        per_core(2, |_| thread::sleep(Duration::from_millis(5))).unwrap();
        assert!(other.is_finished());
        other.join().unwrap();
    });
}

#[test]
fn the_workers_are_left_to_others() {
    if survived_in_child("hub::cores::the_workers_are_left_to_others") {
        return;
    }
    run(|| {
        per_core(2, |_| thread::sleep(Duration::from_millis(5))).unwrap();
        assert_eq!(greenlet::pool_stats().workers, 0);
    });
}

#[test]
fn no_number_is_as_many_as_there_are() {
    run(|| {
        let all = thread::available_parallelism().map_or(1, |n| n.get());
        assert_eq!(per_core(0, |_| ()).unwrap().len(), all);
    });
}

#[test]
fn a_panic_of_one_comes_when_all_have_ended() {
    run(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let panic = caught(move || {
            per_core(2, move |core| {
                if core == 0 {
                    panic!("on a core");
                }
                thread::sleep(Duration::from_millis(5));
                flag.store(true, Ordering::SeqCst);
            })
        });
        assert_eq!(text(&*panic), "on a core");
        assert!(ended.load(Ordering::SeqCst));
    });
}

/// How often this thread has gone to sleep, and so how often it was woken.
#[cfg(target_os = "linux")]
fn wakes() -> libc::c_long {
    // SAFETY: plain numbers, all of which the call writes.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        assert_eq!(libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage), 0);
        usage.ru_nvcsw
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_connection_wakes_one_core_once() {
    const CONNECTIONS: usize = 200;
    const CORES: usize = 3;
    // Elsewhere a greenlet has a thread of its own, which is woken on its own account. Other tests of the process would
    // let this one wait for memory.
    if !own_stacks() || survived_in_child("hub::cores::a_connection_wakes_one_core_once") {
        return;
    }
    run(|| {
        let first = TcpListener::bind_reuse_port("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        drop(first);
        let (ready, stop) = (
            Arc::new(Barrier::new(CORES + 1)),
            Arc::new(AtomicBool::new(false)),
        );
        let client = thread::spawn({
            let (ready, stop) = (ready.clone(), stop.clone());
            move || {
                ready.wait();
                for _ in 0..CONNECTIONS {
                    let mut stream = net::TcpStream::connect(address).unwrap();
                    assert_eq!(stream.read(&mut [0; 2]).unwrap(), 1);
                }
                stop.store(true, Ordering::SeqCst);
            }
        });
        let served = per_core(CORES, move |_| {
            let listener = TcpListener::bind_reuse_port(address).unwrap();
            ready.wait();
            let (mut served, before, mut for_nothing) = (0, wakes(), 0);
            while !stop.load(Ordering::SeqCst) {
                // The limit is what ends it; it may pass meanwhile as well, which is a wake of its own.
                match timeout(Duration::from_millis(200), || listener.accept()) {
                    Ok(accepted) => {
                        accepted.unwrap().0.write_all(b"!").unwrap();
                        served += 1;
                    }
                    Err(_) => for_nothing += 1,
                }
            }
            (served, wakes() - before - for_nothing)
        });
        client.join().unwrap();
        let served = served.unwrap();
        assert_eq!(served.iter().map(|core| core.0).sum::<usize>(), CONNECTIONS);
        let woken: libc::c_long = served.iter().map(|core| core.1).sum();
        assert!(
            woken < CONNECTIONS as libc::c_long * 3 / 2 + 30,
            "{woken} wakes: {served:?}"
        );
    });
}

/// The threads run on, and what they return is for nobody.
#[test]
fn one_that_is_killed_while_the_cores_run_lets_them_run_on() {
    run(|| {
        let (tell, told) = remote::channel::unbounded();
        let waits = spawn(move || {
            per_core(2, move |core| {
                sleep(20 * MS);
                tell.send(core).unwrap();
            })
        });
        sleep(MS);
        assert!(waits.kill());
        assert!(waits.join().unwrap_err().is::<GreenletExit>());
        let mut ended: Vec<usize> = told.iter().collect();
        ended.sort_unstable();
        assert_eq!(ended, [0, 1]);
    });
}
