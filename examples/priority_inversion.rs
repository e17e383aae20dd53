//! Priority inversion, shown and cured, with a scheduler of ten lines on explicit greenlets.
//!
//! `low` has a lock, `high` waits for it, `medium` has much to do. The most important one that is ready runs, so
//! `medium` keeps `low` from running, and with it `high`. With inheritance, whoever has the lock is as important as
//! whoever waits for it. (The hub has no priorities, for this reason: it is first in, first out.)
//!
//! Run: `cargo run --example priority_inversion`. How long it took goes to standard error.
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
    holder: Cell<Option<Rc<Job>>>,
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

    /// The most important job that is ready.
    fn next(&self) -> Option<Rc<Job>> {
        let mut jobs = self.jobs.borrow_mut();
        jobs.retain(|job| !job.greenlet.is_dead());
        let ready = jobs.iter().filter(|job| !job.waits.get());
        ready.max_by_key(|job| job.importance.get()).cloned()
    }

    fn end_turn(&self) {
        current::<()>().parent().expect("main").switch(())
    }

    fn lock(&self) {
        let jobs = self.jobs.borrow().clone();
        let me = jobs.iter().find(|job| job.greenlet.is_current());
        let me = me.expect("a job");
        while let Some(holder) = self.holder.take() {
            if self.inherits {
                let most = holder.importance.get().max(me.importance.get());
                holder.importance.set(most);
            }
            self.holder.set(Some(holder));
            me.waits.set(true);
            self.end_turn();
        }
        self.holder.set(Some(me.clone()));
    }

    fn unlock(&self) {
        self.holder.set(None);
        self.jobs
            .borrow()
            .iter()
            .for_each(|job| job.waits.set(false));
    }
}

fn low(scheduler: &Scheduler) {
    scheduler.lock();
    scheduler.story.borrow_mut().push("low locks");
    scheduler.end_turn();
    scheduler.story.borrow_mut().push("low unlocks");
    scheduler.unlock();
    scheduler.end_turn();
}

fn medium(scheduler: &Scheduler) {
    (0..5).for_each(|_| scheduler.end_turn());
    scheduler
        .story
        .borrow_mut()
        .push("medium works for 5 turns");
}

fn high(scheduler: &Scheduler) {
    scheduler.story.borrow_mut().push("high waits");
    scheduler.lock();
    scheduler.story.borrow_mut().push("high is done");
}

fn main() {
    let begin = std::time::Instant::now();
    for (name, inherits) in [("inverted: ", false), ("inherited:", true)] {
        let scheduler = Rc::new(Scheduler {
            inherits,
            ..Scheduler::default()
        });
        scheduler.spawn(1, low);
        scheduler.next().expect("low").greenlet.switch(()); // it is there first, and has the lock
        scheduler.spawn(2, medium);
        scheduler.spawn(3, high);
        std::iter::from_fn(|| scheduler.next()).for_each(|job| job.greenlet.switch(()));
        println!("{name} {}", scheduler.story.borrow().join(", "));
    }
    eprintln!("{:.2?}", begin.elapsed());
}
