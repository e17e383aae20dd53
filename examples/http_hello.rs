//! An HTTP/1.1 server that says hello: keep-alive, pipelining, one greenlet for each connection.
//!
//! Requests are parsed by `httparse`. All that have arrived are answered before anything is sent, with one
//! write: a client that sends twenty requests in one packet gets twenty answers in one.
//!
//! Run: `cargo run --release --example http_hello -- --listen 127.0.0.1:8080`, then
//! `curl http://127.0.0.1:8080/` or `wrk -t1 -c64 http://127.0.0.1:8080/`.
//!
//! Prints `listening on ADDR:PORT` when it is ready. Port 0 takes any that is free.

mod listen;

use std::io::{self, Read, Write};
use std::time::Duration;

use clap::Parser;
use greenlet::net::{TcpListener, TcpStream};

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/// The longest head of a request, in bytes.
const LONGEST: usize = 8192;

/// Says hello over HTTP.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 for any.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let listener = listen::or_exit(&arguments.listen, TcpListener::bind(&arguments.listen));
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                greenlet::spawn(move || converse(stream));
            }
            Err(error) => {
                eprintln!("accept: {error}");
                greenlet::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// What the bytes at hand begin with.
enum Head {
    /// A request of so many bytes, its answer, and whether others may follow.
    Request(usize, &'static [u8], bool),
    Partial,
    Bad,
}

/// Answers requests until the other side has enough.
fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; LONGEST];
    let mut answers = Vec::with_capacity(HELLO.len());
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let (mut begin, mut open) = (0, true);
        while open && begin < filled {
            match head(&buffer[begin..filled]) {
                Head::Request(length, answer, keep_alive) => {
                    answers.extend_from_slice(answer);
                    (begin, open) = (begin + length, keep_alive);
                }
                Head::Partial if filled - begin < LONGEST => break,
                Head::Partial | Head::Bad => {
                    answers.extend_from_slice(BAD);
                    open = false;
                }
            }
        }
        stream.write_all(&answers)?;
        if !open {
            return Ok(());
        }
        answers.clear();
        buffer.copy_within(begin..filled, 0);
        filled -= begin;
    }
}

fn head(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Bad,
    };
    let mut keep_alive = request.version == Some(1);
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("connection") {
            keep_alive = !header.value.eq_ignore_ascii_case(b"close");
        }
        // A body would have to be read: this server takes none.
        let has_body = header.name.eq_ignore_ascii_case("content-length") && header.value != b"0";
        if has_body || header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Head::Bad;
        }
    }
    let answer = match request.method {
        Some("HEAD") => &HELLO[..HELLO.len() - "Hello, World!".len()],
        _ => HELLO,
    };
    Head::Request(length, answer, keep_alive)
}
