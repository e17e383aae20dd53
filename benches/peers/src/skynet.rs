//! What does a tree of tasks cost?
//!
//! Ten branches at each node, a million leaves; every leaf sends its number up, the nodes add, and the root has the
//! sum. Where tasks run first in, first out, all leaves wait at once before the first of them runs. The yardstick is
//! tokio, whose tasks have no stacks; `bare stacks` is what the kernel takes for the stacks of the inner nodes alone. Every
//! peer has a process of its own, and what it used altogether is what counts.

use std::env;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::external::{self, Child};
use crate::peers::{go, tokio};
use crate::rounds::{self, Contender, Options, Question};

/// Branches at each node.
pub const BRANCHES: u64 = 10;

/// A peer inside this very program: grows a tree with so many leaves, and returns the sum.
type Grow = fn(u64) -> Result<u64>;

const INSIDE: &[(&str, &str, Grow)] = &[
    (
        "tokio",
        "`mpsc::channel(10)` at each node, current_thread runtime",
        tokio::skynet,
    ),
    #[cfg(feature = "ours")]
    (
        "greenlet (ours)",
        "`channel::bounded(10)` at each node",
        crate::peers::ours::skynet,
    ),
    #[cfg(target_os = "linux")]
    (
        "bare stacks",
        "no tasks: a mapping, a guard and a touched byte for each inner node",
        |leaves| {
            crate::peers::bare::timers(inner_nodes(leaves))?;
            Ok(sum(leaves))
        },
    ),
];

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let leaves: u64 = if options.quick { 1000 } else { 1_000_000 };
    let question = Question {
        title: "What does a tree of tasks cost? (a whole process)",
        columns: &[
            "ns of CPU a leaf".into(),
            "of it in the kernel".into(),
            "peak memory, MiB".into(),
        ],
        how: "how the nodes are fed",
    };
    let inside = INSIDE.iter().map(|&(name, how, _)| {
        let prepare = || {
            let first = ["grow", name].map(PathBuf::from);
            Ok(Child::without_version(env::current_exe()?, first.to_vec()))
        };
        external::contender(name, how, prepare, move |child, column| {
            child.figure(&[&leaves, &column])
        })
    });
    let mut contenders: Vec<Contender> = inside.collect();
    contenders.push(external::contender(
        "Go",
        "`make(chan int, 10)` at each node, GOMAXPROCS=1",
        go::tasks,
        move |child, column| child.figure(&[&"skynet", &column, &leaves]),
    ));
    rounds::answer(&question, contenders, options)
}

/// Grows the tree of the peer `name` in this process, and prints one column.
pub fn grow(name: &str, leaves: u64, column: usize) -> Result<()> {
    let peer = INSIDE.iter().find(|peer| peer.0 == name);
    let (_, _, grow) = peer.with_context(|| format!("no peer {name}"))?;
    ensure!(grow(leaves)? == sum(leaves), "the sum is wrong");
    println!("{:.3}", used()?.column(column, leaves));
    Ok(())
}

fn sum(leaves: u64) -> u64 {
    leaves * (leaves - 1) / 2
}

fn inner_nodes(leaves: u64) -> u64 {
    (leaves - 1) / (BRANCHES - 1)
}

/// What this process has used so far.
struct Used {
    user: f64,
    system: f64,
    peak: f64,
}

impl Used {
    fn column(&self, column: usize, leaves: u64) -> f64 {
        match column {
            0 => (self.user + self.system) / leaves as f64,
            1 => self.system / leaves as f64,
            _ => self.peak,
        }
    }
}

fn used() -> io::Result<Used> {
    // SAFETY: all zeroes are a valid `rusage`, and the call writes one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        match libc::getrusage(libc::RUSAGE_SELF, &mut usage) {
            0 => usage,
            _ => return Err(io::Error::last_os_error()),
        }
    };
    let ns = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    Ok(Used {
        user: ns(usage.ru_utime),
        system: ns(usage.ru_stime),
        peak: usage.ru_maxrss as f64 / 1024.0,
    })
}
