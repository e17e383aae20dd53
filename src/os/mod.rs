//! What only some systems have: the names of `std::os`.

#[cfg(target_os = "linux")]
pub mod linux;
pub mod unix;
