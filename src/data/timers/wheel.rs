//! Timers that are far away: nothing is sorted before its time comes near.
//!
//! Time is counted in ticks of 2^20 ns. A tick has eight digits of six bits; the highest one in which it differs
//! from the tick that is now says how far away it is, and that digit says which bucket of that level it goes to.
//!
//! ```text
//!   level     0        1        2        3      ...        7
//!   width   1 ms     67 ms     4 s     5 min      146 years        a bucket of it
//!   1 bit      [used]   [used]   ...                               for each bucket that is not empty
//!   bucket     top ──▶ block ──▶ block ──▶ block                   32 entries each, full but for the top one
//! ```
//!
//! Everything in a level comes before everything in the next one, and the first bucket of the lowest level that is
//! not empty comes before all others. When its time has come it is emptied into the buckets below, and what is due in
//! its first tick into the run. As long as it has not, time may go on and nothing needs to move: no digit changes in
//! which an entry differs from now. A bucket is emptied in one go: 20 ns or so for each entry, 20 ms if a million are
//! due within the same 4 s and far away, and 50 to 100 ms if they are due in the same tick, since those are sorted.
//!
//! The blocks of all buckets lie in one table, so what one bucket leaves is there for the next: memory grows to
//! the largest number of timers that there were at a time and a block for each bucket, not to what each bucket
//! has held once. A growing bucket copies nothing. And one number says where an entry lies.

use super::table::Table;
use super::{Entry, FAR};
use crate::sys::memory;

/// Later than every tick.
const NEVER: u64 = u64::MAX;
const DIGIT: u32 = 6;
/// As many digits as a tick has; a level is a digit.
const LEVELS: usize = 8;
const BUCKETS: usize = LEVELS << DIGIT;
/// Entries of a block.
pub(super) const BLOCK: usize = 32;
const NO_BLOCK: u32 = u32::MAX;
/// There is memory for so many blocks as soon as there is one.
const FIRST_BLOCKS: usize = 4;

/// Timers after a tick, in buckets.
pub(super) struct Wheel {
    /// Every entry is later.
    now: u64,
    /// The first tick of the first bucket that is not empty.
    begins: u64,
    /// A bit for each level that is not empty.
    levels: u32,
    /// By level: a bit for each bucket that is not empty.
    used: [u64; LEVELS],
    /// By bucket: the block where there is room, if there is any.
    tops: [u32; BUCKETS],
    blocks: Vec<Block>,
    /// `BLOCK` for each block.
    entries: Vec<Entry>,
    free: u32,
}

struct Block {
    bucket: u16,
    len: u16,
    /// The next one of this bucket; of a free block, the next free one.
    below: u32,
}

/// The tick in which a time lies.
#[inline]
pub(super) fn tick(at: u64) -> u64 {
    at >> 20
}

impl Wheel {
    pub(super) const fn new() -> Self {
        Wheel {
            now: 0,
            begins: NEVER,
            levels: 0,
            used: [0; LEVELS],
            tops: [NO_BLOCK; BUCKETS],
            blocks: Vec::new(),
            entries: Vec::new(),
            free: NO_BLOCK,
        }
    }

    /// The tick that is now.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// The first tick in which something may have to be done; [`u64::MAX`] if there is nothing.
    #[inline]
    pub(super) fn begins(&self) -> u64 {
        self.begins
    }

    /// Lets time go on to a tick before the one where it `begins`.
    #[inline]
    pub(super) fn advance(&mut self, to: u64) {
        debug_assert!(to < self.begins);
        self.now = self.now.max(to);
    }

    /// A time not after the earliest deadline: that one itself if the first bucket holds few.
    pub(super) fn next(&self) -> Option<u64> {
        let top = *self.tops.get(self.first()?)?;
        let few = self.blocks[top as usize].below == NO_BLOCK;
        let earliest = self.of_block(top).iter().map(|entry| entry.at).min();
        earliest.filter(|_| few).or(Some(self.begins << 20))
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        (0..self.blocks.len() as u32).flat_map(|block| self.of_block(block))
    }

    /// Adds an entry that is later than now.
    pub(super) fn push<P: Copy>(&mut self, entry: Entry, table: &mut Table<P>) {
        let bucket = self.bucket_of(tick(entry.at));
        let mut top = self.tops[bucket];
        if top == NO_BLOCK || usize::from(self.blocks[top as usize].len) == BLOCK {
            top = self.add_block(bucket);
        }
        let block = &mut self.blocks[top as usize];
        let index = top as usize * BLOCK + usize::from(block.len);
        block.len += 1;
        self.put(index, entry, table);
    }

    /// Takes out the entry at `index`; the last one of its bucket moves there.
    pub(super) fn take_out<P: Copy>(&mut self, index: usize, table: &mut Table<P>) {
        let bucket = usize::from(self.blocks[index / BLOCK].bucket);
        let top = self.tops[bucket];
        let block = &mut self.blocks[top as usize];
        block.len -= 1;
        let empty = block.len == 0;
        let last = top as usize * BLOCK + usize::from(block.len);
        if last != index {
            self.put(index, self.entries[last], table);
        }
        if empty {
            self.tops[bucket] = self.free_block(top);
            if self.tops[bucket] == NO_BLOCK {
                self.unmark(bucket);
            }
        }
    }

    /// Lets time go on to the first bucket. That is empty now; its blocks are to be emptied and closed one by one.
    pub(super) fn open(&mut self) -> Option<u32> {
        let bucket = self.first()?;
        self.now = self.begins;
        let top = std::mem::replace(&mut self.tops[bucket], NO_BLOCK);
        self.unmark(bucket);
        Some(top)
    }

    /// What lies in a block of an opened bucket.
    #[inline]
    pub(super) fn in_block(&self, block: u32, index: usize) -> Option<Entry> {
        self.of_block(block).get(index).copied()
    }

    /// Frees a block of an opened bucket; then comes the next one.
    pub(super) fn close(&mut self, block: u32) -> Option<u32> {
        let below = self.free_block(block);
        (below != NO_BLOCK).then_some(below)
    }

    /// The first bucket that is not empty.
    #[inline]
    fn first(&self) -> Option<usize> {
        let level = self.levels.trailing_zeros() as usize;
        let digit = self.used.get(level)?.trailing_zeros() as usize;
        Some(level << DIGIT | digit)
    }

    #[inline]
    fn bucket_of(&self, tick: u64) -> usize {
        let level = (tick ^ self.now).ilog2() / DIGIT;
        let digit = tick >> (level * DIGIT) & 63;
        (level as usize) << DIGIT | digit as usize
    }

    /// The first tick of a bucket. Above its digit, all that is in it has the digits of now.
    fn begin_of(&self, bucket: usize) -> u64 {
        let (level, digit) = (bucket >> DIGIT, bucket as u64 & 63);
        let width = level as u32 * DIGIT;
        (self.now >> width & !63 | digit) << width
    }

    fn mark(&mut self, bucket: usize) {
        let level = bucket >> DIGIT;
        self.used[level] |= 1 << (bucket & 63);
        self.levels |= 1 << level;
        self.begins = self.begins.min(self.begin_of(bucket));
    }

    fn unmark(&mut self, bucket: usize) {
        let level = bucket >> DIGIT;
        self.used[level] &= !(1 << (bucket & 63));
        if self.used[level] == 0 {
            self.levels &= !(1 << level);
        }
        self.begins = self.first().map_or(NEVER, |first| self.begin_of(first));
    }

    fn add_block(&mut self, bucket: usize) -> u32 {
        let below = self.tops[bucket];
        if below == NO_BLOCK {
            self.mark(bucket);
        }
        let top = self.take_free_block();
        self.blocks[top as usize] = Block {
            bucket: bucket as u16,
            len: 0,
            below,
        };
        self.tops[bucket] = top;
        top
    }

    fn take_free_block(&mut self) -> u32 {
        if self.free == NO_BLOCK {
            return self.new_block();
        }
        let block = self.free;
        self.free = self.blocks[block as usize].below;
        block
    }

    #[cold]
    fn new_block(&mut self) -> u32 {
        let block = self.blocks.len();
        self.blocks.push(Block {
            bucket: 0,
            len: 0,
            below: NO_BLOCK,
        });
        if block == 0 {
            // Two KiB at once: a few timers around the beginnings of ticks make no memory grow later on.
            self.entries.reserve_exact(FIRST_BLOCKS * BLOCK);
        }
        memory::reserve(&mut self.entries, BLOCK);
        let nothing = Entry { at: 0, tag: 0 };
        self.entries.resize((block + 1) * BLOCK, nothing);
        // Fits: there are fewer than 2^30 timers, and one block for each bucket that is not full.
        block as u32
    }

    /// Returns what was below it.
    fn free_block(&mut self, block: u32) -> u32 {
        let free = &mut self.blocks[block as usize];
        free.len = 0;
        let below = std::mem::replace(&mut free.below, self.free);
        self.free = block;
        below
    }

    fn of_block(&self, block: u32) -> &[Entry] {
        let begin = block as usize * BLOCK;
        &self.entries[begin..begin + usize::from(self.blocks[block as usize].len)]
    }

    #[inline]
    fn put<P: Copy>(&mut self, index: usize, entry: Entry, table: &mut Table<P>) {
        self.entries[index] = entry;
        table.set_place(entry.id(), FAR | index as u32);
    }
}

#[cfg(test)]
impl Wheel {
    /// Panics if an entry is in a wrong bucket, or what is written down of the buckets is not so.
    pub(super) fn check<P: Copy>(&self, table: &Table<P>) {
        for bucket in 0..BUCKETS {
            let marked = self.used[bucket >> DIGIT] >> (bucket & 63) & 1 == 1;
            assert_eq!(marked, self.tops[bucket] != NO_BLOCK);
            self.check_bucket(bucket, table);
        }
        for level in 0..LEVELS {
            assert_eq!(self.levels >> level & 1 == 1, self.used[level] != 0);
        }
        let ticks = self.iter().map(|entry| tick(entry.at));
        assert!(ticks.min().unwrap_or(NEVER) >= self.begins && self.begins > self.now);
        assert_eq!(self.begins == NEVER, self.levels == 0);
    }

    fn check_bucket<P: Copy>(&self, bucket: usize, table: &Table<P>) {
        let mut block = self.tops[bucket];
        while block != NO_BLOCK {
            let Block { len, below, .. } = self.blocks[block as usize];
            assert!(len > 0 && (usize::from(len) == BLOCK || block == self.tops[bucket]));
            for (index, entry) in self.of_block(block).iter().enumerate() {
                assert_eq!(self.bucket_of(tick(entry.at)), bucket);
                let place = block * BLOCK as u32 + index as u32;
                assert_eq!(table.place(entry.id()), FAR | place);
            }
            block = below;
        }
    }

    /// For how many entries there is memory.
    pub(super) fn room(&self) -> usize {
        self.entries.len()
    }
}
