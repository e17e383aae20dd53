//! Floor 2, the hub: who runs next, who waits for what, the door for other threads.

mod door;
mod remote;
