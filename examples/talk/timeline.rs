//! Three ways to read from four slow sources, recorded while they run: who worked, polled or waited when.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// What a reader did in a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Waits,
    Polls,
    Works,
}

/// From when to when, in milliseconds, which reader did what.
pub(crate) struct Stretch {
    pub(crate) reader: usize,
    pub(crate) does: Does,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

pub(crate) const READERS: usize = 4;
/// When the message of each source comes.
const COMES: [u64; READERS] = [12, 4, 8, 16];
/// How long a message is worked on.
const WORK: Duration = Duration::from_millis(2);

struct Recorder {
    begin: Instant,
    stretches: RefCell<Vec<Stretch>>,
}

impl Recorder {
    fn now(&self) -> f64 {
        self.begin.elapsed().as_secs_f64() * 1e3
    }

    fn record<R>(&self, reader: usize, does: Does, f: impl FnOnce() -> R) -> R {
        let from = self.now();
        let outcome = f();
        let to = self.now();
        self.stretches.borrow_mut().push(Stretch {
            reader,
            does,
            from,
            to,
        });
        outcome
    }

    fn work(&self, reader: usize) {
        self.record(reader, Does::Works, || {
            let begin = Instant::now();
            while begin.elapsed() < WORK {
                std::hint::spin_loop();
            }
        });
    }
}

/// The three ways, with their names.
pub(crate) fn all() -> [(&'static str, Vec<Stretch>); 3] {
    [
        ("blocking: one after the other", recorded(blocking)),
        (
            "not blocking: asked again and again",
            recorded(non_blocking),
        ),
        ("greenlets: all wait at once", recorded(greenlets)),
    ]
}

fn recorded(way: fn(&Recorder, Vec<UnixStream>)) -> Vec<Stretch> {
    let pairs = COMES.map(|_| UnixStream::pair().expect("a pair"));
    let (near, far): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let recorder = Recorder {
        begin: Instant::now(),
        stretches: RefCell::default(),
    };
    let sources = far.into_iter().zip(COMES).map(|(mut far, comes)| {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(comes));
            far.write_all(b"x").expect("somebody reads");
        })
    });
    let sources: Vec<_> = sources.collect();
    way(&recorder, near);
    sources
        .into_iter()
        .for_each(|source| source.join().expect("no panic"));
    recorder.stretches.into_inner()
}

fn blocking(recorder: &Recorder, sources: Vec<UnixStream>) {
    for (reader, mut source) in sources.into_iter().enumerate() {
        recorder
            .record(reader, Does::Waits, || source.read_exact(&mut [0]))
            .expect("a byte");
        recorder.work(reader);
    }
}

fn non_blocking(recorder: &Recorder, sources: Vec<UnixStream>) {
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

fn greenlets(recorder: &Recorder, sources: Vec<UnixStream>) {
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
