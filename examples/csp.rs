//! Communicating sequential processes: Hoare's prime sieve, and a pipeline with `select`.
//!
//! In the sieve each prime is a greenlet that lets through what it does not divide; between two of them is a
//! channel with no room. The pipeline splits numbers between two workers and takes what is ready first, until a
//! third channel says stop.
//!
//! Run: `cargo run --example csp`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! primes: 2 3 5 7 11 13 17 19 23 29
//! the 500th is 3571: <n> messages in <n> ms, <n> ns each
//! squared by two workers, and selected: 1 4 9 16 25 36 49 64 81 100
//! stopped: true
//! ```

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use greenlet::spawn;
use greenlet::sync::channel::{Receiver, bounded};
use greenlet::sync::select;

fn main() {
    let count = Rc::default();
    let first: Vec<String> = sieve(&count)
        .take(10)
        .map(|prime| prime.to_string())
        .collect();
    println!("primes: {}", first.join(" "));

    count.set(0);
    let begin = Instant::now();
    let last = sieve(&count).nth(499).expect("there is always another");
    let took = begin.elapsed();
    println!(
        "the 500th is {last}: {} messages in {:.1} ms, {} ns each",
        count.get(),
        took.as_secs_f64() * 1e3,
        took.as_nanos() / u128::from(count.get())
    );
    pipeline();
}

/// All primes. Each comes out of the filter of the one before it.
fn sieve(count: &Rc<Cell<u64>>) -> impl Iterator<Item = u64> {
    let (sender, mut numbers) = bounded(0);
    let messages = Rc::clone(count);
    spawn(move || {
        let mut numbers = 2..;
        while numbers.next().is_some_and(|n| sender.send(n).is_ok()) {
            messages.set(messages.get() + 1);
        }
    });
    let count = Rc::clone(count);
    std::iter::from_fn(move || {
        let prime = numbers.recv().ok()?;
        numbers = without_multiples(prime, numbers.clone(), Rc::clone(&count));
        Some(prime)
    })
}

fn without_multiples(prime: u64, numbers: Receiver<u64>, count: Rc<Cell<u64>>) -> Receiver<u64> {
    let (sender, rest) = bounded(0);
    spawn(move || {
        for number in numbers.iter().filter(|number| number % prime != 0) {
            count.set(count.get() + 1);
            if sender.send(number).is_err() {
                return; // nobody asks for primes any more
            }
        }
    });
    rest
}

fn pipeline() {
    let (stop, stopped) = bounded::<()>(0);
    let (jobs, job) = bounded(2);
    let [first, second] = [job.clone(), job].map(squares);
    spawn(move || {
        (1..=10).for_each(|n| jobs.send(n).expect("workers"));
        drop(jobs); // the workers end, and with the last of them the pipeline
        greenlet::yield_now();
        drop(stop);
    });
    // An arm of None is never chosen: a worker that has ended is left out.
    let (mut left, mut right, mut found) = (Some(&first), Some(&second), Vec::new());
    while left.is_some() || right.is_some() {
        let (worker, square) = select()
            .recv(left, |square| (&mut left, square))
            .recv(right, |square| (&mut right, square))
            .wait();
        match square {
            Ok(square) => found.push(square),
            Err(_) => *worker = None,
        }
    }
    found.sort_unstable();
    let found: Vec<String> = found.iter().map(u64::to_string).collect();
    println!("squared by two workers, and selected: {}", found.join(" "));
    println!("stopped: {}", stopped.recv().is_err());
}

fn squares(jobs: Receiver<u64>) -> Receiver<u64> {
    let (sender, squares) = bounded(0);
    spawn(move || jobs.iter().try_for_each(|n| sender.send(n * n)));
    squares
}
