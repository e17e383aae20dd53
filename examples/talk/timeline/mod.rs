//! Three ways to read from four slow sources, recorded: who worked, polled or waited when.

mod drawing;
mod ways;

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use drawing::drawn;

/// What a reader did in a stretch of time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Waits,
    Polls,
    Works,
}

/// From when to when, in milliseconds, which reader did what.
struct Stretch {
    reader: usize,
    does: Does,
    from: f64,
    to: f64,
}

const READERS: usize = 4;
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
fn all() -> [(&'static str, Vec<Stretch>); 3] {
    [
        ("blocking: one after the other", recorded(ways::blocking)),
        (
            "not blocking: asked again and again",
            recorded(ways::non_blocking),
        ),
        ("greenlets: all wait at once", recorded(ways::greenlets)),
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
