//! What Linux has: the names of `std::os::linux`.

pub mod net;
