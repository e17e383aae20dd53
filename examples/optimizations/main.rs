//! Optimizations that are believed in, measured: iterators and indices, floats and exact decimals, memoising.
//!
//! A chain of iterators does not check bounds, and a loop over indices does, unless the compiler sees that it need
//! not: over one slice it does see that, over two it may not. A million times ten cents is not a hundred thousand in
//! floats; in whole cents it is, exactly, and faster. Decimals of any scale are as exact and take longer.
//! Memoising pays where the same is asked again, and costs where it is not.
//!
//! Run: `cargo run --release --example optimizations`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! way                         answer             each
//! squares, indices            333333833333500000  <n>
//! squares, iterators          333333833333500000  <n>
//! products, indices           333333833333500000  <n>
//! products, iterators         333333833333500000  <n>
//! ten cents, floats              100000.00000133  <n>
//! ten cents, whole cents               100000.00  <n>
//! ten cents, decimals                  100000.00  <n>
//! Collatz, plain                        10753840  <n>
//! Collatz, memoised                     10753840  <n>
//! squares, memoised           333333833333500000  <n>
//! ```

#[path = "../talk_parts/mod.rs"]
mod talk_parts;
mod ways;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use talk_parts::report::{self, Line, median, time};
use talk_parts::show;
use ways::COUNT;

/// Does it five times. The value is what each of so many steps takes.
fn measure(way: &str, steps: u64, f: impl Fn() -> String) -> Line {
    let mut answer = String::new();
    let once = |_| {
        let begin = Instant::now();
        answer = black_box(f());
        1e9 * begin.elapsed().as_secs_f64() / steps as f64
    };
    let value = median((0..5).map(once).collect());
    Line::new("optimizations", way, value, "ns").with("answer", answer)
}

fn lines() -> Vec<Line> {
    let numbers: Vec<u64> = black_box((1..=COUNT).collect());
    let (left, right) = (black_box(numbers.clone()), black_box(numbers.clone()));
    let text = |sum: u64| sum.to_string();
    vec![
        measure("squares, indices", COUNT, || {
            text(ways::squares_by_index(&numbers))
        }),
        measure("squares, iterators", COUNT, || {
            text(ways::squares(&numbers))
        }),
        measure("products, indices", COUNT, || {
            text(ways::products_by_index(&left, &right))
        }),
        measure("products, iterators", COUNT, || {
            text(ways::products(&left, &right))
        }),
        measure("ten cents, floats", COUNT, ways::in_floats),
        measure("ten cents, whole cents", COUNT, ways::in_cents),
        measure("ten cents, decimals", COUNT, ways::in_decimals),
        measure("Collatz, plain", ways::STARTS, || {
            text(ways::collatz_plain())
        }),
        measure("Collatz, memoised", ways::STARTS, || {
            text(ways::collatz_memoised())
        }),
        measure("squares, memoised", COUNT, || {
            text(ways::squares_memoised(&numbers))
        }),
    ]
}

fn row(line: &Line) -> Vec<String> {
    let each = time(line.number("value") / 1e9);
    vec![line.text("case").into(), line.text("answer").into(), each]
}

fn main() -> ExitCode {
    let (output, words) = (show::output(), ("Optimizations", "way,answer,each"));
    report::ended(
        "optimizations",
        show::results(&lines(), &output, words, row),
    )
}
