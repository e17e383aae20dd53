//! One lock around everything, or one for each account? What a coarse lock costs when its holder waits.
//!
//! Greenlets of one thread do not run at the same time, so a lock is needed only around work that *waits* half-way,
//! here for a millisecond as if a database answered. With one lock for all, every transfer waits for every other; with
//! a lock for each account only those wait that touch the same ones. Two locks are taken in one order, the lower
//! account first: in the order of the transfer they would wait for each other in a ring.
//!
//! Run: `cargo run --example coarse_lock`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! 64 transfers between 32 accounts, each waits 1 ms with what it has locked
//! one coarse lock:      <n> ms, money is conserved: true
//! a lock each, ordered: <n> ms, money is conserved: true
//! the coarse one is slower by a factor of <n>
//! ```

use std::time::{Duration, Instant};

use greenlet::sync::Mutex;
use greenlet::{scope, sleep};

const ACCOUNTS: usize = 32;
const TRANSFERS: usize = 64;
const DATABASE: Duration = Duration::from_millis(1);

fn main() {
    println!(
        "{TRANSFERS} transfers between {ACCOUNTS} accounts, each waits {} ms with what it has locked",
        DATABASE.as_millis()
    );
    let coarse = {
        let accounts = Mutex::new(vec![100_i64; ACCOUNTS]);
        let took = transfers(|from, to| {
            let mut accounts = accounts.lock().expect("no panic");
            sleep(DATABASE);
            accounts[from] -= 1;
            accounts[to] += 1;
        });
        let total: i64 = accounts.into_inner().expect("no panic").iter().sum();
        show("one coarse lock:     ", took, total)
    };
    let fine = {
        let accounts: Vec<Mutex<i64>> = (0..ACCOUNTS).map(|_| Mutex::new(100)).collect();
        let took = transfers(|from, to| {
            let low = accounts[from.min(to)].lock().expect("no panic");
            let high = accounts[from.max(to)].lock().expect("no panic");
            sleep(DATABASE);
            let (mut source, mut target) = if from < to { (low, high) } else { (high, low) };
            *source -= 1;
            *target += 1;
        });
        let total = accounts
            .iter()
            .map(|account| *account.lock().expect("no panic"))
            .sum();
        show("a lock each, ordered:", took, total)
    };
    println!(
        "the coarse one is slower by a factor of {:.0}",
        coarse / fine
    );
}

/// Makes all transfers at once, each in a greenlet of its own.
fn transfers(transfer: impl Fn(usize, usize)) -> Duration {
    let begin = Instant::now();
    scope(|scope| {
        for number in 0..TRANSFERS {
            let (from, to) = (number % ACCOUNTS, (number * 7 + 3) % ACCOUNTS);
            let transfer = &transfer;
            if from != to {
                scope.spawn(move || transfer(from, to));
            }
        }
    });
    begin.elapsed()
}

fn show(what: &str, took: Duration, total: i64) -> f64 {
    let millis = took.as_secs_f64() * 1000.0;
    let conserved = total == 100 * ACCOUNTS as i64;
    println!("{what} {millis:.1} ms, money is conserved: {conserved}");
    millis
}
