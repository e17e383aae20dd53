//! Greenlets that borrow: none of them outlives the scope that they were spawned in.
//!
//! The closing wait of a scope is where that is kept. Nothing is raised in it, and the frame is not left while
//! a child lives: what would be raised waits. If the body itself is unwound, the children are killed first.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::thread;

use crate::hub::Hub;
use crate::spawn::members::Members;
use crate::spawn::{self, Builder, JoinHandle};
use crate::switch::control::{Control, ControlRef};
use crate::switch::exit::{self, GreenletExit};
use crate::switch::greenlet::GreenletId;
use crate::switch::thread::Thread;
use crate::sys::memory;

/// Runs `f`, which may spawn greenlets that borrow; returns when all of them have ended.
///
/// ```
/// let mut lines = vec!["first"];
/// let total = greenlet::scope(|s| {
///     let length = s.spawn(|| lines.len());
///     length.join().unwrap()
/// });
/// lines.push("second"); // nobody borrows it any more
/// assert_eq!(total, 1);
/// ```
///
/// What is borrowed lives longer than the scope, and nothing of the scope leaves it:
///
/// ```compile_fail,E0373
/// greenlet::scope(|s| {
///     let line = String::from("of the scope itself");
///     s.spawn(|| line.len());
/// });
/// ```
///
/// ```compile_fail,E0521
/// let mut kept = None;
/// greenlet::scope(|s| kept = Some(s.spawn(|| 1)));
/// ```
///
/// ```compile_fail,E0505
/// let line = String::from("borrowed");
/// greenlet::scope(|s| {
///     s.spawn(|| line.len());
///     drop(line);
/// });
/// ```
///
/// If `f` panics, or is killed or timed out, its greenlets are killed, and what unwinds goes on when they have
/// ended.
///
/// # Parks
/// Unless all have ended.
///
/// # Cancellation
/// `f` may be unwound; the wait for its greenlets at the end may not. What comes meanwhile is raised at the
/// first wait after the scope.
///
/// # Panics
/// With a panic of `f`; or if a greenlet has panicked that was not joined.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        children: Rc::new(Children::new()),
        scope: PhantomData,
        env: PhantomData,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    if outcome.is_err() {
        scope.children.kill();
    }
    scope.children.wait();
    match outcome {
        Ok(_) if scope.children.panicked.get() => panic!("a scoped greenlet panicked"),
        Ok(value) => value,
        Err(payload) => exit::raise(payload),
    }
}

/// Where greenlets that borrow are spawned; see [`scope`].
///
/// It stays on its OS thread:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<greenlet::Scope<'_, '_>>();
/// ```
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<greenlet::Scope<'_, '_>>();
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    children: Rc<Children>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Runs `f` in a greenlet that ends before the scope does.
    ///
    /// # Parks
    /// No.
    ///
    /// # Panics
    /// As [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        match Builder::new().spawn_scoped(self, f) {
            Ok(handle) => handle,
            Err(_) => spawn::no_memory(Hub::here(), Location::caller()),
        }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alive = self.children.members.len();
        f.debug_struct("Scope").field("alive", &alive).finish()
    }
}

impl Builder {
    /// As [`Scope::spawn`].
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        if !Hub::here().thread().provide_controls() {
            return Err(memory::exhausted());
        }
        let children = &scope.children;
        let outcome = Rc::new(Cell::new(None));
        let task = Task {
            f,
            outcome: Rc::clone(&outcome),
            member: Member::of(children),
        };
        let number = task.member.number;
        // SAFETY: the task borrows what lives for `'scope`. Its member goes after everything that borrows, and
        // the frame of the scope is not left before its members have gone (`Children::wait`).
        let handle = unsafe { self.launch(move || task.run())? };
        let greenlet = handle.greenlet().expect("it has not begun");
        children.members.enter(number, greenlet, None);
        Ok(ScopedJoinHandle {
            handle,
            outcome,
            children: Rc::clone(children),
            scope: PhantomData,
        })
    }
}

/// What a greenlet of a scope does. Its fields are dropped in this order.
struct Task<F, R> {
    f: F,
    outcome: Outcome<R>,
    member: Member,
}

impl<R, F: FnOnce() -> R> Task<F, R> {
    fn run(self) {
        let Task { f, outcome, member } = self;
        // Dropped last: what is left here may borrow.
        let member = member;
        outcome.set(Some(catch_unwind(AssertUnwindSafe(f))));
        // What it left goes to the handle if there is one.
        let left = Rc::into_inner(outcome).and_then(Cell::into_inner);
        if let Some(Err(panic)) = left {
            member.children.note(&*panic);
            exit::raise(panic);
        }
    }
}

type Outcome<R> = Rc<Cell<Option<thread::Result<R>>>>;

/// The greenlets of a scope.
struct Children {
    members: Members,
    /// One has panicked that nobody joined.
    panicked: Cell<bool>,
    /// Who waits for the end.
    owner: Cell<Option<ControlRef>>,
}

impl Children {
    #[track_caller]
    fn new() -> Children {
        Children {
            members: Members::within(offset_of!(Children, members), size_of::<Children>()),
            panicked: Cell::new(false),
            owner: Cell::new(None),
        }
    }

    /// Remembers a panic that nobody will join; an exit is none.
    fn note(&self, panic: &(dyn Any + Send)) {
        if !panic.is::<GreenletExit>() {
            self.panicked.set(true);
        }
    }

    /// Tells all to end, the newest first.
    fn kill(&self) {
        let hub = Hub::here();
        let mut below = u64::MAX;
        // Dropping a closure may spawn and end others meanwhile.
        while let Some((number, newest)) = self.members.before(below) {
            below = number;
            hub.kill(newest.control());
        }
    }

    fn unshield(&self) {
        if let Some(owner) = self.owner.get() {
            // SAFETY: the owner waits in `wait`, or has not come there.
            unsafe { owner.as_ref() }.shielded.set(false);
        }
    }

    /// Waits until all have ended. Nothing is raised meanwhile.
    fn wait(&self) {
        let hub = Hub::here();
        self.owner.set(Some(hub.current()));
        let _shield = Shield::over(hub.thread().current());
        hub.bind();
        while self.members.remain() {
            let purpose = &"waits for the greenlets of a scope";
            self.members.joiners().wait(hub, purpose, None);
        }
    }
}

/// One greenlet of a scope; dropped when all that it borrowed is gone.
struct Member {
    children: Rc<Children>,
    number: u64,
}

impl Member {
    fn of(children: &Rc<Children>) -> Member {
        Member {
            children: Rc::clone(children),
            number: children.members.number(),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let children = &self.children;
        children.members.leave(self.number);
        if children.members.remain() {
            return;
        }
        // Where everybody is ended, so is who waits for the last one.
        if Thread::here_if_any().is_some_and(Thread::is_ending_all) {
            children.unshield();
        }
        if let Some(hub) = Hub::here_if_open() {
            children.members.joiners().call_all(hub);
        }
    }
}

/// Nothing may be raised in a greenlet while this is there.
struct Shield<'a> {
    me: &'a Control,
    before: bool,
}

impl<'a> Shield<'a> {
    fn over(me: &'a Control) -> Shield<'a> {
        Shield {
            me,
            before: me.shielded.replace(true),
        }
    }
}

impl Drop for Shield<'_> {
    fn drop(&mut self) {
        self.me.shielded.set(self.before);
    }
}

/// The right to join a greenlet of a scope; see [`Scope::spawn`].
///
/// It stays on its OS thread:
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<greenlet::ScopedJoinHandle<'_, ()>>();
/// ```
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<greenlet::ScopedJoinHandle<'_, ()>>();
/// ```
pub struct ScopedJoinHandle<'scope, R> {
    handle: JoinHandle<()>,
    outcome: Outcome<R>,
    children: Rc<Children>,
    scope: PhantomData<&'scope ()>,
}

impl<R> ScopedJoinHandle<'_, R> {
    /// As [`JoinHandle::join`].
    ///
    /// # Parks
    /// Unless it has ended.
    ///
    /// # Errors
    /// As [`JoinHandle::join`].
    pub fn join(self) -> thread::Result<R> {
        self.handle.wait();
        match self.outcome.take() {
            Some(outcome) => outcome,
            None => Err(self
                .handle
                .slot
                .take()
                .and_then(Result::err)
                .unwrap_or_else(|| Box::new(super::handle::left_nothing(&self)))),
        }
    }

    /// As [`JoinHandle::kill`].
    ///
    /// # Parks
    /// Unless it has ended or has not begun.
    pub fn kill(&self) -> bool {
        self.handle.kill()
    }

    /// As [`JoinHandle::start_kill`].
    pub fn start_kill(&self) -> bool {
        self.handle.start_kill()
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// As [`JoinHandle::thread`].
    pub fn thread(&self) -> &spawn::Thread {
        self.handle.thread()
    }

    /// Its number.
    pub fn id(&self) -> GreenletId {
        self.handle.id()
    }

    /// The name its builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.handle.name()
    }
}

/// A panic that nobody joins is one of the scope.
impl<R> Drop for ScopedJoinHandle<'_, R> {
    fn drop(&mut self) {
        if let Some(Err(panic)) = self.outcome.take() {
            self.children.note(&*panic);
        }
    }
}

impl<R> fmt::Debug for ScopedJoinHandle<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scoped{:?}", self.handle)
    }
}
