//! Blocks of one size, handed out and taken back: what a greenlet's control block and closure live in.
//!
//! Memory comes in chunks that double in size, up to a huge page, and stay until the slab goes. The free blocks are a stack:
//! the block used last, which is the warm one, is used next. Among many the others are mostly cold, so each says which ones
//! come after it, and one is fetched some takes before its turn. What lies below a free block does not change as long as it
//! is free. Blocks are aligned to a cache line, or to half of one if that is what their size is a
//! multiple of; a size that is not a power of two spreads them over all cache sets.
//!
//! Whoever can be refused does not get the last memory that there is: a large chunk leaves some.

use std::alloc::{Layout, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

use crate::sys::context::Context;
use crate::sys::memory::{self, HUGE};

/// The alignment of blocks of that size, in bytes.
pub(crate) const fn align(size: usize) -> usize {
    if size.is_multiple_of(64) { 64 } else { 32 }
}

/// How many blocks the first chunk has.
const FIRST_CHUNK: usize = 64;
/// From so many bytes on, a chunk is a huge page.
const LARGE: usize = HUGE / 2;

/// Blocks of `SIZE` bytes.
pub(crate) struct Slab<const SIZE: usize> {
    first: Cell<Option<NonNull<Free>>>,
    chunks: RefCell<Vec<(NonNull<u8>, Layout)>>,
    made: Cell<usize>,
    taken: Cell<usize>,
}

/// A block that is fetched so many takes before its turn.
const AHEAD: usize = 4;

/// The free blocks below this one, as far as it tells.
#[derive(Clone, Copy)]
struct Free([Option<NonNull<Free>>; AHEAD]);

impl<const SIZE: usize> Slab<SIZE> {
    pub(crate) const fn new() -> Self {
        const { assert!(SIZE.is_multiple_of(align(SIZE)) && SIZE >= size_of::<Free>()) };
        Slab {
            first: Cell::new(None),
            chunks: RefCell::new(Vec::new()),
            made: Cell::new(0),
            taken: Cell::new(0),
        }
    }

    /// A block of uninitialised memory; None if there is none that leaves so many bytes for something besides.
    #[inline]
    pub(crate) fn take(&self, besides: usize) -> Option<NonNull<u8>> {
        match self.first.get() {
            Some(_) => {}
            None => self.grow(Some(besides))?,
        }
        Some(self.take_provided())
    }

    /// Has so many blocks ready; false if there is no memory for them.
    #[inline]
    pub(crate) fn provide(&self, count: usize) -> bool {
        while self.free() < count {
            if self.grow(Some(0)).is_none() {
                return false;
            }
        }
        true
    }

    /// A block that should have been [provided](Self::provide): made of the last memory, if need be.
    #[inline]
    pub(crate) fn take_provided(&self) -> NonNull<u8> {
        let block = match self.first.get() {
            Some(block) => block,
            None => self.grow_at_last(),
        };
        // SAFETY: a block on the stack says what is below it, written by `free_one`.
        let Free(below) = unsafe { block.as_ref() };
        self.first.set(below[0]);
        if let Some(later) = below[AHEAD - 1] {
            Context::fetch(later.as_ptr().cast_const().cast());
        }
        self.taken.set(self.taken.get() + 1);
        block.cast()
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` was taken from this slab, and nobody refers into it any more.
    #[inline]
    pub(crate) unsafe fn put(&self, block: NonNull<u8>) {
        // SAFETY: the block is ours, aligned and large enough, and unused (caller's promise).
        unsafe { self.free_one(block) };
        self.taken.set(self.taken.get() - 1);
    }

    /// Puts a block onto the stack.
    ///
    /// # Safety
    /// It is a block of this slab that nobody refers into.
    #[inline(always)]
    unsafe fn free_one(&self, block: NonNull<u8>) {
        let block = block.cast::<Free>();
        let first = self.first.replace(Some(block));
        // SAFETY: as in `take_provided`.
        let after = first.map_or([None; AHEAD], |first| unsafe { first.as_ref() }.0);
        let below = std::array::from_fn(|depth| match depth {
            0 => first,
            _ => after[depth - 1],
        });
        // SAFETY: caller's promise.
        unsafe { block.write(Free(below)) };
    }

    /// How many blocks are there to be taken.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.made.get() - self.taken.get()
    }

    /// How many blocks are out.
    pub(crate) fn taken(&self) -> usize {
        self.taken.get()
    }

    /// The layout of the chunk that comes after so many.
    fn chunk(before: usize) -> Layout {
        let size = SIZE * (FIRST_CHUNK << before.min(16));
        let (size, align) = if size < LARGE {
            (size, align(SIZE))
        } else {
            (HUGE, HUGE)
        };
        Layout::from_size_align(size, align).expect("a chunk is small")
    }

    #[cold]
    fn grow_at_last(&self) -> NonNull<Free> {
        self.grow(None);
        let chunk = || Self::chunk(self.chunks.borrow().len());
        self.first
            .get()
            .unwrap_or_else(|| handle_alloc_error(chunk()))
    }

    /// Makes another chunk. If it is a large one, so many bytes are left besides.
    #[cold]
    fn grow(&self, besides: Option<usize>) -> Option<()> {
        let mut chunks = self.chunks.borrow_mut();
        let layout = Self::chunk(chunks.len());
        if let Some(besides) = besides
            && layout.size() == HUGE
        {
            memory::check(layout.size() + besides).ok()?;
        }
        chunks.try_reserve(1).ok()?;
        // SAFETY: the layout is not empty.
        let start = unsafe { memory::allocate(layout) }?;
        chunks.push((start, layout));
        let blocks = layout.size() / SIZE;
        // From the last to the first, so that blocks are used in the order of their addresses.
        for index in (0..blocks).rev() {
            // SAFETY: the block lies within the chunk, aligned, and nobody refers to it.
            unsafe { self.free_one(start.add(index * SIZE)) };
        }
        self.made.set(self.made.get() + blocks);
        Some(())
    }
}

impl<const SIZE: usize> Drop for Slab<SIZE> {
    fn drop(&mut self) {
        if self.taken.get() > 0 {
            // Somebody still refers to a block: keep them all.
            return;
        }
        for (start, layout) in self.chunks.get_mut().drain(..) {
            // SAFETY: allocated with this layout in `grow`, and no block is out.
            unsafe { memory::free(start, layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        check::<192>();
        check::<96>();
    }

    fn check<const SIZE: usize>() {
        let slab = Slab::<SIZE>::new();
        let blocks: Vec<_> = (0..500).map(|_| slab.take(0).expect("memory")).collect();
        for (number, block) in blocks.iter().enumerate() {
            // SAFETY: a block of so many bytes that is ours.
            unsafe { block.as_ptr().write_bytes(number as u8, SIZE) };
        }
        for (number, block) in blocks.iter().enumerate() {
            assert_eq!(block.as_ptr() as usize % align(SIZE), 0);
            // SAFETY: as above, and initialised.
            let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), SIZE) };
            assert!(bytes.iter().all(|&byte| byte == number as u8));
        }
        assert_eq!(slab.taken(), 500);
        for &block in &blocks {
            // SAFETY: taken above, no longer used.
            unsafe { slab.put(block) };
        }
        assert_eq!(slab.taken(), 0);
        assert_eq!(
            slab.take(0),
            Some(blocks[499]),
            "the last one back is the next"
        );
        // SAFETY: taken above.
        unsafe { slab.put(blocks[499]) };
    }
}
