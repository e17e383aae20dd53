// This file is compiled twice: `std_or_greenlet` is `std` the one time and `greenlet` the other.

use std::io::{self, BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use std_or_greenlet::net::{TcpListener, TcpStream};
use std_or_greenlet::thread;

/// A server that takes its time, and clients that wait for it.
pub(crate) fn work(clients: u32, pause: Duration) -> io::Result<(u32, Duration)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || {
        let conversations: Vec<_> = listener
            .incoming()
            .take(clients as usize)
            .map(|stream| thread::spawn(move || double(stream?, pause)))
            .collect();
        conversations
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap())
    });
    let begin = Instant::now();
    let asking: Vec<_> = (0..clients)
        .map(|n| thread::spawn(move || ask(TcpStream::connect(address)?, n)))
        .collect();
    let sum = asking
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum::<io::Result<u32>>()?;
    server.join().unwrap()?;
    Ok((sum, begin.elapsed()))
}

fn double(mut stream: TcpStream, pause: Duration) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    thread::sleep(pause);
    let number: u32 = line.trim().parse().map_err(io::Error::other)?;
    writeln!(stream, "{}", number * 2)
}

fn ask(mut stream: TcpStream, number: u32) -> io::Result<u32> {
    writeln!(stream, "{number}")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    line.trim().parse().map_err(io::Error::other)
}
