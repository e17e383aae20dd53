//! Floor 0, data: plain structures that know nothing of greenlets.

#[allow(unsafe_code)]
pub(crate) mod crowd;
pub(crate) mod fifo;
pub(crate) mod register;
#[allow(unsafe_code)]
pub(crate) mod ring;
#[allow(unsafe_code)]
pub(crate) mod slab;
pub(crate) mod timers;
