//! Green threads: greenlets that the hub runs.
//!
//! [`spawn`] takes a closure that need not be `Send`: a greenlet never leaves its OS thread (law 7). It runs
//! when it is its turn, not before the spawner waits for something. What it leaves is kept for whoever joins.
//!
//! ```text
//!   spawn ──▶ ready ──▶ runs ⇄ parked ──▶ ended ──▶ join() gets Ok(value), or Err(payload)
//!               └── killed: the closure is dropped ──▶ Err(GreenletExit)
//! ```

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::thread::{self, panicking};

use crate::hub::interrupt::Kill;
use crate::hub::wait::WaitList;
use crate::hub::{Hub, launch};
use crate::switch::census;
use crate::switch::control::{Control, Payload};
use crate::switch::exit::{self, GreenletExit};
use crate::switch::greenlet::{Greenlet, GreenletId};
use crate::sys::memory;
use crate::sys::stack::Pages;

pub(crate) mod members;
mod park;
#[allow(unsafe_code)]
mod scope;
#[allow(unsafe_code)]
mod slot;

pub use park::{Thread, current, park, park_timeout};
pub use scope::{Scope, ScopedJoinHandle, scope};
use slot::{Owed, Slot};

/// Runs `f` in a greenlet of its own, which waits without keeping others from running.
///
/// It begins when it is its turn. A handle that is dropped leaves it running. Returning from `main` ends what
/// still runs, as with threads.
///
/// ```
/// let handle = greenlet::spawn(|| 6 * 7);
/// assert_eq!(handle.join().unwrap(), 42);
/// ```
///
/// Nothing needs to be `Send`; but everything must be owned. To borrow, use [`scope`].
///
/// ```compile_fail,E0373
/// let name = String::from("borrowed");
/// greenlet::spawn(|| println!("{name}")).join().unwrap();
/// ```
///
/// ```compile_fail,E0597
/// let name = String::from("borrowed");
/// let borrowed = &name;
/// greenlet::spawn(move || println!("{borrowed}")).join().unwrap();
/// ```
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// let count = Rc::new(Cell::new(0));
/// let handles = [1, 2, 3].map(|n| {
///     let count = count.clone();
///     greenlet::spawn(move || count.set(count.get() + n))
/// });
/// handles.map(|handle| handle.join().unwrap());
/// assert_eq!(count.get(), 6);
/// ```
///
/// # Parks
/// No.
///
/// # Panics
/// If there is no memory for it, which [`Builder::spawn`] returns as an error; or if the thread-locals of this thread have
/// been destroyed.
#[track_caller]
#[inline]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    spawn_for(Location::caller(), f)
}

/// As [`spawn`], for somebody who has called there: a closure cannot say who has called it.
#[inline]
pub(crate) fn spawn_for<R: 'static>(
    site: &'static Location<'static>,
    f: impl FnOnce() -> R + 'static,
) -> JoinHandle<R> {
    let hub = Hub::here();
    let pages = hub.thread().default_pages();
    // SAFETY: `f` borrows nothing.
    let handle = unsafe { launch_in(hub, None, pages, site, f) };
    handle.unwrap_or_else(|_| no_memory(hub, site))
}

/// Nobody can be spawned, where an error cannot be returned. As in `failed_at`, the place is told in words.
#[cold]
#[inline(never)]
pub(crate) fn no_memory(hub: &Hub, site: &Location<'_>) -> ! {
    let alive = hub.thread().alive();
    panic!(
        "no memory for another greenlet, {alive} are alive (spawned at {site}): wait until some of them have ended, or \
         use `thread::Builder::spawn`, which returns an error"
    )
}

/// Lets everybody who is ready go first.
///
/// # Parks
/// Always, and is ready again at once.
#[inline]
pub fn yield_now() {
    Hub::here().yield_now();
}

/// # Safety
/// What `f` and `R` borrow lives until the greenlet is dead and the handle is gone.
#[inline]
unsafe fn launch_in<R>(
    hub: &Hub,
    name: Option<Box<str>>,
    pages: Pages,
    site: &'static Location<'static>,
    f: impl FnOnce() -> R,
) -> Result<JoinHandle<R>, NoMemory> {
    let (slot, owed) = Slot::new(hub.thread()).ok_or(NoMemory)?;
    let is_named = name.is_some();
    // SAFETY: caller's promise.
    let id = unsafe { hub.launch(name, pages, site, Job { f, owed }) };
    let id = id.ok_or(NoMemory)?;
    slot.joiners().holder().set(id);
    if is_named {
        // The name is there.
        slot.hold();
    }
    Ok(JoinHandle {
        slot,
        thread: OnceCell::new(),
    })
}

/// There is none for another greenlet.
struct NoMemory;

/// A closure and where its outcome goes. If it never runs, the closure is dropped before that is told.
struct Job<F, R> {
    f: F,
    owed: Owed<R>,
}

impl<R, F: FnOnce() -> R> launch::Job for Job<F, R> {
    #[inline]
    fn grown(&self, control: &Control) {
        self.owed.grown(control);
    }

    #[inline]
    fn run(self, raised: Option<Payload>) -> impl FnOnce() {
        let Job { f, owed } = self;
        let outcome = catch_unwind(AssertUnwindSafe(move || {
            if let Some(payload) = raised {
                exit::raise(payload);
            }
            f()
        }));
        move || owed.pay(outcome)
    }
}

/// The right to join a greenlet; see [`spawn`]. Dropping it leaves the greenlet running.
///
/// A handle stays on its OS thread:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<greenlet::JoinHandle<()>>();
/// ```
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<greenlet::JoinHandle<()>>();
/// ```
pub struct JoinHandle<R> {
    slot: Slot<R>,
    thread: OnceCell<Thread>,
}

/// What a join says of a greenlet that has not run to its end here.
fn left_nothing(handle: &impl fmt::Debug) -> String {
    format!(
        "{handle:?} left nothing: a fork has left it to the parent process, or it was leaked at the end of its thread"
    )
}

impl<R> JoinHandle<R> {
    /// Waits until the greenlet has ended, and returns what it left.
    ///
    /// # Parks
    /// Unless it has ended.
    ///
    /// # Errors
    /// The payload of the panic that it died of: [`GreenletExit`] if it was killed. If there was no stack for
    /// it to run on, a `String` that says so.
    pub fn join(mut self) -> thread::Result<R> {
        // Whoever joins does not unpark.
        self.thread.take();
        self.slot.wait();
        self.slot
            .take()
            .unwrap_or_else(|| Err(Box::new(left_nothing(&self))))
    }

    /// Ends the greenlet, and waits until it has ended; true if it has.
    ///
    /// [`GreenletExit`] is raised where it waits; its destructors run, and may wait themselves. One that has
    /// not begun drops its closure. One that catches the exit goes on, and is waited for.
    ///
    /// With `panic = "abort"` nothing can be ended: a message says so, and this is false.
    ///
    /// # Parks
    /// Unless it has ended or has not begun.
    ///
    /// # Cancellation
    /// The greenlet has been told, and ends.
    ///
    /// # Panics
    /// Killing oneself unwinds: it does not return.
    pub fn kill(&self) -> bool {
        if !self.start_kill() {
            return false;
        }
        self.slot.wait();
        true
    }

    /// As [`kill`](Self::kill), without waiting; true if it has been told, or has ended.
    ///
    /// # Parks
    /// No.
    ///
    /// # Panics
    /// Killing oneself unwinds: it does not return. In a destructor that runs while it unwinds already, it is false, and
    /// the exit is raised at the first wait after that.
    pub fn start_kill(&self) -> bool {
        if self.is_finished() {
            return true;
        }
        let Some(greenlet) = self.slot.hold() else {
            return true;
        };
        match Hub::here().kill(greenlet) {
            Kill::Dead | Kill::Told => true,
            Kill::Impossible => false,
            Kill::Myself if panicking() => {
                exit::defer(greenlet, Box::new(GreenletExit));
                false
            }
            Kill::Myself => exit::raise(Box::new(GreenletExit)),
        }
    }

    /// Waits until the greenlet has ended.
    ///
    /// # Parks
    /// Unless it has.
    pub fn wait(&self) {
        self.slot.wait();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.slot.has_ended()
    }

    /// A handle of its own to the greenlet, unless that has ended.
    pub(crate) fn greenlet(&self) -> Option<Greenlet<()>> {
        self.slot.hold().map(Greenlet::of)
    }

    /// Where those stand who wait for its end.
    pub(crate) fn joiners(&self) -> &WaitList {
        self.slot.joiners()
    }

    /// A handle that unparks it, from any thread.
    pub fn thread(&self) -> &Thread {
        self.thread.get_or_init(|| match self.slot.hold() {
            Some(greenlet) => Thread::of(greenlet),
            None => Thread::of_ended(self.id()),
        })
    }

    /// Its number.
    pub fn id(&self) -> GreenletId {
        GreenletId::of(self.slot.id())
    }

    /// The name its builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.slot.held()?.name()
    }
}

impl<R> Drop for JoinHandle<R> {
    fn drop(&mut self) {
        if self.slot.has_ended() {
            self.slot.give_up();
        }
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinHandle(")?;
        match self.slot.greenlet() {
            Some(greenlet) => write!(f, "{:?})", Greenlet::<()>::of(greenlet)),
            None if self.is_finished() => write!(f, "Greenlet({}, dead))", self.id()),
            None => write!(f, "Greenlet({}, pending))", self.id()),
        }
    }
}

/// Spawns greenlets with a name, or a stack size of your own choice.
///
/// ```
/// let handle = greenlet::thread::Builder::new()
///     .name("worker".into())
///     .stack_size(64 * 1024)
///     .spawn(|| 1)?;
/// assert_eq!(handle.name(), Some("worker"));
/// # handle.join().unwrap();
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    name: Option<String>,
    stack_size: StackSize,
}

/// How large the stack of a greenlet is.
#[derive(Clone, Copy, Debug, Default)]
enum StackSize {
    /// As large as the default says.
    #[default]
    Default,
    /// So many usable bytes, rounded up to whole pages.
    Bytes(usize),
    /// Learned from those that were spawned at the same place before it.
    Learned,
}

impl Builder {
    /// No name, and the default stack size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// A name, for messages.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// The usable size of its stack, in bytes, which is rounded up to whole pages.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = StackSize::Bytes(bytes);
        self
    }

    /// A stack as large as those needed that were spawned at the same place before it: twice what any of them has used,
    /// and some KiB. As long as not enough of them have ended, it is the default.
    ///
    /// What is learned comes from [`inspect::census`](crate::inspect::census), which must be on. One that suddenly
    /// needs more than twice as much as all before it overflows: that ends the program, with a message. So this is for
    /// greenlets that all do the same.
    pub fn learned_stack_size(mut self) -> Builder {
        self.stack_size = StackSize::Learned;
        self
    }

    /// As [`spawn`].
    ///
    /// # Errors
    /// `InvalidInput` if the stack size is out of range; `OutOfMemory` if there is no memory for the closure and the handle.
    /// Some of it is left, so that those who were spawned in this thread can be ended, or run one after the other, and everything
    /// else can go on that does not need much. The stack itself is taken when the greenlet begins;
    /// if there is none by then, [`join`](JoinHandle::join) says so.
    ///
    /// # Panics
    /// As [`spawn`], and if there is a zero in the name, as in std: what is written for greenlets may move to threads.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        // SAFETY: `f` borrows nothing.
        unsafe { self.launch(f) }
    }

    /// # Safety
    /// As for [`launch_in`].
    #[track_caller]
    unsafe fn launch<R>(self, f: impl FnOnce() -> R) -> io::Result<JoinHandle<R>> {
        let (hub, site) = (Hub::here(), Location::caller());
        let size = match self.stack_size {
            StackSize::Bytes(bytes) => Some(Pages::checked(bytes)?),
            StackSize::Learned => census::suggestion(site),
            StackSize::Default => None,
        };
        let pages = size.unwrap_or_else(|| hub.thread().default_pages());
        if let Some(name) = &self.name {
            assert!(
                !name.contains('\0'),
                "{name:?} cannot be the name of a greenlet: leave out the zero in it"
            );
        }
        let name = self.name.map(String::into_boxed_str);
        if name.is_some() && !hub.thread().provide_controls() {
            return Err(memory::exhausted());
        }
        // SAFETY: caller's promise.
        unsafe { launch_in(hub, name, pages, site, f) }.map_err(|NoMemory| memory::exhausted())
    }
}
