//! Telling a stack overflow apart from a bug: the handler for SIGSEGV and SIGBUS.
//!
//! A fault in the guard of the running greenlet prints which greenlet it was and aborts. Every other fault
//! goes to whoever handled it before: std's handler (which prints its own message for ordinary threads),
//! a handler of the program, or the default action, so that a null dereference stays a SIGSEGV.
//!
//! A fault in the walk of a stack ends the walk, and nothing else.
//!
//! The handler runs on the alternate signal stack of its thread (the faulting stack is full), reads one
//! thread-local without a destructor, formats into a buffer on its stack, and writes to descriptor 2. It
//! takes no lock and allocates nothing. What a guard is, floor 1 tells it through [`Explain`].

use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use crate::sys::frames;
use crate::sys::memory;
use crate::sys::signals::Before;
use crate::sys::stack::page_size;

/// Writes what ran over at the faulting address, or returns false if that address is no guard of ours.
/// Called in a signal handler: async-signal-safe functions only.
pub(crate) type Explain = fn(address: usize, message: &mut Message) -> bool;

static EXPLAIN: OnceLock<Explain> = OnceLock::new();
static BEFORE: [OnceLock<Before>; 2] = [OnceLock::new(), OnceLock::new()];
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Installs the handler for the process, once, and an alternate signal stack for this thread if it has none.
/// The thread keeps what is returned until it has no greenlets left.
pub(crate) fn install(explain: Explain) -> Option<SignalStack> {
    if cfg!(miri) {
        return None;
    }
    if EXPLAIN.set(explain).is_ok() {
        for (signal, before) in SIGNALS.into_iter().zip(&BEFORE) {
            install_one(signal, before);
        }
    }
    SignalStack::for_this_thread()
}

fn install_one(signal: libc::c_int, before: &OnceLock<Before>) {
    // It is stored before ours can run.
    let Some(old) = Before::of(signal) else {
        return;
    };
    let _ = before.set(old);
    // SAFETY: all-zero is a valid sigaction, completed below; the handler keeps the rules of its context.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}

unsafe extern "C" fn handle(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel's own.
    if unsafe { frames::rescue(context) } {
        return;
    }
    // SAFETY: the kernel hands a valid record to an SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let mut message = Message::new();
    if EXPLAIN
        .get()
        .is_some_and(|explain| explain(address, &mut message))
    {
        message.print();
        // SAFETY: ends the process; `abort` may be called in a handler.
        unsafe { libc::abort() }
    }
    let before = SIGNALS
        .iter()
        .position(|&known| known == signal)
        .and_then(|index| BEFORE[index].get());
    // SAFETY: called in the handler, with the arguments of the kernel.
    unsafe { pass_on(before, signal, info, context) }
}

/// Does what would have happened without us.
///
/// # Safety
/// Called in a signal handler, with the arguments that the kernel gave it.
unsafe fn pass_on(
    before: Option<&Before>,
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: caller's promise.
    let called = before.is_none_or(|before| unsafe { before.call(signal, info, context) });
    if !called {
        // A fault that is ignored comes again at once, so it ends the process when we return.
        // SAFETY: all-zero is a valid sigaction and means the default action.
        unsafe {
            let mut default: libc::sigaction = mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &default, ptr::null_mut());
        }
    }
}

/// A message put together without allocation.
pub(crate) struct Message {
    bytes: [u8; 512],
    length: usize,
}

impl Message {
    fn new() -> Message {
        Message {
            bytes: [0; 512],
            length: 0,
        }
    }

    /// Adds text; what does not fit is cut off.
    pub(crate) fn text(&mut self, text: &str) -> &mut Message {
        let room = &mut self.bytes[self.length..];
        let fits = text.len().min(room.len());
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        self
    }

    /// Adds a number in decimal.
    pub(crate) fn number(&mut self, mut number: u64) -> &mut Message {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.text(std::str::from_utf8(&digits[at..]).unwrap_or("?"))
    }

    fn print(&self) {
        // SAFETY: the bytes are initialised; a failing write leaves nobody to tell.
        unsafe { libc::write(2, self.bytes.as_ptr().cast(), self.length) };
    }
}

/// The alternate signal stack of a thread that had none: std gives one to its own threads only.
pub(crate) struct SignalStack {
    start: NonNull<u8>,
    length: usize,
}

impl SignalStack {
    /// Makes and registers one, if this thread has none. Without memory for it an overflow is a bare SIGSEGV.
    fn for_this_thread() -> Option<SignalStack> {
        let mut present = MaybeUninit::<libc::stack_t>::uninit();
        // SAFETY: asks for the present alternate stack.
        let asked = unsafe { libc::sigaltstack(ptr::null(), present.as_mut_ptr()) };
        // SAFETY: filled in when the call succeeded.
        if asked != 0 || unsafe { present.assume_init() }.ss_flags & libc::SS_DISABLE == 0 {
            return None;
        }
        let length = (64 * 1024_usize).next_multiple_of(page_size());
        let start = memory::map(length).ok()?;
        let stack = SignalStack { start, length };
        stack.register(0).then_some(stack)
    }

    fn register(&self, flags: libc::c_int) -> bool {
        let stack = libc::stack_t {
            ss_sp: self.start.as_ptr().cast(),
            ss_flags: flags,
            ss_size: self.length,
        };
        // SAFETY: the region is mapped until `drop`, which disables it first.
        unsafe { libc::sigaltstack(&stack, ptr::null_mut()) == 0 }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        if self.register(libc::SS_DISABLE) {
            // SAFETY: the region is ours and no signal uses it any more.
            unsafe { memory::unmap(self.start, self.length) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_not_overrun() {
        let mut message = Message::new();
        message
            .text("greenlet #")
            .number(0)
            .text(" ")
            .number(u64::MAX);
        assert_eq!(
            &message.bytes[..message.length],
            b"greenlet #0 18446744073709551615"
        );
        message.text(&"x".repeat(600));
        assert_eq!(message.length, 512);
    }
}
