//! One greenlet for each item, or a pool of so many at a time?
//!
//! Greenlets are cheap, what they use may not be: here a service that answers within a millisecond as long as no more
//! than 50 ask at once, and refuses the rest. One greenlet for each of 1000 items asks for all at once; a pool
//! of 50 keeps to what the other side can take, and is as fast as it can be.
//!
//! Run: `cargo run --example pool_or_each`
//!
//! Expected output, with a number for each `<n>`:
//! ```text
//! one greenlet each: 1000 asked at once, 50 answered, 950 refused, in <n> ms
//! a pool of 50:      50 asked at once, 1000 answered, 0 refused, in <n> ms
//! ```

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenlet::group::{Group, Pool};
use greenlet::sleep;

const ITEMS: u32 = 1000;
const LIMIT: u32 = 50;

/// A service that can do so much at a time.
#[derive(Default)]
struct Service {
    busy: Cell<u32>,
    most: Cell<u32>,
}

impl Service {
    fn ask(&self) -> Result<(), &'static str> {
        self.busy.set(self.busy.get() + 1);
        self.most.set(self.most.get().max(self.busy.get()));
        let overloaded = self.busy.get() > LIMIT;
        sleep(Duration::from_millis(1));
        self.busy.set(self.busy.get() - 1);
        if overloaded {
            Err("too many at once")
        } else {
            Ok(())
        }
    }
}

fn main() {
    show("one greenlet each:", &Group::new());
    show("a pool of 50:     ", &Pool::new(LIMIT as usize));
}

fn show(how: &str, group: &Group) {
    let service = Rc::new(Service::default());
    let begin = Instant::now();
    let asked = Rc::clone(&service);
    let answers = group.map(0..ITEMS, move |_| asked.ask());
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    println!(
        "{how} {} asked at once, {answered} answered, {} refused, in {:.1} ms",
        service.most.get(),
        answers.len() - answered,
        begin.elapsed().as_secs_f64() * 1000.0
    );
}
