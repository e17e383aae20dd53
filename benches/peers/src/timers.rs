//! What does a sleeping task cost?
//!
//! A million tasks are spawned, each sleeps for a random time of up to a second, and all are
//! joined. Every peer has a process of its own: what the kernel has for a process depends on what
//! that process had before. The yardstick is tokio, whose tasks have no stacks; `bare stacks` has
//! no tasks, only what the kernel takes for a million stacks.
//!
//! In a virtual machine a free page may be one that the host has taken back, and then it costs ten
//! times as much when it is used again: more than anything else here. So before each turn as much
//! memory as any peer needs is touched and given back.

use std::env;
use std::io;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::external::{self, Child};
use crate::peers::{go, tokio};
use crate::rounds::{self, Contender, Options, Question};

/// A peer inside this very program.
struct Inside {
    name: &'static str,
    how: &'static str,
    /// Is told how many tasks, and returns the nanoseconds for each.
    sleep: fn(u64) -> Result<f64>,
}

const INSIDE: &[Inside] = &[
    Inside {
        name: "tokio",
        how: "no stacks, `sleep`, current_thread runtime",
        sleep: tokio::timers,
    },
    #[cfg(feature = "ours")]
    Inside {
        name: "greenlet (ours)",
        how: "a stack with a guard each, `sleep`",
        sleep: crate::peers::ours::timers,
    },
    #[cfg(feature = "ours")]
    Inside {
        name: "greenlet (ours, warm)",
        how: "the same on stacks that were used before",
        sleep: crate::peers::ours::timers_warm,
    },
    #[cfg(target_os = "linux")]
    Inside {
        name: "bare stacks",
        how: "no tasks: one mapping, a guard for each stack, one byte of each touched",
        sleep: crate::peers::bare::timers,
    },
];

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let count: u64 = if options.quick { 10_000 } else { 1_000_000 };
    let question = Question {
        title: "What does a sleeping task cost? (ns of CPU time per spawn, sleep and join)",
        columns: &[format!("{count} tasks")],
        how: "how the tasks sleep",
    };
    let inside = INSIDE.iter().map(|peer| {
        let prepare = || {
            let first = ["sleep", peer.name].map(PathBuf::from);
            Ok(Child::without_version(env::current_exe()?, first.to_vec()))
        };
        external::contender(peer.name, peer.how, prepare, move |child, _| {
            touch_memory_for(count)?;
            child.figure(&[&count])
        })
    });
    let mut contenders: Vec<Contender> = inside.collect();
    contenders.push(external::contender(
        "Go",
        "`time.Sleep`, GOMAXPROCS=1",
        go::tasks,
        move |child, _| {
            touch_memory_for(count)?;
            child.figure(&[&"sleep", &0, &count])
        },
    ));
    rounds::answer(&question, contenders, options)
}

/// Has the host give what so many tasks of any peer take, and a little more.
fn touch_memory_for(count: u64) -> Result<()> {
    let (length, page) = (count as usize * 6 * 1024, 4096);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a mapping of our own, which nobody uses after this.
    unsafe {
        let start = libc::mmap(std::ptr::null_mut(), length, access, flags, -1, 0);
        ensure!(start != libc::MAP_FAILED, io::Error::last_os_error());
        #[cfg(target_os = "linux")]
        libc::madvise(start, length, libc::MADV_HUGEPAGE);
        for at in (0..length).step_by(page) {
            start.cast::<u8>().add(at).write_volatile(1);
        }
        libc::munmap(start, length);
    }
    Ok(())
}

/// Prints the figure of the peer `name`: what this program does for itself in a child process.
pub fn sleep(name: &str, count: u64) -> Result<()> {
    let peer = INSIDE.iter().find(|peer| peer.name == name);
    let peer = peer.with_context(|| format!("no peer {name}"))?;
    println!("{:.3}", (peer.sleep)(count)?);
    Ok(())
}

/// So many random numbers below a thousand, the same ones every time.
pub fn milliseconds(count: u64) -> impl Iterator<Item = u64> {
    let mut state: u64 = 1;
    (0..count).map(move |_| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) % 1000
    })
}
