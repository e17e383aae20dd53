//! The programs that are measured: rings of greenlets, and the yardstick.
//!
//! One hand-off is one greenlet of the ring switching to the next one, with a `u64` that it counts up. The
//! yardstick is the same ring through corosensei's own resume and suspend: a loop on the native stack that
//! resumes whoever the last one named, on its `DefaultStack`s of 64 KiB.

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use greenlet::{Greenlet, current};

const STACK: usize = 64 * 1024;
const FAR: u64 = 1 << 40;

/// Greenlets that pass a number around until it reaches `FAR`.
pub(crate) struct Ring(Vec<Greenlet<u64>>);

impl Ring {
    pub(crate) fn new(size: usize) -> Ring {
        let main = current::<u64>();
        let declare = || {
            Greenlet::builder()
                .stack_size(STACK)
                .try_declare()
                .expect("a good size")
        };
        let all: Vec<Greenlet<u64>> = (0..size).map(|_| declare()).collect();
        for (me, greenlet) in all.iter().enumerate() {
            let (next, main) = (all[(me + 1) % size].clone(), main.clone());
            greenlet.define(move |mut v| {
                loop {
                    while v < FAR {
                        v = next.switch(v + 1);
                    }
                    v = main.switch(v);
                }
            });
        }
        let ring = Ring(all);
        ring.run(3 * size as u64);
        ring
    }

    /// So many hand-offs.
    pub(crate) fn run(&self, count: u64) -> u64 {
        self.0[0].switch(FAR - count)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        for greenlet in &self.0 {
            greenlet.kill();
        }
    }
}

type Member = Coroutine<u64, (usize, u64), ()>;

/// The same ring through a dispatch loop.
pub(crate) struct Yardstick {
    members: Vec<Member>,
    at: usize,
}

impl Yardstick {
    pub(crate) fn new(size: usize) -> Yardstick {
        let member = |me: usize| {
            let body = move |y: &Yielder<u64, (usize, u64)>, mut v: u64| {
                let next = (me + 1) % size;
                loop {
                    v = y.suspend((next, v + 1));
                }
            };
            Coroutine::with_stack(DefaultStack::new(STACK).expect("memory"), body)
        };
        let members = (0..size).map(member).collect();
        let mut ring = Yardstick { members, at: 0 };
        ring.run(3 * size as u64);
        ring
    }

    /// So many hand-offs.
    pub(crate) fn run(&mut self, count: u64) -> u64 {
        let mut v = 0;
        for _ in 0..count {
            match self.members[self.at].resume(v) {
                CoroutineResult::Yield((next, counted)) => (self.at, v) = (next, counted),
                CoroutineResult::Return(()) => unreachable!("they loop for ever"),
            }
        }
        v
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        for member in &mut self.members {
            // SAFETY: its stack holds numbers only.
            unsafe { member.force_reset() };
        }
    }
}
