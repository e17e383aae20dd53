//! Nothing is allocated in the long run: not by a switch, nor by making, running and dropping a greenlet, nor
//! by waiting, for whatever it may be.
//!
//! A binary of its own, because it counts what the allocator does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::time::Duration;

use greenlet::os::unix::net::UnixStream;
use greenlet::{
    Coroutine, Generator, Greenlet, current, io, scope, sleep, spawn, thread, time, yield_now,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `round` makes when it has been run often enough to have filled all pools.
fn allocations(mut round: impl FnMut()) -> usize {
    (0..100).for_each(|_| round());
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| round());
    ALLOCATIONS.get() - before
}

/// The baton backend makes OS threads, the portable one boxes its coroutines.
fn only_on(backends: &[&str]) -> bool {
    backends.contains(&greenlet::BACKEND)
}

#[test]
fn canary_an_allocation_is_counted() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 100);
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

#[test]
fn spawning_and_joining_allocate_one_thing_at_most() {
    if !only_on(&["direct"]) {
        return;
    }
    // The place of what it leaves.
    let count = allocations(|| assert_eq!(spawn(|| 7_u64).join().unwrap(), 7));
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
