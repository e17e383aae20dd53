//! Signals, as something to wait for. std has nothing like it.
//!
//! ```text
//!   handler:   flag of the signal = true        next:   a flag is set? take it
//!              write a byte to each stream              else drain the stream, look again, park
//! ```
//!
//! The flag comes before the byte, so who has taken the byte finds the flag. Signals of one kind that come
//! before anybody looks are one, as they are for the kernel. Any number of streams may watch one signal.
//!
//! A watched signal does not do what it did by default. That stays so after the last stream has gone: what
//! comes then is ignored. Signals that the program itself has caused by a fault cannot be watched.

use std::cell::RefCell;
use std::ffi::c_int;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::SigId;

use crate::hub::Hub;
use crate::hub::io::{Direction, Source};
use crate::sys::fork;
use crate::time::sleep;

pub use signal_hook::consts::signal::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU,
    SIGURG, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// Between two tries to wait where no descriptor is left.
const PAUSE: Duration = Duration::from_millis(10);

/// The signals of some kinds, as they come.
///
/// ```
/// use greenlet::signal::{SIGUSR1, Signals};
///
/// let mut signals = Signals::new([SIGUSR1])?;
/// # let kill = |signal| std::process::Command::new("kill")
/// #     .args([format!("-{signal}"), std::process::id().to_string()])
/// #     .status();
/// kill(SIGUSR1)?;
/// assert_eq!(signals.next(), Some(SIGUSR1)); // parks until there is one
/// # std::io::Result::Ok(())
/// ```
///
/// # Parks
/// `next`, until a signal comes. There is always a next one, but at the end of the thread.
///
/// # Cancellation
/// No signal is lost.
///
/// It stays on its OS thread:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<greenlet::signal::Signals>();
/// ```
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<greenlet::signal::Signals>();
/// ```
pub struct Signals {
    listening: RefCell<Rc<Listening>>,
}

/// Where the signals of one process come in. The stream is shared with a child of a fork, which would take away what comes for
/// its parent: so that makes one of its own.
struct Listening {
    watched: Vec<Watched>,
    stream: Source<UnixStream>,
    forks: u32,
}

/// One kind of signal, for one stream.
struct Watched {
    signal: c_int,
    came: Arc<AtomicBool>,
    registered: [SigId; 2],
}

impl Signals {
    /// Watches signals of these kinds from now on.
    ///
    /// # Errors
    /// `InvalidInput` for a signal that cannot be watched: `SIGKILL`, `SIGSTOP` and those of faults; and what
    /// the system says.
    pub fn new<I: IntoIterator<Item = c_int>>(signals: I) -> io::Result<Signals> {
        let listening = Listening::to(signals)?;
        Ok(Signals {
            listening: RefCell::new(Rc::new(listening)),
        })
    }

    /// Those that have come and were not taken, without waiting.
    pub fn pending(&self) -> impl Iterator<Item = c_int> {
        std::iter::from_fn(|| self.take())
    }

    /// Where they come in in this process.
    fn listening(&self) -> io::Result<Rc<Listening>> {
        let parents = Rc::clone(&self.listening.borrow());
        if parents.forks == fork::count() {
            return Ok(parents);
        }
        let own = Rc::new(Listening::to(parents.kinds())?);
        // What came since the fork has come to the old flags.
        for (new, old) in own.watched.iter().zip(&parents.watched) {
            new.came
                .fetch_or(old.came.load(Ordering::Acquire), Ordering::AcqRel);
        }
        self.listening.replace(Rc::clone(&own));
        Ok(own)
    }

    fn take(&self) -> Option<c_int> {
        self.listening().ok()?.take()
    }

    /// The next one, as long as somebody can wait.
    fn next_one(&self) -> Option<c_int> {
        loop {
            match self.listening().and_then(|listening| listening.wait()) {
                Ok(signal) => return Some(signal),
                Err(_) if Hub::here_if_open().is_none() => return None,
                // There is no descriptor left to wait with; there may be one soon.
                Err(_) => sleep(PAUSE),
            }
            if let Some(signal) = self.take() {
                return Some(signal);
            }
        }
    }
}

impl Listening {
    fn to(signals: impl IntoIterator<Item = c_int>) -> io::Result<Listening> {
        fork::watch();
        let (stream, bell) = UnixStream::pair()?;
        stream.set_nonblocking(true)?;
        let mut watched: Vec<Watched> = Vec::new();
        for signal in signals {
            if watched.iter().all(|other| other.signal != signal) {
                watched.push(watch(signal, &bell)?);
            }
        }
        Ok(Listening {
            watched,
            stream: Source::new(stream),
            forks: fork::count(),
        })
    }

    fn kinds(&self) -> impl Iterator<Item = c_int> {
        self.watched.iter().map(|watched| watched.signal)
    }

    fn take(&self) -> Option<c_int> {
        let came = |watched: &&Watched| watched.came.swap(false, Ordering::AcqRel);
        self.watched.iter().find(came).map(|watched| watched.signal)
    }

    /// The next one.
    fn wait(&self) -> io::Result<c_int> {
        let mut bytes = [0; 64];
        self.stream.retry(Direction::Read, None, |mut stream| {
            if let Some(signal) = self.take() {
                return Ok(signal);
            }
            let _drained = stream.read(&mut bytes)?;
            self.take().ok_or(ErrorKind::Interrupted.into())
        })
    }
}

fn watch(signal: c_int, bell: &UnixStream) -> io::Result<Watched> {
    if signal_hook::consts::FORBIDDEN.contains(&signal) {
        let reason = format!("signal {signal} cannot be watched");
        return Err(io::Error::new(ErrorKind::InvalidInput, reason));
    }
    let came = Arc::new(AtomicBool::new(false));
    let bell = bell.try_clone()?;
    let first = signal_hook::flag::register(signal, Arc::clone(&came))?;
    let second = signal_hook::low_level::pipe::register(signal, bell).inspect_err(|_| {
        signal_hook::low_level::unregister(first);
    })?;
    Ok(Watched {
        signal,
        came,
        registered: [first, second],
    })
}

impl Drop for Watched {
    fn drop(&mut self) {
        for id in self.registered {
            signal_hook::low_level::unregister(id);
        }
    }
}

impl Iterator for &Signals {
    type Item = c_int;

    fn next(&mut self) -> Option<c_int> {
        self.next_one()
    }
}

impl Iterator for Signals {
    type Item = c_int;

    fn next(&mut self) -> Option<c_int> {
        self.next_one()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listening = self.listening.borrow();
        f.debug_list().entries(listening.kinds()).finish()
    }
}

/// Waits for one `SIGINT`, which is what Ctrl-C sends.
///
/// Before the first call it ends the program; after it, signals that come between two calls are ignored. To
/// miss none, keep a [`Signals`].
///
/// # Parks
/// Until it comes.
///
/// # Errors
/// What the system says.
pub fn ctrl_c() -> io::Result<()> {
    Listening::to([SIGINT])?.wait().map(drop)
}
