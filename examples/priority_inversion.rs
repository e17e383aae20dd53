//! Priority inversion, shown and cured, with a scheduler of ten lines on explicit greenlets.
//!
//! Three greenlets: `low` has a lock, `high` waits for it, `medium` needs no lock and has much to do. The scheduler
//! runs the most important one that is ready, so `medium` keeps `low` from running, and with it `high`: the most
//! important one waits for the one in the middle. With inheritance, whoever has the lock is as important as whoever
//! waits for it. (The hub has no priorities, for this reason: it is first in, first out.)
//!
//! Run: `cargo run --example priority_inversion`
//!
//! Expected output:
//! ```text
//! inverted:  low locks, high waits, medium works for 5 turns, low unlocks, high is done
//! inherited: low locks, high waits, low unlocks, high is done, medium works for 5 turns
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use greenlet::{Greenlet, current};

/// A greenlet: how important it is, and whether it waits for the lock.
struct Job {
    importance: Cell<u32>,
    waits: Cell<bool>,
    greenlet: Greenlet<()>,
}

#[derive(Default)]
struct Scheduler {
    inherits: bool,
    jobs: RefCell<Vec<Rc<Job>>>,
    holder: RefCell<Option<Rc<Job>>>,
    story: RefCell<Vec<&'static str>>,
}

impl Scheduler {
    fn spawn(self: &Rc<Self>, importance: u32, body: fn(&Scheduler)) {
        let scheduler = Rc::clone(self);
        self.jobs.borrow_mut().push(Rc::new(Job {
            importance: Cell::new(importance),
            waits: Cell::new(false),
            greenlet: Greenlet::new(move |()| body(&scheduler)),
        }));
    }

    /// Runs the most important job that is ready, a turn at a time.
    fn run(&self) {
        while let Some(job) = self.next() {
            job.greenlet.switch(());
        }
    }

    fn next(&self) -> Option<Rc<Job>> {
        let jobs = self.jobs.borrow();
        let ready = jobs
            .iter()
            .filter(|job| !job.greenlet.is_dead() && !job.waits.get());
        ready.max_by_key(|job| job.importance.get()).cloned()
    }

    fn end_turn(&self) {
        current::<()>()
            .parent()
            .expect("main, which schedules")
            .switch(());
    }

    fn me(&self) -> Rc<Job> {
        let jobs = self.jobs.borrow();
        Rc::clone(
            jobs.iter()
                .find(|job| job.greenlet.is_current())
                .expect("a job"),
        )
    }

    fn lock(&self) {
        let me = self.me();
        while let Some(holder) = self.holder.borrow().clone() {
            if self.inherits {
                holder
                    .importance
                    .set(holder.importance.get().max(me.importance.get()));
            }
            me.waits.set(true);
            self.end_turn();
        }
        *self.holder.borrow_mut() = Some(me);
    }

    fn unlock(&self) {
        *self.holder.borrow_mut() = None;
        self.jobs
            .borrow()
            .iter()
            .for_each(|job| job.waits.set(false));
    }

    fn tell(&self, what: &'static str) {
        self.story.borrow_mut().push(what);
    }
}

fn low(scheduler: &Scheduler) {
    scheduler.lock();
    scheduler.tell("low locks");
    scheduler.end_turn();
    scheduler.tell("low unlocks");
    scheduler.unlock();
    scheduler.end_turn();
}

fn medium(scheduler: &Scheduler) {
    (0..5).for_each(|_| scheduler.end_turn());
    scheduler.tell("medium works for 5 turns");
}

fn high(scheduler: &Scheduler) {
    scheduler.tell("high waits");
    scheduler.lock();
    scheduler.unlock();
    scheduler.tell("high is done");
}

fn main() {
    for (name, inherits) in [("inverted: ", false), ("inherited:", true)] {
        let scheduler = Rc::new(Scheduler {
            inherits,
            ..Scheduler::default()
        });
        scheduler.spawn(1, low);
        scheduler.next().expect("low").greenlet.switch(()); // it is there first, and has the lock
        scheduler.spawn(2, medium);
        scheduler.spawn(3, high);
        scheduler.run();
        println!("{name} {}", scheduler.story.borrow().join(", "));
    }
}
