//! The yardstick: `corosensei` through a dispatch loop.
//!
//! A coroutine suspends with the number of the next one; the loop on the native stack resumes
//! that one. One hand-off is two stack switches: coroutine to loop, loop to coroutine.

use std::io;

use anyhow::Result;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};

use super::STACK;
use crate::clock::per_handoff;

type Seat = Coroutine<u64, (usize, u64), ()>;

pub fn handoff(ring: usize, count: u64) -> Result<Option<f64>> {
    let seats = (0..ring).map(|me| seat((me + 1) % ring));
    let mut seats = seats.collect::<io::Result<Vec<Seat>>>()?;
    let mut turn = 0;
    per_handoff(ring, count, |mut v, count| {
        for _ in 0..count {
            match seats[turn].resume(v) {
                CoroutineResult::Yield((next, sum)) => (turn, v) = (next, sum),
                CoroutineResult::Return(()) => unreachable!("a seat never returns"),
            }
        }
        v
    })
    .map(Some)
}

fn seat(next: usize) -> io::Result<Seat> {
    let stack = DefaultStack::new(STACK)?;
    Ok(Coroutine::with_stack(stack, move |y, mut v| {
        loop {
            v = y.suspend((next, v + 1));
        }
    }))
}
