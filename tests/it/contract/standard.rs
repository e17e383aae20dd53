//! Files and names, which are asked for on other threads, and the standard streams.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc;

use greenlet::fs::{File, metadata};
use greenlet::io::{stderr, stdin, stdout};
use greenlet::net::ToSocketAddrs;
use greenlet::{JoinHandle, offload, spawn};

use super::sockets::{drain, fill, write_and_count};
use super::{Brought, Call, contract, settle};
use crate::net::Folder;

/// A name that two meet at who keep each other waiting.
fn fifo() -> Folder {
    let folder = Folder::new();
    let path = folder.path("fifo");
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no zeros");
    // SAFETY: a path that ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    folder
}

/// Both ways, so that opening does not wait. It does not block.
fn both_ways(folder: &Folder) -> std::fs::File {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(libc::O_NONBLOCK);
    options.open(folder.path("fifo")).expect("it is there")
}

/// An end of a FIFO, and somebody who has it as well. Workers that are still at it for somebody are let go.
struct Fifo {
    file: File,
    far: std::fs::File,
    let_go: fn(&std::fs::File),
}

impl Drop for Fifo {
    fn drop(&mut self) {
        (self.let_go)(&self.far);
    }
}

contract!(
    file_read,
    Call::new(
        || {
            let folder = fifo();
            let far = both_ways(&folder);
            let file = std::fs::File::open(folder.path("fifo")).expect("it is there");
            Fifo {
                file: file.into(),
                far,
                let_go: |mut far| {
                    let _ = far.write_all(&[0; 512]);
                },
            }
        },
        |fifo| Ok((&fifo.file).read(&mut [0])? as u8),
        |fifo| (&fifo.far).write_all(&[7]).expect("there is room"),
    )
    .allocates()
);

contract!(
    file_write,
    Call::new(
        || {
            let folder = fifo();
            let far = both_ways(&folder);
            fill(&far);
            let mut options = OpenOptions::new();
            let file = options.write(true).open(folder.path("fifo"));
            Fifo {
                file: file.expect("it is there").into(),
                far,
                let_go: |mut far| drain(&mut far),
            }
        },
        |fifo| write_and_count(&fifo.file),
        |fifo| drain(&mut &fifo.far),
    )
    .stays()
    .allocates()
);

/// A FIFO that nobody has opened.
struct Alone {
    folder: Folder,
    far: RefCell<Option<std::fs::File>>,
}

impl Alone {
    fn come(&self) {
        self.far.replace(Some(both_ways(&self.folder)));
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.come();
    }
}

contract!(
    file_open,
    Call::new(
        || Alone {
            folder: fifo(),
            far: RefCell::default(),
        },
        |alone| File::open(alone.folder.path("fifo")).map(|_| 1),
        Alone::come,
    )
    .stays()
    .allocates()
);

/// Something that all workers are at, of which there is one.
struct Busy {
    end: RefCell<Option<(mpsc::Sender<()>, JoinHandle<()>)>>,
}

fn busy() -> Busy {
    static FIRST: std::sync::Once = std::sync::Once::new();
    FIRST.call_once(|| {
        // SAFETY: the first thing that this process does in the one test that it runs; nobody else reads the
        // environment now.
        unsafe { std::env::set_var("GREENLET_WORKERS", "1") };
    });
    let (end, ends) = mpsc::channel();
    let work = move || {
        let _ = ends.recv();
    };
    let handle = spawn(|| offload(work));
    settle();
    Busy {
        end: RefCell::new(Some((end, handle))),
    }
}

impl Busy {
    fn end(&self) {
        if let Some((end, handle)) = self.end.take() {
            drop(end);
            handle.join().expect("it does not panic");
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.end();
    }
}

contract!(
    lookup,
    Call::new(
        busy,
        |_| Ok(("localhost", 80).to_socket_addrs()?.next().is_some().into()),
        Busy::end,
    )
    .stays()
    .allocates()
    .in_a_process("contract::standard::lookup")
);

contract!(
    file_metadata,
    Call::new(busy, |_| Ok(metadata("/")?.is_dir().into()), Busy::end)
        .stays()
        .allocates()
        .in_a_process("contract::standard::file_metadata")
);

/// A descriptor that is another one meanwhile.
struct Instead {
    number: i32,
    saved: i32,
}

impl Instead {
    fn of(number: i32, other: BorrowedFd<'_>) -> Instead {
        // SAFETY: descriptors of this process, which runs this test and no other.
        let saved = unsafe {
            let saved = libc::dup(number);
            libc::dup2(other.as_raw_fd(), number);
            saved
        };
        Instead { number, saved }
    }
}

impl Drop for Instead {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            libc::dup2(self.saved, self.number);
            libc::close(self.saved);
        }
    }
}

/// A pipe that is the standard input meanwhile.
fn input() -> (Instead, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    (Instead::of(0, reader.as_fd()), writer)
}

contract!(
    standard_input,
    Call::new(
        input,
        |_| Ok(stdin().read(&mut [0])? as u8),
        |(_, writer)| {
            let mut writer = writer;
            writer.write_all(&[7]).expect("there is room");
        },
    )
    .in_a_process("contract::standard::standard_input")
    .allocates()
);

/// A full pipe that one of the outputs is meanwhile, and who reads it, until that leaves.
struct Output {
    _instead: Instead,
    reader: RefCell<Option<PipeReader>>,
}

fn output(number: i32) -> Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let blocks = |end: BorrowedFd<'_>, blocks: bool| {
        socket2::SockRef::from(&end)
            .set_nonblocking(!blocks)
            .expect("it can");
    };
    blocks(reader.as_fd(), false);
    blocks(writer.as_fd(), false);
    fill(&writer);
    blocks(writer.as_fd(), true);
    Output {
        _instead: Instead::of(number, writer.as_fd()),
        reader: RefCell::new(Some(reader)),
    }
}

impl Output {
    fn empty(&self) {
        let mut reader = self.reader.borrow_mut();
        drain(reader.as_mut().expect("it is still there"));
    }

    fn leave(&self) {
        drop(self.reader.take());
    }
}

fn writing(
    make: fn() -> Output,
    write: fn(&Output) -> Brought,
    path: &'static str,
) -> Call<Output> {
    Call::new(make, write, Output::empty)
        .stays()
        .leaves(Output::leave)
        .at_once()
        .allocates()
        .in_a_process(path)
}

contract!(
    standard_output,
    writing(
        || output(1),
        |_| write_and_count(stdout()),
        "contract::standard::standard_output",
    )
);

// What a test says that fails has no room to be said: it ends by the watchdog.
contract!(
    standard_error,
    writing(
        || output(2),
        |_| write_and_count(stderr()),
        "contract::standard::standard_error",
    )
);
