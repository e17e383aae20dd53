//! Non-blocking I/O: the console loop again, over `O_NONBLOCK`. A read that finds nothing says so at once.
//!
//! The thread is free to do something else between two reads, but when to read again nobody tells: this one asks
//! all the time. How many calls were wasted is said on standard error; the processor is busy while you think.
//!
//! Run: `cargo run --release --example non_blocking_io_1`, and say `quit`.
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
    console::say("non_blocking_io_1", converse())
}

fn converse() -> io::Result<String> {
    let begin = Instant::now();
    let _stdin = NonBlocking::new(0)?;
    let mut console = Console::open()?;
    let (mut four, mut calls, mut wasted) = ([0; 4], 0_u64, 0_u64);
    loop {
        calls += 1;
        match console::read(0, &mut four) {
            Ok(count) => {
                if !console.hear(&four[..count])? {
                    break;
                }
            }
            Err(error) if console::again(&error) => wasted += 1, // here is the time for something else
            Err(error) => return Err(error),
        }
    }
    Ok(format!(
        "{calls} reads, {wasted} of them wasted, {:?}",
        begin.elapsed()
    ))
}
