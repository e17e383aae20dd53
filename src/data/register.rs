//! A register: values with keys that die with them.
//!
//! Whoever enters a value gets a key; whoever has the key finds the value, until it is struck out. A key
//! carries a generation, so one that is dead finds nothing, whoever has its place by now (law 8). Keys travel
//! where nobody can take them back: through the poller, and through the door of a hub.

use std::cell::{Cell, Ref, RefCell};
use std::num::NonZero;

/// The key of a value: the number of its place, and the generation in the upper half.
pub(crate) type Key = NonZero<u64>;

/// Generations begin with one, so no key is zero, and have 31 bits, so none is all ones: that one is the poller's own.
const FIRST: u32 = 1;
const LAST: u32 = u32::MAX >> 1;

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

/// A look at the values, for several keys at a time. Meanwhile none is entered or struck out.
pub(crate) struct Look<'a, T>(Ref<'a, Vec<Place<T>>>);

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
    pub(crate) fn enter(&self, value: T) -> Key {
        let mut places = self.places.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            places.push(Place {
                generation: FIRST,
                value: None,
            });
            u32::try_from(places.len() - 1).expect("fewer than 2^32 values")
        });
        let place = &mut places[index as usize];
        place.value = Some(value);
        self.taken.set(self.taken.get() + 1);
        Place::<T>::key(place.generation, index.into())
    }

    /// The value with this key, if it is not dead.
    #[inline]
    pub(crate) fn find(&self, key: Key) -> Option<T> {
        self.look().find(key.get())
    }

    /// To find several.
    #[inline]
    pub(crate) fn look(&self) -> Look<'_, T> {
        Look(self.places.borrow())
    }

    /// Strikes out the value with this key; false if it was dead already.
    pub(crate) fn strike(&self, key: Key) -> bool {
        if self.find(key).is_none() {
            return false;
        }
        let index = key.get() as u32;
        self.places.borrow_mut()[index as usize].end();
        self.free.borrow_mut().push(index);
        self.taken.set(self.taken.get() - 1);
        true
    }

    /// Changes the value with this key, if it is not dead.
    pub(crate) fn change(&self, key: Key, change: impl FnOnce(&mut T)) {
        if self.find(key).is_some() {
            let place = &mut self.places.borrow_mut()[key.get() as u32 as usize];
            place.value.as_mut().map(change);
        }
    }

    /// The keys of all such values.
    pub(crate) fn keys_of(&self, is_such: impl Fn(T) -> bool) -> Vec<Key> {
        let key = |(index, place): (u64, &Place<T>)| {
            place.value.filter(|value| is_such(*value))?;
            Some(Place::<T>::key(place.generation, index))
        };
        (0..).zip(&*self.places.borrow()).filter_map(key).collect()
    }

    /// Strikes out everything, which `see` gets to see.
    pub(crate) fn clear(&self, mut see: impl FnMut(T)) {
        for (index, place) in (0..).zip(&mut *self.places.borrow_mut()) {
            if let Some(value) = place.value {
                see(value);
                place.end();
                self.free.borrow_mut().push(index);
            }
        }
        self.taken.set(0);
    }

    /// Whether there is such a value.
    pub(crate) fn any(&self, is_such: impl Fn(T) -> bool) -> bool {
        let places = self.places.borrow();
        places.iter().filter_map(|place| place.value).any(is_such)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.taken.get()
    }
}

impl<T> Place<T> {
    fn key(generation: u32, index: u64) -> Key {
        Key::new(u64::from(generation) << 32 | index).expect("generations begin with one")
    }

    fn end(&mut self) {
        self.value = None;
        self.generation = match self.generation {
            LAST => FIRST,
            generation => generation + 1,
        };
    }
}

impl<T: Copy> Look<'_, T> {
    /// The value with this key, if it is one and not dead.
    #[inline(always)]
    pub(crate) fn find(&self, key: u64) -> Option<T> {
        let place = self.0.get(key as u32 as usize)?;
        if place.generation != (key >> 32) as u32 {
            return None;
        }
        place.value
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
        let place = |key: Key| key.get() as u32;
        assert_eq!(place(other), place(one), "the same place");
        assert_eq!(register.find(one), None);
        assert_eq!(register.find(other), Some('b'));
        assert_eq!(register.len(), 1);
        assert_eq!(register.find(Key::MAX), None);
        assert_eq!(register.look().find(0), None);
    }

    #[test]
    fn clearing_kills_every_key() {
        let register = Register::default();
        let keys: Vec<Key> = (0..10).map(|n| register.enter(n)).collect();
        register.strike(keys[3]);
        let mut seen = vec![];
        register.clear(|n| seen.push(n));
        assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(register.len(), 0);
        assert!(keys.iter().all(|&key| register.find(key).is_none()));
        let again: Vec<Key> = (0..10).map(|n| register.enter(n)).collect();
        assert!(again.iter().all(|key| !keys.contains(key)));
    }
}
