//! Leaving one greenlet and arriving in another: the fast path, and everything else.
//!
//! A switch in the common case is eight loads and stores around [`Context::switch`]. It is common if the
//! target waits for this type of value, is not the caller, nothing is on alert on either side, and this
//! thread does not panic. All other cases go through [`slow`], which finds out who really receives,
//! starts greenlets, tells the tracer and remembers who may not be raised in.
//!
//! ```text
//!   caller                                   receiver
//!   write the value into its slot
//!   say where my own value goes
//!   current = receiver ───── switch ───────▶ alert == 0?  take the value, go on
//!                                            else         value out of the slot first, then: reap,
//!                                                         trace, end an orphan, raise
//! ```
//!
//! Nothing here holds a borrow across a switch or while user code runs (law 6).

use std::any::Any;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, compiler_fence};
use std::thread::panicking;

use super::control::{Control, ControlRef, Family, Payload, Phase, Wait, alert};
use super::error::{Refusal, RefusalKind, SwitchError, Undeliverable};
use super::exit::GreenletExit;
use super::thread::{Thread, say};
use super::trace::{self, Kind};
use super::waiting::Waiting;
use super::{census, exit, family};
use crate::sys::context::Context;

/// Sends what `value` makes to whoever receives for `to`, and waits for a value of the same family, which
/// `got` takes out of its slot to make the answer. `failed` makes the answer of anything else.
///
/// `lenient` says that the caller can take an error where nothing may be raised. `got` finds its slot
/// initialised, and owns what is in it.
///
/// Closures, rather than a value and a `Result`, let each value be made where it is to lie and be read where
/// it lies: one that is moved on the way may be read in larger pieces than it was written in, and the stall
/// that follows costs more than the switch.
#[inline(always)]
pub(crate) fn switch<T: 'static, R>(
    to: ControlRef,
    value: impl FnOnce() -> T,
    lenient: bool,
    got: impl FnOnce(&mut MaybeUninit<T>) -> R,
    failed: impl FnOnce(SwitchError<T>) -> R,
) -> R {
    if let Some(thread) = Thread::here_if_any() {
        let me = thread.current();
        // SAFETY: the caller has just looked at it. It may be gone when this greenlet runs again.
        let to = unsafe { to.as_ref() };
        if to.expects.get().is(Family::of::<T>())
            && !to.is(me)
            && thread.tracing.get() | me.alert.get() == 0
            && !panicking()
        {
            let mut slot = MaybeUninit::<T>::uninit();
            // SAFETY: `to` waits for a `T`, so its slot points to room for one in its frame.
            unsafe { to.slot.get().cast::<T>().write(value()) };
            expect_value(me, &mut slot);
            thread.set_current(to);
            me.next.set(to);
            // SAFETY: `me` runs, `to` is suspended in this function or its slow twin, both on this thread.
            unsafe { Context::switch(&raw const me.context, &raw const to.context) };
            if thread.is_crowded() {
                me.look_ahead();
            }
            if me.alert.get() == 0 {
                // Without an alert, whoever switched here wrote the slot first.
                return got(&mut slot);
            }
            return match arrive(thread, me, slot) {
                Ok(value) => got(&mut MaybeUninit::new(value)),
                Err(payload) => failed(SwitchError::Thrown(payload)),
            };
        }
    }
    match slow(to, value(), lenient) {
        Ok(value) => got(&mut MaybeUninit::new(value)),
        Err(error) => failed(error),
    }
}

/// Takes what came as it is: the `got` of a plain switch.
#[inline(always)]
pub(crate) fn plainly<T>(slot: &mut MaybeUninit<T>) -> T {
    // SAFETY: it is initialised and ours (contract of `switch`), and this is the one time that it is read.
    unsafe { slot.assume_init_read() }
}

/// Says where the value for the switch that follows goes.
#[inline(always)]
fn expect_value<T: 'static>(me: &Control, slot: &mut MaybeUninit<T>) {
    me.slot.set(slot.as_mut_ptr().cast());
    me.expects.set(Family::of::<T>());
}

/// Takes what came: a value, or something to be raised.
#[cold]
#[inline(never)]
fn arrive<T>(thread: &Thread, me: &Control, slot: MaybeUninit<T>) -> Result<T, Payload> {
    if me.alert.get() & alert::RAISE != 0 {
        return Err(on_arrival(thread, me).expect("a payload was announced"));
    }
    // The value leaves its slot before anything else runs: the tracer may switch.
    // SAFETY: nothing is raised, so whoever switched here wrote the slot.
    let value = unsafe { slot.assume_init() };
    match on_arrival(thread, me) {
        None => Ok(value),
        Some(payload) => Err(payload),
    }
}

/// What a greenlet does for the others as soon as it runs; returns what is to be raised in it.
pub(crate) fn on_arrival(thread: &Thread, me: &Control) -> Option<Payload> {
    if me.wait.replace(Wait::Switch) == Wait::Ready
        && let Some(upstairs) = thread.upstairs()
    {
        // It was raised in before its turn: by an explicit throw or kill, or by the end of a child.
        upstairs.withdraw(me);
    }
    if me.alert.get() == alert::REAP {
        me.alert.set(0);
        return exit::reap(thread, thread.zombie.take().expect("announced"));
    }
    Left::taken(thread, me).settle(thread)
}

/// What was left for one that arrives.
struct Left {
    /// Raised in it.
    payload: Option<Payload>,
    /// One that has ended.
    zombie: Option<ControlRef>,
    /// One that nobody has a handle to.
    orphan: Option<ControlRef>,
    /// What the tracer is to be told.
    event: Option<trace::Event>,
    /// A value that nobody takes.
    nobodys: Option<Box<dyn Any>>,
    /// Those whose handles nobody has any more after a death.
    passed: Vec<ControlRef>,
}

impl Left {
    /// All of it is taken at once: what is done with it runs code of the user, which may switch.
    fn taken(thread: &Thread, me: &Control) -> Left {
        let announced = |alert| me.take_alert(alert);
        let (nobodys, passed) = match announced(alert::LITTER) {
            true => (thread.discarded.take(), thread.passed.take()),
            false => (None, Vec::new()),
        };
        Left {
            payload: announced(alert::RAISE).then(|| me.raise.take().expect("announced")),
            zombie: announced(alert::REAP).then(|| thread.zombie.take().expect("announced")),
            orphan: announced(alert::ORPHAN).then(|| thread.orphan.take().expect("announced")),
            event: announced(alert::TRACE).then(|| thread.event.take().expect("announced")),
            nobodys,
            passed,
        }
    }

    /// Does what is to be done with it; returns what is to be raised.
    fn settle(self, thread: &Thread) -> Option<Payload> {
        let mut payload = self.payload;
        if let Some(zombie) = self.zombie {
            exit::free_stack(thread, zombie);
            // SAFETY: it is dead, but nobody has released it yet.
            let dead = unsafe { zombie.as_ref() };
            // The event may have its last handle.
            dead.retain();
        }
        if let Some(event) = self.event
            && let Err(panic) = trace::tell(thread, event)
            && let Some(lost) = payload.replace(panic)
        {
            exit::lose(format_args!("lost to a panic of the tracer"), lost);
        }
        drop_contained(self.nobodys);
        for pending in self.passed.into_iter().chain(self.zombie) {
            exit::keep_first(&mut payload, exit::let_go(pending));
        }
        if let Some(orphan) = self.orphan {
            exit::keep_first(&mut payload, exit::end_orphan(orphan));
        }
        payload
    }
}

/// Switches, with all that the fast path leaves out. The caller has said what `me` waits for and has told
/// the target what comes; what came for `me` is found by `on_arrival`.
pub(crate) fn hop(thread: &Thread, me: &Control, to: ControlRef, lenient: bool) {
    // SAFETY: the caller has just looked at it. It may be gone when this greenlet runs again.
    let to = unsafe { to.as_ref() };
    me.set_panics_aside();
    me.lenient.set(lenient);
    thread.set_current(to);
    // SAFETY: `me` runs; `to` is suspended or freshly bound, and lives; both on this thread.
    unsafe { Context::switch(&raw const me.context, &raw const to.context) };
    me.count_panics_again();
    me.lenient.set(false);
}

/// Before `me` waits at a switch to `to`: if nobody has a handle to it, `to` ends it.
///
/// One that the hub lets wait goes on by itself. Whoever runs next there is anybody, and would have to wait for its
/// destructors.
pub(crate) fn leave_if_unheld(thread: &Thread, me: &Control, to: &Control) {
    if me.take_alert(alert::UNHELD) && me.strong.get() == 0 {
        me.ending.set(true);
        thread.orphan.set(Some(NonNull::from(me)));
        to.raise_alert(alert::ORPHAN);
    }
}

/// Leaves `me`, which the hub lets wait, and goes on in `to`, whose turn it is. Returns when `me` goes on; what
/// came for it is found by `on_arrival`. The caller has said whether `me` unwinds.
#[inline(always)]
pub(crate) fn give_way(thread: &Thread, me: &Control, to: ControlRef) {
    // SAFETY: the hub keeps what is ready. It may be gone when this greenlet runs again.
    let to = unsafe { to.as_ref() };
    if thread.tracing.get() | me.alert.get() != 0 {
        trace::note(thread, Kind::Switch, me, to);
        return hop(thread, me, NonNull::from(to), false);
    }
    thread.set_current(to);
    // SAFETY: `me` runs; `to` is suspended or freshly bound, and lives; both on this thread.
    unsafe { Context::switch(&raw const me.context, &raw const to.context) };
}

/// The way of every switch that is not the common one.
#[cold]
#[inline(never)]
fn slow<T: 'static>(to: ControlRef, value: T, lenient: bool) -> Result<T, SwitchError<T>> {
    // SAFETY: as in `switch`.
    let to = unsafe { to.as_ref() };
    let Some(thread) = Thread::here_if_any() else {
        return Err(refused(RefusalKind::ThreadExiting, thread_exiting(), value));
    };
    let me = thread.current();
    if let Some(payload) = take_due(thread, me) {
        return Err(SwitchError::Thrown(payload));
    }
    let target = family::first_alive(to);
    if target.is(me) {
        return match trace::tell_now(thread, Kind::Switch, me, me) {
            Ok(()) => Ok(value),
            Err(panic) => Err(SwitchError::Thrown(panic)),
        };
    }
    let mut value = ManuallyDrop::new(value);
    match offer(thread, target, &mut value) {
        Ok(()) => {}
        Err(refusal) if target.is(to) => {
            return Err(SwitchError::Refused {
                reason: refusal,
                value: ManuallyDrop::into_inner(value),
            });
        }
        // The value was forwarded by a dead greenlet: the caller is not to blame.
        Err(refusal) => {
            drop_contained(ManuallyDrop::into_inner(value));
            return forward_failure::<T>(thread, me, to, refusal, lenient);
        }
    }
    trace::note(thread, Kind::Switch, me, target);
    wait_after_hop(thread, me, target, lenient).map_err(SwitchError::Thrown)
}

/// Raises what came for `me` when it could not be raised there: before it does what it could not take back.
#[inline(always)]
pub(crate) fn raise_due(me: &Control) {
    if me.alert.get() != 0
        && let Some(payload) = take_due(Thread::here(), me)
    {
        exit::raise(payload);
    }
}

/// What came for `me` when it could not be raised there.
#[cold]
fn take_due(thread: &Thread, me: &Control) -> Option<Payload> {
    match thread.upstairs() {
        Some(upstairs) => upstairs.take_due(me),
        None => exit::take_deferred(me),
    }
}

/// Waits for a `T` while `target` runs.
fn wait_after_hop<T: 'static>(
    thread: &Thread,
    me: &Control,
    target: &Control,
    lenient: bool,
) -> Result<T, Payload> {
    let mut slot = MaybeUninit::<T>::uninit();
    expect_value(me, &mut slot);
    leave_if_unheld(thread, me, target);
    hop(thread, me, target.into(), lenient);
    arrive(thread, me, slot)
}

/// Waits for a `T` while whoever is ready in the hub runs: for a greenlet that the hub has run to where
/// somebody has to switch to it.
#[cold]
pub(crate) fn wait_in_hub<T: 'static>(me: &Control) -> T {
    let thread = Thread::here();
    raise_due(me);
    let mut slot = MaybeUninit::<T>::uninit();
    expect_value(me, &mut slot);
    let upstairs = thread.upstairs().expect("the hub has run this greenlet");
    upstairs.run_others(me);
    match arrive(thread, me, slot) {
        Ok(value) => value,
        Err(payload) => exit::raise(payload),
    }
}

/// Hands a value to a greenlet that is not running: into its slot, or as its first value.
fn offer<T: 'static>(
    thread: &Thread,
    target: &Control,
    value: &mut ManuallyDrop<T>,
) -> Result<(), Refusal> {
    let family = Family::of::<T>();
    let expects = target.expects.get();
    if target.phase.get() == Phase::Pending {
        if target.is_in_hub() {
            return Err(in_hub(target));
        }
        if !target.family.is(family) {
            return Err(other_family(target, target.family, family, "starts with"));
        }
        bind(thread, target)?;
        // The first thing that runs there reads it out of the caller's frame.
        target.slot.set((&raw mut **value).cast());
    } else if expects.is(family) {
        // SAFETY: the slot has room for a `T`, and this is the one time that the value is read.
        unsafe {
            target
                .slot
                .get()
                .cast::<T>()
                .write(ManuallyDrop::take(value))
        };
    } else if expects.takes_anything() {
        // SAFETY: as above. It is dropped on arrival.
        let nobodys: Box<dyn Any> = Box::new(unsafe { ManuallyDrop::take(value) });
        thread.discarded.set(Some(nobodys));
        target.raise_alert(alert::LITTER);
    } else if target.is_in_hub() {
        return Err(in_hub(target));
    } else {
        return Err(other_family(target, expects, family, "waits for"));
    }
    Ok(())
}

/// Hands the result of an ended greenlet to one that is not running. Unlike the value of a switch it has
/// no frame to lie in: the ended greenlet's stack may be used again before a pending receiver has read it.
pub(crate) fn offer_result<T: 'static>(
    thread: &Thread,
    target: &Control,
    value: T,
) -> Result<(), (Refusal, T)> {
    let mut value = ManuallyDrop::new(value);
    if let Err(refusal) = offer(thread, target, &mut value) {
        return Err((refusal, ManuallyDrop::into_inner(value)));
    }
    if target.expects.get().is(Family::NOBODY) {
        // SAFETY: a pending target got a pointer, not the value: this is the one time that it is read.
        let boxed = Box::new(unsafe { ManuallyDrop::take(&mut value) });
        target.slot.set(Box::into_raw(boxed).cast());
        target.boxed.set(true);
    }
    Ok(())
}

/// Reads the first value of a greenlet that has just started.
///
/// # Safety
/// Called once, first thing, by a greenlet that was started with a `T`.
pub(crate) unsafe fn first_value<T: 'static>(me: &Control) -> T {
    let slot = me.slot.get().cast::<T>();
    if me.boxed.take() {
        // SAFETY: `offer_result` boxed a `T`.
        *unsafe { Box::from_raw(slot) }
    } else {
        // SAFETY: `offer` pointed to a `T` in the frame of the starter, which is suspended and does not
        // read it again.
        unsafe { slot.read() }
    }
}

/// Gives a pending greenlet a stack; it is started when this returns.
pub(crate) fn bind(thread: &Thread, target: &Control) -> Result<(), Refusal> {
    let Some(entry) = target.entry() else {
        return Err(no_body(target));
    };
    let no_stack = |error: std::io::Error| {
        let message = format!("no stack for {target}: {error}");
        Refusal::new(RefusalKind::NoStack(error), message)
    };
    let stack = thread
        .stacks
        .take(target.pages, thread.promised())
        .map_err(no_stack)?;
    let argument = std::ptr::from_ref(target).cast();
    // SAFETY: the stack is nobody else's and goes back after the context has been released (`free_stack`);
    // `entry` belongs to this body, and the control block stays while the greenlet is not dead.
    if let Err(error) = unsafe { target.context.bind(&stack, entry, argument) } {
        thread.stacks.put(stack);
        return Err(no_stack(error));
    }
    census::begin(thread, target, &stack);
    target.stack.set(Some(stack));
    // A signal handler that finds it started finds all of the stack.
    compiler_fence(Ordering::Release);
    target.phase.set(Phase::Started);
    Ok(())
}

/// Raises `payload` at the pending switch of `to`, and waits for a `T`.
#[cold]
pub(crate) fn throw<T: 'static, E: Any + Send>(
    to: &Control,
    payload: E,
    lenient: bool,
) -> Result<T, SwitchError<E>> {
    let Some(thread) = Thread::here_if_any() else {
        return Err(refused(
            RefusalKind::ThreadExiting,
            thread_exiting(),
            payload,
        ));
    };
    let me = thread.current();
    if let Some(earlier) = take_due(thread, me) {
        return Err(SwitchError::Thrown(earlier));
    }
    if to.phase.get() == Phase::Pending && !has_body(to) {
        return Err(SwitchError::Refused {
            reason: no_body(to),
            value: payload,
        });
    }
    // In another one, `raise_from` sees to that.
    if to.is(me) && panicking() {
        let reason = unwinding(to);
        exit::defer(to, Box::new(payload));
        return Err(SwitchError::Deferred(reason));
    }
    if (&payload as &dyn Any).is::<GreenletExit>() {
        return throw_exit(thread, me, to, lenient);
    }
    raise_and_wait(thread, me, to, Box::new(payload), lenient)
}

/// A thrown [`GreenletExit`]: the thrower is the parent until the target is dead.
fn throw_exit<T: 'static, E>(
    thread: &Thread,
    me: &Control,
    to: &Control,
    lenient: bool,
) -> Result<T, SwitchError<E>> {
    if to.is(me) {
        trace::tell_now(thread, Kind::Throw, me, me).map_err(SwitchError::Thrown)?;
        return Err(SwitchError::Thrown(Box::new(GreenletExit)));
    }
    if to.phase.get() == Phase::Started {
        return Waiting::during(to, me, || {
            raise_and_wait(thread, me, to, Box::new(GreenletExit), lenient)
        });
    }
    exit::end(thread, to, Family::ANY).map_err(SwitchError::Thrown)?;
    Err(SwitchError::Thrown(no_value(to, me, Family::of::<T>())))
}

fn raise_and_wait<T: 'static, V>(
    thread: &Thread,
    me: &Control,
    to: &Control,
    payload: Payload,
    lenient: bool,
) -> Result<T, SwitchError<V>> {
    match family::raise_from(thread, me, to, payload, family::Cause::Throw) {
        family::Landing::Here(payload) => Err(SwitchError::Thrown(payload)),
        family::Landing::At(target) => {
            wait_after_hop(thread, me, target, lenient).map_err(SwitchError::Thrown)
        }
        family::Landing::Deferred(target) => Err(SwitchError::Deferred(unwinding(target))),
    }
}

/// A value that a dead greenlet forwarded found nobody who takes it.
fn forward_failure<T: 'static>(
    thread: &Thread,
    me: &Control,
    dead: &Control,
    refusal: Refusal,
    lenient: bool,
) -> Result<T, SwitchError<T>> {
    let payload = undeliverable(format!(
        "a value sent to {dead}, which is dead, by {me} has no receiver: {refusal}"
    ));
    raise_and_wait(thread, me, family::first_alive(dead), payload, lenient)
}

/// The payload for a greenlet that waits for a value where none comes.
pub(crate) fn undeliverable(message: String) -> Payload {
    // Printed when it arises, as the message of a panic is: nobody may ever look at the payload.
    say(format_args!("{message}"));
    Box::new(Undeliverable::new(message))
}

/// `from` has ended by [`GreenletExit`] while `receiver` waits for a value.
pub(crate) fn no_value(from: &Control, receiver: &Control, expects: &Family) -> Payload {
    undeliverable(format!(
        "{from} exited and left no value of type `{}` for {receiver}; `kill` waits for none",
        expects.name()
    ))
}

/// Drops a value of the user where a panic must not get any further.
pub(crate) fn drop_contained<V>(value: V) {
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(value)));
    if let Err(payload) = dropped {
        exit::lose(format_args!("a destructor panicked"), payload);
    }
}

pub(crate) fn has_body(control: &Control) -> bool {
    let body = control.body.take();
    let has = body.is_some();
    control.body.set(body);
    has
}

fn refused<V>(kind: RefusalKind, message: String, value: V) -> SwitchError<V> {
    SwitchError::Refused {
        reason: Refusal::new(kind, message),
        value,
    }
}

fn thread_exiting() -> String {
    "the thread-locals of this thread have been destroyed, it has no greenlets any more".into()
}

fn no_body(target: &Control) -> Refusal {
    let message = format!("{target} has no body yet: call `define` first");
    Refusal::new(RefusalKind::NoBody, message)
}

fn unwinding(target: &Control) -> Refusal {
    let message = format!(
        "{target} is in a destructor that runs while it unwinds; what was thrown waits until that has ended"
    );
    Refusal::new(RefusalKind::Unwinding, message)
}

fn in_hub(target: &Control) -> Refusal {
    let message = match target.wait.get() {
        Wait::Ready => {
            format!("{target} waits in the hub for its turn; nobody else may switch to it")
        }
        _ => format!(
            "{target} is parked in the hub ({}); nobody else may switch to it",
            target.purpose.get()
        ),
    };
    Refusal::new(RefusalKind::InHub, message)
}

fn other_family(target: &Control, has: &Family, sent: &Family, how: &str) -> Refusal {
    let message = format!(
        "{target} {how} a value of type `{}`, not `{}`",
        has.name(),
        sent.name()
    );
    Refusal::new(RefusalKind::OtherFamily, message)
}
