//! Descriptors that do not block: making them, accepting them, connecting them.
//!
//! What std has no call for. Everything else that is done with a socket is done by std's own types, on
//! descriptors that do not block, so that errors and corner cases are std's own.

use std::io;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as UnixAddress;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef};
pub(crate) use socket2::{SockAddr, Socket, Type};

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

/// How far a connection has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connecting {
    /// It is there.
    Made,
    /// The socket can be written to when it is decided: then it is there, or the socket has an error.
    Pending,
    /// A Unix socket that takes no more for now. No event tells when it does: begin again later.
    Crowded,
}

/// Begins to connect a socket that does not block.
pub(crate) fn begin_to_connect(socket: &Socket, address: &SockAddr) -> io::Result<Connecting> {
    match socket.connect(address) {
        Ok(()) => Ok(Connecting::Made),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(Connecting::Pending),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Connecting::Pending),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && address.is_unix() => {
            Ok(Connecting::Crowded)
        }
        Err(error) => Err(error),
    }
}

/// The address of a Unix socket, as std has it.
///
/// # Errors
/// `InvalidInput` if it is the address of something else.
pub(crate) fn to_unix(address: &SockAddr) -> io::Result<UnixAddress> {
    if !address.is_unix() {
        let what = "file descriptor did not correspond to a Unix socket";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.as_abstract_namespace() {
        return UnixAddress::from_abstract_name(name);
    }
    UnixAddress::from_pathname(address.as_pathname().unwrap_or(Path::new("")))
}

/// The other way round.
pub(crate) fn from_unix(address: &UnixAddress) -> io::Result<SockAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.as_abstract_name() {
        use std::os::unix::ffi::OsStrExt;

        let path = [b"\0", name].concat();
        return SockAddr::unix(std::ffi::OsStr::from_bytes(&path));
    }
    SockAddr::unix(address.as_pathname().unwrap_or(Path::new("")))
}

/// The error of a call that would have to wait.
#[cold]
pub(crate) fn would_block() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
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
