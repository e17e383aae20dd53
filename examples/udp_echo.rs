//! Echo over UDP: every datagram goes back to where it came from.
//!
//! One socket, and one greenlet that answers. Without `--listen` the example talks to itself: a second greenlet
//! sends some words to the first, and waits for each to come back, but not for ever: datagrams get lost.
//!
//! Run: `cargo run --release --example udp_echo`, or as a server with `-- --listen 127.0.0.1:7779`; that prints
//! `listening on ADDR:PORT` when it is ready. Port 0 takes any that is free.
//!
//! Expected output:
//! ```text
//! "one" came back
//! "two" came back
//! "three" came back
//! ```

mod listen;

use std::io;
use std::time::Duration;

use clap::Parser;
use greenlet::net::{SocketAddr, UdpSocket};

/// Sends datagrams back.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 for any.
    #[arg(long)]
    listen: Option<String>,
}

fn main() -> io::Result<()> {
    if let Some(listen) = Arguments::parse().listen {
        let socket = listen::or_exit(&listen, UdpSocket::bind(&listen));
        println!("listening on {}", socket.local_addr()?);
        return echo(&socket);
    }
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let server = socket.local_addr()?;
    let echo = greenlet::spawn(move || echo(&socket));
    ask(server, &["one", "two", "three"])?;
    echo.kill();
    Ok(())
}

fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let (count, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..count], from)?;
    }
}

/// Sends each word until it comes back.
fn ask(server: SocketAddr, words: &[&str]) -> io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut buffer = [0; 64];
    for word in words {
        loop {
            socket.send(word.as_bytes())?;
            match socket.recv(&mut buffer) {
                Ok(count) => {
                    break println!("{:?} came back", String::from_utf8_lossy(&buffer[..count]));
                }
                // It may have been lost on the way: again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
