//! What does a hand-off cost?
//!
//! Coroutines stand in a ring. A hand-off passes control from one to the next, and with it a
//! `u64` that grows by one. The rings are 2, 16 and 1000 coroutines long: two stay in the
//! nearest cache, a thousand do not.

use anyhow::Result;

use crate::external::{self, Child};
use crate::peers::{boost, context, generator, go, may, pair, python, yardstick};
use crate::rounds::{self, Contender, Options, Question};

const RINGS: [usize; 3] = [2, 16, 1000];

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let count = |full: u64| if options.quick { full / 50 } else { full };
    let columns = RINGS.map(|ring| format!("ring of {ring}"));
    let question = Question {
        title: "What does a hand-off cost? (ns of CPU time per hand-off)",
        columns: &columns,
        how: "how one hand-off goes",
    };
    rounds::answer(&question, contenders(count), options)
}

/// All peers, the yardstick first; the slower a peer, the fewer hand-offs it is asked for.
fn contenders(count: impl Fn(u64) -> u64) -> Vec<Contender> {
    vec![
        inside(
            "yardstick",
            "corosensei 0.3.4 through a dispatch loop: two stack switches",
            count(10_000_000),
            yardstick::handoff,
        ),
        inside(
            "corosensei pair",
            "one coroutine and the native stack, to and fro: one stack switch",
            count(10_000_000),
            pair::handoff,
        ),
        #[cfg(feature = "ours")]
        inside(
            "greenlet (ours)",
            "direct switch to the next greenlet: one stack switch",
            count(10_000_000),
            crate::peers::ours::handoff,
        ),
        inside(
            "context",
            "direct transfer, the native stack is one of the ring: one stack switch",
            count(10_000_000),
            context::handoff,
        ),
        inside(
            "generator",
            "through a dispatch loop: two stack switches",
            count(10_000_000),
            generator::handoff,
        ),
        inside(
            "may",
            "ring of `yield_now` through its scheduler, one worker: two stack switches",
            count(4_000_000),
            may::handoff,
        ),
        outside(
            "Boost fcontext",
            "direct transfer, the native stack is one of the ring: one stack switch",
            count(10_000_000),
            boost::handoff,
        ),
        outside(
            "Go",
            "`runtime.Gosched` through its scheduler, in its order, GOMAXPROCS=1: two stack switches",
            count(2_000_000),
            go::handoff,
        ),
        outside(
            "Python greenlet",
            "direct switch to the next greenlet: one stack switch, by copying stacks",
            count(1_000_000),
            python::handoff,
        ),
    ]
}

/// A peer that runs inside this process.
fn inside(
    name: &'static str,
    how: &str,
    count: u64,
    handoff: fn(usize, u64) -> Result<Option<f64>>,
) -> Contender {
    let measure = move |column: usize| {
        let ring = RINGS[column];
        handoff(ring, whole_laps(ring, count))
    };
    Contender::new(name, how.to_owned(), measure)
}

/// A peer that is a child program; `prepare` builds it.
fn outside(name: &'static str, how: &str, count: u64, prepare: fn() -> Result<Child>) -> Contender {
    external::contender(name, how, prepare, move |child, column| {
        let ring = RINGS[column];
        child.figure(&[&ring, &whole_laps(ring, count)])
    })
}

fn whole_laps(ring: usize, count: u64) -> u64 {
    count.next_multiple_of(ring as u64)
}
