//! gevent's queues are Go's channels: producers, workers and a collector that share nothing but two of them.
//!
//! A queue with room for two lets the producer run ahead by two, and no further: that is what keeps a fast side
//! from filling the memory while a slow one catches up. `join` waits until everything that was put is done.
//!
//! Run: `cargo run --example queues_as_channels`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! 3 workers, room for 2: 100 jobs in <n> µs
//! worker 0 did <n>, worker 1 did <n>, worker 2 did <n>
//! squares summed: 328350
//! the producer was never more than 2 ahead: true
//! ```

use std::cell::Cell;
use std::time::Instant;

use greenlet::sync::queue::Queue;
use greenlet::{scope, yield_now};

const WORKERS: usize = 3;
const ROOM: usize = 2;
const JOBS: u64 = 100;

fn main() {
    let jobs = Queue::bounded(ROOM);
    let squares = Queue::unbounded();
    let furthest = Cell::new(0);
    let done: [Cell<u32>; WORKERS] = Default::default();

    let begin = Instant::now();
    scope(|scope| {
        for done in &done {
            let (jobs, squares) = (&jobs, &squares);
            scope.spawn(move || work(jobs, squares, done));
        }
        for job in 0..JOBS {
            jobs.put(job).expect("it is open");
            furthest.set(furthest.get().max(jobs.len()));
        }
        jobs.join(); // all that was put is done
        jobs.close(); // the workers go home
    });
    let took = begin.elapsed();

    println!(
        "{WORKERS} workers, room for {ROOM}: {JOBS} jobs in {} µs",
        took.as_micros()
    );
    let each = done.iter().enumerate();
    let each: Vec<String> = each
        .map(|(n, done)| format!("worker {n} did {}", done.get()))
        .collect();
    println!("{}", each.join(", "));
    squares.close();
    println!("squares summed: {}", squares.iter().sum::<u64>());
    println!(
        "the producer was never more than {ROOM} ahead: {}",
        furthest.get() <= ROOM
    );
}

fn work(jobs: &Queue<u64>, squares: &Queue<u64>, done: &Cell<u32>) {
    for job in jobs.iter() {
        yield_now(); // as if it took a while
        squares.put(job * job).expect("it is open");
        done.set(done.get() + 1);
        jobs.task_done();
    }
}
