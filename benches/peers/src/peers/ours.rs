//! Our own `greenlet`.
//!
//! A hand-off is a direct switch. Every greenlet switches to the next one; the main greenlet stands outside of the ring, starts
//! the number and gets it back when it has reached the limit. One hand-off is one stack switch.
//!
//! The other questions are about green threads, which the hub of this thread runs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use greenlet::Greenlet;
use greenlet::net::TcpListener;
use greenlet::sync::channel;

use super::STACK;
use crate::clock::{Cost, Meter, per_handoff};
use crate::remote::{Partner, warm_up};
use crate::skynet::BRANCHES;
use crate::timers::milliseconds;

type Ring = Rc<RefCell<Vec<Greenlet<u64>>>>;

pub fn handoff(ring: usize, count: u64) -> Result<Option<f64>> {
    let limit = Rc::new(Cell::new(0));
    let seats = Ring::default();
    for me in 0..ring {
        let seat = seat(seats.clone(), (me + 1) % ring, limit.clone());
        seats.borrow_mut().push(seat);
    }
    let first = seats.borrow()[0].clone();
    let cost = per_handoff(ring, count, |v, count| {
        limit.set(v + count);
        first.switch(v)
    });
    limit.set(0);
    for seat in seats.take() {
        seat.switch(0);
    }
    cost.map(Some)
}

/// A greenlet that passes the number on below the limit, and returns once the limit is zero.
fn seat(seats: Ring, next: usize, limit: Rc<Cell<u64>>) -> Greenlet<u64> {
    let main = greenlet::current::<u64>();
    let run = move |mut v: u64| {
        let next = seats.borrow()[next].clone();
        loop {
            while v < limit.get() {
                v = next.switch(v + 1);
            }
            if limit.get() == 0 {
                return v;
            }
            v = main.switch(v);
        }
    };
    Greenlet::builder().stack_size(STACK).build(run)
}

/// Yields, altogether, of greenlets that give way to each other.
pub fn yield_(tasks: usize, count: u64) -> Result<f64> {
    let each = count / tasks as u64;
    let meter = Meter::start();
    let give_way = move || (0..each).for_each(|_| greenlet::yield_now());
    let all: Vec<_> = (0..tasks).map(|_| greenlet::spawn(give_way)).collect();
    all.into_iter().try_for_each(joined)?;
    Ok(meter.cost_of_each(count).cpu)
}

/// Spawns and joins, altogether, so many at once.
pub fn spawn(at_once: usize, count: u64) -> Result<f64> {
    let meter = Meter::start();
    for _ in 0..count / at_once as u64 {
        if at_once == 1 {
            joined(greenlet::spawn(|| ()))?;
            continue;
        }
        let all: Vec<_> = (0..at_once).map(|_| greenlet::spawn(|| ())).collect();
        all.into_iter().try_for_each(joined)?;
    }
    Ok(meter.cost_of_each(count).cpu)
}

/// A greenlet that is parked, and woken from the partner's thread.
pub fn remote(core: usize, count: u64) -> Result<Cost> {
    let trips = move || {
        let here = greenlet::thread::current();
        let answered = Arc::new(AtomicBool::new(false));
        let partner = Partner::new(core, {
            let answered = answered.clone();
            move || {
                answered.store(true, Ordering::Release);
                here.unpark();
            }
        });
        let trips = |count| {
            for _ in 0..count {
                partner.ask();
                while !answered.swap(false, Ordering::Acquire) {
                    greenlet::thread::park();
                }
            }
        };
        trips(warm_up(count));
        let meter = Meter::start();
        trips(count);
        meter.cost_of_each(count)
    };
    let cost = greenlet::spawn(trips).join();
    cost.map_err(|_| anyhow::anyhow!("a greenlet has panicked"))
}

/// The same in a hub that also looks after a socket.
pub fn remote_of_a_server(core: usize, count: u64) -> Result<Cost> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = greenlet::spawn(move || listener.accept().map(drop));
    let cost = remote(core, count);
    server.kill();
    cost
}

/// Greenlets that sleep, each on a stack of its own with a guard.
pub fn timers(count: u64) -> Result<f64> {
    let meter = Meter::start();
    sleepers(count)?;
    Ok(meter.cost_of_each(count).cpu)
}

/// The same once more, on the stacks of the first time.
pub fn timers_warm(count: u64) -> Result<f64> {
    sleepers(count)?;
    timers(count)
}

fn sleepers(count: u64) -> Result<()> {
    let sleeper = |time| {
        let builder = greenlet::thread::Builder::new().stack_size(STACK);
        builder.spawn(move || greenlet::sleep(Duration::from_millis(time)))
    };
    let all: std::io::Result<Vec<_>> = milliseconds(count).map(sleeper).collect();
    all?.into_iter().try_for_each(joined)
}

fn joined(handle: greenlet::JoinHandle<()>) -> Result<()> {
    handle
        .join()
        .map_err(|_| anyhow::anyhow!("a greenlet has panicked"))
}

pub fn skynet(leaves: u64) -> Result<u64> {
    let (up, root) = channel::bounded(1);
    greenlet::spawn(move || node(0, leaves, &up));
    Ok(root.recv()?)
}

fn node(number: u64, leaves: u64, up: &channel::Sender<u64>) {
    if leaves == 1 {
        let _ = up.send(number);
        return;
    }
    let (sender, sums) = channel::bounded(BRANCHES as usize);
    let part = leaves / BRANCHES;
    for branch in 0..BRANCHES {
        let sender = sender.clone();
        greenlet::spawn(move || node(number + branch * part, part, &sender));
    }
    drop(sender);
    let _ = up.send(sums.iter().sum());
}
