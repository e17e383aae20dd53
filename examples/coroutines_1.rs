//! Coroutines: functions that are sent values. `grep` is sent lines, and answers whether they match.
//!
//! A generator is asked for values; a coroutine is sent them. There is nothing to prime: the first line sent
//! is an argument of the body.
//!
//! Run: `cargo run --release --example coroutines_1`. How long it took goes to standard error.
//!
//! Expected output:
//! ```text
//! Looking for python
//! python generators rock!
//! sent 4 lines, 1 matched
//! Going away. Goodbye
//! average: 10, 15, 20
//! ```

use std::time::Instant;

use greenlet::Coroutine;

/// Says goodbye however its owner ends: at a close in the middle of a `yield_`, too.
struct Goodbye;

impl Drop for Goodbye {
    fn drop(&mut self) {
        println!("Going away. Goodbye");
    }
}

fn grep(pattern: &'static str) -> Coroutine<&'static str, bool> {
    Coroutine::new(move |y, first| {
        println!("Looking for {pattern}");
        let _goodbye = Goodbye;
        let mut line: &str = first;
        loop {
            let found = line.contains(pattern);
            if found {
                println!("{line}");
            }
            line = y.yield_(found);
        }
    })
}

fn main() {
    let begin = Instant::now();
    let mut grep = grep("python");
    let lines = [
        "Yeah, but no, but yeah, but no",
        "A series of tubes",
        "python generators rock!",
        "and so do coroutines",
    ];
    let matched = lines.into_iter().filter(|line| grep.send(line)).count();
    println!("sent {} lines, {matched} matched", lines.len());
    grep.close();

    let mut average = Coroutine::new(|y, first: u32| {
        let (mut sum, mut count) = (first, 1);
        loop {
            sum += y.yield_(sum / count);
            count += 1;
        }
    });
    println!(
        "average: {}, {}, {}",
        average.send(10),
        average.send(20),
        average.send(30)
    );
    eprintln!("{:.2?}", begin.elapsed());
}
