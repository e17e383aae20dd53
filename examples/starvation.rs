//! Who starves? A writer that waits until nobody reads, while readers come and go.
//!
//! The naive lock lets a reader in whenever others read. With four readers that overlap there is always one, and
//! the writer never gets its turn. In ours a writer that waits closes the door behind those who are in: readers and
//! writers take turns, and the wait is as long as one reading. The hub itself is first in, first out, and looks at
//! timers and sockets at least every millisecond, so a crowd that only yields starves nobody either.
//!
//! Run: `cargo run --example starvation`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! readers first: the writer got in after 400 readings, when there were no more
//! taking turns:  the writer got in after <n> readings
//! a sleeper among 100 that yield all the time: asked for 2 ms, slept <n> ms
//! ```

use std::cell::Cell;
use std::time::{Duration, Instant};

use greenlet::sync::{Event, RwLock};
use greenlet::{scope, sleep, spawn, yield_now};

const READERS: u32 = 4;
const EACH: u32 = 100;

fn main() {
    let naive = Naive::default();
    let after = readings_before(|| naive.read(work), || naive.write());
    println!("readers first: the writer got in after {after} readings, when there were no more");

    let fair = RwLock::new(());
    let after = readings_before(
        || {
            let _reading = fair.read().expect("no panic");
            work();
        },
        || drop(fair.write().expect("no panic")),
    );
    println!("taking turns:  the writer got in after {after} readings");

    let yielders: Vec<_> = (0..100)
        .map(|_| {
            spawn(|| {
                loop {
                    yield_now()
                }
            })
        })
        .collect();
    let begin = Instant::now();
    sleep(Duration::from_millis(2));
    let slept = begin.elapsed().as_secs_f64() * 1000.0;
    println!("a sleeper among 100 that yield all the time: asked for 2 ms, slept {slept:.1} ms");
    yielders.iter().for_each(|yielder| _ = yielder.start_kill());
}

fn work() {
    (0..3).for_each(|_| yield_now());
}

/// How often something was read before the one writer got in.
fn readings_before(read: impl Fn(), write: impl Fn()) -> u32 {
    let (readings, before) = (Cell::new(0), Cell::new(0));
    scope(|scope| {
        for reader in 0..READERS {
            let (read, readings) = (&read, &readings);
            scope.spawn(move || {
                (0..reader).for_each(|_| yield_now()); // so that they overlap
                for _ in 0..EACH {
                    read();
                    readings.set(readings.get() + 1);
                }
            });
        }
        scope.spawn(|| {
            yield_now();
            write();
            before.set(readings.get());
        });
    });
    before.get()
}

/// A lock that lets readers in whenever others read.
#[derive(Default)]
struct Naive {
    readers: Cell<u32>,
    free: Event,
}

impl Naive {
    fn read(&self, f: impl Fn()) {
        self.readers.set(self.readers.get() + 1);
        f();
        self.readers.set(self.readers.get() - 1);
        if self.readers.get() == 0 {
            self.free.set();
            self.free.clear();
        }
    }

    fn write(&self) {
        while self.readers.get() > 0 {
            self.free.wait();
        }
    }
}
