//! What Unix has: the names of `std::os::unix`.

pub mod net;
