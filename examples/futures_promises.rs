//! A future is what can be read, a promise is what can be written: two ends of one result.
//!
//! Whoever makes the promise keeps it when it can; whoever has the future waits when it needs it. In which order
//! promises are kept nobody guarantees: `as_completed` takes them as they come. A promise that is dropped is broken,
//! and the future says so.
//!
//! Run: `cargo run --example futures_promises`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! promised: slow, quick, medium
//! kept: quick, medium, slow
//! the longest took 300 ms, all together <n> ms
//! read twice: 42 and 42
//! a second promise of the same is refused with the value: Err(43)
//! a promise that nobody keeps: RecvError
//! ```

use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::group::as_completed;
use greenlet::sync::{AsyncResult, oneshot};
use greenlet::{sleep, spawn};

fn main() {
    let begin = Instant::now();
    let promised = [("slow", 300), ("quick", 100), ("medium", 200)];
    println!("promised: {}", promised.map(|(name, _)| name).join(", "));
    let futures = promised.map(|(name, millis)| {
        let (promise, future) = oneshot::channel();
        spawn(move || {
            sleep(Duration::from_millis(millis));
            promise.send(name)
        });
        spawn(move || future.recv().expect("a promise that is kept"))
    });
    let kept: Vec<&str> = as_completed(futures)
        .map(|(_, name)| name.expect("no panic"))
        .collect();
    println!("kept: {}", kept.join(", "));
    println!(
        "the longest took 300 ms, all together {} ms",
        begin.elapsed().as_millis()
    );

    let answer = Rc::new(AsyncResult::new());
    let promise = Rc::clone(&answer);
    spawn(move || promise.set(42));
    println!("read twice: {} and {}", answer.get(), answer.get());
    println!(
        "a second promise of the same is refused with the value: {:?}",
        answer.set(43)
    );

    let (promise, future) = oneshot::channel::<()>();
    drop(promise);
    println!(
        "a promise that nobody keeps: {:?}",
        future.recv().expect_err("it is broken")
    );
}
