//! Two that take turns, on one core: from one to the other is one switch.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{ChildStdin, ChildStdout};
use std::thread;
use std::time::Instant;

use greenlet::{Greenlet, current};

use super::spawns::{self, Child};
use super::talk_parts::cores;

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
    cores::on_one(|| {
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
    cores::on_one(|| {
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
    cores::on_one(|| {
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
