//! Files that are waited for on other threads, and the standard input.

use std::fs::OpenOptions;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::AsRawFd;

use greenlet::fs::File;
use greenlet::io::stdin;

use super::{Call, contract};

/// A file that somebody writes to who keeps readers waiting.
struct Fifo {
    file: File,
    far: std::fs::File,
}

fn fifo() -> Fifo {
    let folder = crate::net::Folder::new();
    let path = folder.path("fifo");
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no zeros");
    // SAFETY: a path that ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    // Both ways, so that opening does not wait.
    let far = OpenOptions::new().read(true).write(true).open(&path);
    let file = std::fs::File::open(&path).expect("it is there");
    Fifo {
        file: file.into(),
        far: far.expect("it is there"),
    }
}

/// Workers that still read for somebody are let go.
impl Drop for Fifo {
    fn drop(&mut self) {
        let _ = self.far.write_all(&[0; 512]);
    }
}

contract!(
    file_read,
    Call::new(
        fifo,
        |fifo| Ok((&fifo.file).read(&mut [0])? as u8),
        |fifo| (&fifo.far).write_all(&[7]).expect("there is room"),
    )
);

/// A pipe that is the standard input meanwhile.
struct Input {
    saved: i32,
    writer: PipeWriter,
}

fn input() -> Input {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // SAFETY: descriptors of this process, which runs this test and no other.
    let saved = unsafe {
        let saved = libc::dup(0);
        libc::dup2(reader.as_raw_fd(), 0);
        saved
    };
    Input { saved, writer }
}

impl Drop for Input {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            libc::dup2(self.saved, 0);
            libc::close(self.saved);
        }
    }
}

contract!(
    standard_input,
    Call::new(
        input,
        |_| Ok(stdin().read(&mut [0])? as u8),
        |input| (&input.writer).write_all(&[7]).expect("there is room"),
    )
    .in_a_process("contract::standard::standard_input")
);
