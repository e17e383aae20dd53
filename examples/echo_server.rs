//! An echo server: one greenlet for each connection, straight blocking code, one thread.
//!
//! Run: `cargo run --release --example echo_server -- --listen 127.0.0.1:7777`, and talk to it with
//! `nc 127.0.0.1 7777` or with the example `echo_client`.
//!
//! Prints `listening on ADDR:PORT` when it is ready. Port 0 takes any that is free.

use std::io::{self, Read, Write};
use std::time::Duration;

use clap::Parser;
use greenlet::net::{TcpListener, TcpStream};

/// Sends back what it receives.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:7777")]
    listen: String,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen.as_str())?;
    println!("listening on {}", listener.local_addr()?);
    serve(&listener)
}

/// Takes connections for ever. One that cannot be taken (no descriptors, say) is tried again a little later.
fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                greenlet::spawn(move || echo(stream));
            }
            Err(error) => {
                eprintln!("accept: {error}");
                greenlet::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Until the other side closes, or an error ends the connection.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}
