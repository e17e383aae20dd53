//! The same answer in several ways.

use std::collections::HashMap;
use std::hint::black_box;

pub(crate) const COUNT: u64 = 1_000_000;
/// From so many numbers it is counted how far it is to one.
pub(crate) const STARTS: u64 = 100_000;

#[expect(clippy::needless_range_loop)] // that is what is measured
pub(crate) fn squares_by_index(numbers: &[u64]) -> u64 {
    let mut sum = 0;
    for at in 0..numbers.len() {
        sum += numbers[at] * numbers[at];
    }
    sum
}

pub(crate) fn squares(numbers: &[u64]) -> u64 {
    numbers.iter().map(|number| number * number).sum()
}

pub(crate) fn products_by_index(left: &[u64], right: &[u64]) -> u64 {
    let mut sum = 0;
    for at in 0..left.len() {
        sum += left[at] * right[at];
    }
    sum
}

pub(crate) fn products(left: &[u64], right: &[u64]) -> u64 {
    let pairs = left.iter().zip(right);
    pairs.map(|(left, right)| left * right).sum()
}

/// Each is asked for once, so looking it up and keeping it is all for nothing.
pub(crate) fn squares_memoised(numbers: &[u64]) -> u64 {
    let mut memo = HashMap::new();
    let square = |&number: &u64| *memo.entry(number).or_insert_with(|| number * number);
    numbers.iter().map(square).sum()
}

pub(crate) fn in_floats() -> String {
    let ten_cents = black_box(0.1);
    let sum = (0..COUNT).fold(0.0, |sum: f64, _| sum + ten_cents);
    format!("{sum:.8}")
}

pub(crate) fn in_cents() -> String {
    let sum = (0..COUNT).fold(0_i64, |sum, _| sum + black_box(10));
    format!("{}.{:02}", sum / 100, sum % 100)
}

/// An exact number: `digits` with the point before the last `scale` of them.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    fn plus(self, other: Decimal) -> Decimal {
        let scale = self.scale.max(other.scale);
        let at = |number: Decimal| number.digits * 10_i128.pow(scale - number.scale);
        let digits = at(self) + at(other);
        Decimal { digits, scale }
    }
}

/// Ten cents as 0.1 and as 0.10, in turn.
pub(crate) fn in_decimals() -> String {
    let decimal = |digits, scale| Decimal { digits, scale };
    let ten_cents = [black_box(decimal(1, 1)), black_box(decimal(10, 2))];
    let sum = (0..COUNT).fold(decimal(0, 0), |sum, n| sum.plus(ten_cents[n as usize % 2]));
    format!("{}.{:02}", sum.digits / 100, sum.digits % 100)
}

/// The next one on the way to one: the half, or three times and one more.
fn next(n: u64) -> u64 {
    match n % 2 {
        0 => n / 2,
        _ => 3 * n + 1,
    }
}

pub(crate) fn collatz_plain() -> u64 {
    let way = |start| std::iter::successors(Some(start), |&n| (n != 1).then(|| next(n)));
    (1..=STARTS)
        .map(|start| way(start).count() as u64 - 1)
        .sum()
}

/// Each way is followed until it comes to a smaller number, from which it is known.
pub(crate) fn collatz_memoised() -> u64 {
    let mut memo = vec![0_u64; STARTS as usize + 1];
    for start in 2..=STARTS {
        let (mut n, mut steps) = (start, 0);
        while n >= start {
            (n, steps) = (next(n), steps + 1);
        }
        memo[start as usize] = steps + memo[n as usize];
    }
    memo.iter().sum()
}
