//! `generator` (generator-rs) through the yardstick's dispatch loop.
//!
//! A generator yields the number of the next one; the loop on the native stack sends the value
//! to that one. One hand-off is two stack switches.

use anyhow::Result;
use generator::{Generator, Gn};

use super::STACK;
use crate::clock::per_handoff;

type Seat = Generator<'static, u64, (usize, u64)>;

pub fn handoff(ring: usize, count: u64) -> Result<Option<f64>> {
    let mut seats: Vec<Seat> = (0..ring).map(|me| seat((me + 1) % ring)).collect();
    let mut turn = 0;
    per_handoff(ring, count, |mut v, count| {
        for _ in 0..count {
            (turn, v) = seats[turn].send(v);
        }
        v
    })
    .map(Some)
}

fn seat(next: usize) -> Seat {
    let words = STACK / size_of::<usize>();
    Gn::new_scoped_opt(words, move |mut s| {
        let mut v: u64 = s.get_yield().expect("the loop sends a number");
        loop {
            v = s
                .yield_((next, v + 1))
                .expect("the loop sends a number every time");
        }
    })
}
