//! The chapters of the talk.

use crate::chapters::{Chapter, Chart, Program};

const fn shown(name: &'static str) -> Program {
    Program {
        name,
        full: &[],
        quick: &[],
        input: "",
        chart: Chart::None,
    }
}

const fn drawn(
    name: &'static str,
    chart: Chart,
    full: &'static [&'static str],
    quick: &'static [&'static str],
) -> Program {
    Program {
        name,
        full,
        quick,
        input: "",
        chart,
    }
}

/// The log that the searches of chapter 2 share is made in front of them, and lies where this points to.
pub(crate) const LOG: &str = "%LOG%";

pub(crate) const CHAPTERS: [Chapter; 9] = [
    Chapter {
        title: "What do things cost?",
        text: "A switch of greenlets costs about as much as a few reads of the cache; one of threads goes through \
               the kernel; a read of the disk is as long as a hundred thousand additions. Everything else follows.",
        programs: &[drawn("costs", Chart::Bars, &[], &["--quick"])],
    },
    Chapter {
        title: "Bigfile: one question, nine programs",
        text: "Which records of a web log are Jim's? Read plainly, with a regular expression, by threads, by \
               processes, through pipelines of generators and of coroutines, by greenlets that leave the computing \
               to other threads, and as fast as memory allows. First find out what bounds you: the disk or the processor.",
        programs: &[
            drawn(
                "bigfile_generate",
                Chart::None,
                &["--size", "512MiB", LOG],
                &["--size", "4MiB", LOG],
            ),
            drawn("bigfile_all", Chart::Bars, &[LOG], &["--times", "1", LOG]),
        ],
    },
    Chapter {
        title: "Generators and coroutines",
        text: "A generator is asked, a coroutine is told. Both stop in the middle of what they do, at any depth of calls.",
        programs: &[
            shown("generators_1"),
            shown("coroutines_1"),
            shown("pipeline"),
            shown("greenlet_1"),
            shown("greenlet_2"),
        ],
    },
    Chapter {
        title: "Memoising, caching, optimizing",
        text: "Memoising keeps every answer, caching keeps some. And what was believed to be slow is measured first.",
        programs: &[
            drawn("fibonacci", Chart::Bars, &[], &[]),
            drawn("optimizations", Chart::Bars, &[], &[]),
        ],
    },
    Chapter {
        title: "Ways to wait for input",
        text: "Blocking waits for one thing at a time; not blocking asks again and again; greenlets wait for all of \
               them at once, with code that looks as if it blocked.",
        programs: &[
            Program {
                name: "timeline",
                full: &[],
                quick: &[],
                input: "",
                chart: Chart::Timeline,
            },
            Program {
                input: "hello\nquit\n",
                ..shown("blocking_io_1")
            },
            Program {
                input: "hello\nquit\n",
                ..shown("non_blocking_io_1")
            },
        ],
    },
    Chapter {
        title: "Readiness, and why O(n) hurts",
        text: "select and poll are told every descriptor in each call; epoll is told once. Greenlets are that epoll \
               with one plain loop for each descriptor.",
        programs: &[
            drawn(
                "readiness",
                Chart::Lines,
                &[],
                &["--rounds", "20", "--descriptors", "10,1000"],
            ),
            drawn(
                "event_bench",
                Chart::Lines,
                &[],
                &["--rounds", "1", "--pairs", "100,1000"],
            ),
        ],
    },
    Chapter {
        title: "Who runs when",
        text: "First in, first out, until it waits. What that means for hogs, herds, priorities and starving writers.",
        programs: &[
            shown("fifo"),
            shown("starvation"),
            shown("priority_inversion"),
            shown("thundering_herd"),
            shown("cpu_bound_toast"),
        ],
    },
    Chapter {
        title: "gevent's and Go's programs",
        text: "35 URLs from a slow server, by greenlets and by threads; channels, the prime sieve, select.",
        programs: &[
            drawn(
                "urlclient",
                Chart::Bars,
                &["--rounds", "20"],
                &["--rounds", "2", "--delay", "2"],
            ),
            drawn(
                "futures_urlclient",
                Chart::Bars,
                &["--rounds", "20"],
                &["--rounds", "2", "--delay", "2"],
            ),
            shown("queues_as_channels"),
            shown("csp"),
            shown("futures_promises"),
        ],
    },
    Chapter {
        title: "The limits: one lock, one event, one pool",
        text: "What a coarse lock costs, what an event loses, and why a pool is kinder to the other side.",
        programs: &[
            shown("coarse_lock"),
            shown("missed_event"),
            shown("pool_or_each"),
        ],
    },
];
