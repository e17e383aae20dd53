//! The chapters on what is computed, and on what that costs.

use super::{ADDRESS, LOG};
use crate::beside::Beside;
use crate::chapters::{Chapter, Chart, Program};

pub(super) const COSTS: Chapter = Chapter {
    title: "What do things cost?",
    text: "A switch of greenlets costs about as much as a few reads of the cache; one of threads \
           goes through the kernel; a read of the disk is as long as a hundred thousand additions. \
           Everything else follows.",
    programs: &[Program::drawn("costs", Chart::Bars).with(&[], &["--quick"])],
};

pub(super) const BIGFILE: Chapter = Chapter {
    title: "Bigfile: one question, nine programs",
    text: "Which records of a web log are Jim's? Read plainly, with a regular expression, by \
           threads, by processes, through pipelines of generators and of coroutines, by greenlets \
           that leave the computing to other threads, as fast as memory allows, and by workers \
           that may run on other machines. First find out what bounds you: the disk or the \
           processor.",
    programs: &[
        Program::shown("bigfile_generate")
            .with(&["--size", "512MiB", LOG], &["--size", "4MiB", LOG]),
        Program::drawn("bigfile_all", Chart::Bars).with(&[LOG], &["--times", "1", LOG]),
        Program {
            beside: Beside::Redis,
            ..Program::shown("bigfile_workers").with(
                &["search", "--redis", ADDRESS, LOG],
                &["search", "--redis", ADDRESS, "--chunk", "1000000", LOG],
            )
        },
    ],
};

pub(super) const GENERATORS: Chapter = Chapter {
    title: "Generators and coroutines",
    text: "A generator is asked, a coroutine is told. Both stop in the middle of what they do, at \
           any depth of calls. And there can be a hundred thousand of them.",
    programs: &[
        Program::shown("generators_1"),
        Program::shown("coroutines_1"),
        Program::shown("pipeline"),
        Program::shown("greenlet_1"),
        Program::shown("greenlet_2"),
        Program::shown("chain").with(&[], &["1000"]),
    ],
};

pub(super) const CACHES: Chapter = Chapter {
    title: "Memoising, caching, optimizing",
    text: "Memoising keeps every answer, caching keeps some. And what was believed to be slow is \
           measured first.",
    programs: &[
        Program::drawn("fibonacci", Chart::Bars),
        Program::drawn("optimizations", Chart::Bars),
    ],
};
