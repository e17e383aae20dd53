//! Many at once: connections, sleepers, wakes from other threads. What was there before is all that is there
//! after.
//!
//! Each test runs in a process of its own, which is this program again, with the name of the test in its
//! environment; so do its clients. Figures are printed.

#![cfg(target_os = "linux")]

mod runner;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use greenlet::net::TcpListener;
use greenlet::{JoinHandle, hub_stats, sleep, spawn, thread, yield_now};

/// The test, or the part of one, that a process is to run.
const PART: &str = "GREENLET_SCALE";
const MS: Duration = Duration::from_millis(1);
/// How many clients are connected at a time while they come and go.
const BATCH: usize = 1000;

/// One size for real machines, and one for OS threads in place of greenlets, and for emulators.
fn size(real: usize, small: usize) -> usize {
    let emulated = std::env::var("GREENLET_TEST_RUNNER").is_ok_and(|words| !words.is_empty());
    if greenlet::BACKEND == "baton" || emulated {
        small
    } else {
        real
    }
}

/// This program again, to run `test` and nothing else.
fn again(test: &str, part: &str) -> Command {
    let program = std::env::current_exe().expect("a path");
    let mut command = runner::command(&program);
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(PART, part);
    command
}

/// Runs a test in a process of its own. True in that process.
fn alone(test: &str) -> bool {
    if std::env::var(PART).is_ok_and(|part| part == test) {
        return true;
    }
    if std::env::var(PART).is_err() {
        let status = again(test, test).status().expect("it starts");
        assert!(status.success(), "{test}: {status}");
    }
    false
}

/// As many descriptors as may be; how many that is.
fn raise_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: reads and sets numbers; the structure is there.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("procfs").count()
}

/// What a test must leave as it found it.
#[derive(Debug, PartialEq, Eq)]
struct Balance {
    descriptors: usize,
    greenlets: usize,
    stacks: usize,
    hub: greenlet::HubStats,
}

impl Balance {
    fn here() -> Balance {
        Balance {
            descriptors: open_descriptors(),
            greenlets: greenlet::alive(),
            stacks: greenlet::stack_stats().in_use,
            hub: hub_stats(),
        }
    }
}

/// An echo server of this process, and how many it serves.
struct Server {
    address: SocketAddr,
    guests: Rc<Cell<usize>>,
    served: Rc<Cell<usize>>,
    accepting: JoinHandle<()>,
}

fn serve() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (guests, served) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let accepting = spawn({
        let (guests, served) = (guests.clone(), served.clone());
        move || {
            for stream in listener.incoming() {
                let stream = stream.expect("descriptors enough");
                let (guests, served) = (guests.clone(), served.clone());
                guests.set(guests.get() + 1);
                drop(spawn(move || {
                    echo(&stream);
                    guests.set(guests.get() - 1);
                    served.set(served.get() + 1);
                }));
            }
        }
    });
    Server {
        address,
        guests,
        served,
        accepting,
    }
}

/// Byte by byte: a connection has no buffer here.
fn echo(mut stream: &greenlet::net::TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        if stream.write_all(&byte).is_err() {
            return;
        }
    }
}

impl Server {
    fn wait_for(&self, guests: usize) {
        while self.guests.get() != guests {
            sleep(MS);
        }
    }

    fn close(self) {
        self.accepting.kill();
        drop(self);
        sleep(MS);
    }
}

/// A process of clients; it does a thing for each line it is told.
struct Clients {
    process: Child,
    tell: ChildStdin,
}

impl Clients {
    fn of(test: &str, part: &str, address: SocketAddr) -> Clients {
        let mut process = again(test, part)
            .env("GREENLET_SCALE_ADDRESS", address.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let tell = process.stdin.take().expect("piped");
        Clients { process, tell }
    }

    fn tell(&mut self) {
        self.tell.write_all(b"\n").expect("it hears");
    }

    /// Waits for it, while others run.
    fn end(mut self) {
        drop(self.tell);
        loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                assert!(status.success(), "{status}");
                return;
            }
            sleep(MS);
        }
    }
}

/// In the process of the clients: where the server is.
fn as_client(part: &str) -> Option<SocketAddr> {
    if std::env::var(PART).ok()? != part {
        return None;
    }
    raise_limit();
    let address = std::env::var("GREENLET_SCALE_ADDRESS").expect("it was told");
    Some(address.parse().expect("an address"))
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("it can");
    stream
}

fn ask(mut stream: &TcpStream, byte: u8) {
    stream.write_all(&[byte]).expect("it is there");
    let mut answer = [0];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!(answer, [byte]);
}

/// Waits for a line.
fn told() {
    std::io::stdin()
        .read_line(&mut String::new())
        .expect("text");
}

#[test]
fn connections_that_come_and_go_leave_nothing() {
    let test = "connections_that_come_and_go_leave_nothing";
    let count = size(24_000, 600);
    if let Some(address) = as_client("guests that come and go") {
        for batch in 0..count / BATCH.min(count) {
            let guests: Vec<_> = (0..BATCH.min(count)).map(|_| connect(address)).collect();
            for (number, guest) in guests.iter().enumerate() {
                ask(guest, (batch + number) as u8);
            }
        }
        return;
    }
    if !alone(test) {
        return;
    }
    raise_limit();
    // What the hub makes once.
    spawn(|| sleep(MS)).join().expect("it ends");
    let warm = serve();
    drop(connect(warm.address));
    sleep(MS);
    warm.close();
    while greenlet::alive() > 0 {
        sleep(MS);
    }
    let before = Balance::here();
    let begin = Instant::now();
    let server = serve();
    let clients = Clients::of(test, "guests that come and go", server.address);
    while server.served.get() < count {
        sleep(MS);
    }
    clients.end();
    server.wait_for(0);
    server.close();
    assert_eq!(Balance::here(), before);
    eprintln!("{count} connections in {:?}", begin.elapsed());
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * page()
}

fn page() -> usize {
    // SAFETY: asks for a number.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

#[test]
fn thousands_of_idle_connections_take_a_page_each() {
    let test = "thousands_of_idle_connections_take_a_page_each";
    let (idle, active, rounds) = (size(10_000, 200), 64, size(50, 5));
    if let Some(address) = as_client("guests that stay") {
        let idle: Vec<_> = (0..idle).map(|_| connect(address)).collect();
        let last = idle.last().expect("some");
        ask(last, 7);
        told();
        let active: Vec<_> = (0..active).map(|_| connect(address)).collect();
        for round in 0..rounds {
            active.iter().for_each(|guest| ask(guest, round as u8));
        }
        // They were not forgotten.
        idle.iter().step_by(97).for_each(|guest| ask(guest, 9));
        told();
        return;
    }
    if !alone(test) {
        return;
    }
    if raise_limit() < idle + active + 100 {
        eprintln!("not run: {test}: the limit of descriptors is too low");
        return;
    }
    spawn(|| sleep(MS)).join().expect("it ends");
    let warm = serve();
    drop(connect(warm.address));
    sleep(MS);
    warm.close();
    while greenlet::alive() > 0 {
        sleep(MS);
    }
    let (before, memory) = (Balance::here(), resident());
    let server = serve();
    let mut clients = Clients::of(test, "guests that stay", server.address);
    server.wait_for(idle);
    // The last one has been answered.
    (0..50).for_each(|_| sleep(MS));
    let each = (resident() - memory) as f64 / idle as f64;
    eprintln!("{each:.0} bytes for each of {idle} idle connections");
    assert_eq!(hub_stats().awaited, idle + 1);
    if greenlet::BACKEND == "direct" && idle >= 10_000 {
        // Without optimisation the frames of one that reads do not fit into one page.
        let most = match cfg!(debug_assertions) {
            true => 3 * page() + 600,
            false => page() + 600,
        };
        assert!(each <= most as f64, "{each} bytes, and not {most}");
    }
    clients.tell();
    server.wait_for(idle + active);
    clients.tell();
    clients.end();
    server.wait_for(0);
    server.close();
    assert_eq!(Balance::here(), before);
}

#[test]
fn a_hundred_thousand_sleepers_are_killed() {
    let test = "a_hundred_thousand_sleepers_are_killed";
    if !alone(test) {
        return;
    }
    let count = size(100_000, 300);
    sleep(MS);
    let before = Balance::here();
    let begin = Instant::now();
    let small = || thread::Builder::new().stack_size(32 * 1024);
    let sleepers: Vec<_> = (0..count)
        .map(|number| {
            let time = Duration::from_secs(3600 + number as u64 % 1000);
            small().spawn(move || sleep(time)).expect("a size")
        })
        .collect();
    yield_now();
    assert_eq!(hub_stats().timers, count);
    assert!(sleepers.iter().all(|sleeper| sleeper.start_kill()));
    for sleeper in sleepers {
        let exit = sleeper.join().expect_err("it was killed");
        assert!(exit.is::<greenlet::GreenletExit>());
    }
    assert_eq!(Balance::here(), before);
    eprintln!("{count} sleepers in {:?}", begin.elapsed());
}

/// Each wake must be answered before the next one: one that is lost stops everything.
#[test]
fn a_million_wakes_from_two_threads_are_all_heard() {
    let test = "a_million_wakes_from_two_threads_are_all_heard";
    if !alone(test) {
        return;
    }
    let each = size(500_000, 2_000) as u32;
    sleep(MS);
    let before = hub_stats();
    let begin = Instant::now();
    let greenlets: Vec<_> = (0..2)
        .map(|_| {
            let (sent, heard) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let parked = spawn({
                let (sent, heard) = (sent.clone(), heard.clone());
                move || {
                    while heard.load(Ordering::Acquire) < each {
                        thread::park();
                        heard.store(sent.load(Ordering::Acquire), Ordering::Release);
                    }
                }
            });
            let wake = parked.thread().clone();
            let waker = std::thread::spawn(move || waker(each, &sent, &heard, &wake));
            (parked, waker)
        })
        .collect();
    for (parked, waker) in greenlets {
        parked.join().expect("it hears all");
        waker.join().expect("it sends all");
    }
    assert_eq!(hub_stats(), before);
    eprintln!("{} wakes in {:?}", 2 * each, begin.elapsed());
}

/// Some at a time: the first wakes, the others find that somebody has.
fn waker(each: u32, sent: &AtomicU32, heard: &AtomicU32, wake: &thread::Thread) {
    let mut number = 0;
    while number < each {
        let burst = (1 + number % 7).min(each - number);
        for _ in 0..burst {
            number += 1;
            sent.store(number, Ordering::Release);
            wake.unpark();
        }
        let begin = Instant::now();
        while heard.load(Ordering::Acquire) < number {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "wake {number} was lost"
            );
            std::thread::yield_now();
        }
    }
}
