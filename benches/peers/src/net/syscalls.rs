//! Which system calls does a process make while something goes on?
//!
//! `perf` counts without slowing the process down, but not every system lets it; then `strace`
//! counts. A process that is slowed down waits less often, as more has arrived whenever it looks.
//! Either is attached while the process is at rest, and detached when it is at rest again, so that
//! the counts belong to just what went on in between.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::external;

/// How often each system call was made.
pub type Counts = BTreeMap<String, u64>;

/// What was counted, by which tool, and what the process did meanwhile.
pub struct Counted<T> {
    pub counts: Counts,
    pub by: &'static str,
    pub result: T,
}

/// Counts the calls of the process `id` during `work`.
pub fn count<T>(id: u32, work: impl FnOnce() -> Result<T>) -> Result<Counted<T>> {
    let counter = Counter::perf(id)
        .or_else(|perf| Counter::strace(id).map_err(|strace| neither(perf, strace)))?;
    let by = match counter {
        Counter::Perf(..) => "perf",
        Counter::Strace(..) => "strace",
    };
    let result = work()?;
    let counts = counter.counts()?;
    Ok(Counted { counts, by, result })
}

fn neither(perf: Error, strace: Error) -> Error {
    anyhow!("{perf:#}; {strace:#}")
}

/// A tool that is attached to a process.
enum Counter {
    Perf(Child),
    Strace(Child, BufReader<ChildStderr>),
}

impl Counter {
    /// Its `cat` starts once the counters count, and ends when its input does.
    fn perf(id: u32) -> Result<Counter> {
        let mut command = external::tool("PERF", "perf");
        let events = NAMED.iter().filter(|name| is_known(name));
        let events = events.map(|name| format!("{PREFIX}{name}"));
        let events = events.chain([ALL.to_owned()]).collect::<Vec<_>>();
        command.args(["stat", "-x", ",", "-e", &events.join(","), "-p"]);
        command.args([&id.to_string(), "--", "cat"]);
        let mut perf = start(&mut command).context("`perf` could not be started")?;
        let (Some(input), Some(output)) = (&mut perf.stdin, &mut perf.stdout) else {
            unreachable!("both are pipes");
        };
        let ready = input
            .write_all(b"\n")
            .and_then(|()| output.read_exact(&mut [0]));
        if ready.is_err() {
            bail!("`perf`: {}", external::reason(&perf.wait_with_output()?));
        }
        Ok(Counter::Perf(perf))
    }

    /// It says that it has attached, and reports when it is interrupted.
    fn strace(id: u32) -> Result<Counter> {
        let mut command = external::tool("STRACE", "strace");
        command.args(["-c", "-f", "-U", "calls,name", "-p", &id.to_string()]);
        let mut strace = start(&mut command).context("`strace` could not be started")?;
        let mut messages = BufReader::new(strace.stderr.take().expect("it is a pipe"));
        let mut line = String::new();
        messages.read_line(&mut line)?;
        if !line.contains("attached") {
            strace.wait()?;
            bail!("`strace`: {}", line.trim());
        }
        Ok(Counter::Strace(strace, messages))
    }

    fn counts(self) -> Result<Counts> {
        match self {
            Counter::Perf(perf) => {
                let output = perf.wait_with_output()?;
                let counts = counts(&String::from_utf8_lossy(&output.stderr), of_perf);
                counts.map(with_others)
            }
            Counter::Strace(mut strace, mut messages) => {
                // SAFETY: the child is still there, as nobody has waited for it.
                unsafe { libc::kill(strace.id() as i32, libc::SIGINT) };
                let mut text = String::new();
                messages.read_to_string(&mut text)?;
                strace.wait()?;
                counts(&text, of_strace)
            }
        }
    }
}

fn start(command: &mut Command) -> std::io::Result<Child> {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command.spawn()
}

/// The counts in the report `text`, of which `read` understands a line.
fn counts(text: &str, read: fn(&str) -> Option<(&str, u64)>) -> Result<Counts> {
    let lines = text.lines().filter_map(read);
    let counts = lines.filter(|&(_, count)| count > 0);
    let counts: Counts = counts
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    match counts.is_empty() {
        true => bail!("no system calls were counted"),
        false => Ok(counts),
    }
}

/// The calls that get a count of their own from `perf`, where the machine has them. Attaching and
/// detaching takes a while for each; all other calls together are `others`.
const NAMED: &[&str] = &[
    "accept4",
    "close",
    "clock_nanosleep",
    "connect",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "fcntl",
    "futex",
    "getpid",
    "getsockname",
    "io_uring_enter",
    "ioctl",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "nanosleep",
    "poll",
    "ppoll",
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "sched_yield",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "timerfd_settime",
    "write",
    "writev",
];
const PREFIX: &str = "syscalls:sys_enter_";
const ALL: &str = "raw_syscalls:sys_enter";

/// Whether the kernel has a trace point for the call `name`; yes, where that cannot be seen.
fn is_known(name: &str) -> bool {
    let calls = Path::new("/sys/kernel/tracing/events/syscalls");
    !calls.is_dir() || calls.join(format!("sys_enter_{name}")).exists()
}

/// Takes the calls that have a name from all calls; what is left are the others.
fn with_others(mut counts: Counts) -> Counts {
    let all = counts.remove(ALL).unwrap_or(0);
    let others = all.saturating_sub(counts.values().sum());
    if others > 0 {
        counts.insert("others".to_owned(), others);
    }
    counts
}

/// `1234,,syscalls:sys_enter_read,...`
fn of_perf(line: &str) -> Option<(&str, u64)> {
    let mut fields = line.split(',');
    let count = fields.next()?.parse().ok()?;
    let event = fields.nth(1)?;
    let name = event.strip_prefix(PREFIX).or((event == ALL).then_some(ALL));
    Some((name?, count))
}

/// `     1234 read`
fn of_strace(line: &str) -> Option<(&str, u64)> {
    let mut fields = line.split_whitespace();
    let count = fields.next()?.parse().ok()?;
    fields
        .next()
        .filter(|name| *name != "total")
        .map(|name| (name, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_perf() {
        let text = "12,,syscalls:sys_enter_read,9,100.00,,\n0,,syscalls:sys_enter_write,9,,\n";
        let counts = counts(text, of_perf).unwrap();
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [("read".to_owned(), 12)]
        );
        assert_eq!(of_perf("<not supported>,,syscalls:sys_enter_read,0"), None);
    }

    #[test]
    fn calls_without_a_name_are_others() {
        let counted = |all| Counts::from([("read".to_owned(), 3), (ALL.to_owned(), all)]);
        assert_eq!(with_others(counted(3)), Counts::from([("read".into(), 3)]));
        assert_eq!(with_others(counted(5))["others"], 2);
    }

    #[test]
    fn a_report_of_strace() {
        let text = "    calls syscall\n--------- ------\n       12 read\n--------- ------\n       12 total\n";
        let counts = counts(text, of_strace).unwrap();
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [("read".to_owned(), 12)]
        );
    }
}
