//! A fork of a program with a live hub.

use std::io::{Read, Write, pipe};
use std::time::Duration;

use greenlet::net::{TcpListener, TcpStream};
use greenlet::{sleep, spawn, yield_now};

use crate::support::{act, own_stacks, run, survived_in_child};

/// Forks; the child runs `child` and ends with status 0, or 101 if it panics.
fn fork(child: impl FnOnce() + std::panic::UnwindSafe) -> libc::pid_t {
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

fn wait_for(pid: libc::pid_t) -> i32 {
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
        yield_now();
        sleep(Duration::from_millis(1));
        let pid = fork(std::panic::AssertUnwindSafe(move || {
            // What waited in the parent's hub is not here.
            assert!(server.is_finished() || server.join().is_err());
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
    });
}
