//! What does waiting for each other cost? Channels, locks, select, trees of greenlets: ratios to a pair of
//! corosensei switches of the same run.
//!
//! `cargo bench --bench waiting`; who gets how much: `cargo bench --bench waiting -- --fairness`

mod fairness;
mod measure;
#[allow(dead_code, reason = "the rings of greenlets are for other benches")]
mod rings;

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use greenlet::spawn;
use greenlet::sync::channel::{Receiver, Sender, bounded, unbounded};
use greenlet::sync::{Mutex, select};
use measure::compare;
use rings::Yardstick;

fn main() {
    if let Some(leaves) = std::env::args()
        .skip_while(|word| word != "--skynet")
        .nth(1)
    {
        return skynet_alone(leaves.parse().expect("a number of leaves"));
    }
    if std::env::args().any(|word| word == "--fairness") {
        return fairness::table();
    }
    let mut pair = Yardstick::new(2);
    let mut pairs = |n| pair.run(n);
    for (what, room) in [("rendezvous", 0), ("buffered", 1)] {
        let row = format!("channel ping-pong, {what}, per message / pair");
        compare(&row, 1_000_000, |n| ping_pong(room, n), &mut pairs);
    }
    for room in [0, 1, 100] {
        let row = format!("channel stream, room for {room}, per message / pair");
        compare(&row, 1_000_000, |n| stream(room, n), &mut pairs);
    }
    compare("mutex lock + unlock / RefCell", 10_000_000, locks, borrows);
    compare(
        "select over 8, one ready / pair",
        1_000_000,
        select_ready,
        &mut pairs,
    );
    compare(
        "select over 8, waiting, per message / pair",
        300_000,
        select_waiting,
        &mut pairs,
    );
    compare(
        "skynet, 10,000 leaves, per leaf / pair",
        10_000,
        skynet,
        &mut pairs,
    );
}

/// So many messages, half of them each way.
fn ping_pong(room: usize, count: u64) -> u64 {
    let (there, over_there) = bounded(room);
    let (back, here) = bounded(room);
    let echo = spawn(move || {
        for message in over_there {
            back.send(message).expect("somebody waits for it");
        }
    });
    for message in 0..count / 2 {
        there.send(message).expect("an echo");
        assert_eq!(here.recv(), Ok(message));
    }
    drop(there);
    echo.join().expect("no panic");
    count
}

fn stream(room: usize, count: u64) -> u64 {
    let (sender, receiver) = bounded(room);
    let source = spawn(move || (0..count).for_each(|n| sender.send(n).expect("a receiver")));
    let sum = receiver.iter().sum();
    source.join().expect("no panic");
    sum
}

fn locks(count: u64) -> u64 {
    let total = Mutex::new(0);
    for n in 0..count {
        *black_box(&total).lock().expect("no poison") += n;
    }
    total.into_inner().expect("no poison")
}

fn borrows(count: u64) -> u64 {
    let total = RefCell::new(0);
    for n in 0..count {
        *black_box(&total).borrow_mut() += n;
    }
    total.into_inner()
}

fn first_of(channels: &[(Sender<u64>, Receiver<u64>); 8]) -> u64 {
    let [a, b, c, d, e, f, g, h] = channels.each_ref().map(|(_, receiver)| receiver);
    let message = |message: Result<u64, _>| message.expect("senders are there");
    select()
        .recv(a, message)
        .recv(b, message)
        .recv(c, message)
        .recv(d, message)
        .recv(e, message)
        .recv(f, message)
        .recv(g, message)
        .recv(h, message)
        .wait()
}

fn select_ready(count: u64) -> u64 {
    let channels = std::array::from_fn(|_| unbounded());
    (0..count)
        .map(|n| {
            channels[n as usize % 8].0.send(n).expect("a receiver");
            first_of(&channels)
        })
        .sum()
}

fn select_waiting(count: u64) -> u64 {
    let channels: [_; 8] = std::array::from_fn(|_| bounded(0));
    let senders = channels
        .each_ref()
        .map(|(sender, _): &(Sender<u64>, _)| sender.clone());
    let source = spawn(move || {
        (0..count).for_each(|n| senders[n as usize % 8].send(n).expect("a receiver"));
    });
    let sum = (0..count).map(|_| first_of(&channels)).sum();
    source.join().expect("no panic");
    sum
}

/// A tree with ten branches at each node; every leaf sends its number up, and the nodes add.
fn skynet(leaves: u64) -> u64 {
    let (up, root) = unbounded();
    spawn(move || node(0, leaves, &up));
    root.recv().expect("the sum")
}

fn node(number: u64, leaves: u64, up: &Sender<u64>) {
    if leaves == 1 {
        return up.send(number).expect("a node above");
    }
    let (sender, sums) = bounded(10);
    for branch in 0..10 {
        let sender = sender.clone();
        spawn(move || node(number + branch * leaves / 10, leaves / 10, &sender));
    }
    drop(sender);
    up.send(sums.iter().sum()).expect("a node above");
}

/// One tree in a process of its own.
fn skynet_alone(leaves: u64) {
    let begin = Instant::now();
    let sum = skynet(leaves);
    assert_eq!(sum, leaves * (leaves - 1) / 2);
    println!("{leaves} leaves: {:.3} s", begin.elapsed().as_secs_f64());
}
