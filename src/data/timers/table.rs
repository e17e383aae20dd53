//! What is known of a timer by its id: the payload, whose turn it is to have the id, and where the entry lies.
//!
//! All three lie side by side. Whoever moves an entry writes down its new place here, and so fetches what is
//! read when it goes off soon after.
//!
//! A key carries a generation, so a stale one never hits the timer that has its id now. An id whose
//! generations are used up is not used again: one slot lost for each 4 billion timers.

use std::num::NonZeroU32;

use super::{FAR, IN_RUN};
use crate::sys::context::Context;
use crate::sys::memory;

/// There are no more ids than that, so that a place in the heap or the run fits into 30 bits.
const MOST: u32 = 1 << 30;
const _: () = assert!(MOST <= IN_RUN && IN_RUN < FAR);

/// The generation that no key has: its id is retired.
const LAST_GENERATION: NonZeroU32 = NonZeroU32::MAX;

/// So many ids are given out before the one whose slot is fetched.
const AHEAD: usize = 8;

/// Timers by their ids.
pub(super) struct Table<P> {
    slots: Vec<Slot<P>>,
    /// Free ids. Linked through the slots they would save memory, and each would have to be fetched to know the next.
    free: Vec<u32>,
    retired: usize,
}

struct Slot<P> {
    payload: P,
    generation: NonZeroU32,
    /// Where the entry lies.
    place: u32,
}

/// Names a timer until it is removed or has expired, and nothing afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerKey {
    pub(super) id: u32,
    generation: NonZeroU32,
}

impl<P: Copy> Table<P> {
    pub(super) const fn new() -> Self {
        Table {
            slots: Vec::new(),
            free: Vec::new(),
            retired: 0,
        }
    }

    /// How many timers there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.retired
    }

    /// Gives out an id.
    #[inline]
    pub(super) fn enter(&mut self, payload: P) -> TimerKey {
        let Some(id) = self.free.pop() else {
            return self.new_id(payload);
        };
        let slot = &mut self.slots[id as usize];
        slot.payload = payload;
        let generation = slot.generation;
        // Among many it is mostly cold.
        if let Some(&later) = self.free.iter().nth_back(AHEAD) {
            let slots = self.slots.as_ptr();
            Context::fetch(slots.wrapping_add(later as usize).cast());
        }
        TimerKey { id, generation }
    }

    #[cold]
    fn new_id(&mut self, payload: P) -> TimerKey {
        let id = self.slots.len() as u32;
        assert!(id < MOST, "fewer than 2^30 timers");
        let generation = NonZeroU32::MIN;
        memory::reserve(&mut self.slots, 1);
        self.slots.push(Slot {
            payload,
            generation,
            place: 0,
        });
        // No timer that goes needs memory.
        memory::reserve(&mut self.free, self.slots.len());
        TimerKey { id, generation }
    }

    /// Takes an id back if this timer is still there, and says where its entry lies.
    #[inline]
    pub(super) fn leave(&mut self, key: TimerKey) -> Option<u32> {
        let slot = self.slots.get_mut(key.id as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let place = slot.place;
        self.give_back(key.id);
        Some(place)
    }

    /// Takes an id back whose entry has been taken out.
    #[inline]
    pub(super) fn give_back(&mut self, id: u32) -> P {
        let slot = &mut self.slots[id as usize];
        slot.generation = slot.generation.saturating_add(1);
        if slot.generation != LAST_GENERATION {
            self.free.push(id);
        } else {
            self.retired += 1;
        }
        slot.payload
    }

    /// The key of a timer that is there.
    pub(super) fn key(&self, id: u32) -> TimerKey {
        let generation = self.slots[id as usize].generation;
        TimerKey { id, generation }
    }

    #[inline]
    pub(super) fn payload(&self, id: u32) -> &P {
        &self.slots[id as usize].payload
    }

    #[inline]
    pub(super) fn set_place(&mut self, id: u32, place: u32) {
        self.slots[id as usize].place = place;
    }
}

#[cfg(test)]
impl<P: Copy> Table<P> {
    /// Panics if an id is twice among the free ones.
    pub(super) fn check(&self) {
        let free: std::collections::HashSet<_> = self.free.iter().collect();
        assert_eq!(free.len(), self.free.len());
        assert!(self.free.capacity() >= self.slots.len());
    }

    pub(super) fn place(&self, id: u32) -> u32 {
        self.slots[id as usize].place
    }

    /// How many ids there ever were.
    pub(super) fn ids(&self) -> usize {
        self.slots.len()
    }

    /// Leaves an id one generation.
    pub(super) fn wear_out(&mut self, id: u32) {
        self.slots[id as usize].generation = NonZeroU32::new(u32::MAX - 1).unwrap();
    }
}
