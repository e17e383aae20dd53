//! What a select can wait for.

#![allow(private_interfaces)] // sealed: the hidden methods speak of the hub

use crate::hub::wait::WaitList;
use crate::spawn::JoinHandle;
use crate::sync::chan::Nothing;
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
    /// Where those stand who wait for it.
    #[doc(hidden)]
    fn line(&self) -> &WaitList;
    /// It was called, and does not take what it was called for.
    #[doc(hidden)]
    fn pass_on(&self);
}

impl<T> Ready for &Receiver<T> {
    type Output = Result<T, RecvError>;

    #[inline]
    fn take(&self, _: bool) -> Option<Result<T, RecvError>> {
        match self.chan().try_take() {
            Ok(message) => Some(Ok(message)),
            Err(Nothing::Closed) => Some(Err(RecvError)),
            Err(Nothing::Yet) => None,
        }
    }

    fn line(&self) -> &WaitList {
        self.chan().receivers()
    }

    fn pass_on(&self) {
        self.chan().call_a_receiver();
    }
}

impl<T, S: Order<T>> Ready for &Queue<T, S> {
    type Output = Option<T>;

    fn take(&self, _: bool) -> Option<Option<T>> {
        match self.chan().try_take() {
            Ok(item) => Some(Some(item)),
            Err(Nothing::Closed) => Some(None),
            Err(Nothing::Yet) => None,
        }
    }

    fn line(&self) -> &WaitList {
        self.chan().receivers()
    }

    fn pass_on(&self) {
        self.chan().call_a_receiver();
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

    fn line(&self) -> &WaitList {
        self.waiters()
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

    fn line(&self) -> &WaitList {
        self.waiters()
    }

    fn pass_on(&self) {}
}

impl<T> Ready for &JoinHandle<T> {
    type Output = ();

    fn take(&self, _: bool) -> Option<()> {
        self.is_finished().then_some(())
    }

    fn line(&self) -> &WaitList {
        self.joiners()
    }

    fn pass_on(&self) {}
}
