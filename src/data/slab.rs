//! Blocks of one size, handed out and taken back: what a greenlet's control block and closure live in.
//!
//! Memory comes in chunks that double in size, up to a huge page, and stay until the slab goes. A free block holds the link to
//! the next free one, so taking and giving back are three instructions each, and the block used last, which
//! is the warm one, is used next. Blocks are aligned to a cache line, or to half of one if that is what their size is a
//! multiple of; a size that is not a power of two spreads them over all cache sets.

use std::alloc::{Layout, dealloc, handle_alloc_error};
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
    free: Cell<Option<NonNull<Free>>>,
    chunks: RefCell<Vec<(NonNull<u8>, Layout)>>,
    taken: Cell<usize>,
}

struct Free {
    next: Option<NonNull<Free>>,
}

impl<const SIZE: usize> Slab<SIZE> {
    pub(crate) const fn new() -> Self {
        const { assert!(SIZE.is_multiple_of(align(SIZE)) && SIZE > 0) };
        Slab {
            free: Cell::new(None),
            chunks: RefCell::new(Vec::new()),
            taken: Cell::new(0),
        }
    }

    /// A block of uninitialised memory.
    #[inline]
    pub(crate) fn take(&self) -> NonNull<u8> {
        let block = match self.free.get() {
            Some(block) => block,
            None => self.grow(),
        };
        // SAFETY: a block on the free list holds a link, written by `put` or `grow`.
        let next = unsafe { block.as_ref() }.next;
        self.free.set(next);
        // Among many it is mostly cold, and it says which one is after it: fetched now, it is there when it is taken.
        if let Some(next) = next {
            Context::fetch(next.as_ptr().cast_const().cast());
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
        let block = block.cast::<Free>();
        // SAFETY: the block is ours, aligned and large enough, and unused (caller's promise).
        unsafe {
            block.write(Free {
                next: self.free.get(),
            })
        };
        self.free.set(Some(block));
        self.taken.set(self.taken.get() - 1);
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
    fn grow(&self) -> NonNull<Free> {
        let mut chunks = self.chunks.borrow_mut();
        let layout = Self::chunk(chunks.len());
        let blocks = layout.size() / SIZE;
        // SAFETY: the layout is not empty.
        let Some(start) = (unsafe { memory::allocate(layout) }) else {
            handle_alloc_error(layout)
        };
        chunks.push((start, layout));
        // From the last to the first, so that blocks are used in the order of their addresses.
        let mut next = self.free.get();
        for index in (0..blocks).rev() {
            // SAFETY: the block lies within the chunk, aligned, and nobody refers to it.
            let block = unsafe { start.add(index * SIZE) }.cast::<Free>();
            // SAFETY: as above.
            unsafe { block.write(Free { next }) };
            next = Some(block);
        }
        next.expect("a chunk has blocks")
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
            unsafe { dealloc(start.as_ptr(), layout) };
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
        let blocks: Vec<_> = (0..500).map(|_| slab.take()).collect();
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
        assert_eq!(slab.take(), blocks[499], "the last one back is the next");
        // SAFETY: taken above.
        unsafe { slab.put(blocks[499]) };
    }
}
