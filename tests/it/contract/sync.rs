//! What greenlets of one thread wait on, groups and futures.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::task::{Poll, Waker};

use greenlet::future::block_on;
use greenlet::group::{Group, Pool, as_completed, wait_any};
use greenlet::sync::channel::{Receiver, Sender, bounded, unbounded};
use greenlet::sync::queue::Queue;
use greenlet::sync::{
    AsyncResult, Barrier, Condvar, Event, LazyLock, Mutex, Once, OnceLock, Pending, RwLock,
    Semaphore, WaitGroup, mpsc, oneshot, select,
};
use greenlet::{JoinHandle, spawn, thread, yield_now};

use super::{Brought, Call, LONG, contract};

/// Both ends, of which the far one can go.
struct Ends<N, F> {
    near: N,
    far: RefCell<Option<F>>,
}

impl<N, F> Ends<N, F> {
    fn of(near: N, far: F) -> Ends<N, F> {
        Ends {
            near,
            far: RefCell::new(Some(far)),
        }
    }

    fn with<R>(&self, f: impl FnOnce(&F) -> R) -> R {
        f(self.far.borrow().as_ref().expect("it is still there"))
    }

    fn leave(&self) {
        drop(self.far.take());
    }
}

/// An item, or an error where there will be none.
fn item<T, E: std::error::Error + Send + Sync + 'static>(got: Result<T, E>) -> Brought {
    got.map(|_| 1).map_err(Error::other)
}

fn receiving() -> Ends<Receiver<u8>, Sender<u8>> {
    let (sender, receiver) = unbounded();
    Ends::of(receiver, sender)
}

fn send(ends: &Ends<Receiver<u8>, Sender<u8>>) {
    ends.with(|sender| sender.send(7))
        .expect("somebody receives");
}

/// A channel that is full: what is brought is a place. With a limit of its own, as one that raises gives the
/// message up.
fn sending() -> Ends<Sender<u8>, Receiver<u8>> {
    let (sender, receiver) = bounded(1);
    sender.send(0).expect("there is room");
    Ends::of(sender, receiver)
}

fn take(ends: &Ends<Sender<u8>, Receiver<u8>>) {
    ends.with(Receiver::try_recv).expect("it is full");
}

contract!(
    channel_recv,
    Call::new(receiving, |ends| item(ends.near.recv()), send)
        .leaves(Ends::leave)
        .at_once()
);

contract!(
    channel_recv_timeout,
    Call::new(receiving, |ends| item(ends.near.recv_timeout(LONG)), send)
        .leaves(Ends::leave)
        .at_once()
);

contract!(
    channel_send,
    Call::new(sending, |ends| item(ends.near.send(7)), take)
        .leaves(Ends::leave)
        .lossy()
        .at_once()
);

contract!(
    select_receives,
    Call::new(
        || (receiving(), bounded::<u8>(0)),
        |(ends, (_never, nothing))| select()
            .recv(nothing, item)
            .recv(&ends.near, item)
            .after(LONG, || Ok(9))
            .wait(),
        |(ends, _)| send(ends),
    )
    .leaves(|(ends, _)| ends.leave())
    .at_once()
);

contract!(
    select_receives_any,
    Call::new(
        || (receiving(), bounded::<u8>(0)),
        |(ends, (_never, nothing))| {
            let all = [nothing, &ends.near];
            select().recv_any(all, |_, got| item(got)).wait()
        },
        |(ends, _)| send(ends),
    )
    .leaves(|(ends, _)| ends.leave())
    .at_once()
    .allocates()
);

contract!(
    mpsc_recv,
    Call::new(
        || {
            let (sender, receiver) = mpsc::channel();
            Ends::of(receiver, sender)
        },
        |ends| item(ends.near.recv()),
        |ends| ends
            .with(|sender| sender.send(7))
            .expect("somebody receives"),
    )
    .leaves(Ends::leave)
    .at_once()
);

contract!(
    oneshot_recv,
    Call::new(
        || {
            let (sender, receiver) = oneshot::channel();
            Ends::of(receiver, sender)
        },
        |ends| item(ends.near.recv_timeout(LONG)),
        |ends| {
            let sender = ends.far.take().expect("once");
            sender.send(7).expect("somebody receives");
        },
    )
    .alone()
    .at_once()
);

contract!(
    queue_get,
    Call::new(
        Queue::unbounded,
        |queue| Ok(queue.get().map_or(0, |_: u8| 1)),
        |queue| queue.put(7).expect("it is open"),
    )
    .leaves(Queue::close)
    .at_once()
);

contract!(
    queue_get_timeout,
    Call::new(
        Queue::unbounded,
        |queue| item(queue.get_timeout(LONG).map(|_: u8| 1)),
        |queue| queue.put(7).expect("it is open"),
    )
    .leaves(Queue::close)
    .at_once()
);

// As `sending`.
contract!(
    queue_put_timeout,
    Call::new(
        || {
            let queue = Queue::bounded(1);
            queue.put(0).expect("it is open");
            queue
        },
        |queue| {
            let put = queue.put_timeout(7, LONG);
            put.map(|()| 1).map_err(|_| Error::other("closed"))
        },
        |queue: &Queue<u8>| {
            queue.try_get().expect("it is full");
        },
    )
    .leaves(Queue::close)
    .lossy()
    .at_once()
);

// As `sending`.
contract!(
    queue_put,
    Call::new(
        || {
            let queue = Queue::bounded(1);
            queue.put(0).expect("it is open");
            queue
        },
        |queue| queue.put(7).map(|()| 1).map_err(|_| Error::other("closed")),
        |queue: &Queue<u8>| {
            queue.try_get().expect("it is full");
        },
    )
    .leaves(Queue::close)
    .lossy()
    .at_once()
);

contract!(
    mpsc_send,
    Call::new(
        || {
            let (sender, receiver) = mpsc::sync_channel(1);
            sender.send(0).expect("there is room");
            Ends::of(sender, receiver)
        },
        |ends| item(ends.near.send(7)),
        |ends: &Ends<mpsc::SyncSender<u8>, mpsc::Receiver<u8>>| {
            ends.with(mpsc::Receiver::try_recv).expect("it is full");
        },
    )
    .leaves(Ends::leave)
    .lossy()
    .at_once()
);

contract!(
    select_sends,
    Call::new(
        || (sending(), bounded::<u8>(0)),
        |(ends, (full, _never))| select()
            .send(full, &mut Some(1), item)
            .send(&ends.near, &mut Some(7), item)
            .wait(),
        |(ends, _)| take(ends),
    )
    .leaves(|(ends, _)| ends.leave())
    .lossy()
    .at_once()
);

contract!(
    select_waits_for_an_event,
    Call::new(
        Event::new,
        |event| select()
            .event(event, |()| Ok(1))
            .after(LONG, || Ok(9))
            .wait(),
        Event::set,
    )
    .stays()
    .at_once()
);

contract!(
    select_waits_for_an_end,
    Call::new(
        group,
        |it| select()
            .join(&it.handle[0], |()| Ok(1))
            .after(LONG, || Ok(9))
            .wait(),
        Member::tell,
    )
    .stays()
    .at_once()
);

/// Something that is made once, by one who takes as long as nobody tells it to go on.
struct Making<T> {
    made: Rc<T>,
    maker: RefCell<Option<JoinHandle<()>>>,
}

impl<T: Default + 'static> Making<T> {
    fn by(make: fn(&T)) -> Making<T> {
        let made = Rc::<T>::default();
        let maker = spawn({
            let made = made.clone();
            move || make(&made)
        });
        yield_now();
        let maker = RefCell::new(Some(maker));
        Making { made, maker }
    }
}

impl<T> Making<T> {
    fn tell(&self) {
        if let Some(maker) = self.maker.take() {
            maker.thread().unpark();
            maker.join().expect("it does not panic");
        }
    }

    fn end(&self) {
        if let Some(maker) = self.maker.take() {
            maker.kill();
        }
    }
}

impl<T> Drop for Making<T> {
    fn drop(&mut self) {
        self.end();
    }
}

/// As `Once`, which has no default.
struct Done(Once);

impl Default for Done {
    fn default() -> Done {
        Done(Once::new())
    }
}

contract!(
    once_call,
    Call::new(
        || Making::by(|done: &Done| done.0.call_once(thread::park)),
        |making| {
            making.made.0.call_once(|| unreachable!("it is done"));
            Ok(1)
        },
        Making::tell,
    )
    .stays()
    .at_once()
);

contract!(
    once_lock_get_or_init,
    Call::new(
        || {
            Making::by(|lock: &OnceLock<u8>| {
                lock.get_or_init(|| {
                    thread::park();
                    1
                });
            })
        },
        |making| Ok(*making.made.get_or_init(|| unreachable!("it is made"))),
        Making::tell,
    )
    .stays()
    .at_once()
);

// Whoever waits makes it then.
contract!(
    once_lock_whose_maker_is_killed,
    Call::new(
        || {
            Making::by(|lock: &OnceLock<u8>| {
                lock.get_or_init(|| {
                    thread::park();
                    unreachable!("it is killed")
                });
            })
        },
        |making| Ok(*making.made.get_or_init(|| 1)),
        Making::end,
    )
    .stays()
    .at_once()
    .allocates()
);

/// A value whose maker is parked until it is told.
struct Lazy(LazyLock<u8>);

impl Default for Lazy {
    fn default() -> Lazy {
        Lazy(LazyLock::new(|| {
            thread::park();
            1
        }))
    }
}

/// The value; an error if it cannot be made. A kill or a limit passes through.
fn value_of(lazy: &Lazy) -> Brought {
    let value = catch_unwind(AssertUnwindSafe(|| *LazyLock::force(&lazy.0)));
    value.or_else(|payload| match payload.downcast::<String>() {
        Ok(words) => Err(Error::other(*words)),
        Err(raised) => resume_unwind(raised),
    })
}

// Its maker is asked for once. If that is killed, nobody makes it.
contract!(
    lazy_lock,
    Call::new(
        || {
            Making::by(|lazy: &Lazy| {
                LazyLock::force(&lazy.0);
            })
        },
        |making| value_of(&making.made),
        Making::tell,
    )
    .leaves(Making::end)
    .stays()
    .at_once()
);

contract!(
    queue_join,
    Call::new(
        || {
            let queue = Queue::unbounded();
            queue.put(7).expect("it is open");
            queue
        },
        |queue| {
            queue.join();
            Ok(1)
        },
        |queue: &Queue<u8>| if queue.unfinished() > 0 {
            queue.task_done();
        },
    )
    .stays()
    .at_once()
);

contract!(
    queue_join_timeout,
    Call::new(
        || {
            let queue = Queue::unbounded();
            queue.put(7).expect("it is open");
            queue
        },
        |queue| Ok(queue.join_timeout(LONG).into()),
        |queue: &Queue<u8>| if queue.unfinished() > 0 {
            queue.task_done();
        },
    )
    .stays()
    .at_once()
);

contract!(
    semaphore_timeout,
    Call::new(
        || Semaphore::new(0),
        |seats| {
            seats.acquire_timeout(LONG).expect("in time").forget();
            Ok(1)
        },
        Semaphore::release,
    )
    .at_once()
);

// A permit is kept, so each is for one.
contract!(
    semaphore,
    Call::new(
        || Semaphore::new(0),
        |seats| {
            seats.acquire().forget();
            Ok(1)
        },
        Semaphore::release,
    )
    .at_once()
);

contract!(
    select_acquires,
    Call::new(
        || Semaphore::new(0),
        |seats| {
            select().acquire(seats, |seat| seat.forget()).wait();
            Ok(1)
        },
        Semaphore::release,
    )
    .at_once()
);

contract!(
    event,
    Call::new(
        Event::new,
        |event| {
            event.wait();
            Ok(1)
        },
        Event::set,
    )
    .stays()
    .at_once()
);

contract!(
    event_timeout,
    Call::new(
        Event::new,
        |event| Ok(event.wait_timeout(LONG).into()),
        Event::set,
    )
    .stays()
    .at_once()
);

contract!(
    async_result_timeout,
    Call::new(
        AsyncResult::new,
        |answer| Ok(*answer.get_timeout(LONG).expect("in time")),
        |answer| {
            let _again = answer.set(1);
        },
    )
    .stays()
    .at_once()
);

contract!(
    async_result,
    Call::new(
        AsyncResult::new,
        |answer| Ok(*answer.get()),
        |answer| {
            let _again = answer.set(1);
        },
    )
    .stays()
    .at_once()
);

/// A group with something that is not done.
struct Group1 {
    group: WaitGroup,
    pending: RefCell<Option<Pending>>,
}

contract!(
    wait_group,
    Call::new(
        || {
            let group = WaitGroup::new();
            let pending = RefCell::new(Some(group.begin()));
            Group1 { group, pending }
        },
        |it| {
            it.group.wait();
            Ok(1)
        },
        |it| drop(it.pending.take()),
    )
    .stays()
    .at_once()
);

/// Items behind a mutex, with a condition.
#[derive(Default)]
struct Store {
    items: Mutex<u32>,
    more: Condvar,
}

contract!(
    condvar,
    Call::new(
        Store::default,
        |store| {
            let items = store.items.lock().expect("nobody unwinds with it");
            let mut items = store
                .more
                .wait_while(items, |items| *items == 0)
                .expect("as above");
            *items -= 1;
            Ok(1)
        },
        |store| {
            *store.items.lock().expect("as above") += 1;
            store.more.notify_one();
        },
    )
    .at_once()
);

contract!(
    condvar_timeout,
    Call::new(
        Store::default,
        |store| {
            let items = store.items.lock().expect("nobody unwinds with it");
            let (mut items, late) = store
                .more
                .wait_timeout_while(items, LONG, |items| *items == 0)
                .expect("as above");
            *items -= 1;
            Ok((!late.timed_out()).into())
        },
        |store| {
            *store.items.lock().expect("as above") += 1;
            store.more.notify_one();
        },
    )
    .at_once()
);

/// Somebody who has a lock until it is told to let go of it.
struct Held<L> {
    lock: std::rc::Rc<L>,
    holder: JoinHandle<()>,
}

fn held<L: 'static>(lock: L, hold: fn(&L)) -> Held<L> {
    let lock = std::rc::Rc::new(lock);
    let theirs = lock.clone();
    let holder = spawn(move || hold(&theirs));
    greenlet::yield_now();
    Held { lock, holder }
}

impl<L> Held<L> {
    fn let_go(&self) {
        self.holder.thread().unpark();
        self.holder.wait();
    }
}

impl<L> Drop for Held<L> {
    fn drop(&mut self) {
        self.let_go();
    }
}

contract!(
    mutex,
    Call::new(
        || held(Mutex::new(()), |lock| {
            let _guard = lock.lock();
            thread::park();
        }),
        |held| {
            drop(held.lock.lock());
            Ok(1)
        },
        Held::let_go,
    )
    .stays()
    .at_once()
);

contract!(
    read,
    Call::new(
        || held(RwLock::new(()), |lock| {
            let _guard = lock.write();
            thread::park();
        }),
        |held| {
            drop(held.lock.read());
            Ok(1)
        },
        Held::let_go,
    )
    .stays()
    .at_once()
);

contract!(
    write,
    Call::new(
        || held(RwLock::new(()), |lock| {
            let _guard = lock.read();
            thread::park();
        }),
        |held| {
            drop(held.lock.write());
            Ok(1)
        },
        Held::let_go,
    )
    .stays()
    .at_once()
);

/// Whoever brings is the other one who comes. What is there at once is not kept by it: it is for two.
#[test]
fn a_barrier_keeps_what_fits_of_the_contract() {
    crate::support::run(|| {
        let barrier = std::rc::Rc::new(Barrier::new(2));
        let theirs = barrier.clone();
        let waits = spawn(move || theirs.wait().is_leader());
        super::settle();
        let _woken = waits.thread();
        super::settle();
        assert!(!waits.is_finished());
        assert!(greenlet::time::timeout(LONG, || barrier.wait().is_leader()).unwrap());
        assert!(!waits.join().unwrap());
    });
}

contract!(
    once_wait,
    Call::new(
        Once::new,
        |once| {
            once.wait();
            Ok(1)
        },
        |once| once.call_once(|| ()),
    )
    .stays()
    .at_once()
);

contract!(
    once_lock_wait,
    Call::new(
        OnceLock::new,
        |lock| Ok(*lock.wait()),
        |lock| {
            let _again = lock.set(1);
        },
    )
    .stays()
    .at_once()
);

/// A member that ends when it is told to.
struct Member<G> {
    group: G,
    handle: Vec<JoinHandle<()>>,
}

fn group() -> Member<Group> {
    let group = Group::new();
    let handle = vec![group.spawn(thread::park)];
    Member { group, handle }
}

fn pool() -> Member<Pool> {
    let pool = Pool::new(1);
    let handle = vec![pool.spawn(thread::park)];
    Member {
        group: pool,
        handle,
    }
}

impl<G> Member<G> {
    fn tell(&self) {
        self.handle[0].thread().unpark();
        self.handle[0].wait();
    }
}

impl<G> Drop for Member<G> {
    fn drop(&mut self) {
        self.tell();
    }
}

contract!(
    group_join_all,
    Call::new(
        group,
        |it| {
            it.group.join_all().expect("nobody panics");
            Ok(1)
        },
        Member::tell,
    )
    .stays()
    .at_once()
);

contract!(
    group_join_all_timeout,
    Call::new(
        group,
        |it| {
            let joined = it.group.join_all_timeout(LONG).expect("nobody panics");
            Ok(joined.is_some().into())
        },
        Member::tell,
    )
    .stays()
    .at_once()
);

contract!(
    pool_apply,
    Call::new(pool, |it| Ok(it.group.apply(|| 1)), Member::tell)
        .stays()
        .allocates()
);

contract!(
    pool_spawn,
    Call::new(
        pool,
        |it| {
            it.group.spawn(|| ()).join().expect("it does not panic");
            Ok(1)
        },
        Member::tell,
    )
    .stays()
    .allocates()
);

contract!(
    any_of_several,
    Call::new(group, |it| Ok(wait_any(&it.handle) as u8 + 1), Member::tell,)
        .stays()
        .at_once()
        .allocates()
);

/// What members of a group make of items that come one by one.
struct Mapped {
    items: RefCell<Option<Box<dyn Iterator<Item = u8>>>>,
    source: RefCell<Option<Sender<u8>>>,
}

impl Mapped {
    fn by(map: fn(Receiver<u8>) -> Box<dyn Iterator<Item = u8>>) -> Mapped {
        let (sender, receiver) = unbounded();
        Mapped {
            items: RefCell::new(Some(map(receiver))),
            source: RefCell::new(Some(sender)),
        }
    }

    fn next(&self) -> Brought {
        let mut items = self.items.borrow_mut();
        let next = items.as_mut().and_then(Iterator::next);
        next.ok_or_else(|| Error::other("there are no more"))
    }

    fn bring(&self) {
        let source = self.source.borrow();
        let source = source.as_ref().expect("it is still there");
        source.send(1).expect("somebody maps it");
    }

    fn leave(&self) {
        drop(self.source.take());
    }
}

/// Whoever feeds and those who are fed are gone as well.
impl Drop for Mapped {
    fn drop(&mut self) {
        drop(self.items.take());
        super::settle();
    }
}

// One at a time can ask an iterator.
contract!(
    group_imap,
    Call::new(
        || Mapped::by(|items| Box::new(Group::new().imap(items, |item| item))),
        Mapped::next,
        Mapped::bring,
    )
    .leaves(Mapped::leave)
    .alone()
    .at_once()
    .allocates()
);

contract!(
    pool_imap,
    Call::new(
        || Mapped::by(|items| Box::new(Pool::new(2).imap(items, |item| item))),
        Mapped::next,
        Mapped::bring,
    )
    .leaves(Mapped::leave)
    .alone()
    .at_once()
    .allocates()
);

contract!(
    pool_imap_unordered,
    Call::new(
        || Mapped::by(|items| Box::new(Pool::new(2).imap_unordered(items, |item| item))),
        Mapped::next,
        Mapped::bring,
    )
    .leaves(Mapped::leave)
    .alone()
    .at_once()
    .allocates()
);

/// Greenlets that end one by one, or all at once when they are given up.
struct Ending {
    ends: RefCell<Box<dyn Iterator<Item = Brought>>>,
    seats: Rc<Semaphore>,
    given_up: Rc<Cell<bool>>,
}

/// More than any rule brings.
const ENDING: usize = 8;

type Body = Rc<dyn Fn() -> Brought>;

impl Ending {
    /// `run` runs so many times what it is given, and tells of the ends.
    fn by(run: fn(Body) -> Box<dyn Iterator<Item = Brought>>) -> Ending {
        let (seats, given_up) = (Rc::new(Semaphore::new(0)), Rc::new(Cell::new(false)));
        let body = {
            let (seats, given_up) = (seats.clone(), given_up.clone());
            move || {
                seats.acquire().forget();
                match given_up.get() {
                    true => Err(Error::other("it is given up")),
                    false => Ok(1),
                }
            }
        };
        Ending {
            ends: RefCell::new(run(Rc::new(body))),
            seats,
            given_up,
        }
    }

    fn next(&self) -> Brought {
        self.ends.borrow_mut().next().expect("there are more")
    }

    fn give_up(&self) {
        self.given_up.set(true);
        (0..ENDING).for_each(|_| self.seats.release());
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // Nothing more begins.
        drop(self.ends.replace(Box::new(std::iter::empty())));
        self.give_up();
        super::settle();
    }
}

contract!(
    completed,
    Call::new(
        || {
            Ending::by(|body| {
                let begin = move |_| {
                    let body = body.clone();
                    spawn(move || body())
                };
                let handles: Vec<_> = (0..ENDING).map(begin).collect();
                Box::new(as_completed(handles).map(|(_, end)| end.expect("it does not panic")))
            })
        },
        Ending::next,
        |ending| ending.seats.release(),
    )
    .leaves(Ending::give_up)
    .alone()
    .at_once()
    .allocates()
);

// Whoever waits for the next item waits for a member.
contract!(
    group_imap_by_slow_members,
    Call::new(
        || Ending::by(|body| Box::new(Group::new().imap(0..ENDING, move |_| body()))),
        Ending::next,
        |ending| ending.seats.release(),
    )
    .leaves(Ending::give_up)
    .alone()
    .at_once()
);

contract!(
    pool_imap_by_slow_members,
    Call::new(
        || Ending::by(|body| Box::new(Pool::new(2).imap(0..ENDING, move |_| body()))),
        Ending::next,
        |ending| ending.seats.release(),
    )
    .leaves(Ending::give_up)
    .alone()
    .at_once()
);

contract!(
    imap_unordered_by_slow_members,
    Call::new(
        || Ending::by(|body| Box::new(Pool::new(2).imap_unordered(0..ENDING, move |_| body()))),
        Ending::next,
        |ending| ending.seats.release(),
    )
    .leaves(Ending::give_up)
    .alone()
    .at_once()
    .allocates()
);

/// A group whose member has been killed, and ends when it is told to: as `dying` among the greenlets.
struct Stubborn {
    group: Group,
    told: Rc<Cell<bool>>,
    handle: JoinHandle<()>,
}

fn stubborn() -> Stubborn {
    let (group, told) = (Group::new(), Rc::new(Cell::new(false)));
    let handle = group.spawn({
        let told = told.clone();
        move || {
            while !told.get() {
                let _ = catch_unwind(thread::park);
            }
        }
    });
    super::settle();
    Stubborn {
        group,
        told,
        handle,
    }
}

impl Stubborn {
    fn tell(&self) {
        self.told.set(true);
        self.handle.thread().unpark();
        self.handle.wait();
    }
}

impl Drop for Stubborn {
    fn drop(&mut self) {
        self.tell();
    }
}

contract!(
    group_kill_all,
    Call::new(
        stubborn,
        |it| {
            it.group.kill_all();
            Ok(1)
        },
        Stubborn::tell,
    )
    .stays()
    .at_once()
    .allocates()
);

/// A future of items, woken by whoever brings one.
#[derive(Default)]
struct Source {
    items: RefCell<u32>,
    wakers: RefCell<Vec<Waker>>,
}

contract!(
    future,
    Call::new(
        Source::default,
        |source| {
            block_on(poll_fn(|context| {
                let mut items = source.items.borrow_mut();
                if *items == 0 {
                    source.wakers.borrow_mut().push(context.waker().clone());
                    return Poll::Pending;
                }
                *items -= 1;
                Poll::Ready(Ok(1))
            }))
        },
        |source| {
            *source.items.borrow_mut() += 1;
            source.wakers.take().into_iter().for_each(Waker::wake);
        },
    )
    .at_once()
    .allocates()
);
