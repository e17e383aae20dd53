//! Descriptors that nothing here has a type for: eventfds, inotify, devices, sockets of a C library.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::hub::io::{Direction, Source, Watchable, Watched, wait_for_foreign};
use crate::sys::fd;

/// Waits until a read of `fd` would not wait. It stays as it is: it may block, and others may share it.
///
/// The descriptor is registered for this one wait, which takes some system calls. Where one is waited for again
/// and again, a [`Descriptor`] takes none for a wait.
///
/// ```
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = std::io::pipe()?; // std's: its reads keep the thread waiting
/// let sender = greenlet::spawn(move || writer.write_all(b"now"));
/// greenlet::io::readable(&reader)?;
/// let mut text = [0; 3];
/// reader.read_exact(&mut text)?;
/// # sender.join().unwrap()?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Parks
/// Until there is something to read, the end, or an error.
///
/// # Errors
/// What the system says of the descriptor, also of one that is closed. A file is always ready.
pub fn readable(fd: &impl AsFd) -> io::Result<()> {
    wait_for_foreign(fd.as_fd(), Direction::Read, || true)
}

/// Waits until a write to `fd` would not wait; see [`readable`].
///
/// # Parks
/// Until there is room, or an error.
///
/// # Errors
/// As for [`readable`].
pub fn writable(fd: &impl AsFd) -> io::Result<()> {
    wait_for_foreign(fd.as_fd(), Direction::Write, || true)
}

/// A thing with a descriptor, for calls of your own that park the greenlet instead of blocking the thread.
///
/// It is registered once, at the first wait, for its whole life.
///
/// ```
/// use greenlet::io::Descriptor;
/// use std::os::unix::net::UnixDatagram;
///
/// let (ours, theirs) = UnixDatagram::pair()?;
/// let ours = Descriptor::new(ours)?;
/// let sender = greenlet::spawn(move || theirs.send(b"hello"));
/// let mut text = [0; 16];
/// let count = ours.read_with(|socket| socket.recv(&mut text))?; // any call that may say `WouldBlock`
/// assert_eq!(&text[..count], b"hello");
/// # sender.join().unwrap()?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Cancellation
/// A call that is made is not cut short; one that is killed or timed out while it waits has not been made.
pub struct Descriptor<T: AsFd> {
    source: Source<T>,
}

impl<T: AsFd> Descriptor<T> {
    /// Takes over `thing`, whose descriptor does not block from now on, and those that are duplicates of it.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// What the system says of the descriptor.
    pub fn new(thing: T) -> io::Result<Descriptor<T>> {
        fd::set_nonblocking(&thing, true)?;
        let source = match fd::is_socket(&thing) {
            true => Source::new(thing),
            false => Source::step_by_step(thing),
        };
        source.exposed();
        Ok(Descriptor { source })
    }

    /// Makes `call`, which reads, as soon as it does not say `WouldBlock`. It must not wait itself.
    ///
    /// # Parks
    /// Until there is something to read.
    ///
    /// # Errors
    /// What `call` returns; of kind `PermissionDenied` if the descriptor cannot be waited for.
    #[inline(always)] // see `Hub::go_on_in`
    pub fn read_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.retry(Direction::Read, None, call)
    }

    /// As [`read_with`](Self::read_with) for a call that takes all there is, as a read of an eventfd does: the
    /// next one waits for an event without being tried, which saves a system call. If it leaves something, that
    /// may wait until more comes, and a `select` does not see it before.
    ///
    /// # Parks
    /// Until there is something to read.
    ///
    /// # Errors
    /// As for [`read_with`](Self::read_with).
    #[inline(always)]
    pub fn drain_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        let drained = self.read_with(call)?;
        self.source.drained();
        Ok(drained)
    }

    /// Makes `call`, which writes, as soon as it does not say `WouldBlock`. It must not wait itself.
    ///
    /// # Parks
    /// Until there is room.
    ///
    /// # Errors
    /// As for [`read_with`](Self::read_with).
    #[inline(always)]
    pub fn write_with<R>(&self, call: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.source.retry(Direction::Write, None, call)
    }

    /// The thing itself, for calls that do not wait.
    pub fn thing(&self) -> &T {
        self.source.exposed()
    }

    /// Gives the thing back. It still does not block.
    pub fn into_thing(self) -> T {
        self.source.into_thing()
    }
}

impl<T: AsFd> Watchable for Descriptor<T> {
    fn watched(&self) -> Watched<'_> {
        self.source.watched()
    }
}

impl<T: AsFd> AsFd for Descriptor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.thing().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Descriptor<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> fmt::Debug for Descriptor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Descriptor")
            .field(&self.source.thing().as_fd())
            .finish()
    }
}
