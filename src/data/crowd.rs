//! A crowd: numbers, each in a place of its own, to be read at any time, also in the middle of a change by a signal
//! handler of the same thread.
//!
//! ```text
//!   few     │ 17 │ vacant, next 1 │                                 as long as two are enough
//!   many ──▶│ size │ 17 │ vacant, next 3 │ 23 │ vacant, no next │    free: 1
//! ```
//!
//! To come and to go are a few instructions each. It grows when it is full; one that was large is small again when all
//! have gone.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicPtr, AtomicU64, compiler_fence};

/// A place where nobody is has this bit, and the number of the next such place.
const VACANT: u64 = 1 << 63;
const NO_PLACE: u32 = u32::MAX;
/// So many are kept without memory of their own.
const FEW: usize = 2;
/// More than that are given back when nobody is there.
const MANY: usize = 64;

/// Numbers below 2⁶³.
#[derive(Debug)]
#[repr(C)] // a debugger reads it
pub(crate) struct Crowd {
    few: [AtomicU64; FEW],
    /// If not null, that is where they are: how many places there are, and the places.
    many: AtomicPtr<AtomicU64>,
    free: Cell<u32>,
    here: Cell<u32>,
}

impl Crowd {
    pub(crate) const fn new() -> Crowd {
        Crowd {
            few: [
                AtomicU64::new(VACANT | 1),
                AtomicU64::new(VACANT | NO_PLACE as u64),
            ],
            many: AtomicPtr::new(ptr::null_mut()),
            free: Cell::new(0),
            here: Cell::new(0),
        }
    }

    #[inline]
    fn places(&self) -> &[AtomicU64] {
        let Some(many) = NonNull::new(self.many.load(Relaxed)) else {
            return &self.few;
        };
        // SAFETY: `grow` and `shrink` put there what is whole, and take away what nobody sees any more: only its own thread
        // changes a crowd, and what is returned is not kept meanwhile.
        unsafe {
            let size = many.as_ref().load(Relaxed) as usize;
            std::slice::from_raw_parts(many.as_ptr().add(1), size)
        }
    }

    /// How many are there.
    pub(crate) fn len(&self) -> usize {
        self.here.get() as usize
    }

    /// One comes, and is told its place.
    #[inline]
    pub(crate) fn enter(&self, number: u64) -> u32 {
        debug_assert!(number & VACANT == 0);
        if self.free.get() == NO_PLACE {
            self.grow();
        }
        let place = self.free.get();
        let here = &self.places()[place as usize];
        self.free.set(here.load(Relaxed) as u32);
        here.store(number, Relaxed);
        self.here.set(self.here.get() + 1);
        place
    }

    /// The one at this place goes.
    #[inline]
    pub(crate) fn leave(&self, place: u32) {
        let vacant = VACANT | u64::from(self.free.get());
        self.places()[place as usize].store(vacant, Relaxed);
        self.free.set(place);
        self.here.set(self.here.get() - 1);
        if self.here.get() == 0 && self.places().len() > MANY {
            self.shrink();
        }
    }

    /// Who is there.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let numbers = self.places().iter().map(|place| place.load(Relaxed));
        let there = numbers.filter(|number| number & VACANT == 0);
        there.take(self.len())
    }

    #[cold]
    fn grow(&self) {
        let before = self.places();
        let (had, size) = (before.len(), 4 * before.len());
        assert!(size < NO_PLACE as usize, "a crowd of too many");
        let next = |place: usize| match place + 1 {
            next if next < size => next as u32,
            _ => NO_PLACE,
        };
        let old = before.iter().map(|place| place.load(Relaxed));
        let new = (had..size).map(|place| VACANT | u64::from(next(place)));
        let places = [size as u64].into_iter().chain(old).chain(new);
        let places: Box<[AtomicU64]> = places.map(AtomicU64::new).collect();
        self.replace(Box::into_raw(places).cast());
        self.free.set(had as u32);
    }

    #[cold]
    fn shrink(&self) {
        self.few[0].store(VACANT | 1, Relaxed);
        self.few[1].store(VACANT | u64::from(NO_PLACE), Relaxed);
        self.replace(ptr::null_mut());
        self.free.set(0);
    }

    /// Whoever interrupts this sees all places as they were, or as they are.
    fn replace(&self, many: *mut AtomicU64) {
        compiler_fence(SeqCst);
        let had = self.many.swap(many, Relaxed);
        compiler_fence(SeqCst);
        if let Some(had) = NonNull::new(had) {
            // SAFETY: `grow` has made it from a box, with so many places and their number; nobody refers to it any more.
            unsafe {
                let size = had.as_ref().load(Relaxed) as usize;
                let whole = ptr::slice_from_raw_parts_mut(had.as_ptr(), size + 1);
                drop(Box::from_raw(whole));
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.replace(ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Crowd;

    #[test]
    fn those_who_came_and_did_not_go_are_there() {
        let crowd = Crowd::new();
        assert_eq!(crowd.len(), 0);
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
        there.into_iter().for_each(|(_, place)| crowd.leave(place));
        assert_eq!((crowd.len(), crowd.iter().next()), (0, None));
    }

    #[test]
    fn it_is_as_large_as_it_has_to_be() {
        let crowd = Crowd::new();
        for count in [1, 2, 3, 100, 2, 1] {
            let places: Vec<u32> = (0..count).map(|number| crowd.enter(number)).collect();
            let size = crowd.places().len() as u64;
            assert!(places.iter().all(|&place| u64::from(place) < size));
            assert!(size >= count && size <= 4 * count.max(2));
            places.into_iter().for_each(|place| crowd.leave(place));
            assert!(crowd.places().len() <= 64);
        }
    }
}
