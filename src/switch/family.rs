//! Parents: who gets what a greenlet leaves behind.
//!
//! The parent of a greenlet is the one that made it, until it is given another. A result or a panic goes
//! to the first live ancestor; a dead greenlet in between is passed over, a pending one is started by a
//! result and ended by a panic. Whoever waits for the end of a greenlet right now (`kill`, `next`, a drop)
//! stands before its parent.
//!
//! | the receiver | a value | a panic |
//! |---|---|---|
//! | waits for that type | gets it | raised at its switch |
//! | waits for another type | dropped, `Undeliverable` raised there | raised at its switch |
//! | waits for the end of somebody | dropped | raised there; reported if it is dropping |
//! | is to be raised in at its turn (a kill, a deadline) | dropped; it goes on now | raised at its next wait |
//! | is pending | is its first value | it ends, and the panic goes on to its parent |
//! | waits in the hub | dropped, `Undeliverable` raised there | raised there; if nothing may be, later |
//! | is in a destructor while unwinding | gets it | passed over: nothing may be raised there (law 10) |

use std::ptr::NonNull;

use super::control::{Control, ControlRef, Family, Payload, Phase, alert};
use super::error::ParentError;
use super::exit::{self, GreenletExit};
use super::thread::{Thread, report, say};
use super::trace::{self, Kind};
use super::transfer;
use super::waiting::Waiting;

/// Where a payload comes down.
pub(crate) enum Landing {
    /// In the greenlet that runs now.
    Here(Payload),
    /// At the pending switch of this one, which has been told.
    At(&'static Control),
    /// Later, in this one: nothing may be raised in it now.
    Deferred(&'static Control),
}

/// The greenlet itself if it is not dead, else its first live ancestor.
pub(crate) fn first_alive(control: &Control) -> &'static Control {
    // SAFETY: whoever refers to a greenlet keeps it, and a greenlet keeps its ancestors; what is found
    // here is alive, and stays at least until it has run again.
    let mut next = unsafe { NonNull::from(control).as_ref() };
    while next.is_dead() {
        next = above(next);
    }
    next
}

/// Who receives for an ended greenlet, dead or alive: whoever waits for its end, or its parent.
fn above(control: &Control) -> &'static Control {
    let above = Waiting::for_end_of(control).or(control.parent.get());
    match above {
        // SAFETY: a parent is kept by its children; one that waits is not dead.
        Some(above) => unsafe { above.as_ref() },
        None => out_of_parents(control),
    }
}

/// Only the main greenlet has no parent, and it never ends before its thread does.
#[cold]
fn out_of_parents(control: &Control) -> ! {
    say(format_args!(
        "{control} has no live ancestor; this thread is ending"
    ));
    std::process::abort()
}

/// The greenlet whose turn it is after `me` has returned `value`.
pub(crate) fn deliver<T: 'static>(thread: &Thread, me: &Control, value: T) -> &'static Control {
    let receiver = first_alive(above(me));
    match transfer::offer_result(thread, receiver, value) {
        Ok(()) => {
            trace::note(thread, Kind::Switch, me, receiver);
            receiver
        }
        Err((refusal, value)) => {
            let told = receiver.is_told();
            transfer::drop_contained(value);
            if told {
                return deliver_panic(thread, me, Box::new(GreenletExit));
            }
            let payload = transfer::undeliverable(format!(
                "the result of {me}, of type `{}`, has no receiver: {refusal}",
                Family::of::<T>().name()
            ));
            deliver_panic(thread, me, payload)
        }
    }
}

/// The greenlet whose turn it is after `me` has died of `payload`.
pub(crate) fn deliver_panic(thread: &Thread, me: &Control, payload: Payload) -> &'static Control {
    let receiver = first_alive(above(me));
    if payload.is::<GreenletExit>() {
        return deliver_exit(thread, me, receiver);
    }
    match raise_from(thread, me, receiver, payload, Cause::Death) {
        Landing::At(target) => target,
        Landing::Deferred(_) => leave_to_hub(thread, me),
        Landing::Here(_) => unreachable!("no parent of a greenlet descends from it"),
    }
}

/// The end of `me` is nothing to the one above it for now, which waits in the hub.
fn leave_to_hub(thread: &Thread, me: &Control) -> &'static Control {
    let upstairs = thread.upstairs().expect("somebody waits there");
    let next = upstairs.next_after_end();
    trace::note(thread, Kind::Switch, me, next);
    leave(thread, next, thread.passed.take());
    next
}

/// A greenlet that was killed owes nobody a value; but one that exits by itself leaves somebody waiting.
fn deliver_exit(thread: &Thread, me: &Control, receiver: &'static Control) -> &'static Control {
    let waits_for_none = receiver.expects.get().takes_anything() || receiver.is_told();
    if receiver.phase.get() == Phase::Started && waits_for_none {
        trace::note(thread, Kind::Switch, me, receiver);
        return receiver;
    }
    if receiver.is_in_hub() {
        return leave_to_hub(thread, me);
    }
    let payload = transfer::no_value(me, receiver, receiver.expects_or_starts_with());
    deliver_panic(thread, me, payload)
}

/// What makes something be raised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The running greenlet threw it.
    Throw,
    /// The running greenlet has died of it.
    Death,
}

/// What becomes of something that is to be raised in a greenlet.
enum Reach {
    /// It is the one that runs.
    Here,
    /// It has not run, and never will: what it would have died of goes on to its parent.
    Pending,
    /// It is raised there later.
    Later,
    /// It is raised there.
    Open,
    /// It cannot be raised there, where somebody waits for this very end, and goes on.
    Awaited,
    /// Nothing can be raised there: it goes on to the parent.
    Closed,
}

fn reach(me: &Control, target: &Control, cause: Cause) -> Reach {
    let is_dropping = cause == Cause::Death && is_dropping(target, me);
    if target.is(me) {
        Reach::Here
    } else if target.phase.get() == Phase::Pending {
        Reach::Pending
    } else if is_for_later(target, cause) {
        Reach::Later
    } else if !is_dropping && target.can_be_raised_in() {
        Reach::Open
    } else if target.expects.get().takes_anything() {
        Reach::Awaited
    } else {
        Reach::Closed
    }
}

/// Raises `payload` at `first`, or in the nearest ancestor of it that can be raised in.
pub(crate) fn raise_from(
    thread: &Thread,
    me: &Control,
    first: &Control,
    payload: Payload,
    cause: Cause,
) -> Landing {
    let mut target = first_alive(first);
    // Who the tracer is told it came from: the last one that died of it.
    let mut origin = me;
    // Kept until it has arrived: they may be all that keeps those above them.
    let mut passed = Vec::new();
    loop {
        match reach(me, target, cause) {
            Reach::Here => return raise_here(thread, me, origin, payload, passed),
            Reach::Later => return defer(thread, target, payload, cause, passed),
            Reach::Open => {
                trace::note(thread, Kind::Throw, origin, target);
                tell(target, payload);
                leave(thread, target, passed);
                return Landing::At(target);
            }
            Reach::Awaited => {
                let what = format_args!("{me} died while {target} was ending it");
                report(what, payload);
                trace::note(thread, Kind::Switch, origin, target);
                leave(thread, target, passed);
                return Landing::At(target);
            }
            Reach::Pending => {
                target.retain();
                passed.push(NonNull::from(target));
                trace::tell_contained(thread, Kind::Throw, origin, target);
                if target.phase.get() != Phase::Pending {
                    // The tracer has started it, or ended it.
                    target = first_alive(target);
                    continue;
                }
                exit::bury_pending(thread, target);
                origin = target;
            }
            Reach::Closed => {}
        }
        if target.is_main() {
            if thread.upstairs().is_some() {
                // Others may run, and end what it waits for.
                return defer(thread, target, payload, cause, passed);
            }
            nowhere_to_raise(me, target, payload);
        }
        target = next_ancestor(me, target, cause);
    }
}

/// It has come back to the one that runs.
fn raise_here(
    thread: &Thread,
    me: &Control,
    origin: &Control,
    payload: Payload,
    passed: Vec<ControlRef>,
) -> Landing {
    let told = trace::tell_now(thread, Kind::Throw, origin, me);
    let mut raised = Some(told.err().unwrap_or(payload));
    for pending in passed {
        exit::keep_first(&mut raised, exit::let_go(pending));
    }
    Landing::Here(raised.expect("kept"))
}

/// Keeps `payload` until it can be raised in `target`. At a death, what it has passed through goes with whoever
/// is next.
fn defer(
    thread: &Thread,
    target: &'static Control,
    payload: Payload,
    cause: Cause,
    passed: Vec<ControlRef>,
) -> Landing {
    exit::defer(target, payload);
    match cause {
        Cause::Throw => passed.into_iter().for_each(exit::release),
        Cause::Death => thread.passed.set(passed),
    }
    Landing::Deferred(target)
}

/// Whether what is raised has to wait until it can be raised in `target`. The end of another one waits for
/// those in the hub only, which go on by themselves.
fn is_for_later(target: &Control, cause: Cause) -> bool {
    !target.can_be_raised_in() && (cause == Cause::Throw || target.is_in_hub())
}

/// Raises `payload` where `target` waits. What a kill or a deadline has told it already comes first, and
/// this at its next wait.
fn tell(target: &Control, payload: Payload) {
    if target.is_told() {
        return exit::defer(target, payload);
    }
    target.tell(payload);
}

/// Leaves those that something has passed through to be let go of on arrival.
fn leave(thread: &Thread, target: &Control, passed: Vec<ControlRef>) {
    if !passed.is_empty() {
        thread.passed.set(passed);
        target.raise_alert(alert::LITTER);
    }
}

/// Whether `target` waits for the end of `me` because it drops the last handle to it.
fn is_dropping(target: &Control, me: &Control) -> bool {
    target.expects.get().is(Family::QUIET) && Waiting::for_end_of(me) == Some(NonNull::from(target))
}

/// Where to go on after `passed_over`. Somebody who only stood in for the parent of `me` has ancestors of
/// its own, to which `me` is nothing: it goes on with the parent.
fn next_ancestor(me: &Control, passed_over: &Control, cause: Cause) -> &'static Control {
    let stood_in =
        cause == Cause::Death && Waiting::for_end_of(me) == Some(NonNull::from(passed_over));
    let child = if stood_in { me } else { passed_over };
    match child.parent.get() {
        // SAFETY: a parent is kept by its children.
        Some(parent) => first_alive(unsafe { parent.as_ref() }),
        None => out_of_parents(child),
    }
}

/// As std does for a panic in a destructor while unwinding: there is nothing left to do.
#[cold]
fn nowhere_to_raise(me: &Control, last: &Control, payload: Payload) -> ! {
    report(
        format_args!(
            "{me} died, and {last}, like every greenlet above it, waits in a destructor that runs while unwinding, where nothing can be raised; aborting"
        ),
        payload,
    );
    std::process::abort()
}

/// Gives `child` another parent, in any state of either.
pub(crate) fn reparent(child: &Control, parent: &Control) -> Result<(), ParentError> {
    if child.is_main() {
        return Err(ParentError::Main);
    }
    if descends_from(parent, child) {
        return Err(ParentError::Cycle);
    }
    parent.retain();
    let before = child.parent.replace(Some(NonNull::from(parent)));
    // Last, because it may unwind the old parent.
    if let Some(before) = before {
        exit::release(before);
    }
    Ok(())
}

fn descends_from(control: &Control, ancestor: &Control) -> bool {
    let mut next: Option<ControlRef> = Some(NonNull::from(control));
    while let Some(control) = next {
        // SAFETY: a parent is kept by its children.
        let control = unsafe { control.as_ref() };
        if control.is(ancestor) {
            return true;
        }
        next = control.parent.get();
    }
    false
}
