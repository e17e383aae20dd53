//! Spawning with a name, or a stack size of one's own choice.

use std::io;
use std::panic::Location;

use super::handle::JoinHandle;
use super::job::{NoMemory, launch_in};
use crate::hub::Hub;
use crate::switch::census;
use crate::sys::memory;
use crate::sys::stack::Pages;

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

    /// As [`spawn`](crate::spawn).
    ///
    /// # Errors
    /// `InvalidInput` if the stack size is out of range; `OutOfMemory` if there is no memory for the closure and the handle.
    /// Some of it is left, so that those who were spawned in this thread can be ended, or run one after the other, and everything
    /// else can go on that does not need much. The stack itself is taken when the greenlet begins;
    /// if there is none by then, [`join`](JoinHandle::join) says so.
    ///
    /// # Panics
    /// As [`spawn`](crate::spawn), and if there is a zero in the name, as in std: what is written for greenlets may move to threads.
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
    pub(super) unsafe fn launch<R>(self, f: impl FnOnce() -> R) -> io::Result<JoinHandle<R>> {
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
