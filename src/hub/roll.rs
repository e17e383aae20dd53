//! All hubs of this process, and how one is asked from another thread.
//!
//! A hub may be busy, asleep or stuck in a system call; so it is not asked to come and answer. Its thread is sent a
//! signal, and the answer is given in the handler, whatever the thread was doing:
//!
//! ```text
//!   who asks (one at a time)                 handler, on the thread of the hub
//!   idle ──▶ asked, signal
//!                                            asked ──▶ taken: answers
//!   asked for too long? ──▶ idle, no answer  taken ──▶ done
//!   done? ──▶ idle
//! ```
//!
//! Whoever moves the state on from `asked` has it. So a handler that comes late finds nothing to do, and the answer
//! is not given up while one writes it.
//!
//! The signal is `SIGURG`: by default it does nothing at all, which also holds for a thread that gets one too many.
//! A handler that the program had before is called for signals that are not ours. As with any signal, a system call
//! of the thread that cannot be restarted ends with `EINTR`; std repeats those, but not reads and writes of sockets with
//! a timeout.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use super::Hub;
use super::desk::Way;
use super::pace::Pulse;
use crate::switch::control::Control;
use crate::switch::thread::Thread;
use crate::sys::clock::Moment;
use crate::sys::context::SHARES_THREAD;
use crate::sys::fork::Own;
use crate::sys::frames::{CAN_INTERRUPT, Elsewhere, Registers};
use crate::sys::lock::lock;
use crate::sys::signals::Before;
use crate::sys::tasks::Errno;
pub(crate) use crate::sys::tasks::number_of_this_thread;

const SIGNAL: c_int = libc::SIGURG;
/// A thread that has not even begun to answer by then blocks the signal, or gets no processor.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks at whether the answer has come.
const GLANCE: Duration = Duration::from_micros(50);

/// One hub.
struct Entry {
    hub: NonNull<Hub>,
    thread: libc::pthread_t,
    number: i32,
    name: Option<Box<str>>,
    way_in: Option<Way>,
}

/// A hub that waits for other threads only, and that nobody has called.
#[derive(PartialEq, Eq)]
pub(super) struct Sleeper {
    hub: NonNull<Hub>,
    looked: Moment,
}

// SAFETY: of the hub nobody but its own thread uses more than its pulse, which is atomic, and only while the entry is
// in the list: the hub takes it out before it goes.
unsafe impl Send for Entry {}

/// What other threads know of a hub.
#[derive(Clone, Debug)]
pub(crate) struct Face {
    /// The number that the system gives its thread.
    pub(crate) number: i32,
    pub(crate) name: Option<Box<str>>,
    pub(crate) pulse: Pulse,
}

/// Why a hub has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It has ended.
    Gone,
    /// Its thread has not taken the signal.
    Deaf,
    /// Not in this build.
    Unknown,
}

fn entries() -> &'static Mutex<Vec<Entry>> {
    static ENTRIES: Own<Mutex<Vec<Entry>>> = Own::new();
    ENTRIES.get()
}

/// So many hubs are shown to debuggers.
const SHOWN: usize = 256;

/// What a debugger reads, also of a program that has crashed: where the threads of hubs lie, and how they look
/// inside. It needs no debug information for that.
#[repr(C)]
struct Shown {
    thread: [usize; 4],
    control: [usize; 12],
    threads: [AtomicPtr<Thread>; SHOWN],
}

#[unsafe(export_name = concat!("greenlet_roll_", env!("CARGO_PKG_VERSION")))]
static SHOWN_TO_DEBUGGERS: Shown = Shown {
    thread: Thread::LAYOUT,
    control: Control::LAYOUT,
    threads: [const { AtomicPtr::new(ptr::null_mut()) }; SHOWN],
};

/// Puts `new` where `old` is; in a crowd some are not shown.
fn show(old: *mut Thread, new: *mut Thread) {
    let exchange = |place: &AtomicPtr<Thread>| {
        place
            .compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    };
    SHOWN_TO_DEBUGGERS.threads.iter().any(exchange);
}

/// Puts the hub of this thread on the roll.
pub(super) fn enter(hub: &Hub) {
    show(ptr::null_mut(), ptr::from_ref(hub.thread()).cast_mut());
    enter_again(hub);
}

/// The same in the child of a fork, which begins a list of its own, but is shown already.
pub(super) fn enter_again(hub: &Hub) {
    let entry = Entry {
        hub: NonNull::from(hub),
        // SAFETY: asks who we are.
        thread: unsafe { libc::pthread_self() },
        number: number_of_this_thread(),
        name: std::thread::current().name().map(Box::from),
        way_in: None,
    };
    lock(entries()).push(entry);
}

/// The number and the name of the thread whose hub it is, whichever thread asks (the backend `baton` has several for it).
pub(super) fn thread_of(hub: &Hub) -> (i32, Option<Box<str>>) {
    let entries = lock(entries());
    let entry = entries.iter().find(|entry| entry.hub == NonNull::from(hub));
    entry.map_or((0, None), |entry| (entry.number, entry.name.clone()))
}

/// Takes it off, before it goes.
pub(super) fn leave(hub: &Hub) {
    show(ptr::from_ref(hub.thread()).cast_mut(), ptr::null_mut());
    lock(entries()).retain(|entry| entry.hub != NonNull::from(hub));
}

/// Other threads can call the hub from now on.
pub(super) fn note_way_in(hub: &Hub, way_in: &Way) {
    for entry in lock(entries()).iter_mut() {
        if entry.hub == NonNull::from(hub) {
            entry.way_in = Some(Way::clone(way_in));
        }
    }
}

/// The hubs that wait for other threads only, and that nobody has called.
pub(super) fn asleep() -> Vec<Sleeper> {
    let sleeper = |entry: &Entry| {
        // First the door: with it is seen what the hub did before it slept.
        let uncalled = entry.way_in.as_ref().is_some_and(|way| way.sleeps());
        // SAFETY: it is on the roll (`Entry`).
        let pulse = unsafe { entry.hub.as_ref() }.pulse();
        (uncalled && pulse.rests && pulse.waits_for_others).then_some(Sleeper {
            hub: entry.hub,
            looked: pulse.looked,
        })
    };
    lock(entries()).iter().filter_map(sleeper).collect()
}

/// The hubs there are.
pub(crate) fn faces() -> Vec<Face> {
    let face = |entry: &Entry| Face {
        number: entry.number,
        name: entry.name.clone(),
        // SAFETY: it is on the roll (`Entry`).
        pulse: unsafe { entry.hub.as_ref() }.pulse(),
    };
    lock(entries()).iter().map(face).collect()
}

const IDLE: u8 = 0;
const ASKED: u8 = 1;
const TAKEN: u8 = 2;
const DONE: u8 = 3;

/// What is asked: a closure, behind a pointer to a fat pointer.
type Question<'a> = &'a mut (dyn FnMut(&Hub, &Registers) + Send);

/// Whether other threads can be asked in this build.
pub(crate) const CAN_ASK: bool = SHARES_THREAD && CAN_INTERRUPT;

static STATE: AtomicU8 = AtomicU8::new(IDLE);
static ASKED_THREAD: AtomicI32 = AtomicI32::new(0);
static QUESTION: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Runs `question` on the thread of another hub, in a signal handler, with the registers of what it interrupts.
///
/// # Safety
/// The question allocates nothing, takes no lock, does not panic, and changes nothing of the hub.
pub(crate) unsafe fn ask(
    number: i32,
    mut question: impl FnMut(&Hub, &Registers) + Send,
) -> Result<(), Silence> {
    /// One question at a time.
    static ASKING: Own<Mutex<()>> = Own::new();
    if !CAN_ASK || number == 0 {
        return Err(Silence::Unknown);
    }
    let _one = lock(ASKING.get());
    if listen().is_none() {
        return Err(Silence::Unknown);
    }
    let mut question: Question<'_> = &mut question;
    QUESTION.store((&raw mut question).cast(), Ordering::Relaxed);
    ASKED_THREAD.store(number, Ordering::Relaxed);
    STATE.store(ASKED, Ordering::Release);
    if !signal(number) {
        STATE.store(IDLE, Ordering::Release);
        return Err(Silence::Gone);
    }
    wait_for_answer()
}

/// False if there is no such hub. A thread on the roll lives: it takes itself off.
fn signal(number: i32) -> bool {
    let entries = lock(entries());
    let entry = entries.iter().find(|entry| entry.number == number);
    // SAFETY: the thread lives.
    entry.is_some_and(|entry| unsafe { libc::pthread_kill(entry.thread, SIGNAL) } == 0)
}

fn wait_for_answer() -> Result<(), Silence> {
    let mut left = PATIENCE;
    loop {
        if STATE
            .compare_exchange(DONE, IDLE, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
        {
            return Ok(());
        }
        // Once it is taken there is an answer, however long it takes.
        left = left.saturating_sub(GLANCE);
        let gives_up = || STATE.compare_exchange(ASKED, IDLE, Ordering::Acquire, Ordering::Relaxed);
        if left.is_zero() && gives_up().is_ok() {
            return Err(Silence::Deaf);
        }
        std::thread::sleep(GLANCE);
    }
}

/// What the handler needs.
struct Listens {
    /// What was done before with that signal.
    before: Before,
    /// The alternate stack that std gives its threads has room for a signal, and for little else.
    room: Elsewhere,
}

static LISTENS: OnceLock<Option<Listens>> = OnceLock::new();

/// Installs the handler, once. None if there is no memory for it.
fn listen() -> Option<&'static Listens> {
    let install = || {
        let room = Elsewhere::new().ok()?;
        let before = Before::of(SIGNAL)?;
        // SAFETY: all-zero is a valid sigaction, completed below; the handler keeps the rules of its context.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = answer as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigfillset(&mut action.sa_mask);
            // A walk may stray.
            libc::sigdelset(&mut action.sa_mask, libc::SIGSEGV);
            libc::sigdelset(&mut action.sa_mask, libc::SIGBUS);
            libc::sigaction(SIGNAL, &action, ptr::null_mut());
        }
        Some(Listens { before, room })
    };
    LISTENS.get_or_init(install).as_ref()
}

unsafe extern "C" fn answer(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::keep();
    let mine = ASKED_THREAD.load(Ordering::Relaxed) == number_of_this_thread();
    let taken = mine
        && STATE
            .compare_exchange(ASKED, TAKEN, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
    if taken {
        // SAFETY: the kernel's; and whoever asks waits until it is done.
        unsafe { answer_with(context) };
        STATE.store(DONE, Ordering::Release);
    } else {
        // What would have happened without us; by default that is nothing.
        let listens = LISTENS.get().and_then(Option::as_ref);
        // SAFETY: called in the handler, with the arguments of the kernel.
        listens.map(|listens| unsafe { listens.before.call(signal, info, context) });
    }
    drop(errno);
}

/// # Safety
/// The question has been taken, and `context` comes from the kernel.
unsafe fn answer_with(context: *const c_void) {
    let hub = Thread::here_if_any().and_then(Hub::of);
    // SAFETY: caller's promise.
    let registers = unsafe { Registers::interrupted(context) };
    // SAFETY: set by `ask`, which waits, and lends it to whoever has taken it.
    let question = unsafe { &mut *QUESTION.load(Ordering::Relaxed).cast::<Question<'_>>() };
    let listens = LISTENS.get().and_then(Option::as_ref);
    if let (Some(hub), Some(registers), Some(listens)) = (hub, registers, listens) {
        // SAFETY: one question at a time is answered.
        unsafe { listens.room.run(|| question(hub, &registers)) };
    }
}
