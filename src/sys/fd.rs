//! Descriptors that do not block: making them, accepting them, connecting them.
//!
//! What std has no call for. Everything else that is done with a socket is done by std's own types, on
//! descriptors that do not block, so that errors and corner cases are std's own.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket};
pub(crate) use socket2::{SockAddr, Type};

/// Takes the next connection of a listening socket, as a descriptor that does not block.
///
/// # Errors
/// `WouldBlock` if there is none.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    use std::os::fd::FromRawFd;

    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call writes an address of at most `length` bytes, and its length.
    unsafe {
        SockAddr::try_init(|address, length| {
            let fd = libc::accept4(listener.as_raw_fd(), address.cast(), length, flags);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // A descriptor of our own, just made.
            Ok(OwnedFd::from_raw_fd(fd))
        })
    }
}

/// The same where it takes more than one call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let (socket, address) = socket2::SockRef::from(&listener).accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), address))
}

/// A socket that does not block, of the family of `address`.
pub(crate) fn socket(address: &SockAddr, kind: Type) -> io::Result<Socket> {
    let protocol = match (address.is_unix(), kind) {
        (false, Type::STREAM) => Some(Protocol::TCP),
        _ => None,
    };
    let socket = Socket::new(Domain::from(i32::from(address.family())), kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Begins to connect a new socket; true if the connection is not made yet.
pub(crate) fn connect(address: &SockAddr, kind: Type) -> io::Result<(OwnedFd, bool)> {
    let socket = socket(address, kind)?;
    let pending = match socket.connect(address) {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => true,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
        Err(error) => return Err(error),
    };
    Ok((socket.into(), pending))
}

/// Shuts down both directions of a socket, a listening one too.
pub(crate) fn shutdown(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).shutdown(std::net::Shutdown::Both)
}

/// How long what was written is still sent after closing.
pub(crate) fn set_linger(socket: &impl AsFd, linger: Option<Duration>) -> io::Result<()> {
    SockRef::from(socket).set_linger(linger)
}

/// How long what was written is still sent after closing.
pub(crate) fn linger(socket: &impl AsFd) -> io::Result<Option<Duration>> {
    SockRef::from(socket).linger()
}
