//! The thundering herd: eight acceptors wait for one listener. How many wake up for each connection?
//!
//! Threads with an epoll set each, all watching the listener: the kernel wakes every one that sleeps, one gets the
//! connection, seven have been woken for nothing. `EPOLLEXCLUSIVE` wakes one (or a few). With `SO_REUSEPORT` each has
//! a listener of its own. Greenlets of one hub: the event wakes the hub's thread once, and the hub calls the acceptor
//! who waits longest; `per_core` gives each core such a hub, with `SO_REUSEPORT`.
//! A wake-up is a sleep in the kernel that ended, also of a thread that goes back to sleep without having returned.
//!
//! Run: `cargo run --release --example thundering_herd`. How long it took goes to standard error.
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! wake-ups for each of 200 connections, 8 acceptors
//! shared, level-triggered <n>
//! shared, EPOLLEXCLUSIVE  <n>
//! SO_REUSEPORT            <n>
//! greenlets of one hub    <n>
//! ```

#[path = "talk_parts/mod.rs"]
mod talk_parts;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use greenlet::spawn;
use socket2::{Domain, Socket, Type};
use talk_parts::epoll::{Set, sleeps};

const ACCEPTORS: usize = 8;
const CONNECTIONS: u32 = 200;
/// Between two connections, so that all sleep again.
const PAUSE: Duration = Duration::from_micros(500);

fn main() -> io::Result<()> {
    let begin = Instant::now();
    println!("wake-ups for each of {CONNECTIONS} connections, {ACCEPTORS} acceptors");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let one = listener(any)?;
    let shared = vec![&one; ACCEPTORS];
    show("shared, level-triggered", by_threads(&shared, 0)?);
    let exclusive = by_threads(&shared, libc::EPOLLEXCLUSIVE)?;
    show("shared, EPOLLEXCLUSIVE ", exclusive);
    let mut each = vec![listener(any)?];
    for _ in 1..ACCEPTORS {
        each.push(listener(each[0].local_addr()?)?);
    }
    let each: Vec<&TcpListener> = each.iter().collect();
    show("SO_REUSEPORT           ", by_threads(&each, 0)?);
    show("greenlets of one hub   ", by_greenlets(listener(any)?)?);
    eprintln!("{:.2?}", begin.elapsed());
    Ok(())
}

fn show(how: &str, wakes: u32) {
    println!("{how} {:.2}", f64::from(wakes) / f64::from(CONNECTIONS));
}

/// A listener that does not block, at an address that others may share.
fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Connects so often, and waits a while each time.
fn connect(address: SocketAddr) -> io::Result<()> {
    (0..CONNECTIONS).try_for_each(|_| {
        TcpStream::connect(address)?;
        thread::sleep(PAUSE);
        Ok(())
    })
}

/// A thread with an epoll set for each of the listeners; how often the kernel woke them.
fn by_threads(listeners: &[&TcpListener], how: i32) -> io::Result<u32> {
    let (wakes, done) = (&AtomicU32::new(0), &AtomicBool::new(false));
    let accept = |listener: &TcpListener, set: Set| {
        while !done.load(Relaxed) {
            if set.wait(20) {
                let _ = listener.accept(); // if nobody was faster
            }
        }
        wakes.fetch_add(sleeps(), Relaxed);
    };
    thread::scope(|scope| {
        let started = listeners.iter().try_for_each(|listener| {
            let set = Set::of(listener, how)?;
            let thread = thread::Builder::new().spawn_scoped(scope, || accept(listener, set));
            thread.map(drop)
        });
        let connected = started.and_then(|()| connect(listeners[0].local_addr()?));
        done.store(true, Relaxed);
        connected
    })?;
    Ok(wakes.load(Relaxed))
}

/// A greenlet for each acceptor; how often the kernel woke their thread.
fn by_greenlets(listener: TcpListener) -> io::Result<u32> {
    let address = listener.local_addr()?;
    let listener = Rc::new(greenlet::net::TcpListener::from(listener));
    let acceptor = |_| {
        let listener = Rc::clone(&listener);
        spawn(move || listener.incoming().for_each(drop))
    };
    let acceptors: Vec<_> = (0..ACCEPTORS).map(acceptor).collect();
    greenlet::yield_now(); // all wait
    let before = sleeps();
    greenlet::offload(move || connect(address))?;
    acceptors.iter().for_each(|acceptor| _ = acceptor.kill());
    Ok(sleeps() - before)
}
