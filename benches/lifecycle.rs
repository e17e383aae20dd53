//! What does it cost to have a greenlet at all? Create, switch in, finish; `current`; a generator's `next`.
//!
//! `cargo bench --bench lifecycle`
#![allow(missing_docs, reason = "criterion_group makes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use greenlet::{Coroutine, Generator, Greenlet, current};
use std::hint::black_box;

fn lifecycle(criterion: &mut Criterion) {
    criterion.bench_function("create + switch in + finish", |b| {
        b.iter(|| Greenlet::new(|n: u64| n + 1).switch(black_box(1)));
    });
    criterion.bench_function("create + drop, never run", |b| {
        b.iter(|| Greenlet::new(|n: u64| n + 1));
    });
    criterion.bench_function("create + switch in + kill", |b| {
        let main = current::<u64>();
        b.iter(|| {
            let main = main.clone();
            let greenlet = Greenlet::new(move |n| main.switch(n));
            greenlet.switch(1);
            greenlet.kill()
        });
    });
    criterion.bench_function("current", |b| b.iter(current::<u64>));
}

fn conversations(criterion: &mut Criterion) {
    let main = current::<u64>();
    let echo = Greenlet::new(move |mut n| {
        loop {
            n = main.switch(n + 1);
        }
    });
    criterion.bench_function("two switches", |b| b.iter(|| echo.switch(black_box(1))));
    let mut numbers = Generator::new(|y| (0..u64::MAX).for_each(|n| y.yield_(n)));
    criterion.bench_function("Generator::next", |b| b.iter(|| numbers.next()));
    let mut doubler = Coroutine::new(|y, mut n: u64| {
        loop {
            n = y.yield_(2 * n);
        }
    });
    criterion.bench_function("Coroutine::send", |b| b.iter(|| doubler.send(black_box(1))));
}

criterion_group!(benches, lifecycle, conversations);
criterion_main!(benches);
