//! The yardstick servers: system calls and nothing else.
//!
//! One thread, one `epoll`; a socket is added once, edge-triggered, for reading and writing and
//! hanging up, and stays until it is closed. What a read has brought is answered at once. Reading
//! goes on until there is nothing left (`EAGAIN`); or a read that brought less than it could is
//! taken for the last one, which saves a system call per request. That is safe only if the event
//! told of no hanging up: data and the end of a stream that arrive together are one event.

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::time::SystemTime;

use anyhow::Result;

use crate::net::epoll::{Epoll, checked, events};

/// When to stop reading.
#[derive(Clone, Copy, PartialEq)]
pub enum Reading {
    UntilEagain,
    UntilShort,
}

pub fn echo(reading: Reading) -> Result<()> {
    serve(reading, |_, input, output| {
        output.extend_from_slice(input);
        true
    })
}

/// `Hello, World!`, parsed by `httparse`, with a date that is made once a second.
pub fn http() -> Result<()> {
    let mut greeter = Greeter::default();
    serve(Reading::UntilEagain, move |fd, input, output| {
        greeter.answer(fd, input, output)
    })
}

const HANGING_UP: i32 = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;
const INTEREST: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;

/// Serves for ever. `answer` turns what a socket has read into what it writes; an empty input is
/// the end of the stream. If it returns false, the socket is closed.
fn serve(
    reading: Reading,
    mut answer: impl FnMut(RawFd, &[u8], &mut Vec<u8>) -> bool,
) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.add(
        listener.as_raw_fd(),
        libc::EPOLLIN,
        listener.as_raw_fd() as u64,
    )?;
    // A queue as long as the system allows.
    // SAFETY: the listener is open.
    checked(unsafe { libc::listen(listener.as_raw_fd(), i32::MAX) })?;
    println!("listening on {}", listener.local_addr()?);
    let (mut events, mut input, mut output) = (events(), [0; 4096], Vec::new());
    loop {
        epoll.wait(&mut events, -1)?;
        for event in &events {
            let fd = event.u64 as RawFd;
            if fd == listener.as_raw_fd() {
                accept(&epoll, fd)?;
                continue;
            }
            let hanging_up = event.events as i32 & HANGING_UP != 0;
            let short_is_last = reading == Reading::UntilShort && !hanging_up;
            if !attend(fd, short_is_last, &mut input, &mut output, &mut answer) {
                // SAFETY: the socket came from `accept`, and nobody uses it any more.
                unsafe { libc::close(fd) };
            }
        }
    }
}

fn accept(epoll: &Epoll, listener: RawFd) -> io::Result<()> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    loop {
        let nobody = std::ptr::null_mut();
        // SAFETY: the listener is open, and the peer's name is not asked for.
        match checked(unsafe { libc::accept4(listener, nobody, nobody.cast(), flags) }) {
            Ok(fd) => epoll.add(fd, INTEREST, fd as u64)?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Reads and answers what has arrived; false if the socket is of no more use.
fn attend(
    fd: RawFd,
    short_is_last: bool,
    input: &mut [u8],
    output: &mut Vec<u8>,
    answer: &mut impl FnMut(RawFd, &[u8], &mut Vec<u8>) -> bool,
) -> bool {
    loop {
        // SAFETY: the room is as long as it says.
        let count = unsafe { libc::recv(fd, input.as_mut_ptr().cast(), input.len(), 0) };
        if count < 0 {
            return io::Error::last_os_error().kind() == ErrorKind::WouldBlock;
        }
        let count = count as usize;
        output.clear();
        let goes_on = answer(fd, &input[..count], output);
        if !send(fd, output) || !goes_on || count == 0 {
            return false;
        }
        if short_is_last && count < input.len() {
            return true;
        }
    }
}

/// Sends all of `output`; false if that is not possible.
fn send(fd: RawFd, mut output: &[u8]) -> bool {
    while !output.is_empty() {
        // SAFETY: the bytes are there.
        let count =
            unsafe { libc::send(fd, output.as_ptr().cast(), output.len(), libc::MSG_NOSIGNAL) };
        match count {
            0.. => output = &output[count as usize..],
            _ if io::Error::last_os_error().kind() == ErrorKind::WouldBlock => await_room(fd),
            _ => return false,
        }
    }
    true
}

/// Waits until the socket takes more, and lets everybody else wait. No client here is so slow.
#[cold]
fn await_room(fd: RawFd) {
    let mut socket = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one valid descriptor to wait for.
    unsafe { libc::poll(&mut socket, 1, -1) };
}

/// A server of HTTP that says `Hello, World!`.
#[derive(Default)]
struct Greeter {
    /// The part of a request that each socket still waits to be completed, if any.
    beginnings: Vec<Vec<u8>>,
    second: u64,
    head: Vec<u8>,
}

impl Greeter {
    fn answer(&mut self, fd: RawFd, input: &[u8], output: &mut Vec<u8>) -> bool {
        let fd = fd as usize;
        if self.beginnings.len() <= fd {
            self.beginnings.resize(fd + 1, vec![]);
        }
        if input.is_empty() {
            self.beginnings[fd].clear();
            return false;
        }
        let mut beginning = std::mem::take(&mut self.beginnings[fd]);
        let mut rest = input;
        if !beginning.is_empty() {
            beginning.extend_from_slice(input);
            rest = &beginning;
        }
        while !rest.is_empty() {
            match request(rest) {
                Ok(0) => break,
                Ok(length) => rest = &rest[length..],
                Err(_) => return false,
            }
            self.greet(output);
        }
        if !rest.is_empty() {
            self.beginnings[fd] = rest.to_vec();
        }
        true
    }

    fn greet(&mut self, output: &mut Vec<u8>) {
        let now = SystemTime::now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let second = since.map_or(0, |time| time.as_secs());
        if second != self.second {
            self.second = second;
            self.head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nDate: {}\r\n\r\n",
                httpdate::fmt_http_date(now)
            )
            .into_bytes();
        }
        output.extend_from_slice(&self.head);
        output.extend_from_slice(b"Hello, World!");
    }
}

/// The length of the request without a body that `bytes` begin with, or zero if it is not complete.
fn request(bytes: &[u8]) -> Result<usize, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; 16];
    match httparse::Request::new(&mut headers).parse(bytes)? {
        httparse::Status::Complete(length) => Ok(length),
        httparse::Status::Partial => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

    #[test]
    fn requests_come_in_parts_and_in_bunches() {
        let mut greeter = Greeter::default();
        let mut answers = |input: &[u8]| {
            let mut output = vec![];
            assert!(greeter.answer(3, input, &mut output));
            String::from_utf8(output).unwrap().matches("Hello").count()
        };
        assert_eq!(answers(&REQUEST[..7]), 0);
        assert_eq!(answers(&REQUEST[7..]), 1);
        assert_eq!(answers(&[REQUEST, REQUEST, &REQUEST[..9]].concat()), 2);
        assert_eq!(answers(&REQUEST[9..]), 1);
    }
}
