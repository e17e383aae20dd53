//! Our own `greenlet`.
//!
//! A hand-off is a direct switch. Every greenlet switches to the next one; the main greenlet stands outside of the ring, starts
//! the number and gets it back when it has reached the limit. One hand-off is one stack switch.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use anyhow::Result;
use greenlet::Greenlet;

use super::STACK;
use crate::clock::per_handoff;

type Ring = Rc<RefCell<Vec<Greenlet<u64>>>>;

pub fn handoff(ring: usize, count: u64) -> Result<Option<f64>> {
    let limit = Rc::new(Cell::new(0));
    let seats = Ring::default();
    for me in 0..ring {
        let seat = seat(seats.clone(), (me + 1) % ring, limit.clone());
        seats.borrow_mut().push(seat);
    }
    let first = seats.borrow()[0].clone();
    let cost = per_handoff(ring, count, |v, count| {
        limit.set(v + count);
        first.switch(v)
    });
    limit.set(0);
    for seat in seats.take() {
        seat.switch(0);
    }
    cost.map(Some)
}

/// A greenlet that passes the number on below the limit, and returns once the limit is zero.
fn seat(seats: Ring, next: usize, limit: Rc<Cell<u64>>) -> Greenlet<u64> {
    let main = greenlet::current::<u64>();
    let run = move |mut v: u64| {
        let next = seats.borrow()[next].clone();
        loop {
            while v < limit.get() {
                v = next.switch(v + 1);
            }
            if limit.get() == 0 {
                return v;
            }
            v = main.switch(v);
        }
    };
    Greenlet::builder().stack_size(STACK).build(run)
}
