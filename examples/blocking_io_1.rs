//! Blocking I/O: a console loop on raw descriptors, four bytes a read.
//!
//! Each `read` blocks the thread until there is something. That is simple, and nothing else can happen meanwhile.
//! How long it took and how often it read is said on standard error.
//!
//! Run: `cargo run --release --example blocking_io_1`, and say `quit`.
//!
//! Input:
//! ```text
//! hello
//! a second line, which is longer than four bytes
//! quit
//! never read
//! ```
//!
//! Expected output:
//! ```text
//! -> You said, 'hello'
//! -> You said, 'a second line, which is longer than four bytes'
//! -> He's dead, Jim!
//! ```

#[path = "talk_parts/console.rs"]
mod console;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use console::Console;

fn main() -> ExitCode {
    console::say("blocking_io_1", converse())
}

fn converse() -> io::Result<String> {
    let begin = Instant::now();
    let mut console = Console::open()?;
    let (mut four, mut calls) = ([0; 4], 0);
    loop {
        calls += 1;
        let count = match console::read(0, &mut four) {
            Err(error) if console::again(&error) => continue, // a signal came
            outcome => outcome?,
        };
        if !console.hear(&four[..count])? {
            return Ok(format!("{calls} reads, {:?}", begin.elapsed()));
        }
    }
}
