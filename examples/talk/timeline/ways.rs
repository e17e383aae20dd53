//! The three ways to read from the sources.

use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

use super::{Does, Recorder};

pub(super) fn blocking(recorder: &Recorder, sources: Vec<UnixStream>) {
    for (reader, mut source) in sources.into_iter().enumerate() {
        recorder
            .record(reader, Does::Waits, || source.read_exact(&mut [0]))
            .expect("a byte");
        recorder.work(reader);
    }
}

pub(super) fn non_blocking(recorder: &Recorder, sources: Vec<UnixStream>) {
    let mut open: Vec<(usize, UnixStream)> = sources.into_iter().enumerate().collect();
    open.iter()
        .for_each(|(_, source)| source.set_nonblocking(true).expect("it can"));
    while !open.is_empty() {
        open.retain_mut(|(reader, source)| {
            let read = recorder.record(*reader, Does::Polls, || source.read(&mut [0]));
            match read {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                read => assert_eq!(read.expect("a byte"), 1),
            }
            recorder.work(*reader);
            false
        });
    }
}

pub(super) fn greenlets(recorder: &Recorder, sources: Vec<UnixStream>) {
    greenlet::scope(|scope| {
        for (reader, source) in sources.into_iter().enumerate() {
            scope.spawn(move || {
                let mut source = greenlet::os::unix::net::UnixStream::from(source);
                recorder
                    .record(reader, Does::Waits, || source.read_exact(&mut [0]))
                    .expect("a byte");
                recorder.work(reader);
            });
        }
    });
}
