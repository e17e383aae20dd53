//! `std::sync::{Once, OnceLock, LazyLock}`: they stand in a static, and who comes while another greenlet, of any
//! thread, is at it waits without keeping its thread.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

use super::remote::states::{Stage, ToDo};
use super::remote::{Crossing, Parker, myself};
use crate::sys::lock::{Mutex, lock};

/// Something that is done once: `std::sync::Once`.
///
/// ```
/// use greenlet::sync::Once;
///
/// static BEGUN: Once = Once::new();
/// BEGUN.call_once(|| println!("once"));
/// BEGUN.call_once(|| unreachable!());
/// ```
pub struct Once {
    done: AtomicBool,
    /// Its holder is who is at it.
    crossing: Crossing<Stage<u64>, 1>,
}

/// What [`Once::call_once_force`] tells its closure.
#[derive(Debug)]
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Whether the last one who tried has panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl Once {
    /// One that is to be done.
    #[track_caller]
    pub const fn new() -> Once {
        Once {
            done: AtomicBool::new(false),
            crossing: Crossing::over(Stage::New),
        }
    }

    /// Calls `f` if nobody has called anything here before, and waits until it is done.
    ///
    /// # Parks
    /// Only while another greenlet is at it, or if `f` does.
    ///
    /// # Cancellation
    /// Of one who waits: nothing changes. Of one who runs `f`: as a panic of it.
    ///
    /// # Panics
    /// With a panic of `f`; if an earlier one has panicked; if `f` comes here again.
    /// And as [all that waits for other threads](super::remote#panics).
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.is_completed() {
            self.run(false, |_| f());
        }
    }

    /// As [`call_once`](Self::call_once), also if an earlier one has panicked.
    ///
    /// # Panics
    /// With a panic of `f`; if `f` comes here again.
    /// And as [all that waits for other threads](super::remote#panics).
    #[track_caller]
    pub fn call_once_force<F: FnOnce(&OnceState)>(&self, f: F) {
        if !self.is_completed() {
            self.run(true, f);
        }
    }

    /// Whether it is done.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Waits until somebody has done it.
    ///
    /// # Parks
    /// Unless it is done.
    ///
    /// # Panics
    /// If the one who did it has panicked.
    /// And as [all that waits for other threads](super::remote#panics).
    #[track_caller]
    pub fn wait(&self) {
        let poisoned = self.wait_for(|stage| matches!(stage, Stage::Done | Stage::Poisoned));
        assert!(!poisoned, "{POISONED}");
    }

    /// As [`wait`](Self::wait), for one that does it well.
    pub fn wait_force(&self) {
        self.wait_for(|stage| matches!(stage, Stage::Done));
    }

    /// True if it is poisoned.
    fn wait_for(&self, is_over: impl Fn(Stage<u64>) -> bool) -> bool {
        if self.is_completed() {
            return false;
        }
        let attempt = |stage: &mut Stage<u64>, _: &mut _, _| is_over(*stage).then_some(*stage);
        self.crossing
            .wait(0, || self.parker(), attempt, |_, _, _| ())
            == Some(Stage::Poisoned)
    }

    fn parker(&self) -> Parker {
        self.crossing.parker_bound(&"waits for what is done once")
    }

    #[cold]
    #[track_caller]
    fn run(&self, force: bool, f: impl FnOnce(&OnceState)) {
        let me = myself();
        let attempt = |stage: &mut Stage<u64>, _: &mut _, _| stage.begin(me, force);
        match self
            .crossing
            .wait(0, || self.parker(), attempt, |_, _, _| ())
        {
            Some(ToDo::Yours { poisoned }) => {
                self.crossing.holder().set(me);
                let mut attempt = Attempt {
                    once: self,
                    leaves: Stage::Poisoned,
                };
                f(&OnceState { poisoned });
                attempt.leaves = Stage::Done;
            }
            Some(ToDo::Poisoned) => panic!("{POISONED}"),
            Some(ToDo::Within) => panic!("what is done once needs itself: it would wait for ever"),
            Some(ToDo::Done) | None => {}
        }
    }
}

/// As std says it.
const POISONED: &str = "Once instance has previously been poisoned";

/// One who is at it. What it leaves if it unwinds is poisoned.
struct Attempt<'a> {
    once: &'a Once,
    leaves: Stage<u64>,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let done = self.leaves == Stage::Done;
        self.once.crossing.holder().set(0);
        self.once.done.store(done, Ordering::Release);
        self.once
            .crossing
            .change(|stage, lines| stage.end(self.leaves, lines));
    }
}

impl Default for Once {
    #[track_caller]
    fn default() -> Once {
        Once::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

/// A value that is set once: `std::sync::OnceLock`.
///
/// ```
/// use greenlet::sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert_eq!(NAME.get_or_init(|| "first".to_string()), "first");
/// assert_eq!(NAME.set("second".to_string()), Err("second".to_string()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    value: std::sync::OnceLock<T>,
}

impl<T> OnceLock<T> {
    /// One without a value.
    #[track_caller]
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            once: Once::new(),
            value: std::sync::OnceLock::new(),
        }
    }

    /// The value, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if there is one.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Sets the value. If another greenlet is about to, that one goes first.
    ///
    /// # Parks
    /// Only while another greenlet makes the value.
    ///
    /// # Errors
    /// The value, if there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("called once"));
        value.map_or(Ok(()), Err)
    }

    /// The value; if there is none, `f` makes it.
    ///
    /// # Parks
    /// Only while another greenlet makes the value, or if `f` does.
    ///
    /// # Cancellation
    /// There is no value, and the next one makes it.
    ///
    /// # Panics
    /// With a panic of `f`: there is no value then. If `f` comes here again.
    #[track_caller]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        self.once.call_once_force(|_| {
            let _ = self.value.set(f());
        });
        self.get().expect("somebody has set it")
    }

    /// Waits until somebody has set the value.
    ///
    /// # Parks
    /// Unless there is one.
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        self.get().expect("somebody has set it")
    }

    /// The value, which goes with it.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// The value, which it is without from now on.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    #[track_caller]
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        let lock = OnceLock::new();
        lock.get_or_init(|| value);
        lock
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> OnceLock<T> {
        self.get()
            .cloned()
            .map_or_else(OnceLock::new, OnceLock::from)
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &OnceLock<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, f)
    }
}

/// A value that is made when it is first needed: `std::sync::LazyLock`.
///
/// ```
/// use greenlet::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u64>> = LazyLock::new(|| (0..10).map(|n| n * n).collect());
/// assert_eq!(SQUARES[3], 9);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: std::sync::OnceLock<T>,
    once: Once,
    make: Mutex<Option<F>>,
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// One that `make` makes the value of.
    #[track_caller]
    pub const fn new(make: F) -> LazyLock<T, F> {
        LazyLock {
            value: std::sync::OnceLock::new(),
            once: Once::new(),
            make: Mutex::new(Some(make)),
        }
    }

    /// The value.
    ///
    /// # Parks
    /// Only while another greenlet makes it, or if that parks.
    ///
    /// # Panics
    /// With a panic of the closure that makes it, and ever after that.
    #[track_caller]
    pub fn force(this: &LazyLock<T, F>) -> &T {
        if let Some(value) = this.value.get() {
            return value;
        }
        this.once.call_once(|| {
            let make = lock(&this.make).take();
            let made = make.expect("it is taken once")();
            let _ = this.value.set(made); // nobody else does
        });
        this.value.get().expect("it was made")
    }
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// The value, which nobody else can have.
    ///
    /// # Parks
    /// Only if what makes the value does.
    ///
    /// # Panics
    /// As [`force`](Self::force).
    #[track_caller]
    pub fn force_mut(this: &mut LazyLock<T, F>) -> &mut T {
        LazyLock::force(this);
        this.value.get_mut().expect("it was made")
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it has been made.
    pub fn get(this: &LazyLock<T, F>) -> Option<&T> {
        this.value.get()
    }

    /// The same, which nobody else can have.
    pub fn get_mut(this: &mut LazyLock<T, F>) -> Option<&mut T> {
        this.value.get_mut()
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        LazyLock::force_mut(self)
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[track_caller]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    #[track_caller]
    fn default() -> LazyLock<T> {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = f.debug_tuple("LazyLock");
        match self.value.get() {
            Some(value) => words.field(value),
            None => words.field(&format_args!("<uninit>")),
        };
        words.finish()
    }
}

impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}
impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl RefUnwindSafe for Once {}
impl UnwindSafe for Once {}
