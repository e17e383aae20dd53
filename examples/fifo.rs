//! Who runs next? The one who has waited longest: greenlets run first in, first out.
//!
//! Each one runs until it waits. Yielding is going to the end of the queue; whoever is spawned or woken goes
//! there, too. Nothing is preempted, so the order is the same each time: count the turns and you know it.
//!
//! Run: `cargo run --example fifo`. How long it took goes to standard error.
//!
//! Expected output:
//! ```text
//! spawned: nobody has run
//! a 1
//! b 1
//! c 1
//! a 2
//! b 2
//! c 2
//! a 3
//! b 3
//! c 3
//! woken by a: c before b, since it waited longer
//! c
//! b
//! ```

use std::rc::Rc;
use std::time::Instant;

use greenlet::sync::Semaphore;
use greenlet::{JoinHandle, spawn, yield_now};

fn main() {
    let begin = Instant::now();
    let runners: Vec<JoinHandle<()>> = ["a", "b", "c"].map(three_turns).into();
    println!("spawned: nobody has run");
    runners.into_iter().for_each(wait_for);

    let gate = Rc::new(Semaphore::new(0));
    let [c, b] = ["c", "b"].map(|name| {
        let gate = Rc::clone(&gate);
        spawn(move || {
            gate.acquire().forget();
            println!("{name}");
        })
    });
    yield_now(); // both wait now, c first
    println!("woken by a: c before b, since it waited longer");
    gate.release();
    gate.release();
    wait_for(b);
    wait_for(c);
    eprintln!("{:.2?}", begin.elapsed());
}

fn three_turns(name: &'static str) -> JoinHandle<()> {
    spawn(move || {
        for turn in 1..=3 {
            println!("{name} {turn}");
            yield_now();
        }
    })
}

fn wait_for(runner: JoinHandle<()>) {
    runner.join().expect("no panic");
}
