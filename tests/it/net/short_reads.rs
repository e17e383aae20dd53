//! Reads that come back short though there is more: whoever reads next must not wait for what is there.

use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net as theirs;
use std::time::Duration;

use greenlet::net::{TcpListener, TcpStream};
use greenlet::os::unix::net::UnixStream;
use greenlet::time::timeout;
use greenlet::{spawn, yield_now};

use crate::support::run;

/// It has waited once, so it is registered, and nothing is left to be told.
fn has_waited(mut reader: impl Read) {
    let waited = timeout(Duration::from_millis(1), || reader.read(&mut [0]));
    assert!(waited.is_err(), "something was there: {waited:?}");
}

/// Reads until so many bytes have come.
fn read_all(mut reader: impl Read, count: usize) -> Vec<u8> {
    let (mut all, mut part) = (vec![], [0; 4096]);
    while all.len() < count {
        let count = reader.read(&mut part).unwrap();
        assert!(count > 0, "the end after {} bytes", all.len());
        all.extend_from_slice(&part[..count]);
    }
    all
}

fn more_buffers_than_one_call_takes<R, W>(reader: R, mut writer: W)
where
    for<'a> &'a R: Read,
    W: Write,
{
    has_waited(&reader);
    writer.write_all(&[7; 3000]).unwrap();
    let mut bytes = [0; 2000];
    let mut bufs: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
    let first = (&reader).read_vectored(&mut bufs).unwrap();
    assert!(first > 0);
    assert_eq!(read_all(&reader, 3000 - first), vec![7; 3000 - first]);
}

#[test]
fn a_read_into_more_buffers_than_one_call_takes_leaves_the_rest_to_the_next() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        more_buffers_than_one_call_takes(client, listener.accept().unwrap().0);
        let (one, other) = UnixStream::pair().unwrap();
        more_buffers_than_one_call_takes(one, other);
        let (reader, writer) = greenlet::io::pipe().unwrap();
        more_buffers_than_one_call_takes(reader, writer);
    });
}

/// A control message with one descriptor, as the system lays it out.
fn rights(fd: &impl AsRawFd) -> Vec<u8> {
    const WORD: usize = size_of::<usize>();
    let head = (WORD + 8).next_multiple_of(WORD);
    let mut message = (head + 4).to_ne_bytes().to_vec();
    for field in [libc::SOL_SOCKET, libc::SCM_RIGHTS, fd.as_raw_fd()] {
        message.extend_from_slice(&field.to_ne_bytes());
    }
    message.resize((head + 4).next_multiple_of(WORD), 0);
    message
}

fn send_with_descriptor(to: &theirs::UnixStream, byte: u8) {
    let (bytes, control) = ([byte], rights(to));
    let buffers = [io::IoSlice::new(&bytes)];
    let message = socket2::MsgHdr::new()
        .with_buffers(&buffers)
        .with_control(&control);
    let sent = socket2::SockRef::from(to).sendmsg(&message, 0).unwrap();
    assert_eq!(sent, 1);
}

/// The system ends a read behind such a message.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_message_with_a_descriptor_ends_a_read_and_hides_nothing() {
    run(|| {
        for waits in [false, true] {
            let (reader, writer) = UnixStream::pair().unwrap();
            let writer = theirs::UnixStream::from(writer);
            has_waited(&reader);
            let begun = waits.then(|| {
                let reader = reader.try_clone().unwrap();
                let begun = spawn(move || read_all(reader, 5));
                yield_now();
                begun
            });
            (&writer).write_all(b"a").unwrap();
            send_with_descriptor(&writer, b'b');
            (&writer).write_all(b"cde").unwrap();
            let all = match begun {
                Some(begun) => begun.join().unwrap(),
                None => read_all(&reader, 5),
            };
            assert_eq!(all, b"abcde");
        }
    });
}

/// Each of these sends "x" and "yz", which come one at a time.
fn two_messages(reader: impl Read, mut writer: impl Write) {
    let mut reader = reader;
    has_waited(&mut reader);
    writer.write_all(b"x").unwrap();
    writer.write_all(b"yz").unwrap();
    assert_eq!(read_all(reader, 3), b"xyz");
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn what_keeps_messages_apart_may_be_taken_for_a_stream() {
    run(|| {
        let kind = socket2::Type::SEQPACKET;
        let pair = || socket2::Socket::pair(socket2::Domain::UNIX, kind, None).unwrap();
        let (one, other) = pair();
        let (reader, writer) = (UnixStream::from(OwnedFd::from(one)), other);
        two_messages(&reader, &writer);
        two_messages(reader.try_clone().unwrap(), &writer);

        let (reader, writer) = greenlet::io::pipe().unwrap();
        // SAFETY: sets a flag of a descriptor that is open.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_DIRECT) };
        assert_eq!(set, 0);
        two_messages(reader, writer);
    });
}
