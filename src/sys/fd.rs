//! Descriptors that do not block: making them, accepting them, connecting them.
//!
//! What std has no call for. Everything else that is done with a socket is done by std's own types, on
//! descriptors that do not block, so that errors and corner cases are std's own. The last ones are for
//! descriptors that must stay as they are, since other processes have them too.

use std::io::{self, IoSlice, IoSliceMut};
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
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
    let domain = Domain::from(i32::from(address.family()));
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        Socket::new(domain, kind.nonblocking(), protocol)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    {
        let socket = Socket::new(domain, kind, protocol)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

/// How far a connection has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connecting {
    /// It is there.
    Made,
    /// The socket can be written to when it is [decided](finish_connecting).
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

/// What has become of a connection that was begun.
///
/// Over loopback the answer comes before `connect` returns, which does not know it yet: so it is asked for before anybody
/// waits.
///
/// # Errors
/// `WouldBlock` as long as it is not decided, then why there is none.
pub(crate) fn finish_connecting(socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let Err(error) = socket.peer_addr() else {
        return Ok(());
    };
    match socket.take_error()? {
        Some(reason) => Err(reason),
        None if error.kind() == io::ErrorKind::NotConnected => Err(would_block()),
        // It was there, and has been shut down meanwhile.
        None if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        None => Err(error),
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

/// Whether a call has failed because no descriptors are left.
pub(crate) fn none_is_left(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// The error of a call that would have to wait.
#[cold]
pub(crate) fn would_block() -> io::Error {
    io::Error::from_raw_os_error(libc::EAGAIN)
}

/// How many connections may wait to be accepted: as many as the system lets. Those of one thread come in
/// bursts, which the 128 that std asks for do not hold; what is dropped is tried again a second later.
const BACKLOG: i32 = if cfg!(target_os = "linux") { -1 } else { 4096 };

/// Lets as many connections wait to be accepted as the system lets.
pub(crate) fn widen_backlog(listener: &impl AsFd) -> io::Result<()> {
    SockRef::from(listener).listen(BACKLOG)
}

/// A listening socket on an address that others may listen on as well.
pub(crate) fn listen_reusing_port(address: &SockAddr) -> io::Result<Socket> {
    let socket = socket(address, Type::STREAM)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
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

/// Lets calls on a descriptor, and on all that are duplicates of it, return `WouldBlock` instead of waiting,
/// or not.
pub(crate) fn set_nonblocking(fd: &impl AsFd, nonblocking: bool) -> io::Result<()> {
    SockRef::from(fd).set_nonblocking(nonblocking)
}

/// Whether it is a socket.
pub(crate) fn is_socket(fd: &impl AsFd) -> bool {
    SockRef::from(fd).r#type().is_ok()
}

/// Whether what comes over a stream is confirmed at once.
#[cfg(target_os = "linux")]
pub(crate) fn quickack(stream: &impl AsFd) -> io::Result<bool> {
    SockRef::from(stream).tcp_quickack()
}

/// Says whether it is.
#[cfg(target_os = "linux")]
pub(crate) fn set_quickack(stream: &impl AsFd, quickack: bool) -> io::Result<()> {
    SockRef::from(stream).set_tcp_quickack(quickack)
}

/// A standard stream, which is never closed by us.
pub(crate) fn foreign(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: what comes of a number that somebody has closed is `EBADF`, or a read or write of what has that
    // number now: as with std, which borrows the standard streams like this.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Whether a read, or a write, would not wait at this moment. An error or an end is ready as well.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, write: bool) -> io::Result<bool> {
    let mut asked = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: if write { libc::POLLOUT } else { libc::POLLIN },
        revents: 0,
    };
    // SAFETY: one entry, which the call writes to.
    match unsafe { libc::poll(&raw mut asked, 1, 0) } {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
        1 if asked.revents & libc::POLLNVAL != 0 => Err(io::Error::from_raw_os_error(libc::EBADF)),
        ready => Ok(ready > 0),
    }
}

/// One read, which waits if nothing is there and the descriptor is one that blocks.
pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the call writes at most the length of the buffer.
    counted(unsafe { libc::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), buf.len()) })
}

/// So many buffers std hands to one call.
const BUFFERS: usize = 1024;

/// As [`read`], into several buffers.
pub(crate) fn read_vectored(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let count = bufs.len().min(BUFFERS) as i32;
    // SAFETY: an `IoSliceMut` has the layout of an `iovec`; the call writes to as many as it is told.
    counted(unsafe { libc::readv(fd.as_raw_fd(), bufs.as_mut_ptr().cast(), count) })
}

/// How many bytes one call reads into these buffers at most.
pub(crate) fn room(bufs: &[IoSliceMut<'_>]) -> usize {
    bufs.iter().take(BUFFERS).map(|buf| buf.len()).sum()
}

/// What a read has brought.
pub(crate) struct Received {
    pub(crate) count: usize,
    /// It has ended before all that there is, though there was room.
    pub(crate) cut: bool,
}

/// A read from something in which nothing but the end of what there is ends a read.
pub(crate) fn whole(count: usize) -> Received {
    Received { count, cut: false }
}

/// One read from a Unix socket. It ends behind a message with descriptors, and before one of another sender where senders
/// are told; the system says so where nobody takes what is sent along, and closes those descriptors.
pub(crate) fn receive(socket: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Received> {
    // SAFETY: all zeroes are a message header: no address, no buffers, no room for what is sent along.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = bufs.as_mut_ptr().cast();
    message.msg_iovlen = bufs.len().min(BUFFERS) as _;
    // SAFETY: the header outlives the call, which writes to it, and to as many of the buffers as it says: an
    // `IoSliceMut` has the layout of an `iovec`.
    let count = counted(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) })?;
    let cut = message.msg_flags & libc::MSG_CTRUNC != 0;
    Ok(Received { count, cut })
}

/// Whether a socket is a stream of bytes; also if the system does not say.
pub(crate) fn is_stream(socket: &impl AsFd) -> bool {
    SockRef::from(socket)
        .r#type()
        .map_or(true, |kind| kind == Type::STREAM)
}

/// One write, which waits if there is no room and the descriptor is one that blocks.
pub(crate) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: the call reads at most the length of the buffer.
    counted(unsafe { libc::write(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len()) })
}

/// As [`write`], from several buffers.
pub(crate) fn write_vectored(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let count = bufs.len().min(BUFFERS) as i32;
    // SAFETY: an `IoSlice` has the layout of an `iovec`; the call reads as many as it is told.
    counted(unsafe { libc::writev(fd.as_raw_fd(), bufs.as_ptr().cast(), count) })
}

/// One write that does not wait, on a descriptor that may be one that blocks.
///
/// # Errors
/// `WouldBlock` if it would have to; `Unsupported` where that cannot be had for such a descriptor.
#[cfg(target_os = "linux")]
pub(crate) fn write_now(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    let part = libc::iovec {
        iov_base: buf.as_ptr().cast_mut().cast(),
        iov_len: buf.len(),
    };
    let here: libc::c_long = -1; // where the file stands, if it is one
    // SAFETY: one part, of which at most its length is read.
    let outcome = counted(unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            libc::c_long::from(fd.as_raw_fd()),
            &raw const part,
            1 as libc::c_long,
            here,
            here,
            libc::c_long::from(libc::RWF_NOWAIT),
        ) as isize
    });
    outcome.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::EINVAL | libc::EPERM) => {
            io::ErrorKind::Unsupported.into()
        }
        _ => error,
    })
}

/// The same where there is no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn write_now(_fd: BorrowedFd<'_>, _buf: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

fn counted(count: isize) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// A descriptor of a process, which becomes readable when that ends.
///
/// # Errors
/// `Unsupported` where the system has no such thing, or does not let us have it.
#[cfg(target_os = "linux")]
pub(crate) fn of_process(process: u32) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;

    let flags: libc::c_long = 0;
    // SAFETY: two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process as libc::c_long, flags) };
    if fd >= 0 {
        // SAFETY: just made, and ours. It is closed when a program is run, as every descriptor of its kind.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) });
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ENOSYS | libc::EPERM | libc::EINVAL) => Err(io::ErrorKind::Unsupported.into()),
        _ => Err(error),
    }
}

/// The same where there is no such thing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_process(_process: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
