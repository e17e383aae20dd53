//! Non-blocking I/O in a procedure: the console loop of `blocking_io_1` to the letter, over a `read` that asks
//! again and again.
//!
//! Whoever calls the procedure cannot tell it from one that blocks. So the loop is as simple as at first, and the
//! waste is hidden in one place: there something better can be put, a switch to somebody who has work to do.
//!
//! Run: `cargo run --release --example non_blocking_io_2`, and say `quit`.
//!
//! Input:
//! ```text
//! hello
//! a second line, which is longer than four bytes
//! quit
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
#[path = "talk_parts/nonblocking.rs"]
mod nonblocking;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use console::Console;
use nonblocking::NonBlocking;

fn main() -> ExitCode {
    console::say("non_blocking_io_2", converse())
}

fn converse() -> io::Result<String> {
    let begin = Instant::now();
    let mut stdin = Input {
        _mode: NonBlocking::new(0)?,
        calls: 0,
        wasted: 0,
    };
    let mut console = Console::open()?;
    let mut four = [0; 4];
    loop {
        let count = stdin.read(&mut four)?;
        if !console.hear(&four[..count])? {
            break;
        }
    }
    let Input { calls, wasted, .. } = stdin;
    let took = begin.elapsed();
    Ok(format!("{calls} reads, {wasted} of them wasted, {took:?}"))
}

struct Input {
    _mode: NonBlocking,
    calls: u64,
    wasted: u64,
}

impl Input {
    /// Returns when there is something, as a read that blocks does.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.calls += 1;
            match console::read(0, buffer) {
                Err(error) if console::again(&error) => self.wasted += 1,
                outcome => return outcome,
            }
        }
    }
}
