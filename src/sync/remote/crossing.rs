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
//! be called once: its place is gone then, and that is how it knows. One that is called and raised in before it looks
//! has lost its call: under the lock it goes to the next. The same is done for one that is given up: it will never look.
//!
//! In the child of a fork those who stayed with the parent stand in no line any more.
//!
//! Nothing in here knows a hub, so the model checker runs it: `tests/loom`.

use std::collections::VecDeque;

use crate::sys::fork;
use crate::sys::lock::{Mutex, lock};

/// What ends a sleep, from any thread.
pub(crate) trait Bell {
    fn ring(&self);

    /// Just after a fork: whether `who` waits here has stayed with the parent.
    fn is_left_behind(&self, who: u64) -> bool {
        let _ = who;
        false
    }
}

/// One who can sleep until its bell is rung, or for no reason at all.
pub(crate) trait Sleeper {
    type Bell: Bell;

    fn bell(&self) -> Self::Bell;
    /// A number that no other one has.
    fn who(&self) -> u64;
    /// Sleeps; true if it is too late now.
    fn sleep(&self) -> bool;

    /// Does `rest`, in which it sleeps. If it is given up there, which unwinds nothing, `leave` is done for it.
    fn rest<R>(&self, leave: &dyn Fn(), rest: impl FnOnce() -> R) -> R {
        let _ = leave;
        rest()
    }
}

pub(crate) struct Crossing<S, B, const LINES: usize> {
    shared: Mutex<Shared<S, B, LINES>>,
}

/// What lies behind the lock.
pub(crate) struct Shared<S, B, const LINES: usize> {
    state: S,
    lines: Lines<B, LINES>,
    /// In which process it was last changed.
    forks: Option<u32>,
}

/// A place in a line. Who stood there and finds it gone has been called.
struct Place<B> {
    /// They are numbered in the order in which they were first taken.
    number: u64,
    who: u64,
    bell: B,
}

/// Bells to ring. Most changes concern one who waits, or nobody.
struct Bells<B> {
    first: Option<B>,
    more: Vec<B>,
}

impl<B: Bell> Bells<B> {
    fn ring(self) {
        self.first.iter().chain(&self.more).for_each(B::ring);
    }
}

impl<B> Bells<B> {
    const NONE: Self = Bells {
        first: None,
        more: Vec::new(),
    };

    fn push(&mut self, bell: B) {
        match self.first {
            None => self.first = Some(bell),
            Some(_) => self.more.push(bell),
        }
    }
}

/// The lines, for one who changes the state. Who is called is rung for when the lock has been let go of.
pub(crate) struct Lines<B, const LINES: usize> {
    lines: [VecDeque<Place<B>>; LINES],
    next: u64,
    called: Bells<B>,
    /// One who comes, and may stand in other lines already: it does not deal with itself.
    comes: Option<u64>,
}

impl<B, const LINES: usize> Lines<B, LINES> {
    /// Calls the one who stands first; false if nobody does.
    pub(crate) fn call_one(&mut self, line: usize) -> bool {
        let first = self.lines[line].iter().position(|it| self.is_other(it));
        let first = first.and_then(|place| self.lines[line].remove(place));
        let found = first.is_some();
        first.into_iter().for_each(|it| self.called.push(it.bell));
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
        Some(it.who) != self.comes
    }

    /// Takes the last place, or the one of before, that has this number, if it is gone.
    fn stand(&mut self, line: usize, sleeper: &impl Sleeper<Bell = B>, before: Option<u64>) -> u64 {
        let number = before.unwrap_or(self.next);
        self.next = self.next.max(number + 1);
        let (who, bell) = (sleeper.who(), sleeper.bell());
        match self.find(line, number) {
            Err(place) => self.lines[line].insert(place, Place { number, who, bell }),
            // After a fork it is another one.
            Ok(place) => self.lines[line][place].bell = bell,
        }
        number
    }

    /// Gives a place back; true if it is gone: its holder has been called.
    fn leave(&mut self, line: usize, number: u64) -> bool {
        match self.find(line, number) {
            Ok(place) => self.lines[line].remove(place).is_none(),
            Err(_) => true,
        }
    }

    fn find(&self, line: usize, number: u64) -> Result<usize, usize> {
        self.lines[line].binary_search_by_key(&number, |it| it.number)
    }
}

impl<S, B, const LINES: usize> Shared<S, B, LINES> {
    pub(crate) const fn new(state: S) -> Self {
        Shared {
            state,
            lines: Lines {
                lines: [const { VecDeque::new() }; LINES],
                next: 0,
                called: Bells::NONE,
                comes: None,
            },
            forks: None,
        }
    }
}

impl<S, B: Bell, const LINES: usize> Shared<S, B, LINES> {
    #[cold]
    fn begin_again(&mut self, forks: u32) {
        if self.forks.replace(forks).is_some() {
            for line in &mut self.lines.lines {
                line.retain(|it| !it.bell.is_left_behind(it.who));
            }
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
        if shared.forks != Some(fork::count()) {
            shared.begin_again(fork::count());
        }
        let Shared { state, lines, .. } = &mut *shared;
        let outcome = f(state, lines);
        let called = std::mem::replace(&mut lines.called, Bells::NONE);
        drop(shared);
        called.ring();
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
        let (mut late, mut place) = (false, None);
        loop {
            let step = self.change(|state, lines| {
                let called = place.is_some_and(|number| lines.find(line, number).is_err());
                let outcome = attempt(state, lines, called);
                if outcome.is_none() && !late {
                    return Err(lines.stand(line, &sleeper, place));
                }
                place.map(|number| lines.leave(line, number));
                if outcome.is_none() {
                    lost(state, lines, called);
                }
                Ok(outcome)
            });
            match step {
                Ok(outcome) => return outcome,
                Err(number) => {
                    place = Some(number);
                    late = self.in_line(line, number, &sleeper, || sleeper.sleep(), &lost);
                }
            }
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
        let place = self.change(|state, lines| {
            lines.comes = Some(sleeper.who());
            let outcome = look(state, lines);
            lines.comes = None;
            outcome.map_or_else(|| Err(lines.stand(line, &sleeper, None)), Ok)
        });
        place.unwrap_or_else(|number| {
            self.in_line(line, number, &sleeper, rest, &lost);
            self.change(|_, lines| lines.leave(line, number))
        })
    }

    /// Sleeps; if that unwinds, or never ends, leaves the line, and what it was called for.
    fn in_line<R>(
        &self,
        line: usize,
        number: u64,
        sleeper: &impl Sleeper<Bell = B>,
        sleep: impl FnOnce() -> R,
        lost: &impl Fn(&mut S, &mut Lines<B, LINES>, bool),
    ) -> R {
        let leave = || {
            self.change(|state, lines| {
                let called = lines.leave(line, number);
                lost(state, lines, called);
            });
        };
        sleeper.rest(&leave, || {
            let unwinds = Leave(&leave);
            let slept = sleep();
            std::mem::forget(unwinds);
            slept
        })
    }
}

/// Something is done if the frame unwinds.
struct Leave<F: Fn()>(F);

impl<F: Fn()> Drop for Leave<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
