//! Interleaved rounds of two programs: medians, and the median of the ratios within each round, which a machine
//! whose speed drifts does not change. A word on the command line chooses the rows that have it.

use std::hint::black_box;
use std::time::Instant;

pub(crate) const ROUNDS: usize = 15;

/// Measures two programs in turn and prints the medians and the median ratio.
pub(crate) fn compare(
    what: &str,
    count: u64,
    mut ours: impl FnMut(u64) -> u64,
    mut other: impl FnMut(u64) -> u64,
) {
    if !is_wanted(what) {
        return;
    }
    let mut rounds: Vec<[f64; 3]> = (0..ROUNDS)
        .map(|_| {
            let (a, b) = (timed(count, &mut ours), timed(count, &mut other));
            [a, b, a / b]
        })
        .collect();
    let mut median = |column: usize| {
        rounds.sort_by(|a, b| a[column].total_cmp(&b[column]));
        rounds[ROUNDS / 2][column]
    };
    println!(
        "{what:46} {:7.2} / {:7.2}   ratio {:.2}",
        median(0),
        median(1),
        median(2)
    );
}

fn timed(count: u64, program: &mut impl FnMut(u64) -> u64) -> f64 {
    let begin = Instant::now();
    black_box(program(count));
    begin.elapsed().as_nanos() as f64 / count as f64
}

fn is_wanted(what: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    words.all(|word| what.contains(&word))
}
