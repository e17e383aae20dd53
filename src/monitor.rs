//! Who keeps the thread: greenlets take turns by waiting, and one that computes for long, or calls what blocks, lets
//! all others of its thread wait.
//!
//! ```
//! use std::time::Duration;
//! use greenlet::monitor;
//!
//! let _watch = monitor::watch(Duration::from_millis(100))?; // prints who keeps its thread longer than that
//! # std::io::Result::Ok(())
//! ```
//!
//! A thread of its own looks at the pulse of all hubs, a few times within the limit. Where a hub has neither let
//! anybody run nor waited for longer than the limit, it is asked who runs: in the handler of a signal, so the
//! backtrace is that of the moment; where that is to be had, see [`inspect`](crate::inspect#backtraces). Watching costs the hubs nothing: they leave
//! their pulse in memory anyway. A thread that has no greenlet but its main one keeps nobody waiting, and is left
//! alone.
//!
//! | | |
//! |---|---|
//! | [`watch`], [`watch_with`] | in a program that runs |
//! | [`assert_no_blocking`] | in tests |
//! | [`record_lateness`], [`lateness`] | how much everybody suffers |

use std::collections::HashMap;
use std::ffi::c_long;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::hub::dump::{Seen, who_runs};
use crate::hub::lateness;
use crate::hub::pace::Pulse;
use crate::hub::roll::{self, Face};
use crate::switch::thread::{report, say};
use crate::sys::clock::Moment;
use crate::sys::lock::lock;
use crate::sys::tasks::{self, SystemCall};

/// So often is looked within the limit.
const GLANCES: u32 = 4;
/// How often is looked at most, and at least.
const INTERVALS: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(100)];
/// Between two reports of a watch about one thread.
const BREAK: Duration = Duration::from_secs(1);

/// A greenlet that keeps its thread.
#[derive(Clone, Debug)]
pub struct Hog {
    thread: Option<Box<str>>,
    number: i32,
    seen: Seen,
    kept: Duration,
    call: Option<SystemCall>,
}

impl Hog {
    /// The name of the thread.
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// The number that the system has given to the thread.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// The greenlet, as it was seen, with its calls.
    pub fn greenlet(&self) -> &Seen {
        &self.seen
    }

    /// For how long it had kept the thread by then.
    pub fn kept(&self) -> Duration {
        self.kept
    }

    /// The number of the system call that it was in, if it was in one, and if the system tells.
    pub fn system_call(&self) -> Option<c_long> {
        self.call.map(|call| call.0)
    }
}

impl fmt::Display for Hog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = self.thread.as_deref().unwrap_or("without a name");
        let kept = self.kept.as_millis();
        write!(f, "{} has kept thread '{thread}' for {kept} ms", self.seen)?;
        if let Some(call) = self.call {
            write!(f, ", in the system call {call}")?;
        }
        if !self.seen.is_main() {
            write!(f, " (spawned at {})", self.seen.site())?;
        }
        self.seen.calls().write(f, 2)
    }
}

/// Watches until it is dropped.
#[derive(Debug)]
#[must_use = "watching ends when this is dropped"]
pub struct Watch {
    ends: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    /// Watches for as long as the program runs.
    pub fn for_ever(self) {
        std::mem::forget(self);
    }

    /// Ends it, and waits until it has ended.
    fn end(mut self) {
        if let Some(thread) = self.stop() {
            let _ = thread.join();
        }
    }

    fn stop(&mut self) -> Option<thread::JoinHandle<()>> {
        self.ends.store(true, Ordering::Release);
        self.thread
            .take()
            .inspect(|thread| thread.thread().unpark())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Prints on standard error which greenlet keeps its thread for longer than `limit`, and what it was doing.
///
/// One that goes on keeping it is reported once, and of each thread there is one report a second at most. Several
/// watches do not know of each other.
///
/// # Parks
/// No.
///
/// # Errors
/// `InvalidInput` for a limit of zero; `Unsupported` in a build that cannot ask another thread who runs there, which are
/// those but Linux on x86-64 and aarch64, and the backend `baton`; and what the system says if there is no thread to be
/// had.
pub fn watch(limit: Duration) -> io::Result<Watch> {
    // Names take their time to look up. Others may print meanwhile, and a report comes whole or not at all.
    watch_with(limit, |hog| {
        let report = hog.to_string();
        say(format_args!("{report}"));
    })
}

/// As [`watch`], with something else to be done with each report.
///
/// It is done on the thread of the watch. A panic there is reported, and the watch goes on.
///
/// # Parks
/// No.
///
/// # Errors
/// As [`watch`].
pub fn watch_with(limit: Duration, callback: impl Fn(&Hog) + Send + 'static) -> io::Result<Watch> {
    let everybody = Subject {
        number: None,
        interval: BREAK,
    };
    start(limit, everybody, callback)
}

/// Runs `f`, and fails if a greenlet of this thread has kept it for longer than `limit` meanwhile; those that were
/// spawned by `f` count as well.
///
/// It notices what takes longer than one and a half times the limit, and may miss what takes less. On a machine that
/// is busy a short limit may be exceeded by no fault of the program. Where [`watch`] is not supported, nothing is
/// noticed, and that is printed.
///
/// ```
/// use std::time::Duration;
/// use greenlet::{monitor, sleep};
///
/// let limit = Duration::from_millis(500);
/// monitor::assert_no_blocking(limit, || sleep(limit * 2)); // this one parks
/// let blocks = || monitor::assert_no_blocking(limit, || std::thread::sleep(limit * 3));
/// # if cfg!(target_os = "linux") && greenlet::BACKEND != "baton" {
/// assert!(std::panic::catch_unwind(blocks).is_err());
/// # }
/// ```
///
/// # Parks
/// If `f` does.
///
/// # Panics
/// With a report that names the greenlet and what it was doing; with the panic of `f`; or if there is no thread to
/// be had.
#[track_caller]
pub fn assert_no_blocking<R>(limit: Duration, f: impl FnOnce() -> R) -> R {
    let hogs = Arc::new(Mutex::new(Vec::new()));
    let me = Subject {
        number: Some(roll::number_of_this_thread()),
        interval: Duration::ZERO,
    };
    // It has a hub from here on, and a pulse that is new.
    crate::spawn::yield_now();
    let watch = start(limit, me, {
        let hogs = Arc::clone(&hogs);
        move |hog| lock(&hogs).push(hog.to_string())
    });
    let watch = match watch {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            say(format_args!("nothing that blocks is noticed: {error}"));
            return f();
        }
        watch => watch.expect("a thread that watches"),
    };
    let outcome = f();
    watch.end();
    let hogs = lock(&hogs);
    if let Some(first) = hogs.first() {
        panic!("the thread was kept for more than {limit:?}: {first}");
    }
    outcome
}

/// Who is watched.
struct Subject {
    /// One thread, also if it has no greenlet but main; or all.
    number: Option<i32>,
    /// Between two reports.
    interval: Duration,
}

fn start(
    limit: Duration,
    subject: Subject,
    callback: impl Fn(&Hog) + Send + 'static,
) -> io::Result<Watch> {
    if limit.is_zero() {
        let reason = "a limit of zero: every greenlet keeps its thread for longer";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    if !roll::CAN_ASK {
        let reason = "this build cannot ask another thread who runs there";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    let ends = Arc::new(AtomicBool::new(false));
    let mut watcher = Watcher {
        limit,
        subject,
        known: HashMap::new(),
        callback,
    };
    let thread = thread::Builder::new().name("greenlet-watch".into());
    let thread = thread.spawn({
        let ends = Arc::clone(&ends);
        move || watcher.run(&ends)
    })?;
    Ok(Watch {
        ends,
        thread: Some(thread),
    })
}

/// What the thread of a watch has.
struct Watcher<F> {
    limit: Duration,
    subject: Subject,
    known: HashMap<i32, Known>,
    callback: F,
}

/// The last pulse of a hub.
struct Known {
    pulse: Pulse,
    since: Moment,
    reported: bool,
    /// When the next report may come.
    next: Moment,
}

impl<F: Fn(&Hog)> Watcher<F> {
    fn run(&mut self, ends: &AtomicBool) {
        let interval = (self.limit / GLANCES).clamp(INTERVALS[0], INTERVALS[1]);
        while !ends.load(Ordering::Acquire) {
            self.glance();
            let _aside = tasks::stand_aside();
            thread::park_timeout(interval);
        }
    }

    fn glance(&mut self) {
        let now = Moment::now();
        let faces = roll::faces();
        self.known
            .retain(|number, _| faces.iter().any(|face| face.number == *number));
        for face in faces {
            if self
                .subject
                .number
                .is_none_or(|number| number == face.number)
            {
                self.look_at(&face, now);
            }
        }
    }

    fn look_at(&mut self, face: &Face, now: Moment) {
        let fresh = Known {
            pulse: face.pulse,
            since: now,
            reported: false,
            next: now,
        };
        let known = self.known.entry(face.number).or_insert(fresh);
        if known.pulse != face.pulse || face.pulse.rests {
            (known.pulse, known.since, known.reported) = (face.pulse, now, false);
        }
        let kept = known.since.until(now);
        if known.reported || kept <= self.limit || now < known.next {
            return;
        }
        known.reported = true;
        if let Some(hog) = self.ask(face, kept) {
            let next = now.after(self.subject.interval);
            self.known
                .entry(face.number)
                .and_modify(|known| known.next = next);
            let told = catch_unwind(AssertUnwindSafe(|| (self.callback)(&hog)));
            if let Err(panic) = told {
                report(format_args!("the callback of a watch panicked"), panic);
            }
        }
    }

    /// The system call comes first: the question interrupts it.
    fn ask(&self, face: &Face, kept: Duration) -> Option<Hog> {
        let call = SystemCall::of(face.number);
        let alone = self.subject.number.is_some();
        Some(Hog {
            thread: face.name.clone(),
            number: face.number,
            seen: who_runs(face, alone)?,
            kept,
            call,
        })
    }
}

/// Begins to count how late timers go off, from nothing, or ends that.
///
/// # Parks
/// No.
pub fn record_lateness(on: bool) {
    lateness::turn(on);
}

/// How late timers of this process went off since [`record_lateness`]: each wait with a deadline, each sleep.
///
/// # Parks
/// No.
pub fn lateness() -> Lateness {
    Lateness {
        counts: lateness::counts(),
    }
}

/// A histogram of how late timers went off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lateness {
    counts: [u64; lateness::BUCKETS],
}

impl Lateness {
    /// How many went off.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The lateness that this share of them did not exceed. Times are rounded up to a power of two. A share below 0
    /// is 0, one beyond 1 is 1, and what is no number is 1.
    pub fn quantile(&self, share: f64) -> Duration {
        let share = if share.is_nan() {
            1.0
        } else {
            share.clamp(0.0, 1.0)
        };
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        match bucket {
            Some(bucket) if self.count() > 0 => Self::end(bucket),
            _ => Duration::ZERO,
        }
    }

    /// How many were late by less than each of these times, and by at least half of it.
    pub fn iter(&self) -> impl Iterator<Item = (Duration, u64)> {
        let all = self.counts.iter().enumerate();
        all.filter(|(_, count)| **count > 0)
            .map(|(bucket, count)| (Self::end(bucket), *count))
    }

    fn end(bucket: usize) -> Duration {
        Duration::from_nanos(2 << bucket)
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} timers", self.count())?;
        for (end, count) in self.iter() {
            write!(f, "\n  less than {end:>12?} late: {count}")?;
        }
        Ok(())
    }
}
