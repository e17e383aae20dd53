//! What does a yield to the scheduler cost?
//!
//! Two tasks, or a thousand, give way again and again: to the end of the queue, the first of the
//! queue runs. The yardstick has no queue; it is the stack switches that a scheduler of coroutines
//! cannot do without.

use anyhow::Result;

use crate::external;
use crate::peers::{go, may, tokio, yardstick};
use crate::rounds::{self, Contender, Options, Question};

const TASKS: [usize; 2] = [2, 1000];

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let columns = TASKS.map(|tasks| format!("{tasks} tasks"));
    let question = Question {
        title: "What does a yield to the scheduler cost? (ns of CPU time per yield)",
        columns: &columns,
        how: "how one yield goes",
    };
    rounds::answer(&question, contenders(options), options)
}

/// All peers, the yardstick first.
fn contenders(options: &Options) -> Vec<Contender> {
    let count = if options.quick { 100_000 } else { 4_000_000 };
    vec![
        Contender::new(
            "corosensei pair",
            "the yardstick: two coroutines resumed in turn; suspend and resume, no scheduler"
                .into(),
            move |_| yardstick::handoff(2, count),
        ),
        #[cfg(feature = "ours")]
        inside(
            "greenlet (ours)",
            "`yield_now`: one direct switch to the next in the queue",
            count,
            crate::peers::ours::yield_,
        ),
        inside(
            "tokio",
            "`yield_now`, current_thread runtime",
            count,
            tokio::yield_,
        ),
        inside("may", "`yield_now`, one worker", count, may::yield_),
        external::contender(
            "Go",
            "`runtime.Gosched`, GOMAXPROCS=1",
            go::tasks,
            move |child, column| child.figure(&[&"yield", &TASKS[column], &count]),
        ),
    ]
}

/// A peer inside this process: `yield_` is asked for a number of tasks, and of yields altogether.
fn inside(
    name: &'static str,
    how: &str,
    count: u64,
    yield_: fn(usize, u64) -> Result<f64>,
) -> Contender {
    let measure = move |column: usize| yield_(TASKS[column], count).map(Some);
    Contender::new(name, how.to_owned(), measure)
}
