//! The direct backend: one stack change, in line at every call site.
//!
//! A context at rest is four words. The two registers that inline assembly may not declare as clobbered are
//! among them; all others are declared clobbered, so the compiler saves exactly those that are live at that
//! call site, in the frame of the function that switches.
//!
//! ```text
//!             x86_64   aarch64
//!  sp         rsp      sp       where the frame of the function that switched lies
//!  pc         rip      pc       where it goes on
//!  kept[0]    rbx      x19      at first: the argument of the entry
//!  kept[1]    rbp      x29      at first: the entry
//! ```
//!
//! The words lie in the context and not on the stack: the context is read anyway, and a suspended greenlet's
//! frame then takes one cache line instead of two. The jump is a `jmp`/`br`, never a `ret`: each site has an
//! own entry in the branch predictor and the return predictor stays in step. `asm-notes/` has the listings
//! and the figures.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::arch::{asm, global_asm};
use std::cell::UnsafeCell;
use std::io;

use super::Entry;
use crate::sys::frames::Registers;
use crate::sys::stack::Stack;

/// The name of this backend.
pub(crate) const NAME: &str = "direct";
/// Whether what a signal has interrupted can be walked, wherever in a switch that was.
pub(crate) const CAN_WALK: bool = true;
/// Whether all contexts run on one OS thread.
pub(crate) const SHARES_THREAD: bool = true;
/// [`Context::fetch`] fetches.
pub(crate) const FETCHES: bool = true;

/// Where a stack goes on.
#[repr(transparent)]
pub(crate) struct Context(UnsafeCell<Rest>);

#[repr(C)]
struct Rest {
    sp: usize,
    pc: usize,
    kept: [usize; 2],
}

impl Context {
    /// The context of the stack that the OS gave this thread.
    pub(crate) fn native() -> Context {
        Context::unbound()
    }

    /// A context with no stack.
    #[inline]
    pub(crate) fn unbound() -> Context {
        Context(UnsafeCell::new(Rest {
            sp: 0,
            pc: 0,
            kept: [0; 2],
        }))
    }

    /// Lets `entry(arg)` run on `stack` at the first switch to this context.
    ///
    /// # Safety
    /// `stack` is used by no other context, and stays mapped until this context has been released. The
    /// context is not at rest on another stack.
    #[inline]
    pub(crate) unsafe fn bind(
        &self,
        stack: &Stack,
        entry: Entry,
        arg: *const (),
    ) -> io::Result<()> {
        let rest = Rest {
            sp: stack.top() as usize,
            pc: greenlet_first_frame as *const () as usize,
            kept: [arg as usize, entry as usize],
        };
        // SAFETY: nothing runs in this context (caller's promise), so nobody refers into the cell.
        unsafe { *self.0.get() = rest };
        Ok(())
    }

    /// Stores the caller in `from` and goes on in `to`.
    ///
    /// # Safety
    /// `from` is the context that runs now, `to` is at rest, both belong to this thread, and `to` lives
    /// until the switch has been made.
    #[inline(always)]
    pub(crate) unsafe fn switch(from: *const Context, to: *const Context) {
        // SAFETY: both cells are this thread's, and `to` holds what a switch or `bind` wrote. The code goes
        // on at label 2, with the stack and the two registers that it had; all others are declared
        // clobbered. The block does not promise `nostack`, so nothing lives in a red zone across it, nor
        // `preserves_flags`.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "lea rax, [rip + 2f]",
                "mov [rdi], rsp",
                "mov [rdi + 8], rax",
                "mov [rdi + 16], rbx",
                "mov [rdi + 24], rbp",
                "mov rsp, [rsi]",
                "mov rbx, [rsi + 16]",
                "mov rbp, [rsi + 24]",
                "jmp [rsi + 8]",
                "2:",
                inout("rdi") from => _,
                inout("rsi") to => _,
                lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
                clobber_abi("sysv64"),
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                "adr x9, 2f",
                "mov x10, sp",
                "stp x10, x9, [x0]",
                "stp x19, x29, [x0, #16]",
                "ldp x10, x9, [x1]",
                "ldp x19, x29, [x1, #16]",
                "mov sp, x10",
                "br x9",
                "2:",
                inout("x0") from => _,
                inout("x1") to => _,
                lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _,
                lateout("x24") _, lateout("x25") _, lateout("x26") _, lateout("x27") _,
                lateout("x28") _,
                lateout("v8") _, lateout("v9") _, lateout("v10") _, lateout("v11") _,
                lateout("v12") _, lateout("v13") _, lateout("v14") _, lateout("v15") _,
                clobber_abi("C"),
            );
        }
    }

    /// Fetches the frame that a switch to `near` would go on in, and the line that the word at `NEXT` bytes
    /// from it points to: where, by the caller's guess, the switch after that one leads.
    ///
    /// # Safety
    /// `near` is readable to `NEXT` and a word beyond. What it holds does not matter: a guess at most
    /// fetches a useless line.
    #[inline(always)]
    pub(crate) unsafe fn look_ahead<const NEXT: usize>(near: *const ()) {
        // SAFETY: reads two words (caller's promise); prefetching never faults.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            asm!(
                "mov {far}, [{near} + {next}]",
                "mov {near}, [{near}]",
                "prefetcht0 [{far}]",
                "prefetcht0 [{near}]",
                near = inout(reg) near => _,
                far = out(reg) _,
                next = const NEXT,
                options(nostack, preserves_flags, readonly),
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!(
                "ldr {far}, [{near}, #{next}]",
                "ldr {near}, [{near}]",
                "prfm pldl1keep, [{far}]",
                "prfm pldl1keep, [{near}]",
                near = inout(reg) near => _,
                far = out(reg) _,
                next = const NEXT,
                options(nostack, preserves_flags, readonly),
            );
        }
    }

    /// Fetches a cache line.
    #[inline(always)]
    pub(crate) fn fetch(line: *const ()) {
        // SAFETY: prefetching never faults.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.cast());
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            asm!("prfm pldl1keep, [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
        }
    }

    /// Fetches so many cache lines of the frames that a switch to `near` would go on in.
    ///
    /// # Safety
    /// `near` can be read; what it holds does not matter.
    #[inline(always)]
    pub(crate) unsafe fn look_ahead_to<const LINES: usize>(near: *const Context) {
        // SAFETY: caller's promise.
        let frame = unsafe { (*(*near).0.get()).sp };
        for line in 0..LINES {
            Self::fetch((frame + line * 64) as *const ());
        }
    }

    /// The registers it goes on with; None if it has not run yet.
    ///
    /// # Safety
    /// It is at rest, or unbound.
    pub(crate) unsafe fn registers(&self) -> Option<Registers> {
        // SAFETY: nothing runs in this context (caller's promise), so nobody writes to the cell.
        let rest = unsafe { &*self.0.get() };
        let begun = rest.sp != 0 && rest.pc != greenlet_first_frame as *const () as usize;
        begun.then(|| Registers::at_rest(rest.sp, rest.pc, rest.kept))
    }

    /// Frees what the context holds besides its stack.
    ///
    /// # Safety
    /// The context has ended.
    #[inline]
    pub(crate) unsafe fn release(&self) {}

    /// Gives up a context that is at rest for ever.
    ///
    /// # Safety
    /// Nobody switches to it again, and its stack is never used again.
    pub(crate) unsafe fn abandon(&self) {}
}

unsafe extern "C" {
    /// Where a bound context goes on for the first time. Not callable: it has no return address. The version
    /// in its name lets two versions of this crate stand in one program.
    #[link_name = concat!("greenlet_first_frame_", env!("CARGO_PKG_VERSION"))]
    fn greenlet_first_frame();
}

// The outermost frame of every stack: calls `entry(arg)`, and jumps into the context that comes back. Its
// unwind information says that there is no caller, and the frame-pointer chain ends here too, so backtraces
// and profilers stop cleanly. What the one before had in its registers is not pushed onto this stack, where it would look
// as if this one knew it.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".balign 16",
    ".globl {first_frame}",
    "{first_frame}:",
    ".cfi_startproc",
    ".cfi_undefined rip",
    "mov rdi, rbx",
    "mov rax, rbp",
    "xor ebp, ebp",
    "xor ebx, ebx",
    "xor r12d, r12d",
    "xor r13d, r13d",
    "xor r14d, r14d",
    "xor r15d, r15d",
    "call rax",
    "mov rsp, [rax]",
    "mov rbx, [rax + 16]",
    "mov rbp, [rax + 24]",
    "jmp [rax + 8]",
    "ud2",
    ".cfi_endproc",
    first_frame = sym greenlet_first_frame,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".balign 16",
    ".globl {first_frame}",
    "{first_frame}:",
    ".cfi_startproc",
    ".cfi_undefined x30",
    "mov x0, x19",
    "mov x9, x29",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x19, xzr",
    "mov x20, xzr",
    "mov x21, xzr",
    "mov x22, xzr",
    "mov x23, xzr",
    "mov x24, xzr",
    "mov x25, xzr",
    "mov x26, xzr",
    "mov x27, xzr",
    "mov x28, xzr",
    "blr x9",
    "ldp x10, x9, [x0]",
    "ldp x19, x29, [x0, #16]",
    "mov sp, x10",
    "br x9",
    "brk #1",
    ".cfi_endproc",
    first_frame = sym greenlet_first_frame,
);
