//! Futures of others in greenlets: those of async-io as they are, those of tokio while a runtime of it is entered.

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt, future};
use greenlet::future::{block_on, spawn_future};
use greenlet::time::{Elapsed, timeout};
use greenlet::{sleep, spawn, yield_now};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(3600);

/// Runs for as long as it is there, and counts its turns.
struct Other {
    turns: Rc<Cell<u32>>,
    handle: greenlet::JoinHandle<()>,
}

impl Other {
    fn new() -> Other {
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let handle = spawn(move || {
            loop {
                count.set(count.get() + 1);
                yield_now();
            }
        });
        Other { turns, handle }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.handle.kill();
        assert!(self.turns.get() > 0, "it had no turn");
    }
}

#[test]
fn timers_of_async_io() {
    let _other = Other::new();
    let begin = Instant::now();
    block_on(Timer::after(3 * MS));
    assert!(begin.elapsed() >= 3 * MS);
    let ticks = block_on(Timer::interval(MS).take(3).count());
    assert_eq!(ticks, 3);
    let first = future::or(
        async {
            Timer::after(LONG).await;
            1
        },
        async {
            Timer::after(MS).await;
            2
        },
    );
    assert_eq!(block_on(first), 2);
}

#[test]
fn sockets_of_async_io() {
    let listener = Async::<TcpListener>::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.get_ref().local_addr().unwrap();
    let serves = spawn_future(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all.len()
    });
    let sends = spawn_future(async move {
        let mut stream = Async::<TcpStream>::connect(address).await.unwrap();
        stream.write_all(&vec![7; 1 << 20]).await.unwrap();
    });
    sends.join().unwrap();
    assert_eq!(serves.join().unwrap(), 1 << 20);
}

#[test]
fn greenlets_and_futures_wait_for_each_other() {
    let sum = block_on(async {
        let works = |n: u32| {
            spawn(move || {
                sleep(n * MS);
                n
            })
        };
        let (one, two) = future::zip(async { works(2).await }, async { works(1).await }).await;
        Timer::after(MS).await;
        one.unwrap() + two.unwrap()
    });
    assert_eq!(sum, 3);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn timers_and_tasks_of_tokio() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let _other = Other::new();
    let begin = Instant::now();
    block_on(tokio::time::sleep(3 * MS));
    assert!(begin.elapsed() >= 3 * MS);
    let task = tokio::spawn(async {
        tokio::time::sleep(MS).await;
        7
    });
    assert_eq!(block_on(task).unwrap(), 7);
    let late = block_on(tokio::time::timeout(MS, std::future::pending::<()>()));
    assert!(late.is_err());
}

#[test]
fn channels_and_sockets_of_tokio() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = runtime();
    let _entered = runtime.enter();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let sends = spawn_future(async move {
        for n in 0..100 {
            sender.send(n).await.unwrap();
        }
    });
    let receives = spawn_future(async move {
        let mut sum = 0;
        while let Some(n) = receiver.recv().await {
            sum += n;
        }
        sum
    });
    sends.join().unwrap();
    assert_eq!(receives.join().unwrap(), 4950);
    let listener = block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let serves = spawn_future(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all.len()
    });
    block_on(async {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(&vec![7; 1 << 20]).await.unwrap();
    });
    assert_eq!(serves.join().unwrap(), 1 << 20);
}

/// Without a runtime, tokio says so: a panic of the future, and nothing else.
#[test]
fn without_a_runtime_tokio_says_so() {
    let died = spawn_future(async { tokio::time::sleep(MS).await });
    assert!(died.join().is_err());
    block_on(Timer::after(MS));
}

#[test]
fn a_kill_and_a_limit_drop_the_future() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<u8>(1);
    let killed = spawn_future(async move {
        tokio::time::sleep(LONG).await;
        drop(sender);
    });
    sleep(MS);
    assert!(killed.kill());
    assert_eq!(block_on(receiver.recv()), None);
    let late = timeout(MS, || block_on(tokio::time::sleep(LONG)));
    assert_eq!(late, Err(Elapsed));
    assert!(timeout(MS, || block_on(Timer::after(LONG))).is_err());
}
