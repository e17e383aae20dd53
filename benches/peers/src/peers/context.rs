//! `context` (context-rs, Boost's assembly in a Rust crate): direct transfer.
//!
//! The native stack is one of the ring. Whoever hands over resumes the next context; resuming
//! uses it up, and whoever is resumed gets the context of the one before, which it puts back in
//! the ring. One hand-off is one stack switch.

use std::cell::Cell;

use anyhow::Result;
use context::stack::ProtectedFixedSizeStack;
use context::{Context, Transfer};

use super::STACK;
use crate::clock::per_handoff;

struct Seat<'a> {
    previous: &'a Cell<Option<Context>>,
    next: &'a Cell<Option<Context>>,
}

pub fn handoff(ring: usize, count: u64) -> Result<Option<f64>> {
    let stacks = (1..ring).map(|_| ProtectedFixedSizeStack::new(STACK));
    let stacks = stacks.collect::<Result<Vec<_>, _>>()?;
    let contexts: Vec<_> = (0..ring).map(|_| Cell::new(None)).collect();
    let seats: Vec<_> = (0..ring)
        .map(|me| Seat {
            previous: &contexts[(me + ring - 1) % ring],
            next: &contexts[(me + 1) % ring],
        })
        .collect();
    for me in 1..ring {
        contexts[me].set(Some(seated(&stacks[me - 1], &seats[me])));
    }
    per_handoff(ring, count, |mut v, count| {
        for _ in 0..count / ring as u64 {
            v = seats[0].pass(v);
        }
        v
    })
    .map(Some)
}

/// A context that waits in `travel` for its first number.
fn seated(stack: &ProtectedFixedSizeStack, seat: &Seat) -> Context {
    // SAFETY: `handoff` owns stacks and seats, and no context is resumed after it has returned.
    // The frames that are then left on the stacks own nothing.
    unsafe { Context::new(stack, travel).resume(seat as *const Seat as usize) }.context
}

extern "C" fn travel(t: Transfer) -> ! {
    // SAFETY: `seated` passes the address of a seat that outlives this coroutine.
    let seat = unsafe { &*(t.data as *const Seat) };
    // SAFETY: `t.context` is the native stack, which waits in `seated`.
    let mut v = seat.arrived(unsafe { t.context.resume(0) });
    loop {
        v = seat.pass(v);
    }
}

impl Seat<'_> {
    /// Hands `v + 1` to the next seat and returns the number that comes round.
    fn pass(&self, v: u64) -> u64 {
        let next = self.next.take().expect("the next seat waits");
        // SAFETY: the context is suspended, on a stack that is still there.
        self.arrived(unsafe { next.resume((v + 1) as usize) })
    }

    fn arrived(&self, t: Transfer) -> u64 {
        self.previous.set(Some(t.context));
        t.data as u64
    }
}
