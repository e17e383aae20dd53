//! The bodies over std and its threads: what they claim of std is true.

pub(super) use std::net::{TcpListener, TcpStream, UdpSocket};
pub(super) use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
pub(super) use std::sync::mpsc::channel;
pub(super) use std::thread::{sleep, spawn, yield_now};

#[path = "tcp.rs"]
mod tcp;
#[path = "udp.rs"]
mod udp;
#[path = "unix.rs"]
mod unix;
