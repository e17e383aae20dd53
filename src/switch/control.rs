//! The control block: all that is known about one greenlet.
//!
//! It is one cache line that every switch and every yield reads and writes, and three lines for the rest of its life. It
//! lives in a slab of its thread ([`Thread`]) and never moves. Handles, children and the thread refer to it
//! by address and count; every field is a cell, because a greenlet is seen from many places and used from
//! one thread (law 7).
//!
//! ```text
//!              start                    end
//!   Pending ──────────▶ Started ──────────────▶ Dead ─▶ retired (no strong handle) ─▶ block free (no weak one)
//!      │                 current, or suspended    ▲
//!      └─────────────────── killed ───────────────┘
//! ```

use std::any::{Any, TypeId, type_name};
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::mem::offset_of;
use std::panic::Location;
use std::ptr::{self, NonNull};

use super::body::Body;
use super::local::Locals;
use super::subject::{Awaited, Awaits};
use super::thread::Thread;
use super::waiting::Waiting;
use crate::sys::context::{Context, Entry, FETCHES};
use crate::sys::panics::Aside;
use crate::sys::stack::{Pages, Stack};

/// What a throw or a panic carries.
pub(crate) type Payload = Box<dyn Any + Send + 'static>;

/// A control block by address. It is alive as long as a count or its thread keeps it.
pub(crate) type ControlRef = NonNull<Control>;

/// How far a greenlet has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Not started. It has no stack.
    Pending,
    /// Started: current, or suspended somewhere.
    Started,
    /// Finished. It has no stack.
    Dead,
}

/// Reasons to leave the fast path. A greenlet looks at its own before it switches away and after it has
/// come back; 0 is the common case.
pub(crate) mod alert {
    /// A payload lies in `raise`, to be raised on arrival.
    pub(crate) const RAISE: u8 = 1;
    /// The greenlet that ran last has ended: reap it.
    pub(crate) const REAP: u8 = 2;
    /// A trace event waits to be told on arrival.
    pub(crate) const TRACE: u8 = 4;
    /// The greenlet that ran last has no handle left: end it.
    pub(crate) const ORPHAN: u8 = 8;
    /// My own last handle was dropped while I ran.
    pub(crate) const UNHELD: u8 = 16;
    /// A payload was thrown at me while a destructor of mine ran during unwinding.
    pub(crate) const DEFERRED: u8 = 32;
    /// The thread keeps something to be let go of on arrival: a value that nobody waits for, or greenlets
    /// that something has passed through.
    pub(crate) const LITTER: u8 = 64;
    /// A deadline that it is under has passed, and could not be raised when that happened.
    pub(crate) const OVERDUE: u8 = 128;
}

/// What a greenlet that does not run waits in. Stale while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wait {
    /// In a switch, or it has not started: somebody has to switch to it.
    Switch,
    /// In a `yield_`: whoever asks next switches to it.
    Yield,
    /// In the hub, for something to happen.
    Parked,
    /// In the hub, for its turn.
    Ready,
}

/// The control block of a greenlet.
#[repr(C, align(64))]
pub(crate) struct Control {
    // The line of a switch and of a yield: 64 bytes in the direct backend.
    pub(crate) context: Context,
    /// Where the value for its pending switch goes.
    pub(crate) slot: Cell<*mut u8>,
    /// The family of its pending switch. Stale while it is current.
    pub(crate) expects: Cell<&'static Family>,
    pub(crate) alert: Cell<u8>,
    pub(crate) phase: Cell<Phase>,
    /// In the middle of how many unwindings of its own it waits; see [`super::unwinding`].
    pub(super) unwinding: Cell<u8>,
    pub(crate) wait: Cell<Wait>,
    /// How often it has let others run, in the hub.
    pub(crate) turns: Cell<u32>,
    /// Whom it switched to last: a guess at whom it will switch to next. It may point to a block that is
    /// free by now; nothing but `look_ahead` follows it.
    pub(crate) next: Cell<*const Control>,

    // The rest of its life.
    pub(crate) strong: Cell<u32>,
    pub(crate) weak: Cell<u32>,
    pub(crate) thread: NonNull<Thread>,
    pub(crate) parent: Cell<Option<ControlRef>>,
    /// Who waits for its end right now, in `kill`, `next` or a drop: parent for the time being.
    pub(crate) waiting: Cell<Option<NonNull<Waiting>>>,
    /// The family of its first switch and of its result.
    pub(crate) family: &'static Family,
    pub(crate) body: Cell<Option<Body>>,
    pub(crate) stack: Cell<Option<Stack>>,
    pub(crate) raise: Cell<Option<Payload>>,
    pub(crate) site: &'static Location<'static>,
    pub(crate) id: u64,
    /// Neighbours in the list of all greenlets of the thread that are not dead.
    pub(crate) older: Cell<Option<ControlRef>>,
    pub(crate) newer: Cell<Option<ControlRef>>,
    pub(crate) pages: Pages,
    /// Nothing may be raised in it for now, whatever it is: others depend on the frame it waits in.
    pub(crate) shielded: Cell<bool>,
    /// When it ends, it is looked up how deep its stack was used.
    pub(crate) counted: Cell<bool>,
    /// What the hub knows of it: the innermost deadline that it is under.
    pub(crate) deadline: Cell<*const ()>,
    /// What it is parked for, in words.
    pub(crate) purpose: Cell<&'static &'static str>,
    /// What that is, if others may know.
    pub(crate) awaits: Cell<Awaits>,
    /// When it was parked last, by the clock of its hub, in nanoseconds.
    pub(crate) since: Cell<u64>,
    /// Its pending switch can return an error, so it may be told even when nothing can be raised in it.
    /// False while it runs.
    pub(crate) lenient: Cell<bool>,
    /// Its last handle is gone and it is being ended, or was given up.
    pub(crate) ending: Cell<bool>,
    /// Dead and without a strong handle: it waits for the last weak one.
    pub(crate) retired: Cell<bool>,
    /// Its first value lies in a box, not in the frame of a starter.
    pub(crate) boxed: Cell<bool>,
    /// How far its number is from that of who made it; 0 for main, and if that is too far.
    from_spawner: u32,
    /// What it touches when it ends, to be fetched before its turn; nobody else follows this.
    pub(crate) owes: Cell<*const ()>,
    extra: UnsafeCell<Option<Box<Extra>>>,
    /// Where the program keeps the source that it waits for, or what is known of that; to be fetched before its turn,
    /// nobody else follows this. Null if it waits for none.
    pub(crate) source: Cell<*const ()>,
}

/// Four cache lines: there may be a million of them. And what is used together lies together, as [`Control::fetch`]
/// relies on.
const _: () = if FETCHES {
    assert!(size_of::<Control>() <= 256);
    assert!(offset_of!(Control, turns) < 64 && offset_of!(Control, next) < 64);
    assert!(offset_of!(Control, purpose) / 64 == offset_of!(Control, source) / 64);
};

/// What few greenlets have.
#[derive(Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Box<str>>,
    pub(crate) locals: Locals,
    pub(crate) deferred: Cell<Option<Payload>>,
    /// Its share of the panic count, while it does not run.
    pub(super) panics: Cell<Option<Aside>>,
}

impl Extra {
    #[cold]
    fn named(name: Box<str>) -> Box<Extra> {
        Box::new(Extra {
            name: Some(name),
            ..Extra::default()
        })
    }
}

impl Control {
    /// Where debuggers find what they show, in bytes: see `src/inspect/greenlets.py`, which has the same order.
    pub(crate) const LAYOUT: [usize; 12] = [
        offset_of!(Control, context),
        offset_of!(Control, phase),
        offset_of!(Control, wait),
        offset_of!(Control, older),
        offset_of!(Control, id),
        offset_of!(Control, from_spawner),
        offset_of!(Control, site),
        offset_of!(Control, purpose),
        offset_of!(Control, awaits),
        offset_of!(Control, turns),
        offset_of!(Control, extra),
        offset_of!(Extra, name),
    ];

    #[inline(always)]
    pub(crate) fn new(
        thread: NonNull<Thread>,
        phase: Phase,
        context: Context,
        family: &'static Family,
        id: u64,
        from_spawner: u32,
        birth: Birth,
    ) -> Control {
        let extra = birth.name.map(Extra::named);
        Control {
            context,
            slot: Cell::new(ptr::null_mut()),
            expects: Cell::new(Family::NOBODY),
            alert: Cell::new(0),
            phase: Cell::new(phase),
            unwinding: Cell::new(0),
            wait: Cell::new(Wait::Switch),
            turns: Cell::new(0),
            // Any control block will do for a first guess.
            // SAFETY: computes an address.
            next: Cell::new(unsafe { &raw const (*thread.as_ptr()).main }),
            strong: Cell::new(1),
            weak: Cell::new(0),
            thread,
            parent: Cell::new(birth.parent),
            waiting: Cell::new(None),
            family,
            body: Cell::new(None),
            stack: Cell::new(None),
            raise: Cell::new(None),
            site: birth.site,
            id,
            older: Cell::new(None),
            newer: Cell::new(None),
            pages: birth.pages,
            shielded: Cell::new(false),
            counted: Cell::new(false),
            deadline: Cell::new(ptr::null()),
            purpose: Cell::new(&"nothing"),
            awaits: Cell::new(Awaits::NOTHING),
            since: Cell::new(0),
            lenient: Cell::new(false),
            ending: Cell::new(false),
            retired: Cell::new(false),
            boxed: Cell::new(false),
            from_spawner,
            // Any line will do.
            owes: Cell::new(thread.as_ptr().cast_const().cast()),
            extra: UnsafeCell::new(extra),
            source: Cell::new(ptr::null()),
        }
    }

    /// How far a number is from that of a spawner; 0 if that is too far, or if there is none.
    #[inline(always)]
    pub(crate) fn distance(id: u64, spawner: u64) -> u32 {
        let far = id.checked_sub(spawner).map(u32::try_from);
        far.and_then(Result::ok).unwrap_or(0)
    }

    /// The number of who made it; 0 if that is not known.
    pub(crate) fn spawner(&self) -> u64 {
        Control::spawner_of(self.id, self.from_spawner)
    }

    /// The number of who is so far from it.
    pub(crate) fn spawner_of(id: u64, distance: u32) -> u64 {
        match distance {
            0 => 0,
            far => id - u64::from(far),
        }
    }

    /// Counts a handle more.
    #[inline(always)]
    pub(crate) fn retain(&self) {
        self.strong.set(count_up(self.strong.get()));
    }

    /// Counts a handle less; true if that was the last one and nobody is ending the greenlet already.
    #[inline(always)]
    pub(crate) fn count_down(&self) -> bool {
        let left = self.strong.get() - 1;
        self.strong.set(left);
        left == 0 && !self.ending.get()
    }

    #[inline(always)]
    pub(crate) fn raise_alert(&self, bit: u8) {
        self.alert.set(self.alert.get() | bit);
    }

    /// Takes one alert down; true if it was up.
    #[inline(always)]
    pub(crate) fn take_alert(&self, bit: u8) -> bool {
        let alerts = self.alert.get();
        self.alert.set(alerts & !bit);
        alerts & bit != 0
    }

    /// Fetches what the next two switches will read, if they go where they went the last time.
    ///
    /// In a crowd each switch misses the cache twice, one miss after the other: the control block of the
    /// target says where its frame is. This starts both early.
    #[inline(always)]
    pub(crate) fn look_ahead(&self) {
        // SAFETY: the guess points into the slab of this thread or to its main greenlet: mapped memory,
        // whatever it holds.
        unsafe { Context::look_ahead::<{ offset_of!(Control, next) }>(self.next.get().cast()) }
    }

    /// When it goes on in the hub: whether it has more to do than to take its turn.
    #[inline(always)]
    pub(crate) fn has_news(&self) -> bool {
        self.alert.get() != 0 || self.wait.get() != Wait::Switch
    }

    /// Fetches what a wait in the hub reads and writes.
    #[inline(always)]
    pub(crate) fn fetch(control: ControlRef) {
        Control::fetch_first_line(control);
        let first = control.as_ptr().cast_const().cast::<()>();
        Context::fetch(first.wrapping_byte_add(offset_of!(Control, since)));
    }

    /// Fetches what a yield does.
    #[inline(always)]
    pub(crate) fn fetch_first_line(control: ControlRef) {
        Context::fetch(control.as_ptr().cast_const().cast());
    }

    /// At its end: fetches what is read of it after that, which has mostly gone cold in a crowd.
    #[inline(always)]
    pub(crate) fn fetch_the_rest(&self) {
        let first = ptr::from_ref(self).cast::<()>();
        Context::fetch(first.wrapping_byte_add(offset_of!(Control, strong)));
        Context::fetch(first.wrapping_byte_add(offset_of!(Control, older)));
    }

    /// Fetches where its neighbours in the list of all say who theirs are.
    #[inline(always)]
    pub(crate) fn fetch_neighbours(&self) {
        for neighbour in [self.older.get(), self.newer.get()].into_iter().flatten() {
            let first = neighbour.as_ptr().cast_const().cast::<()>();
            Context::fetch(first.wrapping_byte_add(offset_of!(Control, older)));
        }
    }

    #[inline]
    pub(crate) fn is_dead(&self) -> bool {
        self.phase.get() == Phase::Dead
    }

    #[inline]
    pub(crate) fn is(&self, other: &Control) -> bool {
        ptr::eq(self, other)
    }

    /// Has `payload` raised where it waits, when it runs.
    pub(crate) fn tell(&self, payload: Payload) {
        self.raise.set(Some(payload));
        self.raise_alert(alert::RAISE);
    }

    /// Whether something is to be raised in it already, at its turn in the hub.
    #[inline(always)]
    pub(crate) fn is_told(&self) -> bool {
        self.alert.get() & alert::RAISE != 0
    }

    /// What its stack begins with, if it has a body.
    pub(crate) fn entry(&self) -> Option<Entry> {
        // SAFETY: the cell is this thread's, and is not written to here.
        unsafe { (*self.body.as_ptr()).as_ref() }.map(Body::entry)
    }

    /// Whether the hub says when it goes on.
    pub(crate) fn is_in_hub(&self) -> bool {
        matches!(self.wait.get(), Wait::Parked | Wait::Ready)
    }

    /// The family of the value that it waits for, or would start with.
    pub(crate) fn expects_or_starts_with(&self) -> &'static Family {
        match self.phase.get() {
            Phase::Pending => self.family,
            _ => self.expects.get(),
        }
    }

    /// What few greenlets have, if this one has it.
    pub(crate) fn extra(&self) -> Option<&Extra> {
        // SAFETY: the box is created once, by `extra_or_new`, and goes with the control block; what it
        // holds is only changed through cells. No reference to the cell itself outlives this expression.
        unsafe { (*self.extra.get()).as_deref() }
    }

    /// The same, made if need be.
    pub(crate) fn extra_or_new(&self) -> &Extra {
        if self.extra().is_none() {
            // SAFETY: `extra` returned none, so nobody refers into the cell.
            unsafe { *self.extra.get() = Some(Box::default()) };
        }
        self.extra().expect("just made")
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.extra()?.name.as_deref()
    }

    /// Frees name and locals. The control block is about to go.
    ///
    /// # Safety
    /// Nobody refers to the name or the locals any more.
    pub(crate) unsafe fn take_extra(&self) -> Option<Box<Extra>> {
        // SAFETY: caller's promise.
        unsafe { (*self.extra.get()).take() }
    }

    /// The lowest and the highest address of its stack, if it has one of ours. A signal handler may ask.
    pub(crate) fn stack_ends(&self) -> Option<(usize, usize)> {
        self.standing()?.ends()
    }

    /// How many bytes of its stack lie below `sp`, which points into it.
    pub(crate) fn stack_below(&self, sp: usize) -> Option<usize> {
        Some(self.standing()?.below(sp))
    }

    /// The stack that it stands on.
    fn standing(&self) -> Option<&Stack> {
        if self.phase.get() != Phase::Started {
            return None;
        }
        // SAFETY: from its start (`transfer::bind`) to its end the stack lies there, and nobody moves it.
        unsafe { (*self.stack.as_ptr()).as_ref() }
    }

    /// Whether `sp` points into its stack.
    pub(crate) fn stack_holds(&self, sp: usize) -> bool {
        self.stack_ends()
            .is_some_and(|(limit, top)| (limit..=top).contains(&sp))
    }

    /// Each of the things that it waits for, as far as they are known: one of them is enough.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = Awaited<'_>> {
        // SAFETY: it is set while what it waits in is there, and cleared on every way out.
        unsafe { self.awaits.get().each() }
    }

    /// Whether it is known for whom it waits, whatever comes first.
    pub(crate) fn waits_for_known(&self) -> bool {
        let mut awaited = self.awaited().peekable();
        awaited.peek().is_some() && awaited.all(Awaited::is_held)
    }

    /// Whether it was leaked, or left behind in a fork: what it owes will not come.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_dead() && self.ending.get()
    }

    /// Whether it is the main greenlet of its thread.
    pub(crate) fn is_main(&self) -> bool {
        // SAFETY: a thread outlives its control blocks.
        ptr::eq(self, unsafe { &(*self.thread.as_ptr()).main })
    }
}

/// One more. So many that the count runs over can only have been leaked, and end the process.
#[inline(always)]
pub(crate) fn count_up(count: u32) -> u32 {
    match count.checked_add(1) {
        Some(count) => count,
        None => std::process::abort(),
    }
}

/// How a greenlet came into the world.
pub(crate) struct Birth {
    pub(crate) name: Option<Box<str>>,
    pub(crate) parent: Option<ControlRef>,
    pub(crate) site: &'static Location<'static>,
    pub(crate) pages: Pages,
}

/// How a greenlet is named in messages: `greenlet 'worker' (#7)`, or `greenlet #7`, or `the main greenlet`.
impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_named(f, self.id, self.name(), self.is_main())
    }
}

/// How a greenlet is named in messages.
pub(crate) fn write_named(
    f: &mut dyn fmt::Write,
    id: u64,
    name: Option<&str>,
    is_main: bool,
) -> fmt::Result {
    match name {
        Some(name) => write!(f, "greenlet '{}' (#{id})", name.escape_debug()),
        None if is_main => write!(f, "the main greenlet (#{id})"),
        None => write!(f, "greenlet #{id}"),
    }
}

/// The type of value that travels in a switch. The same type may have several of these, one in each codegen
/// unit, so two that lie at different addresses are compared by what they say.
pub(crate) struct Family {
    id: TypeId,
    name: fn() -> &'static str,
}

impl Family {
    /// Waits for no value: pending, dead, or not started yet.
    pub(crate) const NOBODY: &'static Family = Family::of::<Nobody>();
    /// Waits for somebody's end; a value for it is dropped.
    pub(crate) const ANY: &'static Family = Family::of::<Anything>();
    /// As [`ANY`](Self::ANY), and a panic of that somebody is reported, not raised.
    pub(crate) const QUIET: &'static Family = Family::of::<Quietly>();
    /// Waits for its turn in the hub, which brings no value.
    pub(crate) const TURN: &'static Family = Family::of::<Turn>();

    #[inline(always)]
    pub(crate) const fn of<T: 'static>() -> &'static Family {
        const {
            &Family {
                id: TypeId::of::<T>(),
                name: type_name::<T>,
            }
        }
    }

    #[inline(always)]
    pub(crate) fn is(&'static self, other: &'static Family) -> bool {
        if ptr::eq(self, other) {
            return true;
        }
        from_elsewhere();
        self.id == other.id
    }

    pub(crate) fn name(&self) -> &'static str {
        (self.name)()
    }

    /// Waits for an end, not for a value.
    pub(crate) fn takes_anything(&'static self) -> bool {
        self.is(Family::ANY) || self.is(Family::QUIET)
    }
}

/// Marks a branch as the less likely one, which keeps the compiler from loading both ids before it asks.
#[cold]
fn from_elsewhere() {}

struct Nobody;
struct Anything;
struct Quietly;
struct Turn;
