//! What greenlets wait on. What std and ours share is one text that is compiled twice, over std with its threads
//! ([`stds`]) and over greenlets ([`ours`]); what works within a thread and between threads is one text as well,
//! over [`here`] and [`across`]. Then what only one of them has.

mod across;
mod async_result;
mod cancelled;
mod here;
mod misuse;
mod ours;
mod programs;
mod promises;
mod queue;
mod remote;
mod select;
mod stds;
mod wait_group;

use std::time::Duration;

use greenlet::{GreenletExit, JoinHandle, yield_now};

pub(crate) const MS: Duration = Duration::from_millis(1);
/// So long that a test which waits for it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// What waits while it is shown.
pub(crate) struct Slow;

impl std::fmt::Debug for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        yield_now();
        f.write_str("slow")
    }
}

/// Lets everybody come to where they wait.
pub(crate) fn settle() {
    (0..10).for_each(|_| yield_now());
}

/// Kills one that waits, and sees it end by that.
#[track_caller]
pub(crate) fn end<R>(handle: JoinHandle<R>) {
    assert!(!handle.is_finished(), "it should wait");
    assert!(handle.kill());
    match handle.join() {
        Err(payload) => assert!(payload.is::<GreenletExit>()),
        Ok(_) => panic!("it was not killed"),
    }
}
