//! Nothing is allocated in the long run: not by a switch, nor by making, running and dropping a greenlet, nor
//! by waiting, for whatever it may be.
//!
//! A binary of its own, because it counts what the allocator does.

mod counting;

use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

use counting::counted;
use greenlet::os::unix::net::UnixStream;
use greenlet::sync::{Condvar, Event, Mutex, RwLock, Semaphore, channel, select};
use greenlet::{
    Coroutine, Generator, Greenlet, current, io, scope, sleep, spawn, thread, time, yield_now,
};

/// How many allocations `round` makes when it has been run often enough to have filled all pools.
fn allocations(mut round: impl FnMut()) -> usize {
    (0..100).for_each(|_| round());
    counted(|| (0..100).for_each(|_| round()))
}

/// The baton backend makes OS threads, the portable one boxes its coroutines.
fn only_on(backends: &[&str]) -> bool {
    backends.contains(&greenlet::BACKEND)
}

#[test]
fn a_switch_allocates_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let main = current::<[u64; 8]>();
    let g = Greenlet::new(move |mut value| {
        loop {
            value = main.switch(value);
        }
    });
    assert_eq!(allocations(|| assert_eq!(g.switch([7; 8]), [7; 8])), 0);
}

#[test]
fn a_life_allocates_nothing() {
    if !only_on(&["direct"]) {
        return;
    }
    assert_eq!(
        allocations(|| assert_eq!(Greenlet::new(|x: u32| x + 1).switch(1), 2)),
        0
    );
}

#[test]
fn a_life_that_ends_by_a_drop_allocates_the_exit_at_most() {
    if !only_on(&["direct"]) {
        return;
    }
    let main = current::<u32>();
    let count = allocations(|| {
        let main = main.clone();
        let g = Greenlet::new(move |x| main.switch(x));
        g.switch(1);
    });
    // The exception object of the unwinder.
    assert!(count <= 200, "{count}");
}

#[test]
fn many_at_once_allocate_nothing_the_second_time() {
    if !only_on(&["direct"]) {
        return;
    }
    let mut all = Vec::with_capacity(500);
    let count = allocations(|| {
        all.extend((0..500).map(|_| Greenlet::new(|x: u32| x)));
        all.iter().for_each(|g| {
            g.switch(1);
        });
        all.clear();
    });
    assert_eq!(count, 0);
}

#[test]
fn items_of_a_generator_and_answers_of_a_coroutine_allocate_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let mut items = Generator::new(|y| y.yield_from(0_u64..));
    assert_eq!(allocations(|| assert!(items.next().is_some())), 0);
    let mut echo = Coroutine::new(|y, mut x: u64| {
        loop {
            x = y.yield_(x);
        }
    });
    assert_eq!(allocations(|| assert_eq!(echo.send(4), 4)), 0);
}

#[test]
fn sleeping_and_giving_way_allocate_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    // One that is far away has been there.
    sleep(Duration::from_millis(3));
    assert_eq!(allocations(|| sleep(Duration::from_nanos(1))), 0);
    let others = [0, 1, 2].map(|_| {
        spawn(|| {
            loop {
                yield_now();
            }
        })
    });
    assert_eq!(allocations(yield_now), 0);
    let sleeper = spawn(|| {
        loop {
            sleep(Duration::from_micros(10));
        }
    });
    assert_eq!(allocations(|| sleep(Duration::from_micros(20))), 0);
    sleeper.kill();
    for other in others {
        other.kill();
    }
}

#[test]
fn a_limit_that_is_kept_allocates_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let kept = || time::timeout(Duration::from_secs(5), || sleep(Duration::from_nanos(1)));
    assert_eq!(allocations(|| kept().unwrap()), 0);
}

#[test]
fn parking_and_waking_allocate_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let main = thread::current();
    let other = spawn(move || {
        loop {
            thread::park();
            main.unpark();
        }
    });
    let wake = other.thread();
    let count = allocations(|| {
        wake.unpark();
        thread::park();
    });
    assert_eq!(count, 0);
    other.kill();
}

/// A byte there and back, and both sides wait for it.
fn echoes(mut near: impl Read + Write, mut far: impl Read + Write + 'static) {
    let echo = spawn(move || {
        let mut byte = [0];
        while far.read(&mut byte).unwrap() > 0 {
            far.write_all(&byte).unwrap();
        }
    });
    let count = allocations(|| {
        near.write_all(&[7]).unwrap();
        near.read_exact(&mut [0]).unwrap();
    });
    assert_eq!(count, 0);
    echo.kill();
}

#[test]
fn sockets_allocate_nothing_once_they_are_registered() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let (near, far) = UnixStream::pair().unwrap();
    echoes(near, far);
    let listener = greenlet::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = greenlet::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    echoes(near, far);
}

#[test]
fn pipes_allocate_nothing_once_they_are_registered() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let (mut reader, mut writer) = io::pipe().unwrap();
    let (mut answers, mut answer) = io::pipe().unwrap();
    let echo = spawn(move || {
        let mut byte = [0];
        while reader.read(&mut byte).unwrap() > 0 {
            answer.write_all(&byte).unwrap();
        }
    });
    let count = allocations(|| {
        writer.write_all(&[7]).unwrap();
        answers.read_exact(&mut [0]).unwrap();
    });
    assert_eq!(count, 0);
    echo.kill();
}

/// Somebody who does this for ever, while `round` is counted.
fn against(does: impl FnMut() + 'static, round: impl FnMut()) {
    let mut does = does;
    let other = spawn(move || {
        loop {
            does();
        }
    });
    assert_eq!(allocations(round), 0);
    other.kill();
}

#[test]
fn channels_allocate_nothing_once_they_have_room() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    for room in [0, 1, 8, usize::MAX] {
        let (ping, pings) = channel::bounded(room);
        let (pong, pongs) = channel::bounded(room);
        let mut n = 0_u64;
        against(
            move || pong.send(pings.recv().unwrap()).unwrap(),
            || {
                n += 1;
                ping.send(n).unwrap();
                assert_eq!(pongs.recv(), Ok(n));
            },
        );
    }
    let (sender, receiver) = channel::bounded(0);
    assert_eq!(
        allocations(|| {
            assert!(receiver.recv_timeout(Duration::from_nanos(1)).is_err());
            assert!(sender.send_timeout(1, Duration::from_nanos(1)).is_err());
        }),
        0
    );
}

#[test]
fn a_mutex_and_a_lock_that_are_waited_for_allocate_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let locks = Rc::new((Mutex::new(0), RwLock::new(0)));
    let theirs = locks.clone();
    let work = |locks: &(Mutex<u32>, RwLock<u32>)| {
        let mut value = locks.0.lock().unwrap();
        yield_now();
        *value += 1;
        drop(value);
        let read = locks.1.read().unwrap();
        yield_now();
        drop(read);
        *locks.1.write().unwrap() += 1;
    };
    against(move || work(&theirs), || work(&locks));
}

#[test]
fn a_condition_allocates_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let turn = Rc::new((Mutex::new(false), Condvar::new()));
    let theirs = turn.clone();
    let take = |(mutex, condvar): &(Mutex<bool>, Condvar), mine: bool| {
        let turn = mutex.lock().unwrap();
        let mut turn = condvar.wait_while(turn, |turn| *turn != mine).unwrap();
        *turn = !mine;
        condvar.notify_one();
    };
    against(move || take(&theirs, true), || take(&turn, false));
}

#[test]
fn a_select_that_parks_allocates_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let (ask, asked) = channel::bounded(0);
    let (answer, answers) = channel::bounded::<u32>(0);
    let (_never, nothing) = channel::bounded::<u32>(0);
    against(
        move || answer.send(asked.recv().unwrap()).unwrap(),
        || {
            let mut message = Some(7);
            assert!(
                select()
                    .send(&ask, &mut message, |sent| sent.is_ok())
                    .recv(&nothing, |_| false)
                    .wait()
            );
            let got = select()
                .recv(&nothing, |got| got.ok())
                .recv(&answers, |got| got.ok())
                .after(Duration::from_secs(5), || None)
                .wait();
            assert_eq!(got, Some(7));
        },
    );
}

#[test]
fn permits_and_events_allocate_nothing() {
    if !only_on(&["direct", "corosensei"]) {
        return;
    }
    let seats = Rc::new(Semaphore::new(1));
    let theirs = seats.clone();
    let work = |seats: &Semaphore| {
        let _seat = seats.acquire();
        yield_now();
    };
    against(move || work(&theirs), || work(&seats));
    let events = Rc::new((Event::new(), Event::new()));
    let theirs = events.clone();
    against(
        move || {
            theirs.0.wait();
            theirs.0.clear();
            theirs.1.set();
        },
        || {
            events.0.set();
            events.1.wait();
            events.1.clear();
        },
    );
}

#[test]
fn spawning_and_joining_allocate_nothing() {
    if !only_on(&["direct"]) {
        return;
    }
    let count = allocations(|| assert_eq!(spawn(|| 7_u64).join().unwrap(), 7));
    assert_eq!(count, 0, "in 100 rounds");
}

#[test]
fn what_a_greenlet_leaves_is_boxed_if_it_is_large() {
    if !only_on(&["direct"]) {
        return;
    }
    let count = allocations(|| assert_eq!(spawn(|| [7_u64; 100]).join().unwrap(), [7; 100]));
    assert!(count <= 100, "{count} in 100 rounds");
}

#[test]
fn a_scope_allocates_a_few_things() {
    if !only_on(&["direct"]) {
        return;
    }
    let count = allocations(|| {
        let mut sum = 0;
        scope(|s| {
            s.spawn(|| sum += 1);
        });
        assert_eq!(sum, 1);
    });
    assert!(count <= 500, "{count} in 100 rounds");
}
