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

    /// Takes a value out, wherever it stands. This looks at all of them.
    pub(crate) fn remove(&self, value: T) {
        self.ring
            .replace(|other| other.filter(|other| *other != value));
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
}
