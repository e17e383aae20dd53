//! A web server that takes its time: each answer comes after a delay, however many ask at once.
//!
//! What `urlclient` and `futures_urlclient` ask. One greenlet for each connection sleeps and answers.
//!
//! Run: `cargo run --release --example slow_server -- --listen 127.0.0.1:8080 --delay 20`
//!
//! Expected output, when it is ready (port 0 takes any that is free):
//! ```text
//! listening on 127.0.0.1:8080
//! ```

mod listen;

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use clap::Parser;
use greenlet::net::{TcpListener, TcpStream};
use greenlet::time::sleep_until;
use greenlet::yield_now;

/// The longest head of a request, in bytes.
const LONGEST: usize = 4096;

/// Answers HTTP requests after a delay.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// How long an answer takes, in milliseconds.
    #[arg(long, default_value_t = 20)]
    delay: u64,
    /// Stay awake for so many milliseconds after each request, on a core of its own.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    awake: u64,
    /// End when standard input does: with the client that has started it.
    #[arg(long, hide = true)]
    until_stdin_ends: bool,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let [delay, awake] = [arguments.delay, arguments.awake].map(Duration::from_millis);
    let listener = listen::or_exit(&arguments.listen, TcpListener::bind(&arguments.listen));
    be_punctual();
    println!("listening on {}", listener.local_addr()?);
    if arguments.until_stdin_ends {
        greenlet::spawn(|| {
            let _ = io::copy(&mut greenlet::io::stdin(), &mut io::sink());
            std::process::exit(0)
        });
    }
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                greenlet::spawn(move || converse(stream, delay, awake));
            }
            Err(error) => {
                eprintln!("accept: {error}");
                greenlet::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// To save power the kernel may let a thread sleep 50 µs longer than it wanted. Here that would be a part of the delay.
fn be_punctual() {
    #[cfg(target_os = "linux")]
    // SAFETY: sets a number of this thread.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_usize);
    }
}

/// Sleeps until `delay` has passed. Not at once: whoever asks next would have to wake this thread. Between machines
/// nobody pays for that, on one machine the client does.
fn take_time(delay: Duration, awake: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < awake.min(delay) {
        yield_now();
    }
    sleep_until(begin + delay);
}

/// Answers one request after the other.
fn converse(mut stream: TcpStream, delay: Duration, awake: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; LONGEST];
    let mut filled = 0;
    loop {
        let end = buffer[..filled]
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            if filled == LONGEST {
                return stream.write_all(b"HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n");
            }
            match stream.read(&mut buffer[filled..])? {
                0 => return Ok(()),
                count => filled += count,
            }
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let path = head.split(' ').nth(1).unwrap_or("/");
        take_time(delay, awake);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
            path.len()
        );
        stream.write_all(answer.as_bytes())?;
        if head.contains("connection: close") {
            return Ok(());
        }
        buffer.copy_within(end + 4..filled, 0);
        filled -= end + 4;
    }
}
