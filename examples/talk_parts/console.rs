//! The console loop on raw descriptors: what `blocking_io_1`, `non_blocking_io_1` and `non_blocking_io_2` share.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// A line that is longer is refused, so that memory stays bounded.
const LONGEST: usize = 64 << 10;

/// One `read(2)`.
pub(crate) fn read(fd: i32, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the call writes at most the length of the buffer.
    let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// As many `write(2)` as it takes. A terminal has one open file for both directions, so this may not block either.
pub(crate) fn write_all(fd: i32, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the call reads at most the length of the slice.
        let count = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(count) {
            Ok(count) => bytes = &bytes[count..],
            Err(_) => match io::Error::last_os_error() {
                error if again(&error) => std::thread::yield_now(),
                error => return Err(error),
            },
        }
    }
    Ok(())
}

/// Whether the same call may succeed later.
pub(crate) fn again(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The text of the line so far, and what is said to it.
pub(crate) struct Console {
    text: Vec<u8>,
    over: bool,
}

impl Console {
    pub(crate) fn open() -> io::Result<Console> {
        write_all(1, b"-> ")?;
        Ok(Console {
            text: Vec::new(),
            over: false,
        })
    }

    /// Takes what was read, none of it being the end; false when the conversation is over.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if bytes.is_empty() {
            self.end()?;
        }
        for &byte in bytes {
            match byte {
                _ if self.over => {}
                b'\n' => self.answer()?,
                _ if self.text.len() == LONGEST => return Err(too_long()),
                _ => self.text.push(byte),
            }
        }
        Ok(!self.over)
    }

    fn answer(&mut self) -> io::Result<()> {
        // The text is reset for each line.
        let text = std::mem::take(&mut self.text);
        if text == b"quit" {
            self.over = true;
            return write_all(1, b"He's dead, Jim!\n");
        }
        write_all(1, &[b"You said, '", &text[..], b"'\n-> "].concat())
    }

    /// What stands before the end of input is a line, too.
    fn end(&mut self) -> io::Result<()> {
        if !self.text.is_empty() {
            self.answer()?;
        }
        if !self.over {
            self.over = true;
            write_all(1, b"\nHe's dead, Jim!\n")?;
        }
        Ok(())
    }
}

fn too_long() -> io::Error {
    let what = format!("a line is longer than {LONGEST} bytes");
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Says how it went, on standard error.
pub(crate) fn say(program: &str, outcome: io::Result<String>) -> ExitCode {
    let (words, code) = match outcome {
        Ok(words) => (words, ExitCode::SUCCESS),
        Err(error) => (error.to_string(), ExitCode::FAILURE),
    };
    let _ = write_all(2, format!("{program}: {words}\n").as_bytes());
    code
}
