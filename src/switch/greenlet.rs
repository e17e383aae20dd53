//! The public face of a greenlet: handles.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::marker::PhantomData;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr::NonNull;

use super::body::{Body, Enter};
use super::control::{Birth, Control, ControlRef, Family, Phase, alert, count_up};
use super::error::{ParentError, SwitchError};
use super::thread::Thread;
use super::{exit, family, transfer};
use crate::sys::context::Context;
use crate::sys::memory;
use crate::sys::stack::Pages;

/// A handle to a greenlet, as one that values of type `T` are sent to.
///
/// A greenlet is a function on a stack of its own. [`switch`](Self::switch) leaves the greenlet that calls
/// it where it is and goes on with another one, handing it a value; the call returns when somebody switches
/// back, with the value that it brings. There is no scheduler and no nesting: any greenlet may switch to
/// any other of its thread, out of any depth of calls.
///
/// # States
/// *Pending* until the first switch (no stack is taken), then *current* or *suspended*, then *dead*. A
/// value that the closure returns goes to the *parent*, the greenlet that made this one if no other was
/// [set](Self::set_parent); a panic that leaves the closure is raised there. If the parent is dead, its
/// parent is asked, and so on. A switch to a dead greenlet is a switch to its first live ancestor.
///
/// # Dropping
/// When the last handle of a suspended greenlet is dropped, [`GreenletExit`](crate::GreenletExit) is raised
/// at its switch, inside the drop, so that its destructors run. A pending one just drops its closure. A
/// greenlet keeps its ancestors; it does not keep its children. So one that holds the handle of its own
/// child in a local variable is kept by that child: the two go with a kill, or with their thread. A child
/// that is not to keep its maker is given [another parent](Builder::parent).
///
/// # Threads
/// A greenlet belongs to its OS thread for ever, and so do its handles:
///
/// ```compile_fail
/// fn send<T: Send>(_: T) {}
/// send(greenlet::Greenlet::new(|()| ()));
/// ```
///
/// # Examples
/// ```
/// use greenlet::{Greenlet, current};
///
/// let main = current::<u32>();
/// let doubler = Greenlet::new(move |mut x| loop {
///     x = main.switch(2 * x);
/// });
/// assert_eq!(doubler.switch(4), 8);
/// assert_eq!(doubler.switch(21), 42);
/// ```
pub struct Greenlet<T = ()> {
    control: ControlRef,
    family: PhantomData<fn(T) -> T>,
}

impl<T: 'static> Greenlet<T> {
    /// A pending greenlet that will run `run` with the first value that is sent to it.
    ///
    /// Its parent is the greenlet that calls this. Nothing is allocated in the long run: control blocks
    /// and closures of up to 128 bytes come from a pool of the thread.
    ///
    /// # Panics
    /// If there is no memory for it, or the thread-locals of this thread have been destroyed.
    #[track_caller]
    #[inline]
    pub fn new(run: impl FnOnce(T) -> T + 'static) -> Greenlet<T> {
        let thread = Thread::here();
        let pending = Greenlet::pending(thread, None, None, thread.default_pages());
        made(pending.and_then(|greenlet| greenlet.with_body(thread, run)))
    }

    /// A pending greenlet whose body comes later, by [`define`](Self::define): for greenlets that refer to
    /// each other.
    ///
    /// # Panics
    /// If there is no memory for it, or the thread-locals of this thread have been destroyed.
    #[track_caller]
    pub fn declare() -> Greenlet<T> {
        let thread = Thread::here();
        made(Greenlet::pending(
            thread,
            None,
            None,
            thread.default_pages(),
        ))
    }

    /// Gives a [declared](Self::declare) greenlet its body.
    ///
    /// # Panics
    /// If it has a body, has started, or is dead, or there is no memory for the body.
    ///
    /// # Examples
    /// ```
    /// use greenlet::Greenlet;
    ///
    /// let ping = Greenlet::<u32>::declare();
    /// let pong = Greenlet::new({
    ///     let ping = ping.downgrade();
    ///     move |n| ping.upgrade().unwrap().switch(n + 1)
    /// });
    /// ping.define(move |n| pong.switch(n + 1));
    /// assert_eq!(ping.switch(1), 3);
    /// ```
    #[track_caller]
    pub fn define(&self, run: impl FnOnce(T) -> T + 'static) {
        let control = self.control();
        match control.phase.get() {
            Phase::Pending if transfer::has_body(control) => {
                panic!("{control} has a body already; `define` is for one that was declared")
            }
            Phase::Pending => {}
            Phase::Started => {
                panic!("{control} has started; `define` comes before the first switch")
            }
            Phase::Dead => panic!("{control} is dead; it cannot be given a body"),
        }
        if !control.family.is(Family::of::<T>()) {
            panic!(
                "{control} was declared for values of type `{}`, not `{}`",
                control.family.name(),
                std::any::type_name::<T>()
            );
        }
        made(self.clone().with_body(Thread::here(), run));
    }

    /// A builder: name, stack size, parent.
    pub fn builder() -> Builder<T> {
        Builder {
            name: None,
            stack_size: None,
            parent: None,
        }
    }

    /// Sends `value` and waits until a value comes back.
    ///
    /// - To a suspended greenlet: its own pending `switch` returns `value`.
    /// - To a pending one: it starts, with `value`.
    /// - To a dead one: its first live ancestor gets `value`; if that is the caller, it is returned at once.
    /// - To oneself: `value` is returned at once.
    ///
    /// # Panics
    /// In the caller, naming the greenlets and the types, if the switch is refused: the target waits for
    /// another type (or starts with one), has no body, or there is no stack for it. The value is dropped;
    /// [`try_switch`](Self::try_switch) gives it back.
    ///
    /// With whatever is thrown at the caller while it waits: by [`throw`](Self::throw), or by the panic of
    /// a greenlet whose first live ancestor it is.
    #[track_caller]
    #[inline]
    pub fn switch(&self, value: T) -> T {
        let site = Location::caller();
        let failed = |error| failed_at(error, site);
        transfer::switch(self.control, || value, false, transfer::plainly, failed)
    }

    /// As [`switch`](Self::switch), with every failure as an error.
    ///
    /// # Errors
    /// [`Refused`](SwitchError::Refused) gives the value back, [`Thrown`](SwitchError::Thrown) is what was
    /// thrown at the caller while it waited. A destructor that runs while its greenlet unwinds can be told
    /// of a throw by no other way than this one: in a plain `switch` nothing may be raised there.
    #[inline]
    pub fn try_switch(&self, value: T) -> Result<T, SwitchError<T>> {
        transfer::switch(
            self.control,
            || value,
            true,
            |slot| Ok(transfer::plainly(slot)),
            Err,
        )
    }

    /// Raises `payload` at the pending switch of this greenlet, and waits until a value comes back.
    ///
    /// It unwinds like a panic, without the panic hook. If it is not caught, it is raised in the first live
    /// ancestor of *this* greenlet, and the caller stays suspended, unless it is that ancestor. A pending
    /// greenlet ends without having run. Thrown at a dead one, it is raised in the first live ancestor;
    /// thrown at oneself, it is raised at once.
    ///
    /// A thrown [`GreenletExit`](crate::GreenletExit) makes the caller the parent until the target is dead.
    /// As a dead target leaves no value, [`Undeliverable`](crate::Undeliverable) is raised in the caller
    /// then: [`kill`](Self::kill) waits for none.
    ///
    /// The throw unwinds Rust frames. It must not pass through C frames, which std turns into an abort.
    ///
    /// # Panics
    /// If the target has no body, or is in a destructor that runs while it unwinds (then the payload is
    /// raised when that has ended), and with whatever is thrown at the caller while it waits.
    #[track_caller]
    pub fn throw<E: Any + Send>(&self, payload: E) -> T {
        match transfer::throw(self.control(), payload, false) {
            Ok(value) => value,
            Err(error) => failed(error),
        }
    }

    /// As [`throw`](Self::throw), with every failure as an error.
    ///
    /// # Errors
    /// [`Refused`](SwitchError::Refused) gives the payload back; [`Deferred`](SwitchError::Deferred) says
    /// that it is raised later; [`Thrown`](SwitchError::Thrown) is what was thrown at the caller.
    pub fn try_throw<E: Any + Send>(&self, payload: E) -> Result<T, SwitchError<E>> {
        transfer::throw(self.control(), payload, true)
    }

    /// Raises [`GreenletExit`](crate::GreenletExit) in this greenlet, with the caller as its parent until
    /// it is dead; true if it is.
    ///
    /// It is not, if it caught the exit and switched away, or if it is in a destructor that runs while it
    /// unwinds (then the exit is raised when that has ended). A pending greenlet drops its closure; a dead
    /// one is left alone. A value that comes for the caller meanwhile is dropped.
    ///
    /// After the end of the thread it tells whether the greenlet is dead, and does nothing.
    ///
    /// With `panic = "abort"` a started greenlet cannot be ended: a message says so, and this is false.
    ///
    /// # Panics
    /// With what the greenlet died of instead, and with whatever is thrown at the caller while it waits.
    /// Killing oneself unwinds: it does not return.
    pub fn kill(&self) -> bool {
        let Some(thread) = Thread::here_if_any() else {
            return self.is_dead();
        };
        match exit::end(thread, self.control(), Family::ANY) {
            Ok(dead) => dead,
            Err(payload) => exit::raise(payload),
        }
    }

    /// The greenlet that receives what this one leaves; none for a main greenlet.
    pub fn parent(&self) -> Option<Greenlet<T>> {
        let parent = self.control().parent.get()?;
        // SAFETY: a parent is kept by its children.
        Some(Greenlet::of(unsafe { parent.as_ref() }))
    }

    /// Gives this greenlet another parent, in any state of either.
    ///
    /// A parent that waits for another type when the result comes gets
    /// [`Undeliverable`](crate::Undeliverable) instead; a dead one passes everything on.
    ///
    /// # Errors
    /// [`ParentError::Cycle`] if `parent` is this greenlet or descends from it, [`ParentError::Main`] if
    /// this is a main greenlet.
    pub fn set_parent(&self, parent: &Greenlet<T>) -> Result<(), ParentError> {
        family::reparent(self.control(), parent.control())
    }

    /// Whether it has finished. False while it is pending, and true for a main greenlet whose thread is
    /// at its end.
    pub fn is_dead(&self) -> bool {
        self.control().is_dead()
    }

    /// Whether it has started and is not dead.
    pub fn is_started(&self) -> bool {
        self.control().phase.get() == Phase::Started
    }

    /// Whether it is the one that runs now.
    #[inline]
    pub fn is_current(&self) -> bool {
        Thread::here_if_any().is_some_and(|thread| thread.current().is(self.control()))
    }

    /// The name its builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.control().name()
    }

    /// Its number: no other greenlet of the process has, had or will have the same.
    pub fn id(&self) -> GreenletId {
        GreenletId::of(self.control().id)
    }

    /// A handle that does not keep the greenlet.
    pub fn downgrade(&self) -> WeakGreenlet<T> {
        let control = self.control();
        control.weak.set(count_up(control.weak.get()));
        WeakGreenlet {
            control: self.control,
            family: PhantomData,
        }
    }

    /// As [`new`](Self::new), with the main greenlet as the parent.
    #[track_caller]
    pub(crate) fn below_main(run: impl FnOnce(T) -> T + 'static) -> Greenlet<T> {
        let thread = Thread::here();
        let main = Some(NonNull::from(&thread.main));
        let pending = Greenlet::pending(thread, None, main, thread.default_pages());
        made(pending.and_then(|greenlet| greenlet.with_body(thread, run)))
    }

    /// A new handle to a greenlet that somebody keeps.
    #[inline]
    pub(crate) fn of(control: &Control) -> Greenlet<T> {
        control.retain();
        Greenlet {
            control: NonNull::from(control),
            family: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn control(&self) -> &Control {
        // SAFETY: the handle counts, so the control block stays.
        unsafe { self.control.as_ref() }
    }

    #[track_caller]
    #[inline]
    fn pending(
        thread: &Thread,
        name: Option<Box<str>>,
        parent: Option<ControlRef>,
        pages: Pages,
    ) -> io::Result<Greenlet<T>> {
        let birth = Birth {
            name,
            parent: Some(parent.unwrap_or_else(|| NonNull::from(thread.current()))),
            site: Location::caller(),
            pages,
        };
        let control = thread.new_control(Family::of::<T>(), birth);
        Ok(Greenlet {
            control: control.ok_or_else(memory::exhausted)?,
            family: PhantomData,
        })
    }

    #[inline]
    fn with_body<F: FnOnce(T) -> T + 'static>(
        self,
        thread: &Thread,
        run: F,
    ) -> io::Result<Greenlet<T>> {
        let body = Body::new::<F, Start<T>>(thread, run).ok_or_else(memory::exhausted)?;
        self.control().body.set(Some(body));
        Ok(self)
    }
}

/// The greenlet, where an error cannot be returned.
#[track_caller]
#[inline]
fn made<T>(outcome: io::Result<Greenlet<T>>) -> Greenlet<T> {
    match outcome {
        Ok(greenlet) => greenlet,
        Err(error) => panic!("cannot build this greenlet: {error}"),
    }
}

/// A switch failed where an error cannot be returned.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn failed<V, R>(error: SwitchError<V>) -> R {
    failed_at(error, Location::caller())
}

/// The same, for a call from `site`. It is told in words, because a panic names the place of its own call:
/// the fast path has no room for the bookkeeping that would make it name another one.
#[cold]
#[inline(never)]
pub(crate) fn failed_at<V, R>(error: SwitchError<V>, site: &Location<'_>) -> R {
    match error {
        SwitchError::Thrown(payload) => exit::raise(payload),
        SwitchError::Refused { reason, value } => {
            drop(value);
            panic!("switch refused: {reason} (called at {site})")
        }
        SwitchError::Deferred(reason) => panic!("throw deferred: {reason} (called at {site})"),
    }
}

/// The entry of a greenlet of family `T`.
struct Start<T>(PhantomData<T>);

impl<T: 'static, F: FnOnce(T) -> T + 'static> Enter<F> for Start<T> {
    unsafe fn enter(control: *const ()) -> *const Context {
        // SAFETY: the context was bound with the control block, which stays while the greenlet runs.
        let me: &'static Control = unsafe { &*control.cast::<Control>() };
        // SAFETY: a thread outlives its greenlets.
        let thread = unsafe { me.thread.as_ref() };
        // SAFETY: first thing, once; the starter offered a `T` (`transfer::offer` compared the families).
        let value = unsafe { transfer::first_value::<T>(me) };
        let body = me.body.take().expect("bound with a body");
        // SAFETY: this entry stands in the body that holds an `F`.
        let run: F = unsafe { body.take(thread) };
        let outcome = catch_unwind(AssertUnwindSafe(move || {
            if me.alert.get() != 0
                && let Some(payload) = transfer::on_arrival(thread, me)
            {
                exit::raise(payload);
            }
            run(value)
        }));
        &exit::finish(me, outcome).context
    }
}

impl<T> Clone for Greenlet<T> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: the handle counts, so the control block stays.
        let control = unsafe { self.control.as_ref() };
        control.retain();
        Greenlet {
            control: self.control,
            family: PhantomData,
        }
    }
}

impl<T> Drop for Greenlet<T> {
    #[inline]
    fn drop(&mut self) {
        exit::release(self.control);
    }
}

impl<T, U> PartialEq<Greenlet<U>> for Greenlet<T> {
    fn eq(&self, other: &Greenlet<U>) -> bool {
        self.control == other.control
    }
}

impl<T> Eq for Greenlet<T> {}

impl<T> Hash for Greenlet<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.control.hash(state);
    }
}

/// Tells name, number and state: `Greenlet('worker' #7, suspended)`.
impl<T> fmt::Debug for Greenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the handle counts, so the control block stays.
        let control = unsafe { self.control.as_ref() };
        f.write_str("Greenlet(")?;
        if let Some(name) = control.name() {
            write!(f, "'{name}' ")?;
        }
        let main = if control.is_main() { ", main" } else { "" };
        write!(f, "#{}, {}{main})", control.id, state(control))
    }
}

fn state(control: &Control) -> &'static str {
    match control.phase.get() {
        Phase::Pending => "pending",
        Phase::Dead if control.is_main() => "dead (thread exited)",
        Phase::Dead => "dead",
        Phase::Started => match Thread::here_if_any() {
            Some(thread) if thread.current().is(control) => "current",
            _ => "suspended",
        },
    }
}

/// A handle that does not keep its greenlet; see [`Greenlet::downgrade`].
///
/// It holds the control block, 256 bytes, but no stack.
pub struct WeakGreenlet<T = ()> {
    control: ControlRef,
    family: PhantomData<fn(T) -> T>,
}

impl<T: 'static> WeakGreenlet<T> {
    /// A handle again, if there is another one. None while the greenlet is being ended because its last
    /// handle was dropped.
    pub fn upgrade(&self) -> Option<Greenlet<T>> {
        // SAFETY: the weak count keeps the control block.
        let control = unsafe { self.control.as_ref() };
        let kept = control.strong.get() > 0 && !control.ending.get();
        kept.then(|| Greenlet::of(control))
    }
}

impl<T> Clone for WeakGreenlet<T> {
    fn clone(&self) -> Self {
        // SAFETY: the weak count keeps the control block.
        let control = unsafe { self.control.as_ref() };
        control.weak.set(count_up(control.weak.get()));
        WeakGreenlet {
            control: self.control,
            family: PhantomData,
        }
    }
}

impl<T> Drop for WeakGreenlet<T> {
    fn drop(&mut self) {
        exit::release_weak(self.control);
    }
}

impl<T: 'static> fmt::Debug for WeakGreenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.upgrade() {
            Some(greenlet) => write!(f, "Weak{greenlet:?}"),
            None => f.write_str("WeakGreenlet(gone)"),
        }
    }
}

/// The number of a greenlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GreenletId(NonZero<u64>);

impl GreenletId {
    #[inline]
    pub(crate) fn of(number: u64) -> GreenletId {
        GreenletId::unless_zero(number).expect("greenlets are numbered from one")
    }

    /// Zero is nobody.
    #[inline]
    pub(crate) fn unless_zero(number: u64) -> Option<GreenletId> {
        NonZero::new(number).map(GreenletId)
    }

    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for GreenletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The greenlet that runs now, the main greenlet of the thread included, as one that values of type `T`
/// are sent to.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
#[inline]
pub fn current<T: 'static>() -> Greenlet<T> {
    let control = Thread::here().current();
    control.take_alert(alert::UNHELD);
    Greenlet::of(control)
}

/// Makes a greenlet with a name, a stack size or a parent of your own choice.
///
/// # Examples
/// ```
/// use greenlet::Greenlet;
///
/// let g = Greenlet::builder().name("parser").stack_size(64 * 1024).build(|n: u32| n + 1);
/// assert_eq!(g.name(), Some("parser"));
/// assert_eq!(g.switch(1), 2);
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<T = ()> {
    name: Option<Box<str>>,
    stack_size: Option<usize>,
    parent: Option<Greenlet<T>>,
}

impl<T: 'static> Builder<T> {
    /// A name, for messages.
    pub fn name(mut self, name: impl Into<Box<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The usable size of its stack in bytes, rounded up to whole pages, without the guard region. The
    /// default is 256 KiB, or what the environment variable `GREENLET_STACK_SIZE` says (bytes, or a number
    /// with `K` or `M`). Memory is used for what is touched only.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// The parent, instead of the greenlet that builds it.
    pub fn parent(mut self, parent: &Greenlet<T>) -> Self {
        self.parent = Some(parent.clone());
        self
    }

    /// A pending greenlet that will run `run`.
    ///
    /// # Panics
    /// If the stack size is out of range, there is no memory for it, or the thread-locals of this thread have been
    /// destroyed.
    #[track_caller]
    pub fn build(self, run: impl FnOnce(T) -> T + 'static) -> Greenlet<T> {
        made(self.try_build(run))
    }

    /// As [`build`](Self::build), with a stack size that is out of range, and that there is no memory, as an error.
    ///
    /// # Errors
    /// `InvalidInput` if the stack would be smaller than what a signal frame and 8 KiB need, or larger
    /// than 1 GiB. `OutOfMemory` if there is none for the control block and the closure; the stack itself is taken at the
    /// first switch.
    #[track_caller]
    pub fn try_build(self, run: impl FnOnce(T) -> T + 'static) -> io::Result<Greenlet<T>> {
        self.try_declare()?.with_body(Thread::here(), run)
    }

    /// A pending greenlet whose body comes later; see [`Greenlet::declare`].
    ///
    /// # Errors
    /// As [`try_build`](Self::try_build).
    #[track_caller]
    pub fn try_declare(self) -> io::Result<Greenlet<T>> {
        let thread = Thread::here();
        let pages = match self.stack_size {
            Some(bytes) => Pages::checked(bytes)?,
            None => thread.default_pages(),
        };
        let parent = self.parent.as_ref().map(|parent| parent.control);
        Greenlet::pending(thread, self.name, parent, pages)
    }
}
