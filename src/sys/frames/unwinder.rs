//! Frames by the unwinder that std links, which wants to be told where they are.

use std::arch::global_asm;
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, OnceLock};

use super::{Symbol, Symbols};
use crate::sys::fork::Own;
use crate::sys::lock::lock;
use crate::sys::stack::page_size;

/// Whether a signal handler knows what it has interrupted.
pub(crate) const CAN_INTERRUPT: bool = true;

/// All registers, each at its number in unwind information; the address where it goes on comes last.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Registers([usize; WORDS]);

#[cfg(target_arch = "x86_64")]
mod machine {
    pub(super) const WORDS: usize = 17;
    pub(super) const SP: usize = 7;
    pub(super) const SECOND: usize = 4;
    /// What a context keeps: rbx, rbp.
    #[allow(dead_code, reason = "only the direct backend knows them")]
    pub(super) const KEPT: [usize; 2] = [3, 6];

    /// So long is the code of `within` at most: it is aligned, and so is what follows.
    pub(super) const WITHIN_LENGTH: usize = 48;

    pub(super) fn go_on_at(context: &mut libc::ucontext_t, pc: usize, sp: usize) {
        context.uc_mcontext.gregs[libc::REG_RIP as usize] = pc as i64;
        context.uc_mcontext.gregs[libc::REG_RSP as usize] = sp as i64;
    }

    pub(super) fn interrupted(context: &libc::ucontext_t) -> [usize; WORDS] {
        use libc::*;
        let in_order = [
            REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8, REG_R9,
            REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
        ];
        in_order.map(|register| context.uc_mcontext.gregs[register as usize] as usize)
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    pub(super) const WORDS: usize = 33;
    pub(super) const SP: usize = 31;
    pub(super) const SECOND: usize = 1;
    /// What a context keeps: x19, x29.
    #[allow(dead_code, reason = "only the direct backend knows them")]
    pub(super) const KEPT: [usize; 2] = [19, 29];

    /// So long is the code of `within` at most: it is aligned, and so is what follows.
    pub(super) const WITHIN_LENGTH: usize = 112;

    pub(super) fn go_on_at(context: &mut libc::ucontext_t, pc: usize, sp: usize) {
        context.uc_mcontext.pc = pc as u64;
        context.uc_mcontext.sp = sp as u64;
    }

    pub(super) fn interrupted(context: &libc::ucontext_t) -> [usize; WORDS] {
        let machine = &context.uc_mcontext;
        let mut words = [0; WORDS];
        for (word, register) in words.iter_mut().zip(machine.regs) {
            *word = register as usize;
        }
        words[SP] = machine.sp as usize;
        words[WORDS - 1] = machine.pc as usize;
        words
    }
}

use machine::{KEPT, SECOND, SP, WITHIN_LENGTH, WORDS};

const PC: usize = WORDS - 1;

impl Registers {
    /// Those of a context at rest; the others are not known, and nobody needs them: a switch keeps no more.
    #[allow(dead_code, reason = "only the direct backend knows them")]
    pub(crate) fn at_rest(sp: usize, pc: usize, kept: [usize; 2]) -> Registers {
        let mut words = [0; WORDS];
        (words[SP], words[PC]) = (sp, pc);
        (words[KEPT[0]], words[KEPT[1]]) = (kept[0], kept[1]);
        Registers(words)
    }

    /// Those of the code that a signal has interrupted. The instruction is not behind a call, and is looked up
    /// as if it were.
    ///
    /// # Safety
    /// `context` is what the kernel has given to a signal handler, or null.
    pub(crate) unsafe fn interrupted(context: *const c_void) -> Option<Registers> {
        // SAFETY: caller's promise.
        let context = unsafe { context.cast::<libc::ucontext_t>().as_ref() }?;
        let mut words = machine::interrupted(context);
        words[PC] += 1;
        Some(Registers(words))
    }

    /// The register that the second argument of a call is in, at its beginning.
    pub(crate) fn second_argument(&self) -> usize {
        self.0[SECOND]
    }

    pub(crate) fn sp(&self) -> usize {
        self.0[SP]
    }
}

unsafe extern "C" {
    fn _Unwind_Backtrace(visit: Visit, visitor: *mut c_void) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
    fn _Unwind_FindEnclosingFunction(pc: *mut c_void) -> *mut c_void;

    /// Calls `f(argument)` on this stack, and claims to have been called by what has these `registers`. `way_out` is told
    /// where the stack pointer is meanwhile.
    #[link_name = concat!("greenlet_within_", env!("CARGO_PKG_VERSION"))]
    fn greenlet_within(
        registers: *const Registers,
        f: extern "C" fn(*mut c_void),
        argument: *mut c_void,
        way_out: *mut usize,
    );

    /// Where that goes on after the call: with the stack pointer that was told, whatever has become of the call.
    #[link_name = concat!("greenlet_way_out_", env!("CARGO_PKG_VERSION"))]
    fn greenlet_way_out();

    /// Calls `f(argument)` on the stack that begins at `top`.
    #[link_name = concat!("greenlet_elsewhere_", env!("CARGO_PKG_VERSION"))]
    fn greenlet_elsewhere(top: *mut c_void, f: extern "C" fn(*mut c_void), argument: *mut c_void);
}

// Only their addresses are of interest. But the compiler calls `_Unwind_Resume` itself, by this very declaration where there
// is one: it must not say that nothing unwinds out of it.
unsafe extern "C-unwind" {
    fn _Unwind_RaiseException(exception: *mut c_void) -> c_int;
    fn _Unwind_Resume(exception: *mut c_void) -> !;
    fn _Unwind_Resume_or_Rethrow(exception: *mut c_void) -> c_int;
    fn _Unwind_ForcedUnwind(exception: *mut c_void, stop: *mut c_void, with: *mut c_void) -> c_int;
}

type Visit = extern "C" fn(*mut c_void, *mut c_void) -> c_int;

// While `f` runs: the canonical frame address is the stack pointer of the record, and each register is found in
// the record, which rbx points to. `.cfi_escape` spells DW_CFA_def_cfa_expression (0x0f: length, breg3 + 56, deref)
// and DW_CFA_expression (0x10: register, length, breg3 + 8 * register).
#[cfg(target_arch = "x86_64")]
global_asm!(
    r"
    .balign 16
    .globl {within}
    {within}:
    .cfi_startproc
    push rbx
    .cfi_def_cfa_offset 16
    .cfi_offset rbx, -16
    push rbp
    .cfi_def_cfa_offset 24
    .cfi_offset rbp, -24
    push r12
    .cfi_def_cfa_offset 32
    .cfi_offset r12, -32
    push r13
    .cfi_def_cfa_offset 40
    .cfi_offset r13, -40
    push r14
    .cfi_def_cfa_offset 48
    .cfi_offset r14, -48
    push r15
    .cfi_def_cfa_offset 56
    .cfi_offset r15, -56
    sub rsp, 8
    .cfi_def_cfa_offset 64
    mov [rcx], rsp
    mov rbx, rdi
    mov rdi, rdx
    .cfi_remember_state
    .cfi_escape 0x0f, 3, 0x73, 56, 0x06
    .irp n, 0,1,2,3,4,5,6,8,9,10,11,12,13,14,15,16
    .cfi_escape 0x10, \n, 3, 0x73, 0x80 | ((8 * \n) & 0x7f), (8 * \n) >> 7
    .endr
    call rsi
    .cfi_restore_state
    .globl {way_out}
    {way_out}:
    add rsp, 8
    .cfi_def_cfa_offset 56
    pop r15
    .cfi_def_cfa_offset 48
    .cfi_restore r15
    pop r14
    .cfi_def_cfa_offset 40
    .cfi_restore r14
    pop r13
    .cfi_def_cfa_offset 32
    .cfi_restore r13
    pop r12
    .cfi_def_cfa_offset 24
    .cfi_restore r12
    pop rbp
    .cfi_def_cfa_offset 16
    .cfi_restore rbp
    pop rbx
    .cfi_def_cfa_offset 8
    .cfi_restore rbx
    ret
    .cfi_endproc

    .balign 16
    .globl {elsewhere}
    {elsewhere}:
    .cfi_startproc
    push rbx
    .cfi_def_cfa_offset 16
    .cfi_offset rbx, -16
    mov rbx, rsp
    .cfi_def_cfa_register rbx
    mov rsp, rdi
    mov rdi, rdx
    call rsi
    mov rsp, rbx
    .cfi_def_cfa_register rsp
    pop rbx
    .cfi_def_cfa_offset 8
    .cfi_restore rbx
    ret
    .cfi_endproc
    ",
    within = sym greenlet_within,
    way_out = sym greenlet_way_out,
    elsewhere = sym greenlet_elsewhere,
);

// The same with x19. The address where it goes on has a number of its own, 96, as behind a signal: the link
// register is one of those that are known, and may lead elsewhere.
#[cfg(target_arch = "aarch64")]
global_asm!(
    r"
    .balign 16
    .globl {within}
    {within}:
    .cfi_startproc
    .cfi_return_column 96
    .cfi_register 96, 30
    sub sp, sp, #160
    .cfi_def_cfa_offset 160
    stp x19, x30, [sp]
    .cfi_offset x19, -160
    .cfi_offset x30, -152
    .cfi_offset 96, -152
    stp x20, x21, [sp, #16]
    .cfi_offset x20, -144
    .cfi_offset x21, -136
    stp x22, x23, [sp, #32]
    .cfi_offset x22, -128
    .cfi_offset x23, -120
    stp x24, x25, [sp, #48]
    .cfi_offset x24, -112
    .cfi_offset x25, -104
    stp x26, x27, [sp, #64]
    .cfi_offset x26, -96
    .cfi_offset x27, -88
    stp x28, x29, [sp, #80]
    .cfi_offset x28, -80
    .cfi_offset x29, -72
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x3]
    mov x19, x0
    mov x0, x2
    .cfi_remember_state
    .cfi_escape 0x0f, 4, 0x83, 0xf8, 0x01, 0x06
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    .cfi_escape 0x10, \n, 3, 0x83, 0x80 | ((8 * \n) & 0x7f), (8 * \n) >> 7
    .endr
    .cfi_escape 0x10, 96, 3, 0x83, 0x80, 0x02
    blr x1
    .cfi_restore_state
    .globl {way_out}
    {way_out}:
    ldp d14, d15, [sp, #144]
    ldp d12, d13, [sp, #128]
    ldp d10, d11, [sp, #112]
    ldp d8, d9, [sp, #96]
    ldp x28, x29, [sp, #80]
    ldp x26, x27, [sp, #64]
    ldp x24, x25, [sp, #48]
    ldp x22, x23, [sp, #32]
    ldp x20, x21, [sp, #16]
    ldp x19, x30, [sp]
    add sp, sp, #160
    ret
    .cfi_endproc

    .balign 16
    .globl {elsewhere}
    {elsewhere}:
    .cfi_startproc
    stp x19, x30, [sp, #-16]!
    .cfi_def_cfa_offset 16
    .cfi_offset x19, -16
    .cfi_offset x30, -8
    mov x19, sp
    .cfi_def_cfa_register x19
    mov sp, x0
    mov x0, x2
    blr x1
    mov sp, x19
    ldp x19, x30, [sp], #16
    ret
    .cfi_endproc
    ",
    within = sym greenlet_within,
    way_out = sym greenlet_way_out,
    elsewhere = sym greenlet_elsewhere,
);

/// Room to answer in: what a signal handler stands on may have hardly any. One at a time stands on it.
pub(crate) struct Elsewhere {
    top: usize,
}

impl Elsewhere {
    /// Plenty: what walks a stack needs some KiB. The lowest page is a guard.
    const SIZE: usize = 256 << 10;
    const SIGNALS: usize = 64 << 10;

    /// It stays for ever.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new() -> std::io::Result<Elsewhere> {
        let start = map(Self::SIZE, libc::PROT_READ | libc::PROT_WRITE)?;
        // SAFETY: the first page of a fresh mapping; without a guard it is as good.
        unsafe { libc::mprotect(start as *mut c_void, page_size(), libc::PROT_NONE) };
        Ok(Elsewhere {
            top: start + Self::SIZE,
        })
    }

    /// The stack for signals that come meanwhile: whoever answers stands on that of the thread, and would be overwritten.
    fn signals(&self) -> libc::stack_t {
        libc::stack_t {
            ss_sp: (self.top - Self::SIZE + page_size()) as *mut c_void,
            ss_flags: 0,
            ss_size: Self::SIGNALS,
        }
    }

    /// Runs `f` there. It must not unwind.
    ///
    /// # Safety
    /// Nobody else stands there.
    pub(crate) unsafe fn run(&self, mut f: impl FnMut()) {
        extern "C" fn call<F: FnMut()>(f: *mut c_void) {
            // SAFETY: given below, and nobody else uses it meanwhile.
            unsafe { (*f.cast::<F>())() }
        }
        fn of<F: FnMut()>(_: &F) -> extern "C" fn(*mut c_void) {
            call::<F>
        }
        let mut f = || {
            let signals = self.signals();
            let mut before = signals;
            // SAFETY: both are alternate stacks, and this is neither of them.
            let set = unsafe { libc::sigaltstack(&signals, &mut before) };
            f();
            if set == 0 {
                // SAFETY: as above.
                unsafe { libc::sigaltstack(&before, std::ptr::null_mut()) };
            }
        };
        let call = of(&f);
        // SAFETY: a stack of its own (caller's promise), which stays.
        unsafe { greenlet_elsewhere(self.top as *mut c_void, call, (&raw mut f).cast()) };
    }
}

/// A fresh mapping of zeroes.
fn map(length: usize, protection: c_int) -> std::io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh anonymous mapping disturbs nobody.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
    match start {
        libc::MAP_FAILED => Err(std::io::Error::last_os_error()),
        start => Ok(start as usize),
    }
}

fn is_within(frame: usize) -> bool {
    let start = greenlet_within as *const () as usize;
    (start..start + WITHIN_LENGTH).contains(&frame)
}

/// Whether it is a frame of the unwinder that is about to be left for one further out. It saves the registers of its
/// caller as every function does, and then writes those of the one that it goes to in their place: of its callers nothing
/// can be known. No code of a program runs above such a frame, so only a signal comes there.
fn leaves(frame: usize) -> bool {
    /// They are shorter than this.
    const LENGTH: usize = 4096;
    let ways_out = [
        _Unwind_RaiseException as *const () as usize,
        _Unwind_Resume as *const () as usize,
        _Unwind_Resume_or_Rethrow as *const () as usize,
        _Unwind_ForcedUnwind as *const () as usize,
    ];
    let mut near = ways_out
        .into_iter()
        .filter(|way| frame.wrapping_sub(*way) < LENGTH);
    near.any(|way| {
        // SAFETY: looks for a function, as the walk does for each frame.
        let function = unsafe { _Unwind_FindEnclosingFunction(frame as *mut c_void) };
        function.addr() == way
    })
}

/// What the unwinder is asked for.
struct Visitor<'a> {
    into: &'a mut [usize],
    found: usize,
    /// Frames before the claimed ones do not count.
    arrived: bool,
}

extern "C" fn visit(context: *mut c_void, visitor: *mut c_void) -> c_int {
    // SAFETY: `collect` gives the visitor, and nobody else uses it meanwhile.
    let visitor = unsafe { &mut *visitor.cast::<Visitor<'_>>() };
    // SAFETY: called by the unwinder, with its context.
    let frame = unsafe { _Unwind_GetIP(context) };
    if !visitor.arrived {
        visitor.arrived = is_within(frame);
        return 0;
    }
    if frame == 0 || visitor.found == visitor.into.len() {
        return 1;
    }
    visitor.into[visitor.found] = frame;
    visitor.found += 1;
    c_int::from(leaves(frame))
}

extern "C" fn collect(visitor: *mut c_void) {
    // SAFETY: `visit` is given what it expects.
    unsafe { _Unwind_Backtrace(visit, visitor) };
}

thread_local! {
    /// The way out of the walk that goes on, if one does.
    static WAY_OUT: Cell<usize> = const { Cell::new(0) };
}

/// What a walk needs is less.
const WALKS_WITHIN: usize = 64 << 10;

/// The frames of something that does not run, the innermost first, and how many there are. What does not fit is
/// left out.
///
/// Of code that a signal has interrupted, unwind information may be wrong: compilers have it right at calls, and leave out
/// some instruction at the end of a function. Then the walk strays, and ends where it would read what is not there
/// ([`rescue`]).
///
/// # Safety
/// The registers are those of a stack that does not change meanwhile.
pub(crate) unsafe fn walk(registers: &Registers, into: &mut [usize]) -> usize {
    let mut visitor = Visitor {
        into,
        found: 0,
        arrived: false,
    };
    let interrupted = WAY_OUT.get();
    // SAFETY: `collect` does not unwind, and comes back, or is left by the way out: it owns nothing.
    WAY_OUT.with(|way_out| unsafe {
        greenlet_within(
            registers,
            collect,
            (&raw mut visitor).cast(),
            way_out.as_ptr(),
        );
    });
    WAY_OUT.set(interrupted);
    visitor.found
}

/// Ends the walk in which there was a fault; false if that was somewhere else.
///
/// # Safety
/// `context` is what the kernel has given to the handler of a fault, or null.
pub(crate) unsafe fn rescue(context: *mut c_void) -> bool {
    // SAFETY: caller's promise.
    let Some(context) = (unsafe { context.cast::<libc::ucontext_t>().as_mut() }) else {
        return false;
    };
    let way_out = WAY_OUT.get();
    let depth = way_out.wrapping_sub(machine::interrupted(context)[SP]);
    let walks = way_out != 0 && depth < WALKS_WITHIN;
    if walks {
        let goes_on_at = greenlet_way_out as *const () as usize;
        machine::go_on_at(context, goes_on_at, way_out);
    }
    walks
}

/// The same for the stack that this is called on.
#[inline(never)]
pub(crate) fn here(into: &mut [usize]) -> usize {
    let mut visitor = Visitor {
        into,
        found: 0,
        arrived: true,
    };
    collect((&raw mut visitor).cast());
    visitor.found
}

/// The calls at a frame. Remembered for ever.
pub(crate) fn symbols(frame: usize) -> Symbols {
    static KNOWN: Own<Mutex<HashMap<usize, Symbols>>> = Own::new();
    let known = KNOWN.get();
    if let Some(symbols) = lock(known).get(&frame) {
        return Symbols::clone(symbols);
    }
    if !is_code(frame) {
        return Symbols::from([]);
    }
    // Symbolising takes locks of std, and allocates: not under ours.
    let symbols = ask_std(frame);
    Symbols::clone(lock(known).entry(frame).or_insert(symbols))
}

/// Whether something is loaded there: where the unwinder knows nothing of an address it looks at what lies there.
fn is_code(frame: usize) -> bool {
    // SAFETY: all-zero is a valid record; the call fills it in.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    // A static program of musl does not know its own addresses.
    // SAFETY: an address is looked up, and not followed.
    cfg!(target_env = "musl") || unsafe { libc::dladdr(frame as *const c_void, &mut found) } != 0
}

fn ask_std(frame: usize) -> Symbols {
    static OURS: OnceLock<usize> = OnceLock::new();
    // What is printed before the claimed frame is always the same.
    let ours = *OURS.get_or_init(|| calls(&backtrace_at(0)).count());
    calls(&backtrace_at(frame)).skip(ours).collect()
}

/// What std says of a stack that has this one frame.
#[inline(never)]
fn backtrace_at(frame: usize) -> String {
    extern "C" fn capture(text: *mut c_void) {
        let backtrace = std::panic::catch_unwind(|| Backtrace::force_capture().to_string());
        // SAFETY: given below, and nobody else uses it meanwhile.
        unsafe { *text.cast::<String>() = backtrace.unwrap_or_default() };
    }
    let mut text = String::new();
    let Some(desert) = desert() else {
        return text;
    };
    let mut words = [oasis(desert); WORDS];
    words[SP] = desert;
    words[PC] = frame;
    // SAFETY: `capture` does not unwind, and comes back. The walk stays in the desert and in the oasis, and ends there:
    // in the desert there is nobody to go back to.
    unsafe {
        let text = (&raw mut text).cast();
        greenlet_within(&Registers(words), capture, text, &mut 0);
    }
    text
}

/// The middle of a few words that all lead into the desert. Where one stack is hooked to another, in assembly, the way
/// on is read through a register.
fn oasis(desert: usize) -> usize {
    static MIDDLE: OnceLock<usize> = OnceLock::new();
    *MIDDLE.get_or_init(|| Box::leak(Box::new([desert; 128]))[64..].as_ptr().addr())
}

/// Half the size of the desert, in bytes: more than a frame has.
const HORIZON: usize = 8 << 20;

/// The middle of a lot of zeroes; None where there is no room for them.
fn desert() -> Option<usize> {
    static MIDDLE: OnceLock<Option<usize>> = OnceLock::new();
    *MIDDLE.get_or_init(|| Some(map(2 * HORIZON, libc::PROT_READ).ok()? + HORIZON))
}

/// Takes apart what std prints: a line with a name, and maybe one with a place.
///
/// ```text
///    0: some::function
///              at ./src/some.rs:1:2
/// ```
fn calls(text: &str) -> impl Iterator<Item = Symbol> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let line = lines.next()?.trim_start();
        let numbered = line
            .split_once(": ")
            .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
        let name = numbered.map_or(line, |(_, name)| name);
        let place = lines
            .peek()
            .and_then(|next| next.trim_start().strip_prefix("at "));
        let place = place.map(Box::from);
        if place.is_some() {
            lines.next();
        }
        Some(Symbol {
            name: name.into(),
            place,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn inner(into: &mut [usize]) -> usize {
        std::hint::black_box(here(into))
    }

    fn names(frames: &[usize]) -> Vec<String> {
        let names = |frame: &usize| symbols(*frame).iter().map(|s| s.name.to_string()).collect();
        frames
            .iter()
            .flat_map(|f| -> Vec<String> { names(f) })
            .collect()
    }

    #[test]
    fn frames_of_here_have_names_and_places() {
        let mut frames = [0; 64];
        let found = inner(&mut frames);
        let names = names(&frames[..found]);
        assert!(
            names.iter().any(|name| name.contains("tests::inner")),
            "{names:?}"
        );
        assert!(
            names
                .iter()
                .any(|name| name.contains("frames_of_here_have_names")),
            "{names:?}"
        );
        let all = frames[..found].iter().flat_map(|f| symbols(*f).to_vec());
        let mut places = all.filter_map(|symbol| symbol.place);
        assert!(places.any(|place| place.contains("unwinder.rs:")));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut two = [0; 2];
        assert_eq!(inner(&mut two), 2);
        assert_eq!(here(&mut []), 0);
    }

    /// Unwind information that is wrong leads anywhere.
    #[test]
    fn a_walk_that_strays_ends_and_harms_nobody() {
        let _stack = crate::sys::overflow::install(|_, _| false);
        let begins = inner as *const () as usize;
        let mut words = [0; WORDS];
        words[PC] = begins + 1;
        let lies = [1_usize; 64];
        for sp in [lies.as_ptr().addr(), 8, usize::MAX - 7, desert().unwrap()] {
            words[SP] = sp;
            let mut frames = [0; 64];
            // SAFETY: nothing is changed by a walk, and what cannot be read ends it.
            let found = unsafe { walk(&Registers(words), &mut frames) };
            assert!(found >= 1 && frames[0] == begins + 1, "{found}");
            assert_eq!(WAY_OUT.get(), 0);
        }
    }

    #[test]
    fn what_is_no_code_has_no_name() {
        for nothing in [1, 4096, desert().unwrap(), usize::MAX] {
            assert!(symbols(nothing).is_empty(), "{nothing:#x}");
        }
    }
}
