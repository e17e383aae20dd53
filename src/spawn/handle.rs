//! The right to join a greenlet that the hub runs.

use std::cell::OnceCell;
use std::fmt;
use std::thread::{self, panicking};

use super::park::Thread;
use super::slot::Slot;
use crate::hub::Hub;
use crate::hub::interrupt::Kill;
use crate::hub::wait::WaitList;
use crate::switch::exit::{self, GreenletExit};
use crate::switch::greenlet::{Greenlet, GreenletId};

/// The right to join a greenlet; see [`spawn`](crate::spawn). Dropping it leaves the greenlet running.
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
    pub(super) slot: Slot<R>,
    thread: OnceCell<Thread>,
}

/// What a join says of a greenlet that has not run to its end here.
pub(super) fn left_nothing(handle: &impl fmt::Debug) -> String {
    format!(
        "{handle:?} left nothing: a fork has left it to the parent process, or it was leaked at the end of its thread"
    )
}

impl<R> JoinHandle<R> {
    #[inline]
    pub(super) fn to(slot: Slot<R>) -> JoinHandle<R> {
        JoinHandle {
            slot,
            thread: OnceCell::new(),
        }
    }

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
