//! A ring of values: what is put in comes out in the same order.
//!
//! It doubles when it is full, so that in the long run nothing is allocated. It is used through a shared reference:
//! whoever runs puts and takes, and what runs may change at every take. Values only move in and out; none of their own
//! code is called until the ring goes.
//!
//! A signal handler may look at it ([`len`](Ring::len), [`peek`](Ring::peek)), whatever it has interrupted: it finds
//! values that are there, perhaps not all of them.

use std::alloc::{Layout, handle_alloc_error};
use std::cell::{Cell, UnsafeCell};
use std::collections::TryReserveError;
use std::mem::MaybeUninit;
use std::sync::atomic::{Ordering, compiler_fence};

use crate::sys::memory::{self, HUGE};

/// How many values the first ring has room for.
const FIRST: usize = 4;

/// A ring of `T`.
pub(crate) struct Ring<T> {
    /// Its length is a power of two, or zero.
    slots: UnsafeCell<Vec<MaybeUninit<T>>>,
    /// Where the oldest value lies. It and `tail` run on past the length of the ring.
    head: Cell<usize>,
    /// Where the next value goes.
    tail: Cell<usize>,
}

impl<T> Ring<T> {
    pub(crate) const fn new() -> Ring<T> {
        Ring {
            slots: UnsafeCell::new(Vec::new()),
            head: Cell::new(0),
            tail: Cell::new(0),
        }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.tail.get().wrapping_sub(self.head.get())
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.get() == self.tail.get()
    }

    /// Puts a value at the end.
    #[inline]
    pub(crate) fn push(&self, value: T) {
        if self.len() == self.room() {
            self.grow_at_last();
        }
        // SAFETY: the slot is one of the ring, which is not empty by now, and holds no value.
        unsafe { self.slot(self.tail.get()).write(value) };
        compiler_fence(Ordering::Release);
        self.tail.set(self.tail.get().wrapping_add(1));
    }

    /// Takes the oldest value.
    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        let head = self.head.get();
        if self.is_empty() {
            return None;
        }
        self.head.set(head.wrapping_add(1));
        // SAFETY: from head to tail each slot holds a value, and this one is read once: the head has moved on.
        Some(unsafe { self.slot(head).read() })
    }

    /// Puts a value at the end and takes the oldest one, which may be that one.
    #[inline]
    pub(crate) fn rotate(&self, value: T) -> T {
        if self.len() == self.room() {
            self.grow_at_last();
        }
        let (head, tail) = (self.head.get(), self.tail.get());
        let (oldest, free) = (self.slot(head), self.slot(tail));
        // SAFETY: as in `push`.
        unsafe { free.write(value) };
        compiler_fence(Ordering::Release);
        self.tail.set(tail.wrapping_add(1));
        // Whoever looks in between finds one too many; the head is never past the tail.
        compiler_fence(Ordering::Release);
        self.head.set(head.wrapping_add(1));
        // SAFETY: as in `pop`; there is one by now.
        unsafe { oldest.read() }
    }

    /// How many slots there are.
    #[inline(always)]
    fn room(&self) -> usize {
        // SAFETY: as in `slot`.
        unsafe { (*self.slots.get()).len() }
    }

    /// Where a value of that number lies; not to be followed if there is no room at all.
    #[inline(always)]
    fn slot(&self, number: usize) -> *mut T {
        let mask = self.room().wrapping_sub(1);
        // SAFETY: a ring is used by one thread, as the cells make sure, and no method holds a reference to the slots
        // while it calls anything.
        let first = unsafe { (*self.slots.get()).as_mut_ptr() };
        first.wrapping_add(number & mask).cast()
    }

    /// Makes sure that there is room for another value, and for one more of somebody who cannot be refused; false if there is
    /// no memory for that which leaves so many bytes for something besides.
    #[inline]
    pub(crate) fn provide(&self, besides: usize) -> bool {
        self.len() + 1 < self.room() || self.grow_and_leave(besides)
    }

    fn room_when_grown(&self) -> usize {
        (2 * self.room()).max(FIRST)
    }

    #[cold]
    #[inline(never)]
    fn grow_and_leave(&self, besides: usize) -> bool {
        let size = self.room_when_grown() * size_of::<T>();
        let is_left = size < HUGE || memory::check(size + besides).is_ok();
        is_left && self.grow().is_ok()
    }

    #[cold]
    #[inline(never)]
    fn grow_at_last(&self) {
        if self.grow().is_err() {
            let layout = Layout::array::<T>(self.room_when_grown());
            handle_alloc_error(layout.expect("it was asked for"));
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&self) -> Result<(), TryReserveError> {
        let (head, room) = (self.head.get(), self.room_when_grown());
        let mut slots = Vec::new();
        slots.try_reserve_exact(room)?;
        slots.resize_with(room, MaybeUninit::uninit);
        // Each keeps its number. The ring is empty while it has neither the old slots nor the new ones.
        for number in head..self.tail.get() {
            slots[number & (room - 1)] = self
                .pop()
                .map_or_else(MaybeUninit::uninit, MaybeUninit::new);
        }
        compiler_fence(Ordering::Release);
        // SAFETY: as in `slot`.
        let old = unsafe { std::mem::replace(&mut *self.slots.get(), slots) };
        compiler_fence(Ordering::Release);
        self.head.set(head);
        drop(old);
        Ok(())
    }
}

impl<T: Copy> Ring<T> {
    /// The value that `pop` takes after `ahead` others.
    #[inline]
    pub(crate) fn peek(&self, ahead: usize) -> Option<T> {
        // SAFETY: from head to tail each slot holds a value.
        (ahead < self.len())
            .then(|| unsafe { self.slot(self.head.get().wrapping_add(ahead)).read() })
    }

    /// Puts another value where `peek` has found one.
    pub(crate) fn replace_at(&self, ahead: usize, value: T) {
        assert!(ahead < self.len(), "nobody is there");
        // SAFETY: from head to tail each slot holds a value.
        unsafe { self.slot(self.head.get().wrapping_add(ahead)).write(value) };
    }

    /// Passes over the oldest value, which there must be.
    #[inline(always)]
    pub(crate) fn skip(&self) {
        debug_assert!(!self.is_empty());
        self.head.set(self.head.get().wrapping_add(1));
    }

    /// The value that was put in last.
    pub(crate) fn last(&self) -> Option<T> {
        self.len().checked_sub(1).and_then(|last| self.peek(last))
    }

    /// Takes it out again.
    pub(crate) fn drop_last(&self) {
        assert!(!self.is_empty(), "nobody is there");
        self.tail.set(self.tail.get().wrapping_sub(1));
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while let Some(value) = self.pop() {
            drop(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::rc::Rc;

    #[test]
    fn it_keeps_the_order_while_it_grows_and_wraps() {
        let (ring, mut model) = (Ring::new(), VecDeque::new());
        for round in 0..1000_u32 {
            for value in 0..round % 7 {
                ring.push(round * 10 + value);
                model.push_back(round * 10 + value);
            }
            for _ in 0..round % 5 {
                assert_eq!(ring.peek(0), model.front().copied());
                assert_eq!(ring.pop(), model.pop_front());
            }
            assert_eq!(
                (ring.len(), ring.is_empty()),
                (model.len(), model.is_empty())
            );
            assert_eq!(ring.peek(model.len()), None);
        }
        assert!(model.len() > FIRST, "it has grown");
        for place in 0..ring.len() {
            ring.replace_at(place, ring.peek(place).expect("it is one of them") + 1);
        }
        assert_eq!(ring.last(), model.pop_back().map(|value| value + 1));
        ring.drop_last();
        while let Some(value) = model.pop_front() {
            assert_eq!(ring.pop(), Some(value + 1));
        }
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn turning_it_is_to_put_and_to_take() {
        for held in [0, 1, FIRST - 1, FIRST, FIRST + 1] {
            let (ring, mut model) = (Ring::new(), VecDeque::new());
            for value in 0..held {
                ring.push(value);
                model.push_back(value);
            }
            for value in held..held + 20 {
                model.push_back(value);
                assert_eq!(Some(ring.rotate(value)), model.pop_front());
                assert_eq!((ring.len(), ring.last()), (held, model.back().copied()));
            }
        }
    }

    #[test]
    fn each_value_is_dropped_once() {
        let value = Rc::new(());
        let ring = Ring::new();
        for round in 0..10 {
            (0..round).for_each(|_| ring.push(Rc::clone(&value)));
            (0..round / 2).for_each(|_| drop(ring.pop()));
        }
        assert_eq!(Rc::strong_count(&value), ring.len() + 1);
        drop(ring);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn values_may_have_no_size() {
        let ring = Ring::new();
        (0..100).for_each(|_| ring.push(()));
        assert_eq!(std::iter::from_fn(|| ring.pop()).count(), 100);
    }
}
