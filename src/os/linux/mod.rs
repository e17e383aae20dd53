//! What Linux has: of the names of `std::os::linux` those of sockets.

pub mod net;
