//! A chain of a hundred thousand greenlets: each adds one to what its neighbour sends and passes it on.
//!
//! The classic test of how many there can be. Each link has a stack of its own, guarded, of which it touches
//! one page. All of them are suspended at once, each waiting for the one to its right.
//!
//! Run: `cargo run --release --example chain`. A first argument sets the length: `-- 1000000` works too.
//! How long it took goes to standard error.
//!
//! Expected output:
//! ```text
//! 100000 links: 100000
//! all unwound: 0 alive
//! ```

use std::time::Instant;

use greenlet::{Greenlet, current};

fn main() {
    let length = std::env::args().nth(1);
    let links: u64 = length.map_or(100_000, |length| match length.parse() {
        Ok(links @ 1..) => links,
        _ => {
            eprintln!("chain: how many links? {length:?} is no number of them");
            std::process::exit(2)
        }
    });
    let begin = Instant::now();
    let main = current::<u64>();
    let mut left = main.clone();
    for _ in 0..links {
        // A link waits for its right neighbour, and then wakes its left one.
        let (neighbour, back) = (left, main.clone());
        let link = Greenlet::builder()
            .stack_size(64 * 1024)
            .parent(&main)
            .build(move |_| neighbour.switch(back.switch(0) + 1));
        link.switch(0);
        left = link;
    }
    println!("{links} links: {}", left.switch(0));
    drop(left);
    println!("all unwound: {} alive", greenlet::alive());
    let took = begin.elapsed();
    eprintln!(
        "{took:.2?}, {:.0} ns for each link",
        took.as_nanos() as f64 / links as f64
    );
}
