//! What does it cost to wait for another thread?
//!
//! A task asks its partner, a thread of the system on another core, and parks; the partner wakes
//! up, wakes the task and parks in its turn. The figures are those of both threads together, once
//! in CPU time and once in time on the wall.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Result;

use crate::clock::Cost;
use crate::cores::{self, Cores};
use crate::peers::{threads, tokio};
use crate::rounds::{self, Contender, Options, Question};

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let question = Question {
        title: "What does it cost to wait for another thread? (ns per round trip)",
        columns: &["CPU time".to_owned(), "wall time".to_owned()],
        how: "how a task parks and is woken",
    };
    rounds::answer(&question, contenders(options), options)
}

/// All peers, the yardstick first.
fn contenders(options: &Options) -> Vec<Contender> {
    let count = if options.quick { 1_000 } else { 50_000 };
    let cores = Cores::choose();
    cores::pin(cores.measurer);
    let inside = |name, how: &str, remote: fn(usize, u64) -> Result<Cost>| {
        let measure = move |column: usize| {
            let cost = remote(cores.measured, count)?;
            Ok(Some([cost.cpu, cost.wall][column]))
        };
        Contender::new(name, how.to_owned(), measure)
    };
    vec![
        inside(
            "std threads",
            "the yardstick: `thread::park` and `unpark`",
            threads::remote,
        ),
        #[cfg(feature = "ours")]
        inside(
            "greenlet (ours)",
            "`thread::park` and `unpark` of a greenlet",
            crate::peers::ours::remote,
        ),
        inside(
            "tokio",
            "`Notify::notified` and `notify_one`, current_thread runtime without drivers",
            tokio::remote,
        ),
        #[cfg(feature = "ours")]
        inside(
            "greenlet (ours), server",
            "the same while another greenlet waits in `accept`",
            crate::peers::ours::remote_of_a_server,
        ),
        inside(
            "tokio, server",
            "the same, all drivers, while another task waits in `accept`",
            tokio::remote_of_a_server,
        ),
    ]
}

/// Round trips before the timed ones.
pub fn warm_up(count: u64) -> u64 {
    count / 10
}

/// A thread that answers whenever it is asked.
pub struct Partner {
    state: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

const AT_REST: u8 = 0;
const ASKED: u8 = 1;
const DISMISSED: u8 = 2;

impl Partner {
    /// A partner on `core` that calls `answer` whenever it is asked.
    pub fn new(core: usize, answer: impl Fn() + Send + 'static) -> Partner {
        let state = Arc::new(AtomicU8::new(AT_REST));
        let thread = thread::spawn({
            let state = state.clone();
            move || {
                cores::pin(core);
                loop {
                    match state.swap(AT_REST, Ordering::Acquire) {
                        AT_REST => thread::park(),
                        ASKED => answer(),
                        _ => return,
                    }
                }
            }
        });
        let thread = Some(thread);
        Partner { state, thread }
    }

    pub fn ask(&self) {
        self.tell(ASKED);
    }

    fn tell(&self, what: u8) {
        self.state.store(what, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.tell(DISMISSED);
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has said so itself.
            let _ = thread.join();
        }
    }
}
