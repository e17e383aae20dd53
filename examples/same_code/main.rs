//! The same code twice: `work.rs` is compiled once against `std` and once against `greenlet`.
//!
//! What differs is one name. Against std each client and each conversation is a thread of the system; against
//! greenlet all of them run in one thread. The times go to standard error: they are this machine's.
//!
//! Run: `cargo run --release --example same_code`
//!
//! Expected output:
//! ```text
//! std:      200 clients, the sum of all answers is 39800
//! greenlet: 200 clients, the sum of all answers is 39800
//! ```

use std::time::Duration;

mod with_std {
    use std as std_or_greenlet;
    include!("work.rs");
}

mod with_greenlet {
    use greenlet as std_or_greenlet;
    include!("work.rs");
}

fn main() -> std::io::Result<()> {
    let (clients, pause) = (200, Duration::from_millis(20));
    let (sum, took) = with_std::work(clients, pause)?;
    println!("std:      {clients} clients, the sum of all answers is {sum}");
    eprintln!("std:      {took:.1?}");
    let (sum, took) = with_greenlet::work(clients, pause)?;
    println!("greenlet: {clients} clients, the sum of all answers is {sum}");
    eprintln!("greenlet: {took:.1?}");
    Ok(())
}
