//! Blocks of one size, handed out and taken back: what a greenlet's control block and closure live in.
//!
//! Memory comes in chunks that double in size, up to a huge page, and stay until the slab goes. A free block is in one of
//! two places:
//!
//! - on a stack: the block used last, which is the warm one, is used next. Each says which ones come after it, and one is
//!   fetched some takes before its turn. What lies below a free block does not change as long as it is free.
//! - where that is high enough and the block is part of a large chunk, in the map of its chunk, a bit for each block. It has
//!   gone cold by the time it is wanted, and from there blocks are used in the order of their addresses, whatever the
//!   order in which they came back: neighbours share pages, and the processor fetches what comes next.
//!
//! Blocks are aligned to a cache line, or to half of one if that is what their size is a
//! multiple of; a size that is not a power of two spreads them over all cache sets.
//!
//! Whoever can be refused does not get the last memory that there is: a large chunk leaves some.

use std::alloc::{Layout, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::ops::Range;
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
/// So many free blocks are on the stack before any goes to a map: about as many as the second-level cache keeps.
const WARM: usize = 1024;

/// Blocks of `SIZE` bytes.
pub(crate) struct Slab<const SIZE: usize> {
    first: Cell<Option<NonNull<Free>>>,
    stacked: Cell<usize>,
    /// From so many on the stack on, a block goes to a map, if its chunk has one.
    enough: Cell<usize>,
    /// The first of the chunks in whose maps there are free blocks.
    open: Cell<Option<NonNull<Map>>>,
    /// The small chunks.
    chunks: RefCell<Vec<(NonNull<u8>, Layout)>>,
    /// The large ones, which begin with their maps, by address.
    maps: RefCell<Vec<NonNull<Map>>>,
    /// How many free blocks are in maps.
    mapped: Cell<usize>,
    made: Cell<usize>,
}

/// A block that is fetched so many takes before its turn.
const AHEAD: usize = 4;

/// Which blocks of a large chunk are free. It lies at the beginning of the chunk, in the place of some blocks.
struct Map {
    /// A bit for each block.
    bits: [Cell<u64>; WORDS],
    /// How many are free.
    free: Cell<usize>,
    /// Where it is looked for one first.
    at: Cell<usize>,
    /// The next chunk that has free ones, if this one has.
    next: Cell<Option<NonNull<Map>>>,
}

/// As many as the smallest blocks need.
const WORDS: usize = HUGE / 64 / 64;

impl Map {
    /// Makes one in place, since it is large, of these blocks.
    ///
    /// # Safety
    /// There is room for it, and nobody refers to that.
    unsafe fn write(place: NonNull<Map>, free: Range<usize>) {
        // SAFETY: caller's promise; zeros are a map of no blocks.
        let map = unsafe {
            place.write_bytes(0, 1);
            place.as_ref()
        };
        free.for_each(|index| map.put(index));
    }

    /// One that is free, by its number: the next one after that before, and after the last one the first.
    #[inline]
    fn take(&self) -> usize {
        debug_assert!(self.free.get() > 0, "nothing is free here");
        let mut at = self.at.get();
        while self.bits[at].get() == 0 {
            at = (at + 1) % WORDS;
        }
        self.at.set(at);
        let bits = self.bits[at].get();
        self.bits[at].set(bits & (bits - 1));
        self.free.set(self.free.get() - 1);
        at * 64 + bits.trailing_zeros() as usize
    }

    #[inline]
    fn put(&self, index: usize) {
        let at = index / 64;
        if self.free.get() == 0 {
            self.at.set(at);
        }
        self.free.set(self.free.get() + 1);
        self.bits[at].set(self.bits[at].get() | 1 << (index % 64));
    }
}

/// The free blocks below this one, as far as it tells.
#[derive(Clone, Copy)]
struct Free([Option<NonNull<Free>>; AHEAD]);

impl<const SIZE: usize> Slab<SIZE> {
    pub(crate) const fn new() -> Self {
        const { assert!(SIZE.is_multiple_of(align(SIZE)) && SIZE >= size_of::<Free>()) };
        const { assert!(SIZE * WORDS * 64 >= HUGE, "a map has a bit for each") };
        Slab {
            first: Cell::new(None),
            stacked: Cell::new(0),
            enough: Cell::new(usize::MAX),
            open: Cell::new(None),
            chunks: RefCell::new(Vec::new()),
            maps: RefCell::new(Vec::new()),
            mapped: Cell::new(0),
            made: Cell::new(0),
        }
    }

    /// A block of uninitialised memory; None if there is none that leaves so many bytes for something besides.
    #[inline]
    pub(crate) fn take(&self, besides: usize) -> Option<NonNull<u8>> {
        if self.first.get().is_none() && self.open.get().is_none() {
            self.grow(Some(besides))?;
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
        match self.first.get() {
            Some(first) => self.pop(first),
            None => self.take_mapped(),
        }
    }

    /// Takes the first block off the stack.
    #[inline(always)]
    fn pop(&self, first: NonNull<Free>) -> NonNull<u8> {
        // SAFETY: a block on the stack says what is below it, written by `push`.
        let Free(below) = unsafe { first.as_ref() };
        self.first.set(below[0]);
        self.stacked.set(self.stacked.get() - 1);
        if let Some(later) = below[AHEAD - 1] {
            Context::fetch(later.as_ptr().cast_const().cast());
        }
        first.cast()
    }

    /// Takes a block by a map, after another chunk has been made if there is none.
    #[cold]
    #[inline(never)]
    fn take_mapped(&self) -> NonNull<u8> {
        let Some(chunk) = self.open.get() else {
            return self.take_at_last();
        };
        // SAFETY: maps live as long as the slab.
        let map = unsafe { chunk.as_ref() };
        let index = map.take();
        self.mapped.set(self.mapped.get() - 1);
        if map.free.get() == 0 {
            self.open.set(map.next.take());
        }
        // SAFETY: a map knows the blocks of its chunk only, at whose begin it lies; this is the address of the whole chunk.
        let block = unsafe { chunk.cast::<u8>().add(index * SIZE) };
        let later = block.as_ptr().wrapping_add(AHEAD * SIZE);
        for line in (0..SIZE).step_by(64) {
            Context::fetch(later.wrapping_add(line).cast_const().cast());
        }
        block
    }

    #[cold]
    fn take_at_last(&self) -> NonNull<u8> {
        self.grow(None);
        match self.first.get() {
            Some(first) => self.pop(first),
            None if self.open.get().is_some() => self.take_mapped(),
            None => handle_alloc_error(Self::chunk(self.chunks.borrow().len())),
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` was taken from this slab, and nobody refers into it any more.
    #[inline]
    pub(crate) unsafe fn put(&self, block: NonNull<u8>) {
        // SAFETY: the block is ours, aligned and large enough, and unused (caller's promise).
        unsafe {
            match self.stacked.get() < self.enough.get() {
                true => self.push(block),
                false => self.put_on_map(block),
            }
        }
    }

    /// Puts a block onto the stack.
    ///
    /// # Safety
    /// It is a block of this slab that nobody refers into.
    #[inline(always)]
    unsafe fn push(&self, block: NonNull<u8>) {
        let block = block.cast::<Free>();
        let first = self.first.replace(Some(block));
        // SAFETY: as in `pop`.
        let after = first.map_or([None; AHEAD], |first| unsafe { first.as_ref() }.0);
        let below = std::array::from_fn(|depth| match depth {
            0 => first,
            _ => after[depth - 1],
        });
        // SAFETY: caller's promise.
        unsafe { block.write(Free(below)) };
        self.stacked.set(self.stacked.get() + 1);
    }

    /// Puts a block onto the map of its chunk, or onto the stack if there is none.
    ///
    /// # Safety
    /// As for `push`.
    #[cold]
    #[inline(never)]
    unsafe fn put_on_map(&self, block: NonNull<u8>) {
        let (maps, address) = (self.maps.borrow(), block.addr().get());
        let begin = address & !(HUGE - 1);
        let Ok(place) = maps.binary_search_by_key(&begin, |map| map.addr().get()) else {
            // SAFETY: caller's promise.
            return unsafe { self.push(block) };
        };
        // SAFETY: as in `take_mapped`.
        let map = unsafe { maps[place].as_ref() };
        if map.free.get() == 0 {
            map.next.set(self.open.replace(Some(maps[place])));
        }
        map.put((address - begin) / SIZE);
        self.mapped.set(self.mapped.get() + 1);
    }

    /// How many blocks are there to be taken.
    #[inline]
    pub(crate) fn free(&self) -> usize {
        self.stacked.get() + self.mapped.get()
    }

    /// How many blocks are out.
    pub(crate) fn taken(&self) -> usize {
        self.made.get() - self.free()
    }

    /// The layout of the chunk that comes after so many small ones.
    fn chunk(before: usize) -> Layout {
        let size = SIZE * (FIRST_CHUNK << before.min(16));
        let (size, align) = if size < LARGE {
            (size, align(SIZE))
        } else {
            (HUGE, HUGE)
        };
        Layout::from_size_align(size, align).expect("a chunk is small")
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
        let is_small = layout.size() < HUGE;
        match is_small {
            true => chunks.try_reserve(1).ok()?,
            false => self.maps.borrow_mut().try_reserve(1).ok()?,
        }
        // SAFETY: the layout is not empty.
        let start = unsafe { memory::allocate(layout) }?;
        // SAFETY: the chunk is new, and has this layout.
        let made = unsafe {
            if is_small {
                chunks.push((start, layout));
                self.stack_all(start, layout.size() / SIZE)
            } else {
                self.map_all(start)
            }
        };
        self.made.set(self.made.get() + made);
        Some(())
    }

    /// Puts all blocks of a small chunk onto the stack; returns how many.
    ///
    /// # Safety
    /// It has so many, and nobody refers to it.
    unsafe fn stack_all(&self, start: NonNull<u8>, blocks: usize) -> usize {
        // From the last to the first, so that blocks are used in the order of their addresses.
        for index in (0..blocks).rev() {
            // SAFETY: the block lies within the chunk (caller's promise), aligned.
            unsafe { self.push(start.add(index * SIZE)) };
        }
        blocks
    }

    /// Gives a large chunk a map of its blocks, in the place of the first ones; returns how many are left.
    ///
    /// # Safety
    /// It is as large and as aligned as a huge page, and nobody refers to it.
    unsafe fn map_all(&self, start: NonNull<u8>) -> usize {
        let (map, blocks) = (start.cast::<Map>(), HUGE / SIZE);
        let first = size_of::<Map>().div_ceil(SIZE);
        // SAFETY: caller's promise; a map is smaller.
        let written = unsafe {
            Map::write(map, first..blocks);
            map.as_ref()
        };
        written.next.set(self.open.replace(Some(map)));
        let mut maps = self.maps.borrow_mut();
        let place = maps.partition_point(|other| *other < map);
        maps.insert(place, map);
        self.enough.set(WARM);
        self.mapped.set(self.mapped.get() + blocks - first);
        blocks - first
    }
}

impl<const SIZE: usize> Drop for Slab<SIZE> {
    fn drop(&mut self) {
        if self.taken() > 0 {
            // Somebody still refers to a block: keep them all.
            return;
        }
        let large = Self::chunk(self.chunks.get_mut().len());
        let maps = self.maps.get_mut().drain(..);
        let maps = maps.map(|map| (map.cast(), large));
        for (start, layout) in self.chunks.get_mut().drain(..).chain(maps) {
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
        check::<192>(500);
        check::<96>(500);
    }

    /// Those of large chunks as well.
    #[test]
    #[cfg_attr(miri, ignore = "Miri cannot map what large chunks are made of")]
    fn many_blocks_do_not_overlap_and_come_back() {
        check::<256>(MANY);
        check::<96>(MANY);
    }

    /// More than the small chunks have.
    const MANY: usize = 50_000;

    fn check<const SIZE: usize>(count: usize) {
        let slab = Slab::<SIZE>::new();
        let mut blocks: Vec<_> = (0..count).map(|_| slab.take(0).expect("memory")).collect();
        for round in 0..3 {
            for (number, block) in blocks.iter().enumerate() {
                // SAFETY: a block of so many bytes that is ours.
                unsafe { block.as_ptr().write_bytes((number + round) as u8, SIZE) };
            }
            for (number, block) in blocks.iter().enumerate() {
                assert_eq!(block.as_ptr() as usize % align(SIZE), 0);
                // SAFETY: as above, and initialised.
                let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), SIZE) };
                assert!(bytes.iter().all(|&byte| byte == (number + round) as u8));
            }
            assert_eq!(slab.taken(), count);
            let room = slab.taken() + slab.free();
            // Two thirds, in no order.
            for number in 0..count {
                let block = &mut blocks[number * 7919 % count];
                if number % 3 < 2 {
                    // SAFETY: taken above, no longer used.
                    unsafe { slab.put(*block) };
                    *block = NonNull::dangling();
                }
            }
            for block in blocks.iter_mut().filter(|it| **it == NonNull::dangling()) {
                *block = slab.take(0).expect("memory");
            }
            assert_eq!(slab.taken() + slab.free(), room, "there was enough");
        }
        for &block in &blocks {
            // SAFETY: as above.
            unsafe { slab.put(block) };
        }
        assert_eq!(slab.taken(), 0);
    }

    #[test]
    fn the_last_ones_back_are_the_next() {
        let slab = Slab::<256>::new();
        let blocks: Vec<_> = (0..WARM).map(|_| slab.take(0).expect("memory")).collect();
        // SAFETY: taken above, not used.
        unsafe { blocks.iter().for_each(|&block| slab.put(block)) };
        for &block in blocks.iter().rev() {
            assert_eq!(slab.take(0), Some(block));
        }
        // SAFETY: as above.
        unsafe { blocks.iter().for_each(|&block| slab.put(block)) };
    }

    #[test]
    #[cfg_attr(miri, ignore = "as above")]
    fn what_has_gone_cold_is_used_in_the_order_of_addresses() {
        let slab = Slab::<256>::new();
        let blocks: Vec<_> = (0..MANY).map(|_| slab.take(0).expect("memory")).collect();
        for number in 0..blocks.len() {
            // SAFETY: taken above, not used.
            unsafe { slab.put(blocks[number * 7919 % blocks.len()]) };
        }
        let again: Vec<_> = blocks
            .iter()
            .map(|_| slab.take(0).expect("memory"))
            .collect();
        let ascending = again.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!(
            ascending > 40_000,
            "{ascending} are followed by a later one"
        );
        // SAFETY: as above.
        unsafe { again.iter().for_each(|&block| slab.put(block)) };
    }
}
