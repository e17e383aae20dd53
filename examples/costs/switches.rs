//! Two that take turns, on one core: from one to the other is one switch.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{ChildStdin, ChildStdout};
use std::thread;
use std::time::Instant;

use greenlet::{Greenlet, current};

use super::spawns::{self, Child};

pub(crate) fn greenlets(count: u64) -> io::Result<f64> {
    let main = current::<u64>();
    let other = Greenlet::new(move |mut value| {
        loop {
            value = main.switch(value + 1);
        }
    });
    let begin = Instant::now();
    let last = (0..count / 2).fold(0, |value, _| other.switch(value));
    assert_eq!(last, count / 2);
    Ok(begin.elapsed().as_secs_f64())
}

/// Through a futex: `park` and `unpark`.
pub(crate) fn threads(count: u64) -> io::Result<f64> {
    on_one_core(|| {
        let turns = std::sync::atomic::AtomicU64::new(0);
        let (turns, order) = (&turns, std::sync::atomic::Ordering::SeqCst);
        let play = move |first: u64, other: &thread::Thread| {
            for turn in (first..count).step_by(2) {
                while turns.load(order) != turn {
                    thread::park();
                }
                turns.store(turn + 1, order);
                other.unpark();
            }
        };
        let main = thread::current();
        thread::scope(|scope| {
            let other = scope.spawn(move || play(1, &main));
            let begin = Instant::now();
            play(0, other.thread());
            let _ = other.join();
            Ok(begin.elapsed().as_secs_f64())
        })
    })
}

/// Through two pipes.
pub(crate) fn processes(count: u64) -> io::Result<f64> {
    on_one_core(|| {
        let mut child = spawns::start(Child::Echo)?;
        let stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let took = turns((stdin, stdout), count / 2);
        child.wait()?;
        took
    })
}

fn turns((mut stdin, mut stdout): (ChildStdin, ChildStdout), count: u64) -> io::Result<f64> {
    let mut byte = [0];
    // Once for its start.
    stdin.write_all(&byte)?;
    stdout.read_exact(&mut byte)?;
    let begin = Instant::now();
    for _ in 0..count {
        stdin.write_all(&byte)?;
        stdout.read_exact(&mut byte)?;
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// There and back, to another thread.
pub(crate) fn loopback(count: u64) -> io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    on_one_core(|| {
        let echo = thread::spawn(move || spawns::echo(&mut far.try_clone()?, &mut far));
        let mut byte = [0];
        let begin = Instant::now();
        for _ in 0..count {
            near.write_all(&byte)?;
            near.read_exact(&mut byte)?;
        }
        let took = begin.elapsed().as_secs_f64();
        near.shutdown(std::net::Shutdown::Write)?;
        echo.join().expect("no panic")?;
        Ok(took)
    })
}

/// Keeps this thread, and those and the processes that it starts, on the core that it runs on, where that can be had:
/// on two cores it would be measured how one wakes the other.
fn on_one_core<R>(f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    #[cfg(target_os = "linux")]
    // SAFETY: all zeros is a set of processors; the calls read and write one.
    unsafe {
        let mut all: libc::cpu_set_t = std::mem::zeroed();
        let (size, mut one) = (size_of_val(&all), all);
        libc::sched_getaffinity(0, size, &raw mut all);
        libc::CPU_SET(libc::sched_getcpu().max(0) as usize, &mut one);
        libc::sched_setaffinity(0, size, &raw const one);
        let outcome = f();
        libc::sched_setaffinity(0, size, &raw const all);
        outcome
    }
    #[cfg(not(target_os = "linux"))]
    f()
}
