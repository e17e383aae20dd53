//! `corosensei` at its cheapest: one coroutine and the native stack, to and fro.
//!
//! The native stack is one of the two and adds to the number as well, so a `resume` is one
//! hand-off and a `suspend` is the other. One hand-off is one stack switch. There is only a ring
//! of two.

use anyhow::Result;
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};

use super::STACK;
use crate::clock::per_handoff;

pub fn handoff(ring: usize, count: u64) -> Result<Option<f64>> {
    if ring != 2 {
        return Ok(None);
    }
    let mut other: Coroutine<u64, u64, ()> =
        Coroutine::with_stack(DefaultStack::new(STACK)?, |y, mut v| {
            loop {
                v = y.suspend(v + 1);
            }
        });
    per_handoff(ring, count, |mut v, count| {
        for _ in 0..count / 2 {
            match other.resume(v + 1) {
                CoroutineResult::Yield(sum) => v = sum,
                CoroutineResult::Return(()) => unreachable!("the other one never returns"),
            }
        }
        v
    })
    .map(Some)
}
