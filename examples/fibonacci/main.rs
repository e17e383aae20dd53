//! Fibonacci three ways, and the difference between memoising and caching.
//!
//! The plain function calls itself again and again with what it has answered before. *Memoising* keeps every answer:
//! each is worked out once, and memory grows with the questions. Here every greenlet has a memo of its own, which goes
//! when the greenlet does: it needs no lock, and nobody has to think of emptying it. *Caching* keeps some answers, and
//! throws out the one that was not asked for the longest (LRU): memory is bounded, and what was thrown out is worked
//! out anew. Three are enough here; with one, what is asked for next was always thrown out just now.
//!
//! Run: `cargo run --release --example fibonacci`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! way                                 answer   calls  kept  time
//! plain, fib(27)                      196418  635621     0   <n>
//! memoised, fib(27)                   196418      53    28   <n>
//! memoised, fib(90)      2880067194370816120     179    91   <n>
//! the same again         2880067194370816120       1    91   <n>
//! in another greenlet    2880067194370816120     179    91   <n>
//! cached in 1, fib(27)                196418  635621     1   <n>
//! cached in 2, fib(27)                196418   19125     2   <n>
//! cached in 3, fib(27)                196418      53     3   <n>
//! cached in 3, fib(90)   2880067194370816120     179     3   <n>
//! ```

mod cache;
#[path = "../talk_parts/mod.rs"]
mod talk_parts;
mod ways;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Instant;

use cache::Cache;
use talk_parts::report::{self, Line, time};
use talk_parts::show;
use ways::{CALLS, MEMO, cached, memoised, plain};

/// Runs `f` here. It returns the answer, and how many are kept.
fn measure(way: &str, f: impl FnOnce() -> (u64, usize)) -> Line {
    CALLS.with(|calls| calls.set(0));
    let begin = Instant::now();
    let (answer, kept) = f();
    let took = begin.elapsed().as_secs_f64();
    let line = Line::new("fibonacci", way, 1e6 * took, "µs");
    let line = line.with("answer", answer).with("kept", kept);
    line.with("calls", CALLS.with(Cell::get))
}

fn with_memo(way: &str, n: u64) -> Line {
    measure(way, || (memoised(n), MEMO.with(|memo| memo.borrow().len())))
}

fn with_cache(way: &str, n: u64, room: usize) -> Line {
    let mut cache = Cache::new(room);
    measure(way, || (cached(n, &mut cache), cache.kept()))
}

fn lines() -> Vec<Line> {
    let apart = |way, n| greenlet::spawn(move || with_memo(way, n)).join();
    let apart = |way, n| apart(way, n).expect("no panic");
    vec![
        measure("plain, fib(27)", || (plain(27), 0)),
        apart("memoised, fib(27)", 27),
        with_memo("memoised, fib(90)", 90),
        with_memo("the same again", 90),
        apart("in another greenlet", 90),
        with_cache("cached in 1, fib(27)", 27, 1),
        with_cache("cached in 2, fib(27)", 27, 2),
        with_cache("cached in 3, fib(27)", 27, 3),
        with_cache("cached in 3, fib(90)", 90, 3),
    ]
}

fn row(line: &Line) -> Vec<String> {
    let took = vec![time(line.number("value") / 1e6)];
    [line.cells(&["case", "answer", "calls", "kept"]), took].concat()
}

fn main() -> ExitCode {
    let (output, words) = (show::output(), ("Fibonacci", "way,answer,calls,kept,time"));
    report::ended("fibonacci", show::results(&lines(), &output, words, row))
}
