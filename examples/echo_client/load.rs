//! One connection: requests, answers, and how long they took.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use greenlet::net::TcpStream;
use indicatif::ProgressBar;

/// What all connections share. They run in one thread, so plain cells will do.
pub(crate) struct Load {
    pub(crate) left: Cell<u64>,
    pub(crate) size: usize,
    pub(crate) patience: Duration,
    pub(crate) bar: ProgressBar,
}

impl Load {
    /// Sends requests on one connection while there are some left; how long each answer took.
    pub(crate) fn talk(&self, server: SocketAddr, number: u32) -> io::Result<Vec<Duration>> {
        let mut stream = TcpStream::connect_timeout(&server, self.patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.patience))?;
        let mut request: Vec<u8> = (0..self.size)
            .map(|at| (number as usize + at) as u8)
            .collect();
        let mut answer = vec![0; self.size];
        let mut times = vec![];
        while self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            request[0] = times.len() as u8;
            let begin = Instant::now();
            stream.write_all(&request)?;
            let late = |error| self.too_late(error);
            stream.read_exact(&mut answer).map_err(late)?;
            times.push(begin.elapsed());
            if answer != request {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "the answer is not the request",
                ));
            }
            self.bar.inc(1);
        }
        Ok(times)
    }

    fn too_late(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::WouldBlock => {
                let what = format!("no answer within {:?}", self.patience);
                io::Error::new(ErrorKind::TimedOut, what)
            }
            _ => error,
        }
    }
}
