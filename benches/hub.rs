//! What does the hub cost? Yields, spawns, deadlines, a wait for a socket and for another thread.
//!
//! `cargo bench --bench hub`
#![allow(missing_docs, reason = "criterion_group makes a public function")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use greenlet::os::unix::net::UnixStream;
use greenlet::time::timeout;
use greenlet::{JoinHandle, offload, spawn, yield_now};

/// Greenlets that yield until they are killed.
struct Crowd(Vec<JoinHandle<()>>);

impl Crowd {
    fn of(size: usize) -> Crowd {
        let yielder = || {
            spawn(|| {
                loop {
                    yield_now();
                }
            })
        };
        Crowd((0..size).map(|_| yielder()).collect())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for member in &self.0 {
            member.start_kill();
        }
        self.0.iter().for_each(JoinHandle::wait);
    }
}

fn turns(criterion: &mut Criterion) {
    criterion.bench_function("yield, alone", |b| b.iter(yield_now));
    criterion.bench_function("yield, a round of 2", |b| {
        let _other = Crowd::of(1);
        b.iter(yield_now);
    });
    criterion.bench_function("yield, a round of 1000", |b| {
        let _others = Crowd::of(999);
        b.iter(yield_now);
    });
}

fn lives(criterion: &mut Criterion) {
    criterion.bench_function("spawn + join", |b| {
        b.iter(|| spawn(|| black_box(1)).join().expect("no panic"));
    });
    criterion.bench_function("spawn + kill before it runs", |b| {
        b.iter(|| {
            spawn(|| ()).start_kill();
            yield_now();
        });
    });
    criterion.bench_function("timeout around nothing", |b| {
        b.iter(|| timeout(Duration::from_secs(1), || black_box(1)));
    });
}

fn waits(criterion: &mut Criterion) {
    let (mut near, mut far) = UnixStream::pair().expect("a pair");
    let echo = spawn(move || {
        let mut byte = [0];
        while far
            .read_exact(&mut byte)
            .and_then(|()| far.write_all(&byte))
            .is_ok()
        {}
    });
    criterion.bench_function("a byte there and back over a socket pair", |b| {
        b.iter(|| {
            near.write_all(&[1]).expect("it reads");
            near.read_exact(&mut [0]).expect("it answers");
        });
    });
    echo.kill();
    criterion.bench_function("offload of nothing", |b| b.iter(|| offload(|| 1)));
}

criterion_group!(benches, turns, lives, waits);
criterion_main!(benches);
