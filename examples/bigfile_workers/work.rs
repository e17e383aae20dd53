//! Those who search chunks, and how some are started on this machine.

use std::error::Error;
use std::fs::File;
use std::io;
use std::process::{Child, Command, id};
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::chunk::{Chunk, Next};
use crate::coordinator::Search;
use crate::engine::Engine;
use crate::talk_parts::search::part;
use crate::talk_parts::weblog::Found;

#[derive(clap::Args)]
pub(crate) struct Work {
    /// What the search is called.
    name: String,
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// How many seconds to wait for the search to begin.
    #[arg(long, default_value_t = 60)]
    wait: u64,
    /// After how many ms a chunk that another worker has is taken from it.
    #[arg(long, default_value_t = 2000)]
    patience: u64,
    /// Wait so many ms with each chunk at hand, so that there is time to be killed.
    #[arg(long, default_value_t = 0, hide = true)]
    linger: u64,
}

/// Searches chunks until the search is over. One that has not begun is waited for.
pub(crate) fn work(arguments: &Work) -> Result<(), Box<dyn Error>> {
    let mut engine = Engine::open(&arguments.redis, &arguments.name)?;
    let me = format!("{}-{}", host(), id());
    let (begin, mut has_begun) = (Instant::now(), false);
    loop {
        let next = engine.next(&me, arguments.patience)?;
        has_begun |= !matches!(next, Next::NoSearch);
        match next {
            Next::Chunk(chunk) => {
                sleep(Duration::from_millis(arguments.linger));
                let why = |error: io::Error| format!("{}: {error}", chunk.file);
                engine.done(&chunk, &search(&chunk).map_err(why))?;
            }
            Next::Nothing => {}
            Next::NoSearch if has_begun => return Ok(()),
            Next::NoSearch if begin.elapsed().as_secs() >= arguments.wait => {
                return Err(format!("there is no search {:?}", arguments.name).into());
            }
            Next::NoSearch => sleep(Duration::from_millis(100)),
        }
    }
}

fn search(chunk: &Chunk) -> io::Result<Found> {
    let (file, user) = (File::open(&chunk.file)?, chunk.user.as_bytes());
    let found = part(&file, chunk.part, user, &ProgressBar::hidden())?;
    if file.metadata()?.len() < chunk.part.1 {
        let what = "it is shorter than when the search began";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
    }
    Ok(found)
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or_else(|_| "here".into(), |name| name.trim().into())
}

/// The workers that were started here. They end with this.
pub(crate) struct Workers(Vec<Child>);

impl Workers {
    pub(crate) fn start(search: &Search) -> Result<Workers, Box<dyn Error>> {
        let mut workers = Workers(Vec::new());
        for _ in 0..search.workers {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["work", "--redis", &search.redis, &search.name]);
            workers.0.push(command.spawn()?);
        }
        Ok(workers)
    }

    /// Whether some were started, and none is left.
    pub(crate) fn all_are_gone(&mut self) -> bool {
        let gone = |worker: &mut Child| !matches!(worker.try_wait(), Ok(None));
        !self.0.is_empty() && self.0.iter_mut().all(gone)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}
