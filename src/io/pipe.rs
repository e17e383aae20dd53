//! Pipes between greenlets, threads and processes.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::process::Stdio;

use crate::hub::io::{Source, descriptor};

/// An anonymous pipe: `std::io::pipe`.
///
/// ```
/// use greenlet::io::{Read, Write};
///
/// let (mut reader, mut writer) = greenlet::io::pipe()?;
/// let sender = greenlet::spawn(move || writer.write_all(b"through the pipe"));
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?;
/// assert_eq!(text, "through the pipe");
/// sender.join().unwrap()?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Parks
/// No.
///
/// # Errors
/// What the system says when there are no descriptors left.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((reader.into(), writer.into()))
}

/// The end of a pipe that is read: `std::io::PipeReader`.
///
/// # Parks
/// Reading, until there is something, or nobody can write any more.
///
/// # Cancellation
/// A read that is killed or timed out has taken nothing.
///
/// # Differences from std
/// It belongs to its OS thread. One that is given to a child process, or back to std, blocks from then on,
/// and its clones with it: they are one end. A clone that goes on being used here then keeps the thread
/// waiting.
pub struct PipeReader {
    source: Source<io::PipeReader>,
}

impl PipeReader {
    fn of(reader: io::PipeReader) -> PipeReader {
        PipeReader {
            source: Source::new(reader),
        }
    }

    /// A second handle to the same end.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<PipeReader> {
        let clone = PipeReader::of(self.source.exposed().try_clone()?);
        clone.source.exposed();
        Ok(clone)
    }
}

impl Read for &PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.source.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.source.read_vectored(bufs)
    }
}

impl Read for PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

/// The end of a pipe that is written to: `std::io::PipeWriter`.
///
/// # Parks
/// Writing, while the pipe is full.
///
/// # Cancellation
/// A write that is killed or timed out has written nothing; `write_all` and the like may have written a part.
///
/// # Differences from std
/// As for [`PipeReader`].
pub struct PipeWriter {
    source: Source<io::PipeWriter>,
}

impl PipeWriter {
    fn of(writer: io::PipeWriter) -> PipeWriter {
        PipeWriter {
            source: Source::new(writer),
        }
    }

    /// A second handle to the same end.
    ///
    /// # Errors
    /// What the system says when there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<PipeWriter> {
        let clone = PipeWriter::of(self.source.exposed().try_clone()?);
        clone.source.exposed();
        Ok(clone)
    }
}

impl Write for &PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.source.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for PipeWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

descriptor!(PipeReader, io::PipeReader, PipeReader::of);
descriptor!(PipeWriter, io::PipeWriter, PipeWriter::of);

impl From<PipeReader> for Stdio {
    fn from(reader: PipeReader) -> Stdio {
        io::PipeReader::from(reader).into()
    }
}

impl From<PipeWriter> for Stdio {
    fn from(writer: PipeWriter) -> Stdio {
        io::PipeWriter::from(writer).into()
    }
}
