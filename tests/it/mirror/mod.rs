//! Threads and processes: what std tests of its own, in our words, as one text that is compiled twice, over std
//! ([`stds`]) and over greenlets ([`ours`]). What greenlets add is in `thread.rs` and `process.rs` beside this folder.

mod ours;
mod stds;
