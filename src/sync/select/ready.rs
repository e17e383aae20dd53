//! What a select can wait for.

use std::cell::Cell;
use std::io;

use crate::hub::Hub;
use crate::hub::io::{Direction, Watchable, Watched};
use crate::hub::wait::WaitList;
use crate::spawn::JoinHandle;
use crate::switch::subject::Known;
use crate::sync::channel::{Receiver, RecvError};
use crate::sync::event::Event;
use crate::sync::queue::{Order, Queue};
use crate::sync::semaphore::{Permit, Semaphore};

/// Something that can be waited for, with what it gives.
pub trait Ready {
    /// What is given to the closure.
    type Output;
    /// Takes what is there. `called`: it was called for this, so it may be there for it alone.
    #[doc(hidden)]
    fn take(&self, called: bool) -> Option<Self::Output>;
    /// Whether it is worth a try: a cheap look, for one that was not called.
    #[doc(hidden)]
    #[inline]
    fn is_worth_a_try(&self) -> bool {
        true
    }
    /// Stands in line while `rest` runs, which parks; whether it was called.
    #[doc(hidden)]
    fn stand(&self, rest: &mut dyn FnMut()) -> bool;
    /// It was called, and does not take what it was called for.
    #[doc(hidden)]
    fn pass_on(&self);
}

/// As [`Ready::stand`], for what has a list.
fn stand_in<K: Known>(list: &WaitList<(), K>, rest: &mut dyn FnMut()) -> bool {
    list.stand(Hub::here(), &mut None, rest)
}

impl<T> Ready for &Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn take(&self, called: bool) -> Option<Result<T, RecvError>> {
        match self.chan().try_take(called) {
            Some(message) => Some(Ok(message)),
            None => self.chan().is_closed().then_some(Err(RecvError)),
        }
    }

    #[inline]
    fn is_worth_a_try(&self) -> bool {
        self.chan().may_have_something()
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        stand_in(self.chan().receivers(), rest)
    }

    fn pass_on(&self) {
        self.chan().pass_on();
    }
}

impl<T, S: Order<T>> Ready for &Queue<T, S> {
    type Output = Option<T>;

    fn take(&self, called: bool) -> Option<Option<T>> {
        match self.chan().try_take(called) {
            None if !self.is_closed() => None,
            item => Some(item),
        }
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        stand_in(self.chan().receivers(), rest)
    }

    fn pass_on(&self) {
        self.chan().pass_on();
    }
}

impl<'a> Ready for &'a Semaphore {
    type Output = Permit<'a>;

    /// Being called is having one.
    fn take(&self, called: bool) -> Option<Permit<'a>> {
        match called {
            true => Some(self.permit()),
            false => self.try_acquire(),
        }
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        stand_in(self.waiters(), rest)
    }

    fn pass_on(&self) {
        self.release();
    }
}

impl Ready for &Event {
    type Output = ();

    /// It may have been cleared since.
    fn take(&self, called: bool) -> Option<()> {
        (called || self.is_set()).then_some(())
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        stand_in(self.waiters(), rest)
    }

    fn pass_on(&self) {}
}

/// What is read from, or written to, without a wait.
pub struct Readiness<'a> {
    watched: Watched<'a>,
    direction: Direction,
    /// It cannot be waited for.
    failed: Cell<Option<io::Error>>,
}

impl<'a> Readiness<'a> {
    pub(super) fn of(
        thing: Option<&'a impl Watchable>,
        direction: Direction,
    ) -> Option<Readiness<'a>> {
        thing.map(|thing| Readiness {
            watched: thing.watched(),
            direction,
            failed: Cell::new(None),
        })
    }
}

impl Ready for Readiness<'_> {
    type Output = io::Result<()>;

    fn take(&self, _: bool) -> Option<io::Result<()>> {
        match self.failed.take() {
            Some(error) => Some(Err(error)),
            None => {
                let ready = self.watched.look(self.direction)?;
                // It stays so until somebody makes the call, who may be another one.
                self.pass_on();
                Some(ready)
            }
        }
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        self.watched
            .stand(self.direction, rest)
            .unwrap_or_else(|error| {
                self.failed.set(Some(error));
                true
            })
    }

    fn pass_on(&self) {
        self.watched.pass_on(self.direction);
    }
}

impl<T> Ready for &JoinHandle<T> {
    type Output = ();

    fn take(&self, _: bool) -> Option<()> {
        self.is_finished().then_some(())
    }

    fn stand(&self, rest: &mut dyn FnMut()) -> bool {
        stand_in(self.joiners(), rest)
    }

    fn pass_on(&self) {}
}
