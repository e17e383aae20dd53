//! A register: values with keys that die with them.
//!
//! Whoever enters a value gets a key; whoever has the key finds the value, until it is struck out. A key
//! carries a generation, so one that is dead finds nothing, whoever has its place by now (law 8). Keys travel
//! where nobody can take them back: through the poller, and through the door of a hub.

use std::cell::{Cell, RefCell};

/// Generations have 31 bits, so no key is all ones: that one is the poller's own.
const GENERATIONS: u32 = u32::MAX >> 1;

/// Values of a small type, by key.
pub(crate) struct Register<T> {
    places: RefCell<Vec<Place<T>>>,
    free: RefCell<Vec<u32>>,
    taken: Cell<usize>,
}

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Register<T> {
    fn default() -> Register<T> {
        Register {
            places: RefCell::default(),
            free: RefCell::default(),
            taken: Cell::new(0),
        }
    }
}

impl<T: Copy> Register<T> {
    /// Enters a value; returns its key.
    pub(crate) fn enter(&self, value: T) -> u64 {
        let mut places = self.places.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            places.push(Place {
                generation: 0,
                value: None,
            });
            u32::try_from(places.len() - 1).expect("fewer than 2^32 values")
        });
        let place = &mut places[index as usize];
        place.value = Some(value);
        self.taken.set(self.taken.get() + 1);
        u64::from(place.generation) << 32 | u64::from(index)
    }

    /// The value with this key, if it is not dead.
    #[inline]
    pub(crate) fn find(&self, key: u64) -> Option<T> {
        let places = self.places.borrow();
        let place = places.get(key as u32 as usize)?;
        if place.generation != (key >> 32) as u32 {
            return None;
        }
        place.value
    }

    /// Strikes out the value with this key; false if it was dead already.
    pub(crate) fn strike(&self, key: u64) -> bool {
        if self.find(key).is_none() {
            return false;
        }
        let place = &mut self.places.borrow_mut()[key as u32 as usize];
        place.value = None;
        place.generation = (place.generation + 1) & GENERATIONS;
        self.free.borrow_mut().push(key as u32);
        self.taken.set(self.taken.get() - 1);
        true
    }

    /// Strikes out everything.
    pub(crate) fn clear(&self) {
        let key = |(index, place): (usize, &Place<T>)| {
            place
                .value
                .map(|_| u64::from(place.generation) << 32 | index as u64)
        };
        let keys: Vec<u64> = self
            .places
            .borrow()
            .iter()
            .enumerate()
            .filter_map(key)
            .collect();
        keys.into_iter().for_each(|key| {
            self.strike(key);
        });
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.taken.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_key_finds_nothing_whoever_has_its_place() {
        let register = Register::default();
        let one = register.enter('a');
        assert_eq!(register.find(one), Some('a'));
        assert!(register.strike(one));
        assert!(!register.strike(one));
        let other = register.enter('b');
        assert_eq!(other as u32, one as u32, "the same place");
        assert_eq!(register.find(one), None);
        assert_eq!(register.find(other), Some('b'));
        assert_eq!(register.len(), 1);
        assert_eq!(register.find(u64::MAX), None);
    }

    #[test]
    fn clearing_kills_every_key() {
        let register = Register::default();
        let keys: Vec<u64> = (0..10).map(|n| register.enter(n)).collect();
        register.strike(keys[3]);
        register.clear();
        assert_eq!(register.len(), 0);
        assert!(keys.iter().all(|&key| register.find(key).is_none()));
        let again: Vec<u64> = (0..10).map(|n| register.enter(n)).collect();
        assert!(again.iter().all(|key| !keys.contains(key)));
    }
}
