//! A queue of small values, first in, first out: who runs next.

use super::ring::Ring;

/// A queue of `T`. What was taken out of its middle leaves a gap.
pub(crate) struct Fifo<T> {
    ring: Ring<Option<T>>,
}

impl<T: Copy + PartialEq> Fifo<T> {
    pub(crate) const fn new() -> Fifo<T> {
        Fifo { ring: Ring::new() }
    }

    /// Makes sure that there is room for another value; false if there is no memory for that which leaves so many bytes for
    /// something besides.
    #[inline]
    pub(crate) fn provide(&self, besides: usize) -> bool {
        self.ring.provide(besides)
    }

    /// Puts a value at the end.
    #[inline]
    pub(crate) fn push(&self, value: T) {
        self.ring.push(Some(value));
    }

    /// Takes the oldest value.
    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        loop {
            let value = self.ring.pop()?;
            if value.is_some() {
                return value;
            }
        }
    }

    /// The oldest value, if it is not behind a gap.
    #[inline(always)]
    pub(crate) fn first(&self) -> Option<T> {
        self.peek(0)
    }

    /// Passes over the [`first`](Self::first) one.
    #[inline(always)]
    pub(crate) fn skip(&self) {
        self.ring.skip();
    }

    /// Puts a value at the end and takes the oldest one, which may be that one.
    #[inline]
    pub(crate) fn rotate(&self, value: T) -> T {
        match self.ring.rotate(Some(value)) {
            Some(oldest) => oldest,
            None => self.pop().expect("there is one at least"),
        }
    }

    /// The value that `pop` takes after `ahead` others, if it is known yet.
    #[inline]
    pub(crate) fn peek(&self, ahead: usize) -> Option<T> {
        self.ring.peek(ahead).flatten()
    }

    /// How many `peek` can see, gaps included.
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Puts another value where `peek` has found one.
    pub(crate) fn replace_at(&self, ahead: usize, value: T) {
        self.ring.replace_at(ahead, Some(value));
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // A gap may be all there is: `pop` will find out.
        self.ring.is_empty()
    }

    /// Takes a value out that stands there once, wherever. The last ones are looked at first: whoever ends all
    /// begins with the newest.
    pub(crate) fn remove(&self, value: T) {
        let mut places = (0..self.ring.len()).rev();
        if let Some(place) = places.find(|&place| self.peek(place) == Some(value)) {
            self.ring.replace_at(place, None);
        }
        while self.ring.last().is_some_and(|last| last.is_none()) {
            self.ring.drop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_value_is_passed_over() {
        let fifo = Fifo::new();
        (0..5).for_each(|n| fifo.push(n));
        fifo.remove(0);
        fifo.remove(3);
        assert_eq!(
            std::iter::from_fn(|| fifo.pop()).collect::<Vec<_>>(),
            [1, 2, 4]
        );
        assert!(fifo.is_empty());
        assert_eq!(fifo.peek(0), None);
    }

    #[test]
    fn gaps_are_passed_over_in_turning() {
        let fifo = Fifo::new();
        assert_eq!(fifo.rotate(0), 0);
        (0..3).for_each(|n| fifo.push(n));
        fifo.remove(0);
        fifo.remove(1);
        fifo.push(3);
        assert_eq!(fifo.rotate(4), 2);
        assert_eq!(
            (fifo.rotate(5), fifo.pop(), fifo.pop()),
            (3, Some(4), Some(5))
        );
    }

    #[test]
    fn no_gap_stays_at_the_end() {
        let fifo = Fifo::new();
        (0..5).for_each(|n| fifo.push(n));
        fifo.remove(3);
        assert_eq!(fifo.len(), 5);
        fifo.remove(4);
        assert_eq!(fifo.len(), 3);
        fifo.remove(7);
        fifo.push(5);
        let left: Vec<_> = std::iter::from_fn(|| fifo.pop()).collect();
        assert_eq!(left, [0, 1, 2, 5]);
        fifo.remove(0);
        assert!(fifo.is_empty());
    }
}
