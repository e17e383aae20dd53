//! Where the programs run: a folder of their own. It goes, with all in it, when the talk ends.

use std::path::PathBuf;
use std::rc::Rc;
use std::{env, fs, io, mem, process, ptr};

use greenlet::process::Child;
use greenlet::signal::{SIGHUP, SIGINT, SIGTERM, Signals};
use greenlet::thread::Builder;

use crate::Outcome;

/// Drawing a chart takes more than a greenlet has.
const STACK: usize = 8 << 20;

/// The folder, and how much is measured.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) quick: bool,
}

impl Stage {
    /// Makes a folder that was not there: one that an old process has left does no harm.
    pub(crate) fn new(quick: bool) -> io::Result<Stage> {
        let mut number = 0;
        loop {
            let folder = env::temp_dir().join(format!("talk-{}-{number}", process::id()));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Stage { folder, quick }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    let words = format!("{}: {error}", folder.display());
                    return Err(io::Error::new(error.kind(), words));
                }
            }
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A process that does not outlive this.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does it until it is done, or a signal comes: then it is unwound, and what it has made goes.
pub(crate) fn until_a_signal(what: impl FnOnce() -> Outcome + 'static) -> Outcome {
    let deadly = [SIGHUP, SIGINT, SIGTERM].into_iter();
    let mut signals = Signals::new(deadly.filter(|signal| !is_ignored(*signal)))?;
    let work = Rc::new(Builder::new().stack_size(STACK).spawn(what)?);
    let doomed = Rc::clone(&work);
    let watch = greenlet::spawn(move || {
        let signal = signals.next();
        doomed.start_kill();
        signal
    });
    work.wait();
    if watch.is_finished() {
        return Err("a signal has ended it".into());
    }
    watch.kill();
    let work = Rc::into_inner(work).ok_or("it is still watched")?;
    work.join()
        .unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Under `nohup`, say.
fn is_ignored(signal: i32) -> bool {
    // SAFETY: zeros are an action, and the call writes another one there.
    let (asked, action) = unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        (libc::sigaction(signal, ptr::null(), &mut action), action)
    };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}
