//! Groups of greenlets: joined, killed and mapped over together; gevent's `Group` and `Pool`.
//!
//! A [`Group`] takes any number, a [`Pool`] so many at a time. A member belongs to it until it has ended, however it
//! ends: it has a seat, which is dropped with its closure.

use std::cell::RefCell;
use std::fmt;
use std::mem::offset_of;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::wait::WaitList;
use crate::spawn::members::Members;
use crate::spawn::{JoinHandle, no_memory, spawn, spawn_for};
use crate::switch::control::{Control, Payload};
use crate::switch::error::describe;
use crate::switch::exit::GreenletExit;
use crate::switch::greenlet::Greenlet;
use crate::switch::subject::{AnyOf, Known, Subject};
use crate::sync::channel::{Receiver, Sender, bounded, unbounded};
use crate::sync::{Permits, Semaphore};
use crate::sys::clock::{Moment, has_passed};

/// Greenlets that belong together.
///
/// ```
/// use greenlet::group::Group;
///
/// let group = Group::new();
/// for n in 1..=3 {
///     group.spawn(move || greenlet::sleep(std::time::Duration::from_millis(n)));
/// }
/// group.join_all().unwrap();
/// assert_eq!(group.map(1..=3, |n| n * n), [1, 4, 9]);
/// ```
#[derive(Clone)]
pub struct Group {
    shared: Rc<Shared>,
}

/// A group of so many at a time: who spawns one more waits until one has ended.
///
/// ```
/// use greenlet::group::Pool;
///
/// let pool = Pool::new(2);
/// let lengths = pool.imap_unordered(["a", "bb", "ccc"], str::len);
/// assert_eq!(lengths.sum::<usize>(), 6);
/// ```
#[derive(Clone)]
pub struct Pool {
    group: Group,
}

struct Shared {
    members: Members,
    /// Who waits for one waits for the end of any member.
    seats: Permits<AnyOf>,
    size: usize,
    /// Those who kill all members, and wait for all but themselves.
    killers: WaitList<(), Subject>,
    failure: RefCell<Option<Failure>>,
}

/// A member's place in its group, given up when it is dropped.
struct Seat {
    shared: Rc<Shared>,
    number: u64,
}

impl Seat {
    /// Takes a place for one who has been let in.
    fn take(shared: &Rc<Shared>) -> Seat {
        Seat {
            shared: Rc::clone(shared),
            number: shared.members.number(),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let shared = &self.shared;
        if let Some(seat) = shared.members.leave(self.number) {
            shared.seats.waiters().all().leave(seat);
        }
        shared.seats.give();
        // Who is woken for each one that ends would never have waited for long.
        if !shared.members.remain() {
            call_all(shared.members.joiners());
        }
        call_all(&shared.killers);
    }
}

/// Calls all who wait there. Where nobody does there need not be a hub.
fn call_all<K: Known>(list: &WaitList<(), K>) {
    if !list.is_empty() {
        list.call_all(Hub::here());
    }
}

/// The first member of a group that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    member: String,
    message: String,
}

impl Failure {
    /// Which one it was.
    pub fn member(&self) -> &str {
        &self.member
    }

    /// What the panic said.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} panicked: {}", self.member, self.message)
    }
}

impl std::error::Error for Failure {}

impl Group {
    /// One without members.
    #[track_caller]
    pub fn new() -> Group {
        Group::of_size(usize::MAX)
    }

    #[track_caller]
    fn of_size(size: usize) -> Group {
        let begin = offset_of!(Shared, seats) + Permits::<AnyOf>::WAITERS;
        let seats = WaitList::of_parts_within(begin, size_of::<Shared>(), size);
        let shared = Shared {
            members: Members::within(offset_of!(Shared, members), size_of::<Shared>()),
            seats: Permits::new(size, seats),
            size,
            killers: WaitList::within(offset_of!(Shared, killers), size_of::<Shared>()),
            failure: RefCell::new(None),
        };
        Group {
            shared: Rc::new(shared),
        }
    }

    /// Runs `f` in a greenlet of its own, as a member.
    ///
    /// # Parks
    /// Only in a pool that is full. A member of that pool, or one for whom a member waits, may wait for ever for a place:
    /// in a member itself [`apply`](Self::apply) and [`map`](Self::map) do not wait.
    ///
    /// # Cancellation
    /// Nothing was spawned.
    ///
    /// # Panics
    /// As [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<R: 'static>(&self, f: impl FnOnce() -> R + 'static) -> JoinHandle<R> {
        self.spawn_for(Location::caller(), f)
    }

    /// As [`spawn`](Self::spawn), for somebody who has called there.
    fn spawn_for<R: 'static>(
        &self,
        site: &'static Location<'static>,
        f: impl FnOnce() -> R + 'static,
    ) -> JoinHandle<R> {
        let seats = &self.shared.seats;
        if !seats.try_take() {
            Hub::here().bind();
            let give_back = || {
                seats.give();
                // They may have waited for this one to sit down.
                self.shared.killers.call_all(Hub::here());
            };
            seats.take_later_or(&"waits for a place in a pool", None, give_back);
        }
        self.seat(site, f)
    }

    /// As [`spawn`](Self::spawn), if there is a free place.
    ///
    /// # Parks
    /// No.
    ///
    /// # Errors
    /// The closure, if the pool is full.
    ///
    /// # Panics
    /// As [`spawn`](crate::spawn).
    #[track_caller]
    pub fn try_spawn<R: 'static, F: FnOnce() -> R + 'static>(
        &self,
        f: F,
    ) -> Result<JoinHandle<R>, F> {
        match self.shared.seats.try_take() {
            true => Ok(self.seat(Location::caller(), f)),
            false => Err(f),
        }
    }

    fn seat<R: 'static>(
        &self,
        site: &'static Location<'static>,
        f: impl FnOnce() -> R + 'static,
    ) -> JoinHandle<R> {
        let shared = &self.shared;
        let seat = Seat::take(shared);
        let number = seat.number;
        let hub = Hub::here();
        if !hub.thread().provide_controls() {
            no_memory(hub, site);
        }
        // They are to have their turn before the new member has one.
        call_all(&shared.killers);
        let handle = spawn_for(site, move || {
            let outcome = catch_unwind(AssertUnwindSafe(f));
            outcome.unwrap_or_else(|payload| seat.shared.fail(payload))
        });
        let member = handle.greenlet().expect("it has not begun");
        // In a group nobody waits for one.
        let is_pool = shared.size < usize::MAX;
        let sits = is_pool.then(|| shared.seats.waiters().all().enter(member.control().id));
        shared.members.enter(number, member, sits);
        handle
    }

    /// How many members have not ended.
    pub fn len(&self) -> usize {
        self.shared.members.len()
    }

    /// Whether all members have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until there is no member, also of those that are spawned meanwhile. In the child of a fork those of the
    /// parent are not waited for.
    ///
    /// # Parks
    /// Unless there is none.
    ///
    /// # Cancellation
    /// The members go on.
    ///
    /// # Errors
    /// The first member that has panicked since this was last asked. What it panicked with is in its
    /// [`JoinHandle`].
    pub fn join_all(&self) -> Result<(), Failure> {
        while self.shared.members.remain() {
            self.wait_for_all(None);
        }
        self.shared.failure.take().map_or(Ok(()), Err)
    }

    /// As [`join_all`](Self::join_all), for `timeout` at most; None if there are members after that.
    ///
    /// # Parks
    /// Unless there is none.
    ///
    /// # Errors
    /// As [`join_all`](Self::join_all).
    pub fn join_all_timeout(&self, timeout: Duration) -> Result<Option<()>, Failure> {
        let deadline = Moment::now().after(timeout);
        while self.shared.members.remain() {
            self.wait_for_all(Some(deadline));
            if has_passed(Some(deadline)) && self.shared.members.remain() {
                return Ok(None);
            }
        }
        self.join_all().map(Some)
    }

    /// Kills all members, and waits until they have ended, also those that are spawned meanwhile. A member that
    /// asks for this is left out. In the child of a fork those of the parent are neither killed nor waited for.
    ///
    /// # Parks
    /// Unless there is none.
    ///
    /// # Cancellation
    /// Those that were told end all the same.
    pub fn kill_all(&self) {
        let hub = Hub::here();
        let me = hub.thread().current().id;
        let is_other = |member: &Control| member.id != me && !member.is_given_up();
        let mut told = 0;
        loop {
            let new = self.others_from(told);
            told = self.shared.members.next();
            new.iter().for_each(|member| {
                hub.kill(member.control());
            });
            // Some may have been let in, and sit down at their next turn.
            let are_let_in = self.shared.taken() > self.len();
            if !are_let_in && !self.shared.members.any(is_other) {
                return;
            }
            // One that dies may have spawned another.
            if self.shared.members.next() == told {
                let purpose = &"waits for a group of greenlets to be killed";
                self.shared.killers.wait_together(hub, purpose, None);
            }
        }
    }

    /// Waits until a member has ended, or for no reason at all.
    fn wait_for_all(&self, deadline: Option<Moment>) {
        let (hub, joiners) = (Hub::here(), self.shared.members.joiners());
        hub.bind();
        joiners.wait_together(hub, &"waits for a group of greenlets", deadline);
    }

    /// The members with this number and later ones, without the one that asks.
    fn others_from(&self, number: u64) -> Vec<Greenlet<()>> {
        let me = Hub::here().thread().current().id;
        let mut members = self.shared.members.from(number);
        members.retain(|member| member.control().id != me);
        members
    }

    /// What `f` leaves, which a member does: gevent's `apply`. A member that asks its own pool does it itself: it has
    /// a place already, and might wait for ever for another.
    ///
    /// # Parks
    /// Until it is done.
    ///
    /// # Cancellation
    /// The member is killed.
    ///
    /// # Panics
    /// With a panic of `f`.
    #[track_caller]
    pub fn apply<R: 'static>(&self, f: impl FnOnce() -> R + 'static) -> R {
        if self.has_me() {
            return f();
        }
        let mut team = Team(vec![Some(self.spawn(f))]);
        team.outcome(0).expect("it is there")
    }

    /// What `f` makes of each item, in order, each in a member of its own. A member that asks its own pool does
    /// it itself: it has a place already, and might wait for ever for another.
    ///
    /// # Parks
    /// Unless there is nothing to do.
    ///
    /// # Cancellation
    /// The members are killed.
    ///
    /// # Panics
    /// With the first panic of `f`, in the order of the items; the other members are killed.
    #[track_caller]
    pub fn map<T: 'static, R: 'static>(
        &self,
        items: impl IntoIterator<Item = T>,
        f: impl Fn(T) -> R + 'static,
    ) -> Vec<R> {
        if self.has_me() {
            return items.into_iter().map(f).collect();
        }
        let f = Rc::new(f);
        let mut team = Team(Vec::new());
        for item in items {
            let f = Rc::clone(&f);
            team.0.push(Some(self.spawn(move || f(item))));
        }
        (0..team.0.len())
            .filter_map(|number| team.outcome(number))
            .collect()
    }

    /// As [`map`](Self::map), each when it is asked for, in order. It runs ahead by as many as the pool is large,
    /// or 1024 in a group.
    ///
    /// Dropping the iterator asks for nothing more; what was spawned by then goes on.
    ///
    /// # Parks
    /// The iterator does, unless the next one is there.
    ///
    /// # Cancellation
    /// The next one is still the next one.
    ///
    /// # Panics
    /// `next`, with a panic of `f`, or of the items.
    #[track_caller]
    pub fn imap<T: 'static, R: 'static, I, F>(
        &self,
        items: I,
        f: F,
    ) -> impl Iterator<Item = R> + use<T, R, I, F>
    where
        I: IntoIterator<Item = T> + 'static,
        F: Fn(T) -> R + 'static,
    {
        let (f, site) = (Rc::new(f), Location::caller());
        let begin = move |group: &Group, sender: &Sender<JoinHandle<R>>, item| {
            let f = Rc::clone(&f);
            sender.send(group.spawn_for(site, move || f(item))).is_ok()
        };
        let (mut fed, mut next) = (self.feed(items, begin), None);
        std::iter::from_fn(move || {
            if next.is_none() {
                next = fed.next();
            }
            // If something is raised here, it is still the next one.
            next.as_ref().map(JoinHandle::wait)?;
            next.take().map(outcome)
        })
    }

    /// As [`imap`](Self::imap), in the order in which they are done. Ahead of whoever asks there are as many results
    /// and as many members as the pool is large, or 1024 in a group. A member waits to hand over its result and has its
    /// place meanwhile: in a pool, who iterates slowly lets others wait to spawn.
    ///
    /// # Parks
    /// The iterator does, unless one is there.
    ///
    /// # Cancellation
    /// None is lost.
    ///
    /// # Panics
    /// As [`imap`](Self::imap).
    #[track_caller]
    pub fn imap_unordered<T: 'static, R: 'static, I, F>(
        &self,
        items: I,
        f: F,
    ) -> impl Iterator<Item = R> + use<T, R, I, F>
    where
        I: IntoIterator<Item = T> + 'static,
        F: Fn(T) -> R + 'static,
    {
        let (f, site) = (Rc::new(f), Location::caller());
        let places = Rc::new(Semaphore::new(self.ahead()));
        let begin = move |group: &Group, sender: &Sender<thread::Result<R>>, item| {
            places.acquire().forget();
            let place = Ahead(Rc::clone(&places));
            if sender.is_disconnected() {
                return false;
            }
            let (f, sender) = (Rc::clone(&f), sender.clone());
            group.spawn_for(site, move || {
                let _place = place;
                let done = catch_unwind(AssertUnwindSafe(|| f(item)));
                // Nobody may want it any more.
                let _ = sender.send(done);
            });
            true
        };
        self.feed(items, begin).map(or_unwind)
    }

    /// Begins with each item, in a greenlet of its own, until `begin` says that nobody asks for more.
    #[track_caller]
    fn feed<I, X: 'static>(
        &self,
        items: I,
        begin: impl Fn(&Group, &Sender<X>, I::Item) -> bool + 'static,
    ) -> Fed<X>
    where
        I: IntoIterator + 'static,
    {
        let (sender, receiver) = bounded(self.ahead());
        let group = self.for_the_feeder();
        let feeder = spawn(move || {
            items.into_iter().all(|item| begin(&group, &sender, item));
        });
        Fed {
            receiver,
            feeder: Some(feeder),
        }
    }

    /// How far results may run ahead of whoever asks for them.
    fn ahead(&self) -> usize {
        self.shared.size.min(1024)
    }

    /// A member that feeds its own pool would wait for the place it has itself.
    fn for_the_feeder(&self) -> Group {
        match self.has_me() {
            true => Group::new(),
            false => self.clone(),
        }
    }

    /// Whether the greenlet that runs is a member.
    fn has_me(&self) -> bool {
        let me = Hub::here().thread().current();
        !me.is_main() && self.shared.members.any(|member| member.is(me))
    }
}

impl Shared {
    /// How many places are taken, also by those who were let in and have not sat down yet.
    fn taken(&self) -> usize {
        self.size - self.seats.left()
    }

    /// A member unwinds with this.
    fn fail<R>(&self, payload: Payload) -> R {
        if !payload.is::<GreenletExit>() {
            let failure = Failure {
                member: Hub::here().thread().current().to_string(),
                message: describe(&*payload).to_string(),
            };
            self.failure.borrow_mut().get_or_insert(failure);
        }
        resume_unwind(payload)
    }
}

impl Default for Group {
    #[track_caller]
    fn default() -> Group {
        Group::new()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("members", &self.len())
            .finish()
    }
}

impl Pool {
    /// One of `size` members at a time.
    ///
    /// # Panics
    /// If `size` is 0: nothing could ever be spawned.
    #[track_caller]
    pub fn new(size: usize) -> Pool {
        assert!(size > 0, "a pool of size 0 could never run anything");
        Pool {
            group: Group::of_size(size),
        }
    }

    /// How many it takes at a time.
    pub fn size(&self) -> usize {
        self.group.shared.size
    }

    /// How many places are free.
    pub fn free(&self) -> usize {
        self.group.shared.seats.left()
    }
}

/// A pool is a group: spawn, join, kill, map.
impl Deref for Pool {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("size", &self.size())
            .field("members", &self.len())
            .finish()
    }
}

/// Those who work for one `map`. If it does not come to an end, neither do they.
struct Team<R>(Vec<Option<JoinHandle<R>>>);

impl<R> Team<R> {
    /// Waits for one of them, which is in the team until it has ended.
    fn outcome(&mut self, number: usize) -> Option<R> {
        self.0[number].as_ref()?.wait();
        self.0[number].take().map(outcome)
    }
}

impl<R> Drop for Team<R> {
    fn drop(&mut self) {
        self.0.iter().flatten().for_each(|handle| {
            handle.start_kill();
        });
    }
}

fn outcome<R>(handle: JoinHandle<R>) -> R {
    or_unwind(handle.join())
}

fn or_unwind<R>(outcome: thread::Result<R>) -> R {
    outcome.unwrap_or_else(|payload| {
        // The exit of somebody else is no exit of whoever waits for a result.
        assert!(
            !payload.is::<GreenletExit>(),
            "a member of a group was killed before it had a result"
        );
        resume_unwind(payload)
    })
}

/// One that runs ahead of whoever asks for results, until it has handed over its own.
struct Ahead(Rc<Semaphore>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// What a feeder sends. Its own panic, of the items, comes last.
struct Fed<T> {
    receiver: Receiver<T>,
    feeder: Option<JoinHandle<()>>,
}

impl<T> Iterator for Fed<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Ok(next) = self.receiver.recv() {
            return Some(next);
        }
        self.feeder.take().map(outcome);
        None
    }
}

/// It may wait for a place, or within the items: nothing more begins.
impl<T> Drop for Fed<T> {
    fn drop(&mut self) {
        self.feeder.iter().for_each(|feeder| {
            feeder.start_kill();
        });
    }
}

/// Waits until one of several greenlets has ended, and returns which. If several have, the first of them.
///
/// # Parks
/// Unless one has ended.
///
/// # Cancellation
/// Nothing changes.
///
/// # Panics
/// If there are none: it would wait for ever.
#[track_caller]
pub fn wait_any<R>(handles: &[JoinHandle<R>]) -> usize {
    assert!(
        !handles.is_empty(),
        "waiting for one of no greenlets would be for ever"
    );
    let hub = Hub::here();
    loop {
        if let Some(first) = handles.iter().position(JoinHandle::is_finished) {
            return first;
        }
        let lists = handles.iter().map(JoinHandle::joiners);
        let purpose = &"waits for one of several greenlets to end";
        hub.before_resting(purpose);
        WaitList::stand_in_all(lists, hub, || hub.rest_until(purpose, Moment::NEVER));
        hub.raise_what_came(hub.thread().current(), || ());
    }
}

/// What greenlets leave, in the order in which they end, each with its number. A small greenlet waits for each.
///
/// # Parks
/// The iterator does, unless another one has ended.
#[track_caller]
pub fn as_completed<R: 'static>(
    handles: impl IntoIterator<Item = JoinHandle<R>>,
) -> impl Iterator<Item = (usize, thread::Result<R>)> {
    let (sender, receiver) = unbounded();
    let site = Location::caller();
    for (number, handle) in handles.into_iter().enumerate() {
        let sender = sender.clone();
        spawn_for(site, move || {
            // Nobody may want it any more.
            let _ = sender.send((number, handle.join()));
        });
    }
    receiver.into_iter()
}
