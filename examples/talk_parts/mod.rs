//! What the programs of the talk share. Each uses a part of it.
#![allow(dead_code)]

pub(crate) mod cache;
pub(crate) mod chart;
pub(crate) mod cores;
#[cfg(target_os = "linux")]
pub(crate) mod epoll;
pub(crate) mod fetch;
pub(crate) mod limits;
pub(crate) mod lines;
pub(crate) mod programs;
pub(crate) mod report;
pub(crate) mod search;
pub(crate) mod show;
pub(crate) mod weblog;
