//! What an OS thread keeps: who runs now, its main greenlet, and the pools its greenlets come from.
//!
//! It is made at the first use on a thread and found through one thread-local pointer. A destructor of
//! that thread unwinds what is left (law 9); the memory goes when the last handle has gone, because other
//! thread-locals, destroyed later, may still hold handles.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::Write;
use std::mem::offset_of;
use std::panic::Location;
use std::ptr::{NonNull, with_exposed_provenance_mut};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use super::body::Blocks;
use super::control::{Birth, Control, ControlRef, Family, Payload, Phase};
use super::trace::{Event, Tracer};
use super::{exit, transfer};
use crate::data::slab::Slab;
use crate::sys::context::Context;
use crate::sys::local;
use crate::sys::memory;
use crate::sys::overflow::{self, Message, SignalStack};
use crate::sys::stack::{Pages, StackStats, Stacks};

const CONTROL_SIZE: usize = size_of::<Control>();
/// Ids are handed to threads in runs of this many.
const ID_RUN: u64 = 1024;
/// How often what is left of a thread is dropped in turn.
const LAST_ROUNDS: usize = 3;
/// From so many greenlets on, a switch is bound by cache misses and worth looking ahead for.
const CROWD: usize = 64;
/// It is looked for memory for so many control blocks at a time.
const SEEN: usize = 4096;

/// Everything of one OS thread.
pub(crate) struct Thread {
    current: Cell<ControlRef>,
    /// Not zero while a tracer is set: switches then leave the fast path.
    pub(crate) tracing: Cell<u8>,
    /// The greenlet that has ended and waits to be reaped by whoever arrives next.
    pub(crate) zombie: Cell<Option<ControlRef>>,
    /// The greenlet that has no handle left and waits to be ended by whoever arrives next.
    pub(crate) orphan: Cell<Option<ControlRef>>,
    /// Pending greenlets that something passed through on its way up; kept until it has arrived.
    pub(crate) passed: Cell<Vec<ControlRef>>,
    /// What the tracer is told on arrival.
    pub(crate) event: Cell<Option<Event>>,
    /// A value that nobody waits for, dropped on arrival.
    pub(crate) discarded: Cell<Option<Box<dyn std::any::Any>>>,
    pub(crate) tracer: RefCell<Option<Rc<Tracer>>>,
    /// So many of those that do not run have left their share on std's panic count.
    pub(super) in_doubt: Cell<usize>,
    pub(crate) main: Control,
    /// How many greenlets are not dead and have a control block, main not counted.
    alive: Cell<usize>,
    /// How many the floor above has promised to make.
    seeds: Cell<usize>,
    /// For so many of them, besides those that are free, it was seen that there is memory for a control block.
    seen: Cell<usize>,
    newest: Cell<Option<ControlRef>>,
    controls: Slab<CONTROL_SIZE>,
    pub(crate) bodies: Blocks,
    pub(crate) stacks: Stacks,
    ids: Cell<(u64, u64)>,
    default_pages: Pages,
    signal_stack: Cell<Option<SignalStack>>,
    closed: Cell<bool>,
    /// All greenlets are being ended.
    pub(crate) ending_all: Cell<bool>,
    upstairs: OnceCell<Box<dyn Upstairs>>,
}

/// What the floor above keeps with an OS thread: made at its first use there, freed with the thread.
pub(crate) trait Upstairs {
    /// The thread ends: from now on nothing may be scheduled. What is suspended is ended next.
    fn close(&self);
    /// The thread has ended. Handles may keep it for ever, but nothing of it will run any more.
    fn end(&self);
    /// Runs whoever is ready until somebody goes on in `me`, whose wait is its own affair.
    fn run_others(&self, me: &Control);
    /// Whose turn it is after `me`, which ends.
    fn next_after_end(&self) -> &'static Control;
    /// Gives a control block to each of its greenlets that has none.
    fn grow_all(&self);
    /// What `me` waits for at a switch has happened: it goes on at its turn.
    fn bring_back(&self, me: &Control);
    /// `me` goes on before its turn, which does not come any more.
    fn withdraw(&self, me: &Control);
    /// What is due in `me`, which runs and is about to wait.
    fn take_due(&self, me: &Control) -> Option<Payload>;
    /// Whether it runs `control`, and was not told to by a switch.
    fn has_launched(&self, control: &Control) -> bool;
    /// What was to be raised in `control` is not, for now: gives it back, unless it stays due.
    fn put_off(&self, control: &Control, payload: Payload) -> Option<Payload>;
    /// `control`, which waits, will never run again, and nothing of it is unwound.
    fn strike_out(&self, control: &Control);
}

impl Thread {
    /// Where debuggers find what they show: as [`Control::LAYOUT`].
    pub(crate) const LAYOUT: [usize; 4] = [
        offset_of!(Thread, newest),
        offset_of!(Thread, main),
        offset_of!(Thread, current),
        offset_of!(Thread, seeds),
    ];

    /// The thread that runs this, if it has greenlets (or could have them).
    #[inline(always)]
    pub(crate) fn here_if_any() -> Option<&'static Thread> {
        // SAFETY: the pointer is null or that of a thread that lives: it is cleared before the memory goes
        // (`close`). What is reached from here never outlives the call that asked.
        unsafe { local::get().cast::<Thread>().as_ref() }
    }

    /// The thread that runs this.
    ///
    /// # Panics
    /// If its thread-locals have been destroyed.
    #[inline(always)]
    pub(crate) fn here() -> &'static Thread {
        match Thread::here_if_any() {
            Some(thread) => thread,
            None => Thread::begin(),
        }
    }

    /// Whether this thread can have greenlets: its thread-locals have not been destroyed.
    #[inline(always)]
    pub(crate) fn is_possible() -> bool {
        Thread::here_if_any().is_some() || EXIT.try_with(|_| ()).is_ok()
    }

    #[cold]
    #[inline(never)]
    fn begin() -> &'static Thread {
        if !Thread::is_possible() {
            panic!(
                "greenlet: the thread-locals of this thread have been destroyed, it has no greenlets any more"
            );
        }
        let here = NonNull::from(Box::leak(Box::new(Thread::new())));
        // SAFETY: just made, and nobody else refers to it yet.
        unsafe { (*here.as_ptr()).main.thread = here };
        // SAFETY: it lives until `free_if_done`.
        let thread: &'static Thread = unsafe { here.as_ref() };
        thread.main.next.set(&raw const thread.main);
        thread.current.set(NonNull::from(&thread.main));
        thread.signal_stack.set(overflow::install(explain_overflow));
        local::set(here.as_ptr().cast_const().cast());
        thread
    }

    #[track_caller]
    fn new() -> Thread {
        let birth = Birth {
            name: None,
            parent: None,
            site: Location::caller(),
            pages: Pages::default_size(),
        };
        let main = Control::new(
            NonNull::dangling(),
            Phase::Started,
            Context::native(),
            Family::NOBODY,
            next_ids(),
            0,
            birth,
        );
        let first = main.id + 1;
        Thread {
            current: Cell::new(NonNull::dangling()),
            tracing: Cell::new(0),
            zombie: Cell::new(None),
            orphan: Cell::new(None),
            passed: Cell::default(),
            event: Cell::new(None),
            discarded: Cell::new(None),
            in_doubt: Cell::new(0),
            tracer: RefCell::new(None),
            ids: Cell::new((first, first + ID_RUN - 1)),
            main,
            alive: Cell::new(0),
            seeds: Cell::new(0),
            seen: Cell::new(SEEN),
            newest: Cell::new(None),
            controls: Slab::new(),
            bodies: Blocks::new(),
            stacks: Stacks::default(),
            default_pages: Pages::default_size(),
            signal_stack: Cell::new(None),
            closed: Cell::new(false),
            ending_all: Cell::new(false),
            upstairs: OnceCell::new(),
        }
    }

    /// What the floor above keeps here, if it does.
    #[inline(always)]
    pub(crate) fn upstairs(&self) -> Option<&dyn Upstairs> {
        self.upstairs.get().map(|upstairs| &**upstairs)
    }

    /// Lets the floor above move in, which it does once.
    pub(crate) fn move_in(&self, upstairs: Box<dyn Upstairs>) {
        let moved_in = self.upstairs.set(upstairs);
        debug_assert!(moved_in.is_ok(), "somebody lives there already");
    }

    /// The greenlet that runs now.
    #[inline(always)]
    pub(crate) fn current(&self) -> &'static Control {
        // SAFETY: the current greenlet is not dead, so its control block stays.
        unsafe { self.current.get().as_ref() }
    }

    #[inline(always)]
    pub(crate) fn set_current(&self, control: &Control) {
        self.current.set(NonNull::from(control));
    }

    pub(crate) fn default_pages(&self) -> Pages {
        self.default_pages
    }

    /// Makes the control block of a pending greenlet, with one strong count; None if there is no memory for it.
    #[inline]
    pub(crate) fn new_control(&self, family: &'static Family, birth: Birth) -> Option<ControlRef> {
        if !self.provide_controls() {
            return None;
        }
        // Whoever is older comes first.
        self.grow_all();
        let id = self.next_id();
        let from_spawner = Control::distance(id, self.current().id);
        Some(self.number_control(family, birth, id, from_spawner))
    }

    /// The same for one for which it has been provided, with a number, and how far that is from the number of its spawner.
    #[inline(always)]
    pub(crate) fn number_control(
        &self,
        family: &'static Family,
        birth: Birth,
        id: u64,
        from_spawner: u32,
    ) -> ControlRef {
        if let Some(parent) = birth.parent {
            // SAFETY: the caller has just looked at the parent.
            let parent = unsafe { parent.as_ref() };
            parent.retain();
        }
        let block = self.controls.take_provided().cast::<Control>();
        // Handles are made from shared references, which may not free it: `free_control` asks for it again.
        block.as_ptr().expose_provenance();
        // SAFETY: the block is fresh and of this size and alignment.
        unsafe {
            block.write(Control::new(
                NonNull::from(self),
                Phase::Pending,
                Context::unbound(),
                family,
                id,
                from_spawner,
                birth,
            ));
        }
        self.link(block);
        block
    }

    /// Frees the control block of a dead greenlet, and the thread with the last of them.
    ///
    /// # Safety
    /// Nobody refers to it any more, strongly or weakly.
    pub(crate) unsafe fn free_control(control: ControlRef) {
        // SAFETY: caller's promise; it was written by `new_control`, unless it is a part of the thread.
        unsafe {
            let thread = control.as_ref().thread;
            if !control.as_ref().is_main() {
                let block = with_exposed_provenance_mut::<Control>(control.addr().get());
                block.drop_in_place();
                thread
                    .as_ref()
                    .controls
                    .put(NonNull::new_unchecked(block.cast()));
            }
            Thread::free_if_done(thread);
        }
    }

    /// A number that nobody has had.
    #[inline]
    pub(crate) fn next_id(&self) -> u64 {
        let (next, end) = self.ids.get();
        let (id, end) = if next < end {
            (next, end)
        } else {
            let first = next_ids();
            (first, first + ID_RUN)
        };
        self.ids.set((id + 1, end));
        id
    }

    /// The newest greenlet that is not dead; main is not among them.
    pub(crate) fn newest(&self) -> Option<ControlRef> {
        self.grow_all();
        self.newest.get()
    }

    #[inline]
    fn link(&self, new: ControlRef) {
        self.alive.set(self.alive.get() + 1);
        // A signal handler that finds it in the list finds all of it.
        compiler_fence(Ordering::Release);
        let newest = self.newest.replace(Some(new));
        // SAFETY: greenlets in the list are not dead, so their control blocks stay.
        unsafe {
            new.as_ref().older.set(newest);
            if let Some(newest) = newest {
                newest.as_ref().newer.set(Some(new));
            }
        }
    }

    /// Takes a greenlet out of the list of those that are not dead.
    #[inline]
    pub(crate) fn unlink(&self, control: &Control) {
        self.alive.set(self.alive.get() - 1);
        let (older, newer) = (control.older.take(), control.newer.take());
        // SAFETY: as in `link`.
        unsafe {
            if let Some(older) = older {
                older.as_ref().newer.set(newer);
            }
            match newer {
                Some(newer) => newer.as_ref().older.set(older),
                None => self.newest.set(older),
            }
        }
    }

    /// All greenlets that are not dead and have a control block, the newest first; main is not among them. What has been returned may
    /// be taken out of the list before the next one is asked for, but not that next one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'static Control> {
        let mut next = self.newest.get();
        std::iter::from_fn(move || {
            // SAFETY: greenlets in the list are not dead, so their control blocks stay.
            let control: &'static Control = unsafe { next?.as_ref() };
            next = control.older.get();
            Some(control)
        })
    }

    /// Greenlets that are not dead, main not counted.
    pub(crate) fn alive(&self) -> usize {
        self.alive.get() + self.seeds.get()
    }

    /// Gives a control block to each that has none.
    #[inline]
    pub(crate) fn grow_all(&self) {
        if self.seeds.get() > 0
            && let Some(upstairs) = self.upstairs()
        {
            upstairs.grow_all();
        }
    }

    /// How many of those have no control block yet.
    pub(crate) fn seeds(&self) -> usize {
        self.seeds.get()
    }

    /// How much memory is to be left for those who have no control block yet, and for whom none is free.
    #[inline]
    pub(crate) fn promised(&self) -> usize {
        let lacking = self.seeds.get().saturating_sub(self.controls.free());
        lacking * CONTROL_SIZE
    }

    /// Has the control blocks ready of all who have none, and one more; false if there is no memory for them.
    #[inline]
    pub(crate) fn provide_controls(&self) -> bool {
        self.controls.provide(self.seeds.get() + 1)
    }

    /// Whether there is memory for the control block of one more who has none yet.
    #[inline]
    pub(crate) fn can_promise(&self) -> bool {
        self.seeds.get() < self.controls.free() + self.seen.get() || self.see_more()
    }

    #[cold]
    #[inline(never)]
    fn see_more(&self) -> bool {
        let is_there = memory::check(self.promised() + SEEN * CONTROL_SIZE).is_ok();
        if is_there {
            self.seen.set(self.seeds.get() + SEEN);
        }
        is_there
    }

    /// What was seen a while ago may be somebody else's by now.
    #[inline]
    pub(crate) fn look_again_for_memory(&self) {
        self.seen.set(self.seen.get().min(self.seeds.get() + SEEN));
    }

    /// The floor above promises to make one.
    #[inline(always)]
    pub(crate) fn promise(&self) {
        self.seeds.set(self.seeds.get() + 1);
    }

    /// It makes it now.
    #[inline(always)]
    pub(crate) fn redeem(&self) {
        self.seeds.set(self.seeds.get() - 1);
    }

    /// Whether it is at its end: nothing of it runs any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Whether all greenlets are being ended: by [`shutdown`](exit::shutdown), or because it ends itself.
    pub(crate) fn is_ending_all(&self) -> bool {
        self.ending_all.get()
    }

    /// Whether there are more greenlets than the first-level caches hold.
    #[inline(always)]
    pub(crate) fn is_crowded(&self) -> bool {
        self.alive.get() > CROWD
    }

    /// Control blocks in use, those of dead greenlets with handles included.
    pub(crate) fn controls_taken(&self) -> usize {
        self.controls.taken()
    }

    /// Whether nobody has a handle, or anything else that lies here.
    #[cold]
    fn is_unheld(&self) -> bool {
        let main = &self.main;
        let blocks = self.controls.taken() + self.bodies.taken();
        main.strong.get() == 0 && main.weak.get() == 0 && blocks == 0
    }

    /// The end of the thread: no greenlet is left, and none can be made any more.
    ///
    /// # Safety
    /// Called once, by the destructor of the thread, which uses nothing of it afterwards.
    unsafe fn close(here: NonNull<Thread>) {
        {
            // SAFETY: it lives until `free_if_done`.
            let thread = unsafe { here.as_ref() };
            local::set(std::ptr::null());
            thread.closed.set(true);
            drop(thread.signal_stack.take());
            thread.main.phase.set(Phase::Dead);
            thread.main.strong.set(thread.main.strong.get() - 1);
        }
        // SAFETY: caller's promise.
        unsafe { Thread::free_if_done(here) };
    }

    /// Frees everything, once the thread is closed and nobody has anything of it.
    ///
    /// # Safety
    /// The caller uses nothing of a closed thread afterwards.
    #[inline]
    pub(crate) unsafe fn free_if_done(here: NonNull<Thread>) {
        // SAFETY: it lives until the end of this function at least.
        let thread = unsafe { here.as_ref() };
        if thread.closed.get() && thread.is_unheld() {
            // SAFETY: made by `Box::leak` in `begin`; no control block, handle or thread-local refers to
            // it any more.
            drop(unsafe { Box::from_raw(here.as_ptr()) });
        }
    }
}

/// The first of a run of ids. Ids start at 1 and are never used again.
fn next_ids() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(ID_RUN, Ordering::Relaxed)
}

/// How the overflow handler learns whose guard was hit. Runs in a signal handler.
fn explain_overflow(address: usize, message: &mut Message) -> bool {
    let Some(thread) = Thread::here_if_any() else {
        return false;
    };
    let control = thread.current();
    let Some(stack) = control.stack.take() else {
        return false;
    };
    let hit = stack.guards(address);
    control.stack.set(Some(stack));
    if !hit {
        return false;
    }
    message.text("\ngreenlet ");
    if let Some(name) = control.name() {
        message
            .text("'")
            .text(name)
            .text("' (#")
            .number(control.id)
            .text(", ");
    } else {
        message.text("#").number(control.id).text(" (");
    }
    message
        .text("spawned at ")
        .text(control.site.file())
        .text(":")
        .number(u64::from(control.site.line()))
        .text(") overflowed its ")
        .number(control.pages.bytes() as u64 / 1024)
        .text(" KiB stack; ask for more with Builder::stack_size\n");
    true
}

thread_local! {
    /// Its destructor is the end of the thread.
    static EXIT: Exit = const { Exit };
}

struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        let Some(thread) = Thread::here_if_any() else {
            return;
        };
        if !thread.current().is_main() {
            // `process::exit` on the stack of a greenlet: nothing is unwound, now or by what comes after.
            thread.closed.set(true);
            return local::set(std::ptr::null());
        }
        // std may have taken its signal stack away by now.
        let own = overflow::install(explain_overflow);
        thread.signal_stack.set(thread.signal_stack.take().or(own));
        if let Some(upstairs) = thread.upstairs() {
            upstairs.close();
        }
        // Destructors of main's locals and of the tracer may make greenlets, and those again locals.
        for _ in 0..LAST_ROUNDS {
            if let Some(extra) = thread.main.extra() {
                super::local::drop_all(&extra.locals);
            }
            transfer::drop_contained(thread.tracer.take());
            exit::end_all(thread, "at the end of its thread");
        }
        if let Some(upstairs) = thread.upstairs() {
            upstairs.end();
        }
        // SAFETY: this is the destructor of the thread.
        unsafe { Thread::close(thread.main.thread) };
    }
}

/// What stands behind the greenlets of this thread: its stacks, in use and pooled.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn stack_stats() -> StackStats {
    Thread::here().stacks.stats()
}

/// Gives the memory of all pooled stacks of this thread back to the system.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn trim_stacks() {
    Thread::here().stacks.trim();
}

/// Greenlets of this thread that are not dead, the main greenlet not counted.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn alive() -> usize {
    Thread::here().alive()
}

/// Pooled blocks in use on this thread, for leak checks: `(control blocks, others)`. A control block lives from the
/// first turn of its greenlet, or from when somebody has asked for it, until it is dead and the last handle, strong or
/// weak, is gone. In the others lie closures until they run, and what
/// spawned greenlets leave until they have ended and nobody can join them.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn blocks_in_use() -> (usize, usize) {
    let thread = Thread::here();
    (thread.controls_taken(), thread.bodies.taken())
}

/// Something went wrong where nobody can be told: says so on standard error (law 12), if that can be had.
pub(crate) fn say(what: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "greenlet: {what}");
}

/// The same for a payload that is raised nowhere. It ends here.
pub(crate) fn report(what: std::fmt::Arguments<'_>, payload: Payload) {
    say(format_args!(
        "{what}: {}",
        super::error::describe(&*payload)
    ));
    // Dropping it is code of the user, where a panic must not get any further.
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
    std::mem::forget(dropped);
}
