//! The protocol of everything that threads wait for together: a state behind a lock, and lines of those who wait
//! for it to change.
//!
//! ```text
//!   wait                                        change
//!   lock: is it so? else stand in line          lock: change the state, take somebody out of the line
//!   sleep  ◀───────────── ring ──────────────── unlock, then ring
//!   lock: was I called? is it so? then leave the line
//! ```
//!
//! Looking and standing in line are one step under the lock, and so are changing and calling; so one of the two
//! finds what the other has left, and no wake is lost. The bell is rung outside the lock. Who stands in line can
//! be called once. One that is called and raised in before it looks has lost its call: under the lock
//! it goes to the next.
//!
//! Nothing in here knows a hub, so the model checker runs it: `tests/loom`.

use std::collections::VecDeque;

use crate::sys::lock::{Arc, AtomicBool, Mutex, Ordering, lock};

/// What ends a sleep, from any thread.
pub(crate) trait Bell {
    fn ring(&self);
}

/// One who can sleep until its bell is rung, or for no reason at all.
pub(crate) trait Sleeper {
    type Bell: Bell;

    fn bell(&self) -> Self::Bell;
    /// A number that no other one has.
    fn who(&self) -> u64;
    /// Sleeps; true if it is too late now.
    fn sleep(&self) -> bool;
}

pub(crate) struct Crossing<S, B, const LINES: usize> {
    shared: Mutex<Shared<S, B, LINES>>,
}

/// What lies behind the lock.
pub(crate) struct Shared<S, B, const LINES: usize> {
    state: S,
    lines: Lines<B, LINES>,
}

/// A place in a line.
struct Place<B> {
    /// They are numbered in the order in which they were first taken.
    number: u64,
    whose: Arc<Standing<B>>,
}

/// One who stands in line.
struct Standing<B> {
    bell: B,
    who: u64,
    /// Changed under the lock only.
    called: AtomicBool,
}

impl<B> Standing<B> {
    fn of(sleeper: &impl Sleeper<Bell = B>) -> Arc<Standing<B>> {
        Arc::new(Standing {
            bell: sleeper.bell(),
            who: sleeper.who(),
            called: AtomicBool::new(false),
        })
    }
}

/// The lines, for one who changes the state. Who is called is rung for when the lock has been let go of.
pub(crate) struct Lines<B, const LINES: usize> {
    lines: [VecDeque<Place<B>>; LINES],
    next: u64,
    called: Vec<Arc<Standing<B>>>,
    /// One who comes, and may stand in other lines already: it does not deal with itself.
    comes: Option<u64>,
}

impl<B, const LINES: usize> Lines<B, LINES> {
    /// Calls the one who stands first; false if nobody does.
    pub(crate) fn call_one(&mut self, line: usize) -> bool {
        let first = self.lines[line].iter().position(|it| self.is_other(it));
        let first = first.and_then(|place| self.lines[line].remove(place));
        let found = first.is_some();
        first.into_iter().for_each(|first| self.call(first.whose));
        found
    }

    /// Calls all who stand there.
    pub(crate) fn call_all(&mut self, line: usize) {
        while self.call_one(line) {}
    }

    pub(crate) fn is_empty(&self, line: usize) -> bool {
        !self.lines[line].iter().any(|it| self.is_other(it))
    }

    fn is_other(&self, it: &Place<B>) -> bool {
        Some(it.whose.who) != self.comes
    }

    fn call(&mut self, who: Arc<Standing<B>>) {
        who.called.store(true, Ordering::Relaxed);
        self.called.push(who);
    }
}

impl<S, B, const LINES: usize> Shared<S, B, LINES> {
    pub(crate) const fn new(state: S) -> Self {
        Shared {
            state,
            lines: Lines {
                lines: [const { VecDeque::new() }; LINES],
                next: 0,
                called: Vec::new(),
                comes: None,
            },
        }
    }
}

impl<S, B, const LINES: usize> Crossing<S, B, LINES> {
    pub(crate) const fn over(shared: Mutex<Shared<S, B, LINES>>) -> Self {
        Crossing { shared }
    }

    /// A look at the state.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&S) -> R) -> R {
        f(&lock(&self.shared).state)
    }
}

impl<S, B: Bell, const LINES: usize> Crossing<S, B, LINES> {
    /// Changes the state, and calls whom that concerns.
    pub(crate) fn change<R>(&self, f: impl FnOnce(&mut S, &mut Lines<B, LINES>) -> R) -> R {
        let mut shared = lock(&self.shared);
        let Shared { state, lines } = &mut *shared;
        let outcome = f(state, lines);
        let called = std::mem::take(&mut lines.called);
        drop(shared);
        called.iter().for_each(|who| who.bell.ring());
        outcome
    }

    /// Waits in `line` until `attempt` gives something; it is told whether it was called. None: it is too late.
    ///
    /// The first attempt is made without a place in line: one that gives nothing must change nothing.
    pub(crate) fn wait<R, Z: Sleeper<Bell = B>>(
        &self,
        line: usize,
        sleeper: impl FnOnce() -> Z,
        mut attempt: impl FnMut(&mut S, &mut Lines<B, LINES>, bool) -> Option<R>,
        lost: impl Fn(&mut S, &mut Lines<B, LINES>, bool),
    ) -> Option<R> {
        let outcome = self.change(|state, lines| attempt(state, lines, false));
        outcome.or_else(|| self.wait_in_line(line, sleeper, attempt, lost))
    }

    /// As [`wait`](Self::wait), with a place in line from the first attempt on, in one step: what that leaves in
    /// the state is in the order of the line.
    ///
    /// One that wakes for nothing keeps its place. If something is raised in it, or it is too late, `lost` is done
    /// in its place; it is told the same.
    pub(crate) fn wait_in_line<R, Z: Sleeper<Bell = B>>(
        &self,
        line: usize,
        sleeper: impl FnOnce() -> Z,
        mut attempt: impl FnMut(&mut S, &mut Lines<B, LINES>, bool) -> Option<R>,
        lost: impl Fn(&mut S, &mut Lines<B, LINES>, bool),
    ) -> Option<R> {
        let sleeper = sleeper();
        let me = Standing::of(&sleeper);
        let (mut stands, mut late, mut number) = (false, false, None);
        loop {
            let outcome = self.change(|state, lines| {
                let called = stands && me.called.load(Ordering::Relaxed);
                let outcome = attempt(state, lines, called);
                match outcome {
                    None if !late && stands && !called => {}
                    None if !late => number = Some(Self::stand(lines, line, &me, number)),
                    None => {
                        Self::leave(lines, line, &me);
                        lost(state, lines, called);
                    }
                    Some(_) => {
                        Self::leave(lines, line, &me);
                    }
                }
                outcome
            });
            if outcome.is_some() || late {
                return outcome;
            }
            stands = true;
            late = self.in_line(line, &me, || sleeper.sleep(), &lost);
        }
    }

    /// Stands in `line` while `rest` runs, in which the sleeper sleeps; whether it was called. If `rest` unwinds,
    /// `lost` is done, and told that.
    ///
    /// `look` comes first, in one step with that: if it gives something, that is the outcome, and nobody stands or
    /// rests. It does not see the sleeper in the lines where it stands already.
    pub(crate) fn stand_while(
        &self,
        line: usize,
        sleeper: impl Sleeper<Bell = B>,
        look: impl FnOnce(&mut S, &mut Lines<B, LINES>) -> Option<bool>,
        rest: impl FnOnce(),
        lost: impl Fn(&mut S, &mut Lines<B, LINES>, bool),
    ) -> bool {
        let me = Standing::of(&sleeper);
        let outcome = self.change(|state, lines| {
            lines.comes = Some(me.who);
            let outcome = look(state, lines);
            lines.comes = None;
            if outcome.is_none() {
                Self::stand(lines, line, &me, None);
            }
            outcome
        });
        outcome.unwrap_or_else(|| {
            self.in_line(line, &me, rest, &lost);
            self.change(|_, lines| Self::leave(lines, line, &me))
        })
    }

    /// Sleeps; if that unwinds, leaves the line, and what it was called for.
    fn in_line<R>(
        &self,
        line: usize,
        me: &Arc<Standing<B>>,
        sleep: impl FnOnce() -> R,
        lost: &impl Fn(&mut S, &mut Lines<B, LINES>, bool),
    ) -> R {
        let leave = Leave(|| {
            self.change(|state, lines| {
                let called = Self::leave(lines, line, me);
                lost(state, lines, called);
            });
        });
        let slept = sleep();
        std::mem::forget(leave);
        slept
    }

    /// Stands in line; one that was called and found nothing where it stood before, by its number.
    fn stand(
        lines: &mut Lines<B, LINES>,
        line: usize,
        me: &Arc<Standing<B>>,
        before: Option<u64>,
    ) -> u64 {
        me.called.store(false, Ordering::Relaxed);
        let number = before.unwrap_or(lines.next);
        lines.next = lines.next.max(number + 1);
        let line = &mut lines.lines[line];
        let place = line.partition_point(|it| it.number < number);
        let whose = Arc::clone(me);
        line.insert(place, Place { number, whose });
        number
    }

    /// True if it had been called.
    fn leave(lines: &mut Lines<B, LINES>, line: usize, me: &Arc<Standing<B>>) -> bool {
        let called = me.called.load(Ordering::Relaxed);
        if !called {
            lines.lines[line].retain(|it| !Arc::ptr_eq(&it.whose, me));
        }
        called
    }
}

/// Something is done if the frame unwinds.
struct Leave<F: Fn()>(F);

impl<F: Fn()> Drop for Leave<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
