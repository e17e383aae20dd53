//! What does a switch cost? Rings of 2, 16, 100 and 1000 greenlets, beside the yardstick.
//!
//! `cargo bench --bench switch`; the report is in `target/criterion/report/index.html`. For ratios of
//! interleaved rounds see `cargo bench --bench figures`.
#![allow(missing_docs, reason = "criterion_group makes a public function")]

mod rings;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rings::{Ring, Yardstick};

const HAND_OFFS: u64 = 100_000;

fn switch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("switch");
    group
        .throughput(Throughput::Elements(HAND_OFFS))
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1));
    for size in [2, 16, 100, 1000] {
        let ring = Ring::new(size);
        group.bench_function(BenchmarkId::new("greenlet", size), |b| {
            b.iter(|| ring.run(HAND_OFFS))
        });
        let mut yardstick = Yardstick::new(size);
        group.bench_function(BenchmarkId::new("corosensei loop", size), |b| {
            b.iter(|| yardstick.run(HAND_OFFS));
        });
    }
    group.finish();
}

criterion_group!(benches, switch);
criterion_main!(benches);
