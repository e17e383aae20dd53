//! Generators: a countdown that yields from a loop, and a tree that yields from its recursion.
//!
//! `yield_` may be called at any depth, in a plain function that takes the `Yielder` like any other argument.
//!
//! Run: `cargo run --release --example generators_1`. How long it took goes to standard error.
//!
//! Expected output:
//! ```text
//! Counting down from 5
//! 5 4 3 2 1 liftoff
//! in order: a b c d e f g
//! the first two: 10 9
//! cleaned up
//! ```

use std::time::Instant;

use greenlet::{Generator, Yielder};

fn countdown(from: u32) -> Generator<u32> {
    Generator::new(move |y| {
        for n in (1..=from).rev() {
            y.yield_(n);
        }
    })
}

enum Tree {
    Leaf,
    Node(Box<Tree>, char, Box<Tree>),
}

fn tree(letters: &[char]) -> Tree {
    match letters {
        [] => Tree::Leaf,
        _ => {
            let (left, right) = letters.split_at(letters.len() / 2);
            Tree::Node(Box::new(tree(left)), right[0], Box::new(tree(&right[1..])))
        }
    }
}

/// An ordinary recursive function; in the middle of it control leaves and comes back.
fn walk(tree: &Tree, y: &Yielder<char>) {
    if let Tree::Node(left, letter, right) = tree {
        walk(left, y);
        y.yield_(*letter);
        walk(right, y);
    }
}

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        println!("cleaned up");
    }
}

fn main() {
    let begin = Instant::now();
    println!("Counting down from 5");
    for n in countdown(5) {
        print!("{n} ");
    }
    println!("liftoff");

    let letters = tree(&['a', 'b', 'c', 'd', 'e', 'f', 'g']);
    let in_order: String = Generator::new(move |y| walk(&letters, &y))
        .flat_map(|c| [' ', c])
        .collect();
    println!("in order:{in_order}");

    // A generator that is dropped before its end unwinds: its destructors run.
    let mut endless = Generator::new(|y| {
        let _cleanup = Cleanup;
        (0..=10).rev().for_each(|n| y.yield_(n));
    });
    println!(
        "the first two: {} {}",
        endless.next().unwrap(),
        endless.next().unwrap()
    );
    drop(endless);
    eprintln!("{:.2?}", begin.elapsed());
}
