//! What the programs of the talk share. Each uses a part of it.
#![allow(dead_code)]

pub(crate) mod lines;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod weblog;
