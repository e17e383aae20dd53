//! A TCP proxy: what comes in goes to another server, and what that says comes back.
//!
//! Two greenlets for each connection, one a direction. When one side has said its last word, that is passed
//! on, and the other direction goes on for as long as it likes.
//!
//! Run: `cargo run --release --example tcp_proxy -- --listen 127.0.0.1:7000 --to 127.0.0.1:7777`
//!
//! Prints `listening on ADDR:PORT` when it is ready. Port 0 takes any that is free.

mod listen;

use std::io::{self, copy};
use std::time::Duration;

use clap::Parser;
use greenlet::net::{Shutdown, TcpListener, TcpStream};

/// Passes connections on to another server.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:7000")]
    listen: String,
    /// Where to pass connections on to.
    #[arg(long, default_value = "127.0.0.1:7777")]
    to: String,
    /// How long the other server may take to answer a connection, in milliseconds.
    #[arg(long, default_value_t = 5000)]
    patience: u64,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let listener = listen::or_exit(&arguments.listen, TcpListener::bind(&arguments.listen));
    println!("listening on {}", listener.local_addr()?);
    let patience = Duration::from_millis(arguments.patience);
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) => {
                eprintln!("accept: {error}");
                greenlet::sleep(Duration::from_millis(10));
                continue;
            }
        };
        let to = arguments.to.clone();
        greenlet::spawn(move || {
            if let Err(error) = pass_on(&client, &to, patience) {
                eprintln!("{to}: {error}");
            }
        });
    }
}

/// Connects, and carries both directions until both have ended.
fn pass_on(client: &TcpStream, to: &str, patience: Duration) -> io::Result<()> {
    let server = greenlet::time::timeout(patience, || TcpStream::connect(to))??;
    greenlet::scope(|scope| {
        let back = scope.spawn(|| carry(&server, client));
        let there = carry(client, &server);
        back.join().expect("it does not panic").and(there)
    })
}

/// Carries one direction to its end, and says so on the other side.
fn carry(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let carried = copy(&mut from, &mut to);
    // The other side may be gone already.
    let _ = to.shutdown(Shutdown::Write);
    carried.map(drop)
}
