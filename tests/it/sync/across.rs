//! The bodies over what threads share.

pub(super) use greenlet::sync::remote::{Event, Semaphore, channel, oneshot};

#[path = "channel.rs"]
mod channels;
#[path = "event.rs"]
mod event;
#[path = "oneshot.rs"]
mod oneshots;
#[path = "semaphore.rs"]
mod semaphore;
