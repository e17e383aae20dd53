//! A queue of small values, first in, first out: who runs next.
//!
//! A ring that doubles when it is full, so that in the long run nothing is allocated. It is used through a
//! shared reference: whoever runs pushes and pops, and what runs may change at every pop.

use std::cell::{Cell, UnsafeCell};

/// How many values the first ring has room for.
const FIRST: usize = 64;

/// A queue of `T`.
pub(crate) struct Fifo<T> {
    /// Its length is a power of two, or zero.
    ring: UnsafeCell<Vec<Option<T>>>,
    /// Where the oldest value lies. It and `tail` run on past the length of the ring.
    head: Cell<usize>,
    /// Where the next value goes.
    tail: Cell<usize>,
}

impl<T: Copy + PartialEq> Fifo<T> {
    pub(crate) const fn new() -> Fifo<T> {
        Fifo {
            ring: UnsafeCell::new(Vec::new()),
            head: Cell::new(0),
            tail: Cell::new(0),
        }
    }

    /// Puts a value at the end.
    #[inline]
    pub(crate) fn push(&self, value: T) {
        let (head, tail) = (self.head.get(), self.tail.get());
        if tail.wrapping_sub(head) == self.slots().len() {
            self.grow();
        }
        let slots = self.slots();
        slots[self.tail.get() & (slots.len() - 1)] = Some(value);
        self.tail.set(self.tail.get().wrapping_add(1));
    }

    /// Takes the oldest value.
    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        while self.head.get() != self.tail.get() {
            let slots = self.slots();
            let head = self.head.get();
            self.head.set(head.wrapping_add(1));
            let value = slots[head & (slots.len() - 1)];
            if value.is_some() {
                return value;
            }
        }
        None
    }

    /// The value that `pop` takes after `ahead` others, if it is known yet.
    #[inline]
    pub(crate) fn peek(&self, ahead: usize) -> Option<T> {
        let slots = self.slots();
        if ahead >= self.tail.get().wrapping_sub(self.head.get()) {
            return None;
        }
        slots[self.head.get().wrapping_add(ahead) & (slots.len() - 1)]
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        // A removed value may be all there is: `pop` will find out.
        self.head.get() == self.tail.get()
    }

    /// Takes a value out, wherever it stands. This looks at all of them.
    pub(crate) fn remove(&self, value: T) {
        for slot in self.slots() {
            if *slot == Some(value) {
                *slot = None;
            }
        }
    }

    #[cold]
    fn grow(&self) {
        let mut values = Vec::with_capacity((2 * self.slots().len()).max(FIRST));
        while let Some(value) = self.pop() {
            values.push(Some(value));
        }
        self.head.set(0);
        self.tail.set(values.len());
        values.resize(values.capacity().next_power_of_two(), None);
        // SAFETY: as in `slots`.
        unsafe { *self.ring.get() = values };
    }

    #[expect(
        clippy::mut_from_ref,
        reason = "private, and each use ends before the next begins"
    )]
    #[inline(always)]
    fn slots(&self) -> &mut [Option<T>] {
        // SAFETY: the queue is used by one thread, as the cells make sure; no method here holds the slice
        // while another one runs, and none calls code that could come back (`T` is `Copy`; comparing
        // addresses calls nothing).
        unsafe { &mut *self.ring.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn it_keeps_the_order_while_it_grows_and_wraps() {
        let (fifo, mut model) = (Fifo::new(), VecDeque::new());
        for round in 0..1000_u32 {
            for value in 0..round % 7 {
                fifo.push(round * 10 + value);
                model.push_back(round * 10 + value);
            }
            for _ in 0..round % 5 {
                assert_eq!(fifo.peek(0), model.front().copied());
                assert_eq!(fifo.pop(), model.pop_front());
            }
            assert_eq!(fifo.is_empty(), model.is_empty());
        }
        assert!(model.len() > FIRST, "it has grown");
        while let Some(value) = model.pop_front() {
            assert_eq!(fifo.pop(), Some(value));
        }
        assert_eq!(fifo.pop(), None);
    }

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
