//! Floor 0, data: plain structures that know nothing of greenlets.

#[allow(unsafe_code)]
pub(crate) mod fifo;
#[allow(unsafe_code)]
pub(crate) mod slab;
#[allow(dead_code, reason = "the hub uses it")]
pub(crate) mod timers;
