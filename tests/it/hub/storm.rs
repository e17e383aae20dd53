//! Many greenlets do what comes to them: they wait, raise, unwind and wait in that, under time limits and under kills that
//! come at any moment. Whatever happens, each knows whether it unwinds, every limit ends what it surrounds, no kill gets into
//! an unwinding, and all come to an end.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread::panicking;
use std::time::Duration;

use greenlet::sync::{Mutex, mpsc};
use greenlet::time::{Elapsed, timeout};
use greenlet::{GreenletExit, scope, sleep, spawn, yield_now};

use crate::support::{OnDrop, own_stacks, raise, rounds, run, survived_in_child};

const LONG: Duration = Duration::from_secs(3600);

/// What is raised by plan.
struct Planted;

/// One of those.
struct Actor {
    luck: Cell<u64>,
    /// In the middle of how many unwindings it is.
    depth: Cell<u32>,
    lock: Rc<Mutex<u32>>,
}

impl Actor {
    fn new(seed: u64, lock: &Rc<Mutex<u32>>) -> Actor {
        Actor {
            luck: Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            depth: Cell::new(0),
            lock: lock.clone(),
        }
    }

    fn draw(&self, below: u64) -> u64 {
        let mut luck = self.luck.get();
        luck ^= luck << 13;
        luck ^= luck >> 7;
        luck ^= luck << 17;
        self.luck.set(luck);
        (luck >> 20) % below
    }

    fn some_time(&self) -> Duration {
        Duration::from_micros(self.draw(500))
    }

    fn knows_whether_it_unwinds(&self) {
        assert_eq!(panicking(), self.depth.get() > 0);
    }

    fn acts(&self, most: u64, level: u32) {
        (0..self.draw(most)).for_each(|_| self.act(level + 1));
    }

    fn act(&self, level: u32) {
        self.knows_whether_it_unwinds();
        match self.draw(if level > 7 { 4 } else { 12 }) {
            0 => yield_now(),
            1 => sleep(self.some_time()),
            2 => assert_eq!(timeout(self.some_time(), || sleep(LONG)), Err(Elapsed)),
            3 => {
                let _guard = self.lock.lock();
                sleep(self.some_time() / 20);
            }
            4 | 5 => drop(timeout(self.some_time(), || self.acts(3, level))),
            6 => {
                let never = || {
                    self.acts(3, level);
                    sleep(LONG);
                };
                assert_eq!(timeout(self.some_time(), never), Err(Elapsed));
            }
            7 | 8 => self.may_raise(|| self.unwinds(level)),
            9 => self.may_raise(|| {
                self.acts(3, level);
                raise(Planted)
            }),
            10 => scope(|scope| {
                let others = [(); 2].map(|()| Actor::new(self.draw(u64::MAX), &self.lock));
                let spawn = |other: Actor| drop(scope.spawn(move || other.acts(3, level)));
                others.into_iter().for_each(spawn);
                self.acts(3, level);
            }),
            _ => {
                let (sender, receiver) = mpsc::channel();
                drop(spawn(move || {
                    yield_now();
                    sender.send(())
                }));
                let _ = receiver.recv_timeout(self.some_time());
            }
        }
        self.knows_whether_it_unwinds();
    }

    /// Its destructor acts, mostly while this unwinds.
    fn unwinds(&self, level: u32) {
        let done = Cell::new(false);
        let _last = OnDrop(|| {
            let deeper = u32::from(!done.get());
            self.depth.set(self.depth.get() + deeper);
            self.acts(3, level);
            self.depth.set(self.depth.get() - deeper);
        });
        self.acts(3, level);
        match self.draw(4) {
            0 => {}
            1 => std::panic::panic_any(Planted),
            _ => raise(Planted),
        }
        done.set(true);
    }

    fn may_raise(&self, f: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
            return;
        };
        if !payload.is::<Planted>() {
            let kill_got_in = payload.is::<GreenletExit>() && self.depth.get() > 0;
            assert!(!kill_got_in);
            resume_unwind(payload);
        }
    }
}

fn storm(seed: u64) {
    let lock = Rc::new(Mutex::new(0));
    let all: Vec<_> = (0..20)
        .map(|n| {
            let actor = Actor::new(1000 * seed + n, &lock);
            spawn(move || (0..6).for_each(|_| actor.act(0)))
        })
        .collect();
    let kills = Actor::new(seed, &lock);
    while !all.iter().all(greenlet::JoinHandle::is_finished) {
        assert!(!panicking());
        all[kills.draw(20) as usize].start_kill();
        sleep(kills.some_time());
    }
    for handle in all {
        if let Err(payload) = handle.join() {
            assert!(payload.is::<GreenletExit>());
        }
    }
}

#[test]
fn of_unwindings() {
    if !own_stacks() || survived_in_child("hub::storm::of_unwindings") {
        return;
    }
    // No words for what is planted.
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<Planted>() {
            eprintln!("{info}");
        }
    }));
    run(|| rounds(300).for_each(|seed| storm(seed as u64)));
}

/// The same with a hook that waits as well.
#[test]
fn of_unwindings_and_hooks() {
    if !own_stacks() || survived_in_child("hub::storm::of_unwindings_and_hooks") {
        return;
    }
    std::panic::set_hook(Box::new(|info| {
        if info.payload().is::<Planted>() {
            sleep(Duration::from_micros(30));
            let _ = timeout(Duration::from_micros(30), || sleep(LONG));
        } else {
            eprintln!("{info}");
        }
    }));
    run(|| rounds(100).for_each(|seed| storm(seed as u64)));
}
