//! The bodies within one thread.

pub(super) use greenlet::sync::{Event, Semaphore, channel, oneshot};

#[allow(clippy::duplicate_mod)]
#[path = "channel.rs"]
mod channels;
#[allow(clippy::duplicate_mod)]
#[path = "event.rs"]
mod event;
#[allow(clippy::duplicate_mod)]
#[path = "oneshot.rs"]
mod oneshots;
#[allow(clippy::duplicate_mod)]
#[path = "semaphore.rs"]
mod semaphore;
