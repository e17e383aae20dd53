//! The end of greenlets: killed, dropped, left over at the end of their thread, and reaped.
//!
//! | how | what happens |
//! |---|---|
//! | `kill`, or a thrown [`GreenletExit`] | raised at its pending switch; the killer is its parent until it is dead |
//! | the last handle is dropped | the same, at once, inside the drop; a panic out of it is reported |
//! | … while it runs | the same, at its next switch, by whoever it switches to |
//! | its thread ends | the same, newest first; one that refuses is leaked with a message |
//! | killed while pending | its closure is dropped, it never had a stack |
//! | killed while a destructor of it runs during unwinding | deferred until that has ended (law 10) |
//!
//! A greenlet cannot free the stack it stands on (law 11), so whoever runs next does.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::thread::panicking;

use super::control::{Control, ControlRef, Extra, Family, Payload, Phase, Wait, alert};
use super::thread::{Thread, report, say};
use super::trace::{self, Kind};
use super::waiting::Waiting;
use super::{census, family, transfer};

/// What is raised in a greenlet to end it. It is no error: nobody is told that it passed through.
///
/// Catch it only to clean up, and raise it again with [`std::panic::resume_unwind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GreenletExit;

/// How often a greenlet that catches the exit is told again when its thread ends.
const INSISTENCE: usize = 8;
/// How many greenlets the destructors of others may make while their thread ends.
const AFTERTHOUGHTS: usize = 10_000;

/// What a greenlet does last, on its own stack: hands on what it leaves, and says who runs next.
pub(crate) fn finish<T: 'static>(me: &Control, outcome: Result<T, Payload>) -> &'static Control {
    // SAFETY: a thread outlives its greenlets.
    let thread = unsafe { me.thread.as_ref() };
    clear_out(me);
    let next = match outcome {
        Ok(value) => family::deliver(thread, me, value),
        Err(payload) => family::deliver_panic(thread, me, payload),
    };
    leave_for(thread, me, next)
}

/// The same for one that the hub runs, which leaves nothing to its parents: next is whoever waits for its
/// end at a switch, or else whom `choose` says.
pub(crate) fn finish_in_hub(
    thread: &Thread,
    me: &Control,
    choose: impl FnOnce() -> &'static Control,
) -> &'static Control {
    let next = match Waiting::for_end_of(me) {
        Some(_) => family::deliver_panic(thread, me, Box::new(GreenletExit)),
        None => {
            let next = choose();
            trace::note(thread, Kind::Switch, me, next);
            next
        }
    };
    // The count of the hub. Whoever runs next frees what is left.
    me.strong.set(me.strong.get() - 1);
    leave_for(thread, me, next)
}

/// Drops the locals of a greenlet that ends, and says what could not be raised in it any more.
#[inline]
pub(crate) fn clear_out(me: &Control) {
    if let Some(extra) = me.extra() {
        clear_out_extra(me, extra);
    }
}

#[cold]
fn clear_out_extra(me: &Control, extra: &Extra) {
    super::local::drop_all(&extra.locals);
    if let Some(payload) = extra.deferred.take()
        && !payload.is::<GreenletExit>()
    {
        report(
            format_args!("{me} ended before this could be raised in it"),
            payload,
        );
    }
}

/// The end of `me`, which `next` will reap.
fn leave_for(thread: &Thread, me: &Control, next: &'static Control) -> &'static Control {
    if me.waiting.get().is_some() {
        Waiting::bring_back_all_but(thread, me, next);
    }
    bury(thread, me);
    thread.zombie.set(Some(NonNull::from(me)));
    next.raise_alert(alert::REAP);
    thread.set_current(next);
    next
}

fn bury(thread: &Thread, control: &Control) {
    control.phase.set(Phase::Dead);
    control.waiting.set(None);
    control.expects.set(Family::NOBODY);
    control.alert.set(0);
    thread.unlink(control);
}

/// Ends a pending greenlet: its closure is dropped.
pub(crate) fn bury_pending(thread: &Thread, control: &Control) {
    let body = control.body.take();
    bury(thread, control);
    if let Some(body) = body {
        let discarded = catch_unwind(AssertUnwindSafe(|| body.discard(thread)));
        if let Err(payload) = discarded {
            lose(
                format_args!("dropping the body of {control} panicked"),
                payload,
            );
        }
    }
}

/// Gives back the stack of a greenlet that has ended.
pub(crate) fn free_stack(thread: &Thread, control: ControlRef) {
    // SAFETY: it is dead, but nobody has released it yet: its reaper does that.
    let control = unsafe { control.as_ref() };
    if let Some(stack) = control.stack.take() {
        // SAFETY: its entry has returned, and another greenlet runs now.
        unsafe { control.context.release() };
        census::end(control, &stack);
        thread.stacks.put(stack);
    }
}

/// Frees what a greenlet that has ended keeps, if nobody has a handle; returns what was thrown meanwhile.
pub(crate) fn reap(thread: &Thread, zombie: ControlRef) -> Option<Payload> {
    free_stack(thread, zombie);
    // SAFETY: it is dead, but nobody has released it yet.
    let dead = unsafe { zombie.as_ref() };
    if dead.strong.get() == 0 && !dead.ending.get() {
        return unheld(zombie);
    }
    None
}

/// Gives one strong count back, in a destructor.
#[inline]
pub(crate) fn release(control: ControlRef) {
    if let Some(thrown) = let_go(control) {
        raise_in_drop(thrown);
    }
}

/// Gives one strong count back; returns what was thrown at the caller meanwhile.
#[inline]
pub(crate) fn let_go(control: ControlRef) -> Option<Payload> {
    // SAFETY: the caller's count keeps it.
    let held = unsafe { control.as_ref() };
    if held.count_down() {
        return unheld(control);
    }
    None
}

/// The last handle has gone: ends the greenlet if need be, and frees it. Its parents may go with it: one by
/// one, because a chain of them may be long.
#[cold]
fn unheld(first: ControlRef) -> Option<Payload> {
    let mut thrown = None;
    let mut next = Some(first);
    while let Some(control) = next.take() {
        // SAFETY: it is freed by `retire` at the earliest.
        let held = unsafe { control.as_ref() };
        if held.is_dead() {
            next = retire(control);
            continue;
        }
        // SAFETY: a thread outlives its control blocks.
        let thread = unsafe { held.thread.as_ref() };
        if held.phase.get() == Phase::Started {
            if held.is_main() || thread.is_closed() {
                break;
            }
            if thread.current().is(held) {
                held.raise_alert(alert::UNHELD);
                break;
            }
        }
        keep_first(&mut thrown, end_unheld(thread, held));
        if held.strong.get() > 0 || !held.is_dead() {
            break;
        }
        next = retire(control);
    }
    thrown
}

/// Ends a greenlet that has no handle and does not run; returns what was thrown at the one who does it.
fn end_unheld(thread: &Thread, control: &Control) -> Option<Payload> {
    let mut outcome = Ok(true);
    control.ending.set(true);
    control.retain();
    match control.phase.get() {
        Phase::Dead => {}
        Phase::Pending => bury_pending(thread, control),
        Phase::Started => outcome = end(thread, control, Family::QUIET),
    }
    control.strong.set(control.strong.get() - 1);
    control.ending.set(false);
    let survives = !control.is_dead() && control.can_be_raised_in();
    if survives && control.strong.get() == 0 {
        say(format_args!(
            "GreenletExit did not end {control}; nobody holds a handle to it"
        ));
    }
    outcome.err()
}

/// Ends somebody else in a destructor, handles or not.
pub(crate) fn end_in_drop(control: &Control) {
    // SAFETY: a thread outlives its control blocks.
    let thread = unsafe { control.thread.as_ref() };
    if !thread.is_closed()
        && let Err(thrown) = end(thread, control, Family::QUIET)
    {
        raise_in_drop(thrown);
    }
}

/// Ends a greenlet that lost its last handle while it ran, unless somebody has got one again.
pub(crate) fn end_orphan(orphan: ControlRef) -> Option<Payload> {
    // SAFETY: it is marked as ending, so nobody else frees it.
    let control = unsafe { orphan.as_ref() };
    control.ending.set(false);
    if control.strong.get() == 0 {
        return unheld(orphan);
    }
    None
}

/// Two things cannot be raised at once: the first one is, and the other is reported, unless it stays due.
pub(crate) fn keep_first(kept: &mut Option<Payload>, other: Option<Payload>) {
    match other {
        Some(other) if kept.is_some() => lose(format_args!("lost to what came first"), other),
        Some(other) => *kept = Some(other),
        None => {}
    }
}

/// What came for the one who runs is not raised in it: a deadline stays due, the exit of one that the hub runs is raised at
/// its next wait, and anything else is reported.
pub(crate) fn lose(why: fmt::Arguments<'_>, payload: Payload) {
    let Some(thread) = Thread::here_if_any() else {
        return report(why, payload);
    };
    let me = thread.current();
    match put_off(thread, me, payload) {
        Some(exit) if exit.is::<GreenletExit>() && is_launched(thread, me) => defer(me, exit),
        Some(other) => report(why, other),
        None => {}
    }
}

fn is_launched(thread: &Thread, control: &Control) -> bool {
    thread
        .upstairs()
        .is_some_and(|upstairs| upstairs.has_launched(control))
}

/// Gives back what does not stay due in `control`.
fn put_off(thread: &Thread, control: &Control, payload: Payload) -> Option<Payload> {
    match thread.upstairs() {
        Some(upstairs) => upstairs.put_off(control, payload),
        None => Some(payload),
    }
}

/// An exit is raised in `control`, and this is not. One exit is as good as another.
pub(crate) fn lost_to_an_exit(control: &Control, payload: Payload) {
    if !payload.is::<GreenletExit>() {
        report(format_args!("lost: {control} is told to exit"), payload);
    }
}

/// Something was thrown at a greenlet that was dropping a handle. While it unwinds that can be the end of a stretch only
/// which gets no further than the destructor that has begun it.
#[cold]
fn raise_in_drop(payload: Payload) {
    if !panicking() {
        resume_unwind(payload);
    }
    lose(
        format_args!("thrown while a destructor ran during unwinding"),
        payload,
    );
    if let Some(thread) = Thread::here_if_any()
        && let Some(upstairs) = thread.upstairs()
        && let Some(expired) = upstairs.take_due(thread.current())
    {
        resume_unwind(expired);
    }
}

/// Frees what a dead greenlet with no strong handle keeps; returns its parent if that has no handle left.
fn retire(control: ControlRef) -> Option<ControlRef> {
    // SAFETY: dead, with no strong count; weak handles keep the block below.
    let dead = unsafe { control.as_ref() };
    // SAFETY: names are borrowed from handles, and there is none.
    if let Some(extra) = unsafe { dead.take_extra() } {
        // What its locals made when they were dropped is code of the user, which may have handles to it.
        dead.ending.set(true);
        transfer::drop_contained(extra);
        dead.ending.set(false);
        if dead.strong.get() > 0 {
            return None;
        }
    }
    let parent = dead.parent.take();
    dead.retired.set(true);
    if dead.weak.get() == 0 {
        // SAFETY: no handle of any kind is left.
        unsafe { Thread::free_control(control) };
    }
    let parent = parent?;
    // SAFETY: the child's count kept it.
    let held = unsafe { parent.as_ref() };
    held.count_down().then_some(parent)
}

/// Gives one weak count back.
pub(crate) fn release_weak(control: ControlRef) {
    // SAFETY: the caller's count keeps the block.
    let held = unsafe { control.as_ref() };
    held.weak.set(held.weak.get() - 1);
    if held.weak.get() == 0 && held.retired.get() {
        // SAFETY: it was retired before, and this was the last handle.
        unsafe { Thread::free_control(control) };
    }
}

/// Raises [`GreenletExit`] in `target` and waits: true if it is dead then. An error is what was raised in
/// the one who waits. The caller keeps `target`.
pub(crate) fn end(
    thread: &Thread,
    target: &Control,
    wait: &'static Family,
) -> Result<bool, Payload> {
    match target.phase.get() {
        Phase::Dead => Ok(true),
        Phase::Pending => end_pending(thread, target, wait),
        Phase::Started => end_started(thread, target, wait),
    }
}

fn end_pending(thread: &Thread, target: &Control, wait: &'static Family) -> Result<bool, Payload> {
    let me = thread.current();
    trace::tell_now(thread, Kind::Throw, me, target)?;
    if target.phase.get() != Phase::Pending {
        // The tracer has started it, or ended it.
        return end(thread, target, wait);
    }
    bury_pending(thread, target);
    trace::tell_now(thread, Kind::Switch, target, me)?;
    Ok(true)
}

fn end_started(thread: &Thread, target: &Control, wait: &'static Family) -> Result<bool, Payload> {
    let me = thread.current();
    let here = target.is(me);
    if (here && panicking()) || (!here && !target.can_be_raised_in()) {
        defer(target, Box::new(GreenletExit));
        return Ok(false);
    }
    if here {
        trace::tell_now(thread, Kind::Throw, me, me)?;
        return Err(Box::new(GreenletExit));
    }
    if cfg!(panic = "abort") {
        say(format_args!(
            "{target} cannot be ended: this program is built with panic = \"abort\", so nothing can be unwound"
        ));
        return Ok(false);
    }
    let thrown = Waiting::during(target, me, || {
        let displaced = target.raise.replace(Some(Box::new(GreenletExit)));
        target.raise_alert(alert::RAISE);
        if let Some(lost) = displaced.and_then(|lost| put_off(thread, target, lost)) {
            lost_to_an_exit(target, lost);
        }
        trace::note(thread, Kind::Throw, me, target);
        me.expects.set(wait);
        transfer::leave_if_unheld(thread, me, target);
        transfer::hop(thread, me, NonNull::from(target), false);
        transfer::on_arrival(thread, me)
    });
    match thrown {
        Some(payload) => Err(payload),
        None => Ok(target.is_dead()),
    }
}

/// Keeps a payload for a greenlet in which nothing may be raised now. The first one stands, but an exit
/// makes room for anything else.
pub(crate) fn defer(target: &Control, payload: Payload) {
    let deferred = &target.extra_or_new().deferred;
    let kept = match deferred.take() {
        Some(first) if !first.is::<GreenletExit>() => {
            if !payload.is::<GreenletExit>() {
                report(
                    format_args!("lost: {target} has something deferred already"),
                    payload,
                );
            }
            first
        }
        _ => payload,
    };
    deferred.set(Some(kept));
    target.raise_alert(alert::DEFERRED);
}

/// What was thrown at `me` while a destructor of it ran during unwinding, if that has ended.
pub(crate) fn take_deferred(me: &Control) -> Option<Payload> {
    if me.alert.get() & alert::DEFERRED == 0 || panicking() {
        return None;
    }
    me.take_alert(alert::DEFERRED);
    me.extra()?.deferred.take()
}

/// Ends every greenlet of the thread but the main one, which runs this; the newest first. One that cannot be
/// ended is leaked, and what is said of it says `when`.
pub(crate) fn end_all(thread: &Thread, when: &str) {
    if cfg!(panic = "abort") {
        return leak_all(thread, when);
    }
    thread.ending_all.set(true);
    let mut rounds = thread.alive() + AFTERTHOUGHTS;
    while let Some(newest) = thread.newest() {
        // SAFETY: it is not dead, so its block stays.
        let control = unsafe { newest.as_ref() };
        control.retain();
        if rounds == 0 || !insist(thread, control) {
            leak(thread, control, when);
        }
        rounds = rounds.saturating_sub(1);
        release(newest);
    }
    thread.ending_all.set(false);
}

/// Tells a greenlet to exit until it does, within reason.
fn insist(thread: &Thread, control: &Control) -> bool {
    (0..INSISTENCE).any(|_| match end(thread, control, Family::QUIET) {
        Ok(dead) => dead,
        Err(payload) => {
            report(
                format_args!("thrown while all greenlets were ended"),
                payload,
            );
            control.is_dead()
        }
    })
}

fn leak_all(thread: &Thread, when: &str) {
    while let Some(newest) = thread.newest() {
        // SAFETY: it is not dead, so its block stays.
        let control = unsafe { newest.as_ref() };
        if control.phase.get() == Phase::Pending {
            control.retain();
            bury_pending(thread, control);
            release(newest);
        } else {
            leak(thread, control, when);
        }
    }
}

/// After a fork: a greenlet that goes on in the parent only. Nothing of it is unwound here.
pub(crate) fn leave_behind(thread: &Thread, control: &Control) {
    if control.phase.get() == Phase::Pending {
        mem::forget(control.body.take());
        bury(thread, control);
        control.ending.set(true);
        control.retain();
    } else {
        give_up(thread, control);
    }
}

/// Gives up a greenlet that cannot be unwound.
fn leak(thread: &Thread, control: &Control, when: &str) {
    let why = if cfg!(panic = "abort") {
        "panic = \"abort\" leaves no way to unwind it"
    } else if control.can_be_raised_in() {
        "it catches every GreenletExit"
    } else {
        "it waits in a destructor that runs while it unwinds"
    };
    say(format_args!("{control} is leaked {when}: {why}"));
    give_up(thread, control);
    if let Some(upstairs) = thread.upstairs() {
        upstairs.strike_out(control);
    }
}

/// Dead from now on, its stack is never used again.
fn give_up(thread: &Thread, control: &Control) {
    bury(thread, control);
    drop(control.forget_panics());
    // What it has left behind on its stack, in timers and wait lists, wakes nobody.
    control.wait.set(Wait::Switch);
    control.ending.set(true);
    if let Some(stack) = control.stack.take() {
        // SAFETY: it is dead for everybody, so nobody switches to it again; the stack is leaked too.
        unsafe { control.context.abandon() };
        thread.stacks.leak(stack);
    }
    // What is on the leaked stack may hold a count of this very greenlet: nothing frees it any more.
    control.retain();
}

/// Unwinds every greenlet of this thread, the newest first, as the end of the thread does, but earlier:
/// before thread-locals are destroyed that destructors may need.
///
/// # Parks
/// While destructors wait that run by this.
///
/// # Panics
/// If it is not called on the main greenlet of the thread.
pub fn shutdown() {
    let thread = Thread::here();
    let me = thread.current();
    assert!(
        me.is_main(),
        "shutdown is for the main greenlet, not for {me}"
    );
    end_all(thread, "by `shutdown`");
}

/// The payload of a panic on its way: unwinds with it, without the panic hook.
pub(crate) fn raise(payload: Payload) -> ! {
    if cfg!(panic = "abort") {
        say(format_args!(
            "cannot raise {}: this program is built with panic = \"abort\"",
            super::error::describe(&*payload)
        ));
        mem::forget(payload);
        std::process::abort();
    }
    resume_unwind(payload)
}
