//! The client of the echo servers: one thread, one `epoll`, one request in flight for each
//! connection.
//!
//! Every connection is opened with one request that is answered before the next connection is
//! opened. So no queue of a listener overflows, and a connection that stays idle afterwards is
//! known to have been accepted. Every answer is compared with its request, and no two requests of
//! a load are alike.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::epoll::{Epoll, Events, checked, events};

/// Bytes of a request, and of its answer.
const SIZE: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);

/// What the connections do.
#[derive(Clone, Copy)]
pub struct Shape {
    /// How many connections have a request in flight.
    pub active: usize,
    /// How many more are open and silent.
    pub idle: usize,
    /// Whether every request has a new connection, closed after the answer.
    pub churn: bool,
}

/// Connections to one server.
pub struct Load {
    epoll: Epoll,
    events: Events,
    caller: Caller,
    churn: bool,
    active: Vec<Connection>,
    _idle: Vec<Connection>,
    in_flight: usize,
}

impl Load {
    /// Opens all connections; no request is in flight yet.
    pub fn connect(address: SocketAddr, shape: Shape) -> Result<Load> {
        let mut caller = Caller::new(address);
        let mut open = |count| {
            (0..count)
                .map(|_| caller.open())
                .collect::<Result<Vec<_>>>()
        };
        let idle = open(shape.idle)?;
        let active = open(shape.active)?;
        let epoll = Epoll::new()?;
        for (index, connection) in active.iter().enumerate() {
            epoll.add(connection.stream.as_raw_fd(), libc::EPOLLIN, index as u64)?;
        }
        Ok(Load {
            epoll,
            events: events(),
            caller,
            churn: shape.churn,
            active,
            _idle: idle,
            in_flight: 0,
        })
    }

    /// Keeps a request in flight on every active connection for as long as `window`, and returns
    /// how many answers there were. The last requests are still in flight then.
    pub fn run(&mut self, window: Duration) -> Result<u64> {
        let end = Instant::now() + window;
        for index in 0..self.active.len() {
            if !self.active[index].waiting {
                self.ask(index)?;
            }
        }
        let mut answers = 0;
        while Instant::now() < end {
            answers += self.turn(true)?;
        }
        Ok(answers)
    }

    /// Waits for the answers that are still due, and returns how many there were.
    pub fn drain(&mut self) -> Result<u64> {
        let mut answers = 0;
        while self.in_flight > 0 {
            answers += self.turn(false)?;
        }
        Ok(answers)
    }

    /// Takes in what has arrived; `again` puts the next request on those connections.
    fn turn(&mut self, again: bool) -> Result<u64> {
        let mut answers = 0;
        let mut events = std::mem::take(&mut self.events);
        self.epoll.wait(&mut events, PATIENCE.as_millis() as i32)?;
        ensure!(!events.is_empty(), "no answer within {PATIENCE:?}");
        for event in &events {
            let index = event.u64 as usize;
            if self.active[index].take_in()? {
                self.in_flight -= 1;
                answers += 1;
                if again {
                    self.ask(index)?;
                }
            }
        }
        self.events = events;
        Ok(answers)
    }

    /// Sends the next request, over a new connection if every request has one.
    fn ask(&mut self, index: usize) -> Result<()> {
        if self.churn {
            self.active[index] = self.caller.dial()?;
            let fd = self.active[index].stream.as_raw_fd();
            self.epoll.add(fd, libc::EPOLLIN, index as u64)?;
        }
        self.active[index].ask(self.caller.request())?;
        self.in_flight += 1;
        Ok(())
    }
}

/// Opens connections and writes requests.
struct Caller {
    address: SocketAddr,
    connections: u32,
    requests: u64,
}

impl Caller {
    fn new(address: SocketAddr) -> Caller {
        Caller {
            address,
            connections: 0,
            requests: 0,
        }
    }

    /// A request like no other of this load.
    fn request(&mut self) -> [u8; SIZE] {
        let mut request = [0; SIZE];
        for word in request.chunks_exact_mut(8) {
            self.requests += 1;
            word.copy_from_slice(&self.requests.to_le_bytes());
        }
        request
    }

    /// A new connection that has had its first answer.
    fn open(&mut self) -> Result<Connection> {
        let mut connection = self.dial()?;
        connection.stream.set_nonblocking(false)?;
        connection.stream.set_read_timeout(Some(PATIENCE))?;
        connection.ask(self.request())?;
        while !connection.take_in()? {}
        connection.stream.set_nonblocking(true)?;
        Ok(connection)
    }

    /// A new connection. The source addresses take turns: a closed connection keeps its port for
    /// a minute, and one address has too few.
    fn dial(&mut self) -> Result<Connection> {
        self.connections += 1;
        let source = u32::from_be_bytes([127, 0, 0, 1]) + self.connections % 200;
        let stream = connect(source, self.address).context("no connection")?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            request: [0; SIZE],
            received: 0,
            waiting: false,
        })
    }
}

struct Connection {
    stream: TcpStream,
    request: [u8; SIZE],
    /// How much of the answer has arrived.
    received: usize,
    waiting: bool,
}

impl Connection {
    fn ask(&mut self, request: [u8; SIZE]) -> Result<()> {
        self.request = request;
        self.received = 0;
        self.waiting = true;
        self.stream.write_all(&request).context("no request sent")
    }

    /// Takes in what has arrived, and says whether the answer is complete.
    fn take_in(&mut self) -> Result<bool> {
        ensure!(self.waiting, "something came without a request");
        let mut arrived = [0; SIZE];
        let due = &self.request[self.received..];
        match self.stream.read(&mut arrived[..due.len()]) {
            Ok(0) => bail!("the server has closed a connection"),
            Ok(count) => {
                ensure!(arrived[..count] == due[..count], "a wrong answer");
                self.received += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("no answer"),
        }
        self.waiting = self.received < SIZE;
        Ok(!self.waiting)
    }
}

/// A connection from `source` to `address`, whatever port it leaves from.
fn connect(source: u32, address: SocketAddr) -> Result<TcpStream> {
    let SocketAddr::V4(address) = address else {
        bail!("{address} is no address of IPv4");
    };
    let (own, its) = (
        name(source, 0),
        name((*address.ip()).into(), address.port()),
    );
    let length = size_of_val(&own) as u32;
    // SAFETY: the socket is new and nobody else's, and all arguments outlive the calls.
    unsafe {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let fd = checked(libc::socket(libc::AF_INET, kind, 0))?;
        let stream = TcpStream::from_raw_fd(fd);
        let late: i32 = 1;
        let option = libc::IP_BIND_ADDRESS_NO_PORT;
        let size = size_of_val(&late) as u32;
        let value = (&raw const late).cast();
        checked(libc::setsockopt(fd, libc::IPPROTO_IP, option, value, size))?;
        checked(libc::bind(fd, (&raw const own).cast(), length))?;
        checked(libc::connect(fd, (&raw const its).cast(), length))?;
        Ok(stream)
    }
}

fn name(address: u32, port: u16) -> libc::sockaddr_in {
    // SAFETY: the name of a socket is plain bits.
    let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    name.sin_family = libc::AF_INET as u16;
    name.sin_addr.s_addr = address.to_be();
    name.sin_port = port.to_be();
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    const SHAPE: Shape = Shape {
        active: 1,
        idle: 0,
        churn: false,
    };

    /// A server for one connection that adds `fault` to every byte of the second answer.
    fn echo(fault: u8) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || -> Result<()> {
            let (mut stream, _) = listener.accept()?;
            for round in 0.. {
                let mut bytes = [0; SIZE];
                stream.read_exact(&mut bytes)?;
                let fault = if round == 1 { fault } else { 0 };
                stream.write_all(&bytes.map(|byte| byte.wrapping_add(fault)))?;
            }
            Ok(())
        });
        Ok(address)
    }

    #[test]
    fn answers_are_counted_until_none_is_due() -> Result<()> {
        let mut load = Load::connect(echo(0)?, SHAPE)?;
        let answers = load.run(Duration::from_millis(20))? + load.drain()?;
        assert!(answers > 1);
        assert_eq!(load.drain()?, 0);
        Ok(())
    }

    #[test]
    fn a_wrong_answer_is_an_error() -> Result<()> {
        let mut load = Load::connect(echo(1)?, SHAPE)?;
        let error = load.run(Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.to_string(), "a wrong answer");
        Ok(())
    }

    #[test]
    fn no_two_requests_are_alike() {
        let mut caller = Caller::new(([127, 0, 0, 1], 1).into());
        assert_ne!(caller.request(), caller.request());
    }
}
