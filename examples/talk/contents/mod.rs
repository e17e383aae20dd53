//! The chapters of the talk.

mod computing;
mod waiting;

use crate::chapters::Chapter;

/// Where the log lies that the searches of chapter 2 share; it is made in front of them.
pub(crate) const LOG: &str = "%LOG%";

/// Where the server listens that a program needs beside it.
pub(crate) const ADDRESS: &str = "%ADDRESS%";

pub(crate) const CHAPTERS: [Chapter; 9] = [
    computing::COSTS,
    computing::BIGFILE,
    computing::GENERATORS,
    computing::CACHES,
    waiting::WAYS,
    waiting::READINESS,
    waiting::WHO_RUNS,
    waiting::CLIENTS,
    waiting::LIMITS,
];
