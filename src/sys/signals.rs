//! Handlers of signals that were there before ours.

use std::ffi::{c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::ptr;

/// What was done with a signal before.
pub(crate) struct Before(libc::sigaction);

// SAFETY: a plain record of flags and addresses.
unsafe impl Send for Before {}
// SAFETY: as above, and it is only read.
unsafe impl Sync for Before {}

impl Before {
    /// What is done with this signal now.
    pub(crate) fn of(signal: c_int) -> Option<Before> {
        let mut now = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: the call writes one record, if it succeeds.
        match unsafe { libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) } {
            // SAFETY: filled in by the call.
            0 => Some(Before(unsafe { now.assume_init() })),
            _ => None,
        }
    }

    /// Calls the handler; false if there was none.
    ///
    /// # Safety
    /// Called in a signal handler, with the arguments that the kernel gave it.
    pub(crate) unsafe fn call(
        &self,
        signal: c_int,
        info: *mut libc::siginfo_t,
        context: *mut c_void,
    ) -> bool {
        let Before(before) = self;
        match before.sa_sigaction {
            libc::SIG_DFL | libc::SIG_IGN => return false,
            // SAFETY: installed with SA_SIGINFO, so it has this signature; the arguments are the kernel's own.
            handler if before.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
                let handler: unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    mem::transmute(handler);
                handler(signal, info, context);
            },
            // SAFETY: installed without SA_SIGINFO, so it takes the number alone.
            handler => unsafe {
                let handler: unsafe extern "C" fn(c_int) = mem::transmute(handler);
                handler(signal);
            },
        }
        true
    }
}
