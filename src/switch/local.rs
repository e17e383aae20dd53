//! Storage for each greenlet: `greenlet_local!`.
//!
//! As `thread_local!`, but every greenlet has a value of its own, made at first use there and dropped when
//! that greenlet ends, on its own stack, the youngest first. Those of a main greenlet go with its thread.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::control::Control;
use super::thread::Thread;
use super::transfer::drop_contained;

/// How often the locals that destructors of locals make are dropped in turn.
const ROUNDS: usize = 5;

/// Declares statics of which every greenlet has its own value.
///
/// # Examples
/// ```
/// use std::cell::Cell;
/// use greenlet::{Greenlet, greenlet_local};
///
/// greenlet_local! {
///     static REQUEST: Cell<u32> = Cell::new(0);
/// }
///
/// REQUEST.with(|request| request.set(7));
/// let g = Greenlet::new(|()| REQUEST.with(|request| assert_eq!(request.get(), 0)));
/// g.switch(());
/// REQUEST.with(|request| assert_eq!(request.get(), 7));
/// ```
#[macro_export]
macro_rules! greenlet_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::LocalKey<$type> = {
            fn init() -> $type {
                $init
            }
            $crate::LocalKey::new(init)
        };
        $($crate::greenlet_local! { $($rest)* })?
    };
}

/// A greenlet local: what [`greenlet_local!`] declares.
pub struct LocalKey<T: 'static> {
    init: fn() -> T,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn new(init: fn() -> T) -> LocalKey<T> {
        LocalKey { init }
    }

    /// Calls `f` with the value of the running greenlet, which is made first if need be.
    ///
    /// `f` may switch: the value stays where it is until its greenlet ends.
    ///
    /// # Panics
    /// If the thread-locals of this thread have been destroyed.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.of(Thread::here().current()))
    }

    /// The value of a greenlet that is not dead. If it is not the one that runs, the initialiser must not
    /// mind.
    pub(crate) fn of(&'static self, control: &Control) -> Rc<T> {
        match self.find(control) {
            Some(value) => value,
            None => self.make(control),
        }
    }

    fn find(&'static self, control: &Control) -> Option<Rc<T>> {
        let values = control.extra()?.locals.0.borrow();
        let (_, value) = values.iter().find(|(key, _)| *key == self.key())?;
        Some(Rc::clone(value).downcast().expect("a key has one type"))
    }

    /// Runs the initialiser. If that made the same local itself, what it made stands.
    #[cold]
    fn make(&'static self, control: &Control) -> Rc<T> {
        let value = Rc::new((self.init)());
        if let Some(made_meanwhile) = self.find(control) {
            return made_meanwhile;
        }
        let locals = &control.extra_or_new().locals;
        locals.0.borrow_mut().push((self.key(), value.clone()));
        value
    }

    /// A static has an address of its own, and this one is not empty.
    fn key(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// The locals of one greenlet, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Locals(RefCell<Vec<(usize, Rc<dyn Any>)>>);

/// Drops the locals of a greenlet that ends. Destructors may use locals, and switch.
pub(crate) fn drop_all(control: &Control) {
    let Some(extra) = control.extra() else { return };
    for _ in 0..ROUNDS {
        let mut values = extra.locals.0.take();
        if values.is_empty() {
            break;
        }
        while let Some(value) = values.pop() {
            drop_contained(value);
        }
    }
}
