//! What does a task cost that has nothing to do?
//!
//! It is spawned, runs and is joined: one after another, or a thousand at once. The yardstick is
//! tokio, whose tasks have no stacks.

use anyhow::Result;

use crate::external;
use crate::peers::{go, may, tokio};
use crate::rounds::{self, Contender, Options, Question};

const AT_ONCE: [usize; 2] = [1, 1000];

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let columns = AT_ONCE.map(|tasks| format!("{tasks} at once"));
    let question = Question {
        title: "What does an empty task cost? (ns of CPU time per spawn and join)",
        columns: &columns,
        how: "how one task goes",
    };
    rounds::answer(&question, contenders(options), options)
}

/// All peers, the yardstick first.
fn contenders(options: &Options) -> Vec<Contender> {
    let count = if options.quick { 20_000 } else { 500_000 };
    vec![
        inside(
            "tokio",
            "no stack, current_thread runtime",
            count,
            tokio::spawn,
        ),
        #[cfg(feature = "ours")]
        inside(
            "greenlet (ours)",
            "a stack from its pool, joined by the main greenlet",
            count,
            crate::peers::ours::spawn,
        ),
        inside(
            "may",
            "a stack from its pool, one worker, joined by a coroutine",
            count,
            may::spawn,
        ),
        external::contender(
            "Go",
            "a stack from its pool, joined by a WaitGroup, GOMAXPROCS=1",
            go::tasks,
            move |child, column| child.figure(&[&"spawn", &AT_ONCE[column], &count]),
        ),
    ]
}

/// A peer inside this process: `spawn` is asked for so many tasks at once, and so many altogether.
fn inside(
    name: &'static str,
    how: &str,
    count: u64,
    spawn: fn(usize, u64) -> Result<f64>,
) -> Contender {
    let measure = move |column: usize| spawn(AT_ONCE[column], count).map(Some);
    Contender::new(name, how.to_owned(), measure)
}
