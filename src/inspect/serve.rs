//! Dumps for other processes, over a socket in the file system.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::{Dump, Options, dump_all_with};
use crate::sys::{fork, tasks};

/// A client that is slower than that is left alone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries where no connection can be had.
const BREAK: Duration = Duration::from_millis(100);

/// Answers other processes, until it is dropped; see [`serve`].
#[must_use = "serving ends when this is dropped"]
pub struct Served {
    path: PathBuf,
    ends: Arc<AtomicBool>,
    /// Of the process that serves.
    forks: u32,
}

/// Lets other processes see what the greenlets of this one are doing: whoever connects to this socket, sends one
/// word and a newline, gets one answer and the end of the stream.
///
/// | word | answer |
/// |---|---|
/// | `text`, or nothing | what [`Dump`] prints, for each thread |
/// | `json` | [`Dump::to_json`], a line for each thread |
/// | `brief` | the same, without frames and calls: cheap enough to ask for several times a second |
///
/// `echo | nc -U PATH` shows it, and so does the example `top`. Only the owner of the process may connect. A thread
/// of its own answers, one client at a time.
///
/// ```
/// use greenlet::inspect;
///
/// # let path = std::env::temp_dir().join(format!("greenlet-doc-{}", std::process::id()));
/// let served = inspect::serve(&path)?;
/// drop(served); // the socket goes with it
/// assert!(!path.exists());
/// # std::io::Result::Ok(())
/// ```
///
/// # Parks
/// No.
///
/// # Errors
/// `AddrInUse` if there is something at that path: it is not removed, whatever it is; and what the system says.
pub fn serve(path: impl AsRef<Path>) -> io::Result<Served> {
    fork::watch();
    // The program may change its folder.
    let path = std::path::absolute(path)?;
    let listener = UnixListener::bind(&path)?;
    let ends = Arc::new(AtomicBool::new(false));
    let served = Served {
        path: path.clone(),
        ends: Arc::clone(&ends),
        forks: fork::count(),
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let thread = thread::Builder::new().name("greenlet-serve".into());
    thread.spawn(move || accept(&listener, &ends))?;
    Ok(served)
}

fn accept(listener: &UnixListener, ends: &AtomicBool) {
    let _aside = tasks::stand_aside();
    loop {
        let client = listener.accept();
        if ends.load(Ordering::Acquire) {
            return;
        }
        match client {
            // Whoever does not take the answer does not want it.
            Ok((client, _)) => _ = answer(client),
            Err(_) => thread::sleep(BREAK),
        }
    }
}

fn answer(mut client: UnixStream) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut word = String::new();
    BufReader::new(&client).read_line(&mut word)?;
    let answer = match word.trim() {
        "" | "text" => lines(Options::new(), Dump::to_string),
        "json" => lines(Options::new(), Dump::to_json),
        "brief" => lines(Options::new().frames(false), Dump::to_json),
        other => format!("unknown: {other:?}; known are text, json and brief\n"),
    };
    client.write_all(answer.as_bytes())
}

fn lines(options: Options, line: impl Fn(&Dump) -> String) -> String {
    let dumps = dump_all_with(options);
    dumps.iter().map(|dump| line(dump) + "\n").collect()
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.forks != fork::count() {
            // The thread and the socket are the parent's.
            return;
        }
        self.ends.store(true, Ordering::Release);
        // This ends its wait.
        let _ = UnixStream::connect(&self.path);
        let _ = fs::remove_file(&self.path);
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("path", &self.path).finish()
    }
}
