//! What threads share. Each call is held to the rules twice where that is simple: with whoever brings in the same
//! thread, and on another one.

use std::cell::RefCell;
use std::io::Error;
use std::sync::{Arc, mpsc};

use greenlet::sync::remote::channel::{Receiver, Sender, bounded, unbounded};
use greenlet::sync::remote::{Event, Mutex, Semaphore, oneshot};
use greenlet::sync::{Once, OnceLock, select};

use super::{Brought, Call, LONG, contract};

/// Both ends, of which the far one can go.
struct Ends<N, F> {
    near: N,
    far: RefCell<Option<F>>,
}

impl<N, F: Sync> Ends<N, F> {
    fn of(near: N, far: F) -> Ends<N, F> {
        Ends {
            near,
            far: RefCell::new(Some(far)),
        }
    }

    fn here<R>(&self, f: impl FnOnce(&F) -> R) -> R {
        f(self.far.borrow().as_ref().expect("it is still there"))
    }

    /// As `here`, on another thread.
    fn there<R: Send>(&self, f: impl FnOnce(&F) -> R + Send) -> R {
        self.here(|far| elsewhere(|| f(far)))
    }

    fn leave(&self) {
        drop(self.far.take());
    }
}

/// Runs `f` on another thread, to its end.
fn elsewhere<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|s| s.spawn(f).join().expect("it does not panic"))
}

fn item<T, E: std::error::Error + Send + Sync + 'static>(got: Result<T, E>) -> Brought {
    got.map(|_| 1).map_err(Error::other)
}

fn receiving() -> Ends<Receiver<u8>, Sender<u8>> {
    let (sender, receiver) = unbounded();
    Ends::of(receiver, sender)
}

fn sending() -> Ends<Sender<u8>, Receiver<u8>> {
    let (sender, receiver) = bounded(1);
    sender.send(0).expect("there is room");
    Ends::of(sender, receiver)
}

contract!(
    recv_here,
    Call::new(
        receiving,
        |ends| item(ends.near.recv()),
        |ends| ends
            .here(|sender| sender.send(7))
            .expect("somebody receives"),
    )
    .leaves(Ends::leave)
    .at_once()
);

contract!(
    recv_there,
    Call::new(
        receiving,
        |ends| item(ends.near.recv_timeout(LONG)),
        |ends| ends
            .there(|sender| sender.send(7))
            .expect("somebody receives"),
    )
    .leaves(|ends| {
        let far = ends.far.take();
        elsewhere(|| drop(far));
    })
    .at_once()
);

contract!(
    send_here,
    Call::new(
        sending,
        |ends| item(ends.near.send(7)),
        |ends| assert!(ends.here(Receiver::try_recv).is_ok()),
    )
    .leaves(Ends::leave)
    .lossy()
    .at_once()
);

contract!(
    send_there,
    Call::new(
        sending,
        |ends| item(ends.near.send_timeout(7, LONG)),
        |ends| assert!(ends.there(Receiver::try_recv).is_ok()),
    )
    .leaves(Ends::leave)
    .lossy()
    .at_once()
);

contract!(
    select_there,
    Call::new(
        || (receiving(), greenlet::sync::channel::bounded::<u8>(0)),
        |(ends, (_never, nothing))| { select().recv(nothing, item).on(&ends.near, item).wait() },
        |(ends, _)| ends
            .there(|sender| sender.send(7))
            .expect("somebody receives"),
    )
    .leaves(|(ends, _)| ends.leave())
    .at_once()
);

contract!(
    select_sends_there,
    Call::new(
        || (sending(), bounded::<u8>(0)),
        |(ends, (full, _never))| select()
            .send(full, &mut Some(1), item)
            .send(&ends.near, &mut Some(7), item)
            .wait(),
        |(ends, _)| assert!(ends.there(Receiver::try_recv).is_ok()),
    )
    .leaves(|(ends, _)| ends.leave())
    .at_once()
);

contract!(
    select_oneshot_there,
    Call::new(
        || {
            let (sender, receiver) = oneshot::channel();
            (Ends::of(receiver, sender), unbounded::<u8>())
        },
        |(ends, (_never, nothing))| select().on(nothing, item).on(&ends.near, item).wait(),
        |(ends, _)| {
            let sender = ends.far.take().expect("once");
            elsewhere(|| sender.send(7)).expect("somebody receives");
        },
    )
    .alone()
    .at_once()
);

contract!(
    select_semaphore_there,
    Call::new(
        || [Semaphore::new(0), Semaphore::new(0)],
        |[none, seats]| select()
            .on(none, |_| Ok(9))
            .on(seats, |seat| {
                seat.forget();
                Ok(1)
            })
            .wait(),
        |[_, seats]| elsewhere(|| seats.release()),
    )
    .at_once()
);

contract!(
    select_event_there,
    Call::new(
        || [Event::new(), Event::new()],
        |[never, event]| select().on(never, |()| Ok(9)).on(event, |()| Ok(1)).wait(),
        |[_, event]| elsewhere(|| event.set()),
    )
    .stays()
    .at_once()
);

contract!(
    oneshot_there,
    Call::new(
        || {
            let (sender, receiver) = oneshot::channel();
            Ends::of(receiver, sender)
        },
        |ends| item(ends.near.recv_timeout(LONG)),
        |ends| {
            let sender = ends.far.take().expect("once");
            elsewhere(|| sender.send(7)).expect("somebody receives");
        },
    )
    .alone()
    .at_once()
);

contract!(
    semaphore_here,
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
    semaphore_there,
    Call::new(
        || Semaphore::new(0),
        |seats| {
            seats.acquire_timeout(LONG).expect("in time").forget();
            Ok(1)
        },
        |seats| elsewhere(|| seats.release()),
    )
    .at_once()
);

contract!(
    event_there,
    Call::new(
        Event::new,
        |event| {
            event.wait();
            Ok(1)
        },
        |event| elsewhere(|| event.set()),
    )
    .stays()
    .at_once()
);

contract!(
    event_timeout_there,
    Call::new(
        Event::new,
        |event| Ok(event.wait_timeout(LONG).into()),
        |event| elsewhere(|| event.set()),
    )
    .stays()
    .at_once()
);

/// A mutex that another thread has until it is told to let go of it.
struct Held {
    mutex: std::sync::Arc<Mutex<()>>,
    holder: RefCell<Option<(std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>)>>,
}

fn held() -> Held {
    let mutex = std::sync::Arc::new(Mutex::new(()));
    let (tell, told) = std::sync::mpsc::channel();
    let (say, said) = std::sync::mpsc::channel();
    let theirs = mutex.clone();
    let holder = std::thread::spawn(move || {
        let _guard = theirs.lock();
        let _ = say.send(());
        let _ = told.recv();
    });
    said.recv().expect("it has it");
    Held {
        mutex,
        holder: RefCell::new(Some((tell, holder))),
    }
}

impl Held {
    fn let_go(&self) {
        if let Some((tell, holder)) = self.holder.take() {
            drop(tell);
            holder.join().expect("it does not panic");
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.let_go();
    }
}

contract!(
    mutex_there,
    Call::new(
        held,
        |held| {
            drop(held.mutex.lock());
            Ok(1)
        },
        Held::let_go,
    )
    .stays()
    .at_once()
);

/// A value that another thread makes, as soon as it is told to.
struct MadeThere<L> {
    value: Arc<L>,
    go: RefCell<Option<mpsc::Sender<()>>>,
    maker: RefCell<Option<std::thread::JoinHandle<()>>>,
}

impl<L: Send + Sync + 'static> MadeThere<L> {
    /// `make` is given something to wait for, and does so before it makes the value.
    fn by(value: L, make: fn(&L, &dyn Fn())) -> MadeThere<L> {
        let value = Arc::new(value);
        let ((go, gone), (begun, begins)) = (mpsc::channel(), mpsc::channel());
        let theirs = value.clone();
        let maker = std::thread::spawn(move || {
            make(&theirs, &|| {
                begun.send(()).expect("it is waited for");
                // It is told by a message, or as the sender goes.
                let _ = gone.recv();
            });
        });
        begins.recv().expect("it begins");
        MadeThere {
            value,
            go: RefCell::new(Some(go)),
            maker: RefCell::new(Some(maker)),
        }
    }
}

impl<L> MadeThere<L> {
    fn tell(&self) {
        drop(self.go.take());
        let maker = self.maker.take();
        maker
            .into_iter()
            .for_each(|maker| maker.join().expect("it makes it"));
    }
}

impl<L> Drop for MadeThere<L> {
    fn drop(&mut self) {
        self.tell();
    }
}

contract!(
    once_lock_there,
    Call::new(
        || {
            MadeThere::by(OnceLock::new(), |lock: &OnceLock<u8>, waits| {
                lock.get_or_init(|| {
                    waits();
                    1
                });
            })
        },
        |made| Ok(*made.value.get_or_init(|| unreachable!("it is made"))),
        MadeThere::tell,
    )
    .stays()
    .at_once()
);

contract!(
    once_there,
    Call::new(
        || MadeThere::by(Once::new(), |once: &Once, waits| once.call_once(waits)),
        |made| {
            made.value.call_once(|| unreachable!("it is done"));
            Ok(1)
        },
        MadeThere::tell,
    )
    .stays()
    .at_once()
);
