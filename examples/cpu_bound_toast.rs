//! Toast: one greenlet that computes keeps all others of its thread from running. Who is it, and what helps?
//!
//! A waiter should look at its table every 2 ms, and a toaster computes for 60 ms without ever waiting. On one thread
//! the waiter is late by all of that: nothing is preempted. The monitor names the greenlet that keeps the thread while
//! it does. Cures: give the computing to a worker thread (`offload`), put waiter and toaster on different cores
//! (`per_core`), or let the toaster give way now and then (`yield_now`).
//!
//! Run: `cargo run --release --example cpu_bound_toast`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! alone:     the waiter was late by <n> ms at most
//! one hog:   the waiter was late by <n> ms at most
//! the monitor names: toaster
//! offload:   the waiter was late by <n> ms at most
//! per_core:  the waiter was late by <n> ms at most
//! yield_now: the waiter was late by <n> ms at most
//! ```

use std::hint::black_box;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use greenlet::sync::remote::Event;
use greenlet::thread::Builder;
use greenlet::time::interval;
use greenlet::{monitor, offload, per_core, yield_now};

const TICK: Duration = Duration::from_millis(2);
const TOAST: Duration = Duration::from_millis(60);

fn main() -> io::Result<()> {
    show("alone:    ", wait_while(|| greenlet::sleep(TOAST))?);
    let names = Arc::new(Mutex::new(Vec::new()));
    let watch = monitor::watch_with(Duration::from_millis(20), {
        let names = Arc::clone(&names);
        move |hog| {
            names
                .lock()
                .expect("no panic")
                .extend(hog.greenlet().name().map(String::from))
        }
    });
    // Not every build can see what other threads do.
    let watch = watch.map_err(|error| eprintln!("no monitor: {error}"));
    show("one hog:  ", wait_while(toast)?);
    drop(watch);
    println!(
        "the monitor names: {}",
        names.lock().expect("no panic").join(", ")
    );
    show("offload:  ", wait_while(|| offload(toast))?);
    show("per_core: ", on_cores()?);
    show("yield_now:", wait_while(toast_in_slices)?);
    Ok(())
}

fn show(how: &str, late: Duration) {
    println!(
        "{how} the waiter was late by {:.1} ms at most",
        late.as_secs_f64() * 1e3
    );
}

/// Computes without ever waiting.
fn toast() {
    let begin = Instant::now();
    while begin.elapsed() < TOAST {
        black_box((0..1000_u64).fold(0, |sum, n| sum ^ (n * n)));
    }
}

/// The same work, giving way every millisecond.
fn toast_in_slices() {
    let (mut left, slice) = (TOAST, Duration::from_millis(1));
    while !left.is_zero() {
        let begin = Instant::now();
        while begin.elapsed() < slice {
            black_box((0..1000_u64).fold(0, |sum, n| sum ^ (n * n)));
        }
        left -= slice;
        yield_now();
    }
}

/// How late the waiter was at most, while a toaster was at work on the same thread.
fn wait_while(work: impl FnOnce() + 'static) -> io::Result<Duration> {
    let toaster = Builder::new().name("toaster".into()).spawn(work)?;
    let late = look_until(|| toaster.is_finished());
    toaster.join().expect("no panic");
    Ok(late)
}

/// Looks at the table at every tick, until it is over.
fn look_until(is_over: impl Fn() -> bool) -> Duration {
    let mut ticks = interval(TICK);
    let (mut due, mut latest) = (Instant::now() + TICK, Duration::ZERO);
    while !is_over() {
        let missed = ticks.tick();
        latest = latest.max(due.elapsed());
        due += TICK * (missed as u32 + 1);
    }
    latest
}

/// A toaster on one core, and a waiter on another.
fn on_cores() -> io::Result<Duration> {
    static DONE: Event = Event::new();
    let latest = per_core(2, |core| match core {
        0 => {
            toast();
            DONE.set();
            Duration::ZERO
        }
        _ => look_until(|| DONE.is_set()),
    })?;
    Ok(latest.into_iter().max().unwrap_or_default())
}
