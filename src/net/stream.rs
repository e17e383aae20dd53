//! Reading and writing, which all connections have in common.

use std::io::{self, IoSliceMut, Read};
use std::os::fd::AsFd;
use std::{net, os::unix};

use crate::hub::io::Source;
use crate::sys::fd::{self, Received};

/// A socket that somebody has put in, whatever it is.
pub(crate) fn adopted<T: AsFd>(socket: T) -> Source<T> {
    let source = Source::new(socket);
    if !fd::is_stream(source.thing()) {
        source.keeps_messages();
    }
    source
}

/// One read from a socket of std's.
pub(crate) trait Receive {
    fn receive(&self, buf: &mut [u8]) -> io::Result<Received>;
    fn receive_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Received>;
}

impl Receive for net::TcpStream {
    #[inline]
    fn receive(&self, buf: &mut [u8]) -> io::Result<Received> {
        (&mut &*self).read(buf).map(fd::whole)
    }

    fn receive_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Received> {
        (&mut &*self).read_vectored(bufs).map(fd::whole)
    }
}

impl Receive for unix::net::UnixStream {
    #[inline]
    fn receive(&self, buf: &mut [u8]) -> io::Result<Received> {
        fd::receive(self.as_fd(), &mut [IoSliceMut::new(buf)])
    }

    fn receive_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Received> {
        if fd::room(bufs) == 0 {
            return Ok(fd::whole(0)); // as `readv`; `recvmsg` waits
        }
        fd::receive(self.as_fd(), bufs)
    }
}

/// `Read` and `Write` for a connection and for a reference to one: it has a `source`, and `timeouts`. Trait impls
/// only.
macro_rules! stream {
    ($stream:ty) => {
        impl std::io::Read for &$stream {
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                let limit = Some(&self.timeouts.read);
                self.source.retry_stream_read(limit, buf.len(), |stream| {
                    $crate::net::stream::Receive::receive(stream, buf)
                })
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                let room = $crate::sys::fd::room(bufs);
                let limit = Some(&self.timeouts.read);
                self.source.retry_stream_read(limit, room, |stream| {
                    $crate::net::stream::Receive::receive_vectored(stream, bufs)
                })
            }
        }

        impl std::io::Write for &$stream {
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                let limit = Some(&self.timeouts.write);
                self.source.retry_moving(
                    $crate::hub::io::Direction::Write,
                    limit,
                    buf.len(),
                    |mut stream| stream.write(buf),
                )
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                let load = bufs.iter().map(|buf| buf.len()).sum();
                let limit = Some(&self.timeouts.write);
                self.source.retry_moving(
                    $crate::hub::io::Direction::Write,
                    limit,
                    load,
                    |mut stream| stream.write_vectored(bufs),
                )
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        // Inline: after a system call the processor has forgotten where to return to, so each call less counts.
        impl std::io::Read for $stream {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buf)
            }

            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&*self).read_vectored(bufs)
            }
        }

        impl std::io::Write for $stream {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}
pub(crate) use stream;
