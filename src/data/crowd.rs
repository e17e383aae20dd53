//! A crowd: numbers, each in a place of its own, to be read at any time, also in the middle of a change by a signal
//! handler of the same thread.
//!
//! ```text
//!   places ──▶ │ 17 │ vacant, next 3 │ 23 │ vacant, no next │      free: 1
//! ```
//!
//! To come and to go are a few instructions each. It doubles when it is full, and never shrinks.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, compiler_fence};

/// A place where nobody is has this bit, and the number of the next such place.
const VACANT: u64 = 1 << 63;
const NO_PLACE: u32 = u32::MAX;
/// How many places the first ones are.
const FIRST: usize = 4;

/// Numbers below 2⁶³, and not 0.
#[derive(Debug)]
#[repr(C)] // a debugger reads it
pub(crate) struct Crowd {
    places: AtomicPtr<AtomicU64>,
    size: AtomicUsize,
    free: Cell<u32>,
}

impl Crowd {
    pub(crate) const fn new() -> Crowd {
        Crowd {
            places: AtomicPtr::new(ptr::null_mut()),
            size: AtomicUsize::new(0),
            free: Cell::new(NO_PLACE),
        }
    }

    fn places(&self) -> &[AtomicU64] {
        let size = self.size.load(Relaxed);
        let first = NonNull::new(self.places.load(Relaxed)).unwrap_or(NonNull::dangling());
        // SAFETY: `grow` sets the size after it has put as many places or more there, and nobody takes those away while they
        // can be seen: only its own thread changes a crowd, and what is returned is not kept meanwhile.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), size) }
    }

    /// One comes, and is told its place.
    #[inline]
    pub(crate) fn enter(&self, number: u64) -> u32 {
        debug_assert!(number != 0 && number & VACANT == 0);
        if self.free.get() == NO_PLACE {
            self.grow();
        }
        let place = self.free.get();
        let here = &self.places()[place as usize];
        self.free.set(here.load(Relaxed) as u32);
        here.store(number, Relaxed);
        place
    }

    /// The one at this place goes.
    #[inline]
    pub(crate) fn leave(&self, place: u32) {
        let vacant = VACANT | u64::from(self.free.get());
        self.places()[place as usize].store(vacant, Relaxed);
        self.free.set(place);
    }

    /// Who is there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let numbers = self.places().iter().map(|place| place.load(Relaxed));
        numbers.filter(|number| number & VACANT == 0)
    }

    #[cold]
    fn grow(&self) {
        let before = self.places();
        let size = (2 * before.len()).max(FIRST);
        assert!(size < NO_PLACE as usize, "a crowd of too many");
        let old = before.iter().map(|place| place.load(Relaxed));
        let after = |place: usize| {
            if place + 1 < size {
                place as u32 + 1
            } else {
                NO_PLACE
            }
        };
        let new = (before.len()..size).map(|place| VACANT | u64::from(after(place)));
        let places: Box<[AtomicU64]> = old.chain(new).map(AtomicU64::new).collect();
        self.free.set(before.len() as u32);
        // Whoever interrupts this sees the old places, or the new ones with one size or the other.
        let had = self.places.swap(Box::into_raw(places).cast(), Relaxed);
        compiler_fence(SeqCst);
        let had_size = self.size.swap(size, Relaxed);
        compiler_fence(SeqCst);
        // SAFETY: nothing refers to them any more.
        unsafe { discard(had, had_size) };
    }
}

/// # Safety
/// `grow` has made them, and nobody uses them any more.
unsafe fn discard(places: *mut AtomicU64, size: usize) {
    if !places.is_null() {
        // SAFETY: they came from a box of that size.
        drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(places, size)) });
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // SAFETY: it goes.
        unsafe { discard(*self.places.get_mut(), *self.size.get_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Crowd;

    #[test]
    fn those_who_came_and_did_not_go_are_there() {
        let crowd = Crowd::new();
        assert_eq!(crowd.iter().count(), 0);
        let mut there = vec![];
        for number in 1..=100 {
            there.push((number, crowd.enter(number)));
            if number % 3 == 0 {
                let (_, place) = there.swap_remove((number as usize * 7) % there.len());
                crowd.leave(place);
            }
            let numbers: BTreeSet<u64> = crowd.iter().collect();
            assert_eq!(numbers, there.iter().map(|it| it.0).collect());
            assert_eq!(numbers.len(), there.len());
        }
    }

    #[test]
    fn it_is_no_larger_than_the_most_that_were_there() {
        let crowd = Crowd::new();
        for number in 1..=1000 {
            let places = [crowd.enter(number), crowd.enter(number + 1)];
            assert!(places.iter().all(|&place| place < 4));
            places.into_iter().for_each(|place| crowd.leave(place));
        }
    }
}
