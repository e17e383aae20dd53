//! Scenarios in which somebody waits for one of several greenlets, or for all of several, while others wait for what may
//! come. Who holds the lock is named "holder"; the others are "first" and "second".

use std::cell::Cell;
use std::rc::Rc;

use greenlet::group::{Group, Pool, wait_any};
use greenlet::sync::{Mutex, RwLock, channel, select};
use greenlet::{JoinHandle, scope, sleep, time, yield_now};

use crate::circle::{Patient, REST};
use crate::hub::thread_named;

/// Runs a scenario of this module, if it has that name.
pub(crate) fn run(scenario: &str) -> bool {
    if !scenario.starts_with("knot_") {
        return false;
    }
    let patient = Patient::new();
    match scenario {
        "knot_of_joins" => of_two(select_both),
        "knot_of_any" => of_two(|handles| drop(wait_any(handles))),
        "knot_untied" => untied(),
        "knot_with_a_channel" => with_a_channel(),
        "knot_of_a_group" => of_a_group(),
        "knot_of_a_busy_group" => of_a_busy_group(),
        "knot_of_a_pool" => of_a_pool(),
        "knot_behind_two_writers" => behind_two_writers(),
        "knot_of_a_scope" => of_a_scope(),
        "knot_of_readers" => of_readers(),
        "knot_of_reading_twice" => of_reading_twice(),
        "knot_of_oneself" => of_oneself(),
        _ => return false,
    }
    patient.end();
    true
}

fn select_both([first, second]: &[JoinHandle<()>; 2]) {
    let select = select().on(first, |()| ()).on(second, |()| ());
    select.wait();
}

/// Two that want a lock.
fn two_who_lock(mutex: &Rc<Mutex<()>>) -> [JoinHandle<()>; 2] {
    ["first", "second"].map(|name| {
        let mutex = mutex.clone();
        thread_named(name, move || drop(mutex.lock()))
    })
}

/// Who holds the lock waits for one of two who want it.
fn of_two(wait: impl Fn(&[JoinHandle<()>; 2]) + 'static) {
    let mutex = Rc::new(Mutex::new(()));
    let holder = thread_named("holder", move || {
        let _locked = mutex.lock();
        let both = two_who_lock(&mutex);
        wait(&both);
    });
    sleep(2 * REST);
    holder.kill();
}

/// The same, but one of the two wants nothing.
fn untied() {
    let mutex = Rc::new(Mutex::new(()));
    let holder = thread_named("holder", move || {
        let locked = mutex.lock();
        let [first, _second] = two_who_lock(&mutex);
        let sleeper = thread_named("sleeper", || sleep(2 * REST));
        select_both(&[first, sleeper]);
        drop(locked);
    });
    holder.join().unwrap();
}

/// The same with somebody who may send.
fn with_a_channel() {
    let mutex = Rc::new(Mutex::new(()));
    let (sender, receiver) = channel::bounded(1);
    let holder = thread_named("holder", move || {
        let _locked = mutex.lock();
        let [first, _second] = two_who_lock(&mutex);
        let select = select().on(&first, |()| ()).on(&receiver, drop);
        select.wait();
    });
    sleep(2 * REST);
    sender.send(1).unwrap();
    holder.join().unwrap();
}

fn of_a_group() {
    let (group, mutex) = (Group::new(), Rc::new(Mutex::new(())));
    let mut others = vec![group.spawn(|| sleep(10 * REST))];
    let holder = thread_named("holder", {
        let (group, mutex) = (group.clone(), mutex.clone());
        move || {
            let _locked = mutex.lock();
            group.join_all().unwrap();
        }
    });
    yield_now();
    others.push(group.spawn(move || drop(mutex.lock())));
    sleep(2 * REST);
    holder.kill();
    assert!(others.iter().all(JoinHandle::kill));
}

/// Members come and go.
fn of_a_busy_group() {
    let (group, mutex) = (Group::new(), Rc::new(Mutex::new(())));
    let locked = mutex.clone();
    group.spawn(move || {
        yield_now();
        drop(mutex.lock());
    });
    let of_group = group.clone();
    let holder = thread_named("holder", move || {
        let _locked = locked.lock();
        of_group.join_all().unwrap();
    });
    for _ in 0..30 {
        group.spawn(|| sleep(REST / 20));
        sleep(REST / 10);
    }
    holder.kill();
}

/// A member waits for a place in its own pool.
fn of_a_pool() {
    let pool = Pool::new(2);
    let mutex = Rc::new(Mutex::new(()));
    let (of_pool, locked) = (pool.clone(), mutex.clone());
    let holder = pool.spawn(move || {
        let _locked = locked.lock();
        yield_now();
        of_pool.spawn(|| ()).join().unwrap();
    });
    yield_now();
    pool.spawn(move || drop(mutex.lock()));
    sleep(2 * REST);
    holder.kill();
    pool.join_all().unwrap();
}

/// The first in line gives up.
fn behind_two_writers() {
    let lock = Rc::new(RwLock::new(()));
    let writer = |name: &str| {
        let lock = lock.clone();
        thread_named(name, move || drop(lock.write()))
    };
    let patient = lock.clone();
    let holder = thread_named("holder", {
        let lock = lock.clone();
        move || {
            let _read = lock.read();
            (0..3).for_each(|_| yield_now());
            let again = lock.clone();
            thread_named("reads", move || drop(again.read())).wait();
        }
    });
    yield_now();
    let late = thread_named("late", move || {
        time::timeout(REST, || drop(patient.write())).unwrap_err();
    });
    yield_now();
    let second = writer("second");
    late.join().unwrap();
    sleep(2 * REST);
    holder.kill();
    second.join().unwrap();
}

fn of_a_scope() {
    let mutex = Rc::new(Mutex::new(()));
    let locked = mutex.clone();
    let holder = thread_named("holder", move || {
        let _locked = locked.lock();
        scope(|s| {
            s.spawn(|| sleep(3 * REST));
            s.spawn(|| {
                time::timeout(2 * REST, || drop(locked.lock())).unwrap_err();
            });
            s.spawn(|| drop(locked.lock()));
        });
    });
    sleep(2 * REST);
    drop((holder, mutex));
}

/// Two read; one of them waits for the one that wants to write.
fn of_readers() {
    let lock = Rc::new(RwLock::new(()));
    let other = thread_named("other", {
        let lock = lock.clone();
        move || {
            let _read = lock.read();
            sleep(10 * REST);
        }
    });
    yield_now();
    let read = lock.clone();
    let holder = thread_named("holder", move || {
        let _read = read.read();
        let write = read.clone();
        thread_named("first", move || drop(write.write())).wait();
    });
    sleep(2 * REST);
    holder.kill();
    other.kill();
}

/// Who reads wants to read again, behind somebody who wants to write.
fn of_reading_twice() {
    let lock = Rc::new(RwLock::new(()));
    let write = lock.clone();
    let holder = thread_named("holder", move || {
        let _read = lock.read();
        (0..2).for_each(|_| yield_now());
        drop(lock.read());
    });
    yield_now();
    let first = thread_named("first", move || drop(write.write()));
    sleep(2 * REST);
    holder.kill();
    first.join().unwrap();
}

fn of_oneself() {
    let place = Rc::new(Cell::new(None::<Rc<JoinHandle<()>>>));
    let own = place.clone();
    let me = Rc::new(thread_named("holder", move || {
        let me = own.take().unwrap();
        me.wait();
    }));
    place.set(Some(me.clone()));
    sleep(2 * REST);
    me.kill();
}
