//! All figures of the explicit greenlets in one table: interleaved rounds, medians, ratios.
//!
//! `cargo bench --bench figures`. Each round measures every row once, so that a machine whose speed drifts
//! slows all rows of a round alike; a ratio is the median of the ratios within each round. The memory rows
//! run last, each in a process of its own.

mod measure;
mod rings;

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use greenlet::{Coroutine, Generator, Greenlet, current};
use measure::{ROUNDS, compare};
use rings::{Ring, Yardstick};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--million", stack] => memory::million(stack),
        ["--bare", stack] => memory::bare(stack),
        _ => table(),
    }
}

fn table() {
    println!(
        "backend {}, {ROUNDS} rounds, median ns and ratio",
        greenlet::BACKEND
    );
    for size in [2, 16, 100, 1000] {
        let (ring, mut yardstick) = (Ring::new(size), Yardstick::new(size));
        let row = format!("switch, ring of {size} / corosensei loop");
        compare(&row, 1_000_000, |n| ring.run(n), |n| yardstick.run(n));
    }
    for size in [2, 1000] {
        let mut pair = Yardstick::new(2);
        let row = format!("yield through the hub, {size} / corosensei pair");
        compare(&row, 1_000_000, |n| yields(size, n), |n| pair.run(n));
    }
    let mut pair = Yardstick::new(2);
    let row = "spawn + join / corosensei pair";
    compare(row, 300_000, spawns, |n| pair.run(n));
    let main = current::<u64>();
    let echo = Greenlet::new(move |mut n| {
        loop {
            n = main.switch(n + 1);
        }
    });
    let two_switches = |n| (0..n).fold(0, |sum, i| sum + echo.switch(i));
    let mut numbers = Generator::new(|y| (0..u64::MAX).for_each(|n| y.yield_(n)));
    let next = |n| numbers.by_ref().take(n as usize).sum();
    compare(
        "Generator::next / two switches",
        1_000_000,
        next,
        two_switches,
    );
    let mut doubler = Coroutine::new(|y, mut n: u64| {
        loop {
            n = y.yield_(2 * n);
        }
    });
    let send = |n| (0..n).map(|i| doubler.send(i)).sum();
    compare(
        "Coroutine::send / two switches",
        1_000_000,
        send,
        two_switches,
    );
    let create = |n| {
        (0..n).fold(0, |sum, i| {
            sum + Greenlet::new(move |j: u64| i + j).switch(1)
        })
    };
    compare(
        "create + switch in + finish / two switches",
        300_000,
        create,
        two_switches,
    );
    let ask = |n| {
        (0..n)
            .filter(|_| black_box(current::<u64>()).is_dead())
            .count() as u64
    };
    compare("current / two switches", 3_000_000, ask, two_switches);
    memory::table();
}

/// So many yields, altogether, of so many greenlets.
fn yields(greenlets: u64, count: u64) -> u64 {
    let give_way = move || (0..count / greenlets).for_each(|_| greenlet::yield_now());
    let all: Vec<_> = (0..greenlets).map(|_| greenlet::spawn(give_way)).collect();
    all.into_iter()
        .for_each(|one| one.join().expect("no panic"));
    count
}

/// So many greenlets, one after the other.
fn spawns(count: u64) -> u64 {
    (0..count)
        .map(|n| greenlet::spawn(move || n).join().expect("no panic"))
        .sum()
}

/// A million suspended greenlets, each with its guard.
mod memory {
    use super::*;

    const COUNT: usize = 1_000_000;
    const ROUNDS: usize = 3;

    /// Each measurement is a process of its own: what the kernel has for a process depends on what that
    /// process had before.
    pub(crate) fn table() {
        if !cfg!(target_os = "linux") {
            return println!("memory: not measured on this system");
        }
        for stack in ["65536", "262144"] {
            let mut rounds: Vec<[f64; 4]> = (0..ROUNDS)
                .map(|_| {
                    let [bare, _] = in_a_process("--bare", stack);
                    let [ours, each] = in_a_process("--million", stack);
                    [bare, ours, ours / bare, each]
                })
                .collect();
            let mut median = |column: usize| {
                rounds.sort_by(|a, b| a[column].total_cmp(&b[column]));
                rounds[ROUNDS / 2][column]
            };
            println!(
                "1,000,000 suspended, stacks of {stack:>6} B: {:.2} KiB each (RSS + page tables), {:.2} s / bare loop {:.2} s   ratio {:.2}",
                median(3),
                median(1),
                median(0),
                median(2)
            );
        }
    }

    fn in_a_process(what: &str, stack: &str) -> [f64; 2] {
        let program = std::env::current_exe().expect("a path");
        let output = Command::new(program)
            .args([what, stack])
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{what} {stack}: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("text");
        let mut numbers = text
            .split_whitespace()
            .map(|number| number.parse().expect("a number"));
        std::array::from_fn(|_| numbers.next().expect("two numbers"))
    }

    /// Makes them, and prints the seconds that took and the KiB that each has.
    pub(crate) fn million(stack: &str) {
        let size: usize = stack.parse().expect("a number of bytes");
        let before = resident();
        let begin = Instant::now();
        let main = current::<u64>();
        let all: Vec<Greenlet<u64>> = (0..COUNT)
            .map(|_| {
                let main = main.clone();
                let one = Greenlet::builder()
                    .stack_size(size)
                    .build(move |n| main.switch(n));
                one.switch(1);
                one
            })
            .collect();
        let took = begin.elapsed().as_secs_f64();
        let each = (resident() - before) as f64 / COUNT as f64;
        println!("{took} {}", each / 1024.0);
        // They are not unwound: this process ends here.
        std::mem::forget(all);
        std::process::exit(0);
    }

    /// The same for stacks with nothing on them.
    pub(crate) fn bare(stack: &str) {
        println!("{} 0", bare_loop(stack.parse().expect("a number of bytes")));
    }

    /// Seconds to reserve, guard and touch a million stacks of this size, with nothing on them.
    fn bare_loop(size: usize) -> f64 {
        const GUARD: usize = 64 * 1024;
        const MADV_GUARD_INSTALL: i32 = 102;
        let slot = size + GUARD;
        // SAFETY: a mapping of our own, in a process made for it.
        unsafe {
            let begin = Instant::now();
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let start = libc::mmap(std::ptr::null_mut(), COUNT * slot, access, flags, -1, 0);
            assert_ne!(start, libc::MAP_FAILED);
            libc::madvise(start, COUNT * slot, libc::MADV_NOHUGEPAGE);
            for index in 0..COUNT {
                let bottom = start.cast::<u8>().add(index * slot);
                libc::madvise(bottom.cast(), GUARD, MADV_GUARD_INSTALL);
                bottom.add(slot - 64).write(1);
            }
            begin.elapsed().as_secs_f64()
        }
    }

    /// Resident memory and page tables of this process, in bytes.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
        let line = |name: &str| {
            let line = status
                .lines()
                .find(|line| line.starts_with(name))
                .expect("a line");
            line.split_whitespace()
                .nth(1)
                .and_then(|kib| kib.parse().ok())
                .unwrap_or(0)
        };
        1024 * (line("VmRSS:") + line("VmPTE:"))
    }
}
