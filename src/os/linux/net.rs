//! What sockets have on Linux: the names of `std::os::linux::net`.

use std::io;

use crate::net::TcpStream;
use crate::sys::fd;

pub use std::os::linux::net::SocketAddrExt;

/// What a TCP stream has on Linux: `std::os::linux::net::TcpStreamExt`.
pub trait TcpStreamExt: sealed::Sealed {
    /// Whether what comes is confirmed at once, even if there is nothing to send.
    ///
    /// # Errors
    /// What the system says.
    fn quickack(&self) -> io::Result<bool>;

    /// Says whether it is. The system goes back to what it thinks best later: say it after each read.
    ///
    /// # Errors
    /// What the system says.
    fn set_quickack(&self, quickack: bool) -> io::Result<()>;
}

impl TcpStreamExt for TcpStream {
    fn quickack(&self) -> io::Result<bool> {
        fd::quickack(self)
    }

    fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        fd::set_quickack(self, quickack)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::TcpStream {}
}
