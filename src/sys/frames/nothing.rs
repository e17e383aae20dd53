//! Where nothing of this is known: no frames.

use super::Symbols;

/// Whether a signal handler knows what it has interrupted.
pub(crate) const CAN_INTERRUPT: bool = false;

/// The registers of something that does not run.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    sp: usize,
}

impl Registers {
    #[allow(dead_code, reason = "not every backend asks")]
    pub(crate) fn at_rest(sp: usize, _pc: usize, _kept: [usize; 2]) -> Registers {
        Registers { sp }
    }

    /// # Safety
    /// None here.
    pub(crate) unsafe fn interrupted(_context: *const libc::c_void) -> Option<Registers> {
        None
    }

    pub(crate) fn second_argument(&self) -> usize {
        0
    }

    pub(crate) fn sp(&self) -> usize {
        self.sp
    }
}

/// Nobody is asked here.
pub(crate) struct Elsewhere;

impl Elsewhere {
    pub(crate) fn new() -> std::io::Result<Elsewhere> {
        Ok(Elsewhere)
    }

    /// # Safety
    /// None here.
    pub(crate) unsafe fn run(&self, mut f: impl FnMut()) {
        f();
    }
}

/// # Safety
/// None here.
pub(crate) unsafe fn walk(_registers: &Registers, _into: &mut [usize]) -> usize {
    0
}

/// # Safety
/// None here.
pub(crate) unsafe fn rescue(_context: *mut std::ffi::c_void) -> bool {
    false
}

pub(crate) fn here(_into: &mut [usize]) -> usize {
    0
}

pub(crate) fn symbols(_frame: usize) -> Symbols {
    Symbols::from([])
}
