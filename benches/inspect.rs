//! What does a look at a hundred thousand greenlets cost? Without frames, with frames, with their names.
//!
//! `cargo bench --bench inspect`
#![allow(missing_docs, reason = "nothing is public")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use greenlet::inspect::{self, Dump, Options};
use greenlet::{JoinHandle, monitor, spawn, thread, yield_now};

const CROWD: usize = 100_000;
const ROUNDS: usize = 5;

fn main() {
    let crowd: Vec<JoinHandle<()>> = (0..CROWD).map(|_| spawn(parks)).collect();
    yield_now();
    let plain = Options::new().frames(false).stacks(false);
    let dump = |options| move || drop(black_box(inspect::dump_with(options)));
    measure("what is known anyway", dump(plain));
    measure("and how deep each stack was used", dump(plain.stacks(true)));
    measure("and frames", dump(plain.frames(true)));
    let with_frames = inspect::dump_with(plain.frames(true));
    assert_eq!(with_frames.greenlets().len(), CROWD + 1);
    measure("printed, with names (the first time looks them up)", || {
        print(&with_frames)
    });
    measure("as JSON, with names", || {
        drop(black_box(with_frames.to_json()))
    });
    measure("cycles", || drop(black_box(with_frames.cycles())));
    from_another_thread(plain);
    crowd.iter().for_each(|member| _ = member.start_kill());
    crowd.iter().for_each(JoinHandle::wait);
    watched();
}

fn parks() {
    thread::park();
}

fn print(dump: &Dump) {
    drop(black_box(dump.to_string()));
}

fn from_another_thread(options: Options) {
    let ends = std::thread::spawn(move || {
        measure("from another thread, with frames", || {
            drop(black_box(inspect::dump_all_with(options.frames(true))));
        });
    });
    while !ends.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Turns with a watch and without: interleaved, the fastest of each.
fn watched() {
    let other = spawn(|| {
        loop {
            yield_now();
        }
    });
    let turns = || {
        let begin = Instant::now();
        (0..2_000_000).for_each(|_| yield_now());
        begin.elapsed().as_nanos() as f64 / 2e6
    };
    let mut fastest = [f64::MAX; 2];
    for _ in 0..15 {
        fastest[0] = fastest[0].min(turns());
        let watch = monitor::watch(Duration::from_millis(10)).expect("a thread");
        fastest[1] = fastest[1].min(turns());
        drop(watch);
    }
    println!(
        "a round of two: {:.2} ns; with a watch of 10 ms: {:.2} ns",
        fastest[0], fastest[1]
    );
    other.kill();
}

/// The first time, and the median of the others.
fn measure(what: &str, mut f: impl FnMut()) {
    let mut times: Vec<Duration> = (0..=ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            f();
            begin.elapsed()
        })
        .collect();
    let first = times.remove(0);
    times.sort();
    println!("{what:52} {:9.2?}, then {:9.2?}", first, times[ROUNDS / 2]);
}
