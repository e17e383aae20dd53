//! The chapters on waiting: for input, for each other, for a turn.

use super::ADDRESS;
use crate::beside::Beside;
use crate::chapters::{Chapter, Chart, Program};

/// One that talks with whoever sits in front of it.
const fn console(name: &'static str) -> Program {
    Program {
        input: "hello\nquit\n",
        ..Program::shown(name)
    }
}

pub(super) const WAYS: Chapter = Chapter {
    title: "Ways to wait for input",
    text: "Blocking waits for one thing at a time; not blocking asks again and again; greenlets \
           wait for all of them at once, with code that looks as if it blocked.",
    programs: &[
        Program::drawn("timeline", Chart::Timeline),
        console("blocking_io_1"),
        console("non_blocking_io_1"),
        console("non_blocking_io_2"),
    ],
};

pub(super) const READINESS: Chapter = Chapter {
    title: "Readiness, and why O(n) hurts",
    text: "select and poll are told every descriptor in each call; epoll is told once. Greenlets \
           are that epoll with one plain loop for each descriptor.",
    programs: &[
        Program::drawn("readiness", Chart::Lines)
            .with(&[], &["--rounds", "20", "--descriptors", "10,1000"]),
        Program::drawn("event_bench", Chart::Lines)
            .with(&[], &["--rounds", "1", "--pairs", "100,1000"]),
    ],
};

pub(super) const WHO_RUNS: Chapter = Chapter {
    title: "Who runs when",
    text: "First in, first out, until it waits. What that means for hogs, herds, priorities and \
           starving writers.",
    programs: &[
        Program::shown("fifo"),
        Program::shown("starvation"),
        Program::shown("priority_inversion"),
        Program::shown("thundering_herd"),
        Program::shown("cpu_bound_toast"),
    ],
};

pub(super) const CLIENTS: Chapter = Chapter {
    title: "gevent's and Go's programs",
    text: "35 URLs from a slow server, by greenlets and by threads; an echo server with a client \
           that measures it; channels, the prime sieve, select.",
    programs: &[
        Program::drawn("urlclient", Chart::Shared)
            .with(&["--rounds", "20"], &["--rounds", "2", "--delay", "2"]),
        Program::drawn("urlclient", Chart::Shared).with(
            &["--keep-alive", "--rounds", "20"],
            &["--keep-alive", "--rounds", "2", "--delay", "2"],
        ),
        Program::drawn("futures_urlclient", Chart::Shared)
            .with(&["--rounds", "20"], &["--rounds", "2", "--delay", "2"]),
        Program {
            beside: Beside::EchoServer,
            ..Program::shown("echo_client").with(
                &[
                    "--connect",
                    ADDRESS,
                    "--connections",
                    "16",
                    "--requests",
                    "50000",
                ],
                &[
                    "--connect",
                    ADDRESS,
                    "--connections",
                    "4",
                    "--requests",
                    "1000",
                ],
            )
        },
        Program::shown("queues_as_channels"),
        Program::shown("csp"),
        Program::shown("futures_promises"),
    ],
};

pub(super) const LIMITS: Chapter = Chapter {
    title: "The limits: one lock, one event, one pool",
    text: "What a coarse lock costs, what an event loses, and why a pool is kinder to the other \
           side.",
    programs: &[
        Program::shown("coarse_lock"),
        Program::shown("missed_event"),
        Program::shown("pool_or_each"),
    ],
};
