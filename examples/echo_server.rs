//! An echo server: one greenlet for each connection, straight blocking code, one thread for each core asked for.
//!
//! Run: `cargo run --release --example echo_server -- --listen 127.0.0.1:7777`, and talk to it with
//! `nc 127.0.0.1 7777` or with the example `echo_client`.
//!
//! With `--cores 4` four hubs listen on the same address, each with a socket of its own.
//!
//! Expected output, when it is ready (port 0 takes any that is free):
//! ```text
//! listening on 127.0.0.1:7777
//! ```

mod listen;

use std::io::{self, Read, Write};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use clap::Parser;
use greenlet::net::{TcpListener, TcpStream};

/// Sends back what it receives.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:7777")]
    listen: String,
    /// How many threads, each with a hub of its own; 0 for as many as there are cores.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=1024))]
    cores: u16,
}

fn main() -> io::Result<()> {
    let Arguments { listen, cores } = Arguments::parse();
    if cores == 1 {
        let listener = listen::or_exit(&listen, TcpListener::bind(&listen));
        println!("listening on {}", listener.local_addr()?);
        return serve(&listener);
    }
    // It takes the port, and then its place among the others: it must accept what comes to it.
    let first = listen::or_exit(&listen, TcpListener::bind_reuse_port(&listen));
    let address = first.local_addr()?;
    let first = Mutex::new(Some(std::net::TcpListener::from(first)));
    let ready = Barrier::new(cores_or_all(cores));
    let ended = greenlet::per_core(cores.into(), move |core| {
        let mine = first.lock().expect("nobody panics here").take();
        let listener = match mine {
            Some(first) => TcpListener::from(first),
            None => listen::or_exit(&listen, TcpListener::bind_reuse_port(address)),
        };
        ready.wait();
        if core == 0 {
            println!("listening on {address}");
        }
        serve(&listener)
    })?;
    ended.into_iter().collect()
}

fn cores_or_all(cores: u16) -> usize {
    match cores {
        0 => greenlet::thread::available_parallelism().map_or(1, |all| all.get()),
        cores => cores.into(),
    }
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
    // With the frames of the calls it fits one page: among thousands of connections that is one miss less for each request.
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}
