//! What only some systems have: the names of `std::os`.

pub mod unix;
