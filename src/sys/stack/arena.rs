//! Stacks in slots of large reserved mappings, one kind of slot for each size that was asked for.
//!
//! ```text
//!  chunk  ┌───────┬──────────────────┬───────┬──────────────────┬── …   one mapping: reserved, not committed
//!         │ guard │ usable     ◀─top │ guard │ usable   ◀─top   │
//!         └───────┴──────────────────┴───────┴──────────────────┴── …
//!          64 KiB   slot 0, colour 0          slot 1, colour 64 B
//! ```
//!
//! - **Guards** lie below each stack ([`guard`]), and are made some slots ahead.
//! - **Colours**: each top is 64 bytes lower than the last one's, within 1 KiB. Tops at the same offset in
//!   their pages would share one cache set, which costs more than half of the speed of a switch
//!   (`asm-notes/stacks.md`); more than 1 KiB would make a parked greenlet touch a second page.
//! - **The pool** is last in, first out, so the next greenlet finds a warm stack. Those at its bottom that
//!   nobody needed for a while give back what they touched, but for their first page; a few never do.
//!
//! It must never hand out a slot whose guard is not installed, and never unmap: a chunk goes when the
//! thread that owns it has no greenlet left.

use std::cell::{Cell, RefCell};
use std::io;
use std::ptr;

use std::time::Duration;

use super::guard::{self, guard_size};
use super::{Pages, StackStats, page_size};
use crate::sys::clock::Moment;
use crate::sys::context::Context;
use crate::sys::memory;

/// How far each stack's top lies below the last one's, in bytes, and how many such steps there are.
const COLOUR_STEP: usize = 64;
const COLOURS: usize = 16;
/// The highest top lies this many bytes below the end of its page, so that the frame of a body that switches
/// by itself does not straddle two lines.
const BELOW_TOP: usize = 48;
/// A chunk grows from this many slots …
const FIRST_CHUNK: usize = 16;
/// … to this many, or to this many bytes of address space.
const LARGEST_CHUNK: usize = 16 * 1024;
const LARGEST_CHUNK_BYTES: usize = if cfg!(target_pointer_width = "64") {
    8 << 30
} else {
    64 << 20
};
/// The tops of so many pooled stacks are fetched at once.
const AHEAD: usize = 4;
/// So many pooled stacks of a size keep all the memory they touched.
const WARM: usize = 64;
/// A pooled stack that was not needed for so long, or up to twice that, gives its memory back.
const PERIOD: Duration = Duration::from_secs(1);
/// So many do that at a time …
const AT_A_TIME: usize = 512;
/// … and then there is a break, if somebody asks.
const BREAK: Duration = Duration::from_millis(10);
/// So many come back between two looks at the clock.
const PUTS: u32 = 256;

/// A stack that somebody may run on. It belongs to the [`Stacks`] it was taken from.
pub(crate) struct Stack {
    /// Where it starts: the highest address, coloured.
    top: ptr::NonNull<u8>,
    /// The lowest address that may be touched.
    limit: ptr::NonNull<u8>,
}

impl Stack {
    /// The highest address; aligned to 16 bytes.
    #[inline]
    pub(crate) fn top(&self) -> *mut u8 {
        self.top.as_ptr()
    }

    /// The lowest usable address. The guard lies below.
    #[allow(dead_code, reason = "only the portable backend asks")]
    pub(crate) fn limit(&self) -> *mut u8 {
        self.limit.as_ptr()
    }

    /// The lowest and the highest address.
    pub(crate) fn ends(&self) -> Option<(usize, usize)> {
        Some((self.limit.addr().get(), self.top.addr().get()))
    }

    /// How many bytes of it lie below `address`, which is in it.
    pub(crate) fn below(&self, address: usize) -> usize {
        address.saturating_sub(self.limit.addr().get())
    }

    /// Whether `address` lies in the guard of this stack.
    pub(crate) fn guards(&self, address: usize) -> bool {
        let limit = self.limit.as_ptr() as usize;
        (limit - guard_size()..limit).contains(&address)
    }
}

/// The stacks of one thread.
pub(crate) struct Stacks {
    kinds: RefCell<Vec<Kind>>,
    in_use: Cell<usize>,
    trimmed: Cell<u64>,
    puts: Cell<u32>,
    settled: Cell<Moment>,
}

impl Default for Stacks {
    fn default() -> Stacks {
        Stacks {
            kinds: RefCell::default(),
            in_use: Cell::new(0),
            trimmed: Cell::new(0),
            puts: Cell::new(0),
            settled: Cell::new(Moment::from_nanos(0)),
        }
    }
}

impl Stacks {
    /// A stack of the given size: the one that was put back last, or a fresh slot, which leaves so many bytes for something
    /// besides.
    ///
    /// # Errors
    /// What the system says when address space, memory or mappings run out. Nothing else is affected.
    #[inline]
    pub(crate) fn take(&self, pages: Pages, besides: usize) -> io::Result<Stack> {
        let mut kinds = self.kinds.borrow_mut();
        let kind = match kinds.iter().position(|kind| kind.pages == pages) {
            Some(known) => &mut kinds[known],
            None => {
                kinds.push(Kind::new(pages));
                kinds.last_mut().expect("just pushed")
            }
        };
        let stack = match kind.pooled.pop() {
            Some(stack) => stack,
            None => kind.fresh((self.in_use.get() > 1).then_some(besides))?,
        };
        if kind.pooled.len() >= AHEAD && kind.pooled.len().is_multiple_of(AHEAD) {
            kind.fetch_next();
        }
        kind.idle = kind.idle.min(kind.pooled.len());
        kind.cold = kind.cold.min(kind.idle);
        self.in_use.set(self.in_use.get() + 1);
        Ok(stack)
    }

    /// Takes a stack back. Nobody stands on it any more.
    #[inline]
    pub(crate) fn put(&self, stack: Stack) {
        self.in_use.set(self.in_use.get() - 1);
        let mut kinds = self.kinds.borrow_mut();
        let kind = kinds
            .iter_mut()
            .find(|kind| kind.owns(&stack))
            .expect("a stack goes back to where it was taken from");
        kind.pooled.push(stack);
        let large = kind.pooled.len() > WARM;
        drop(kinds);
        self.puts.set(self.puts.get().wrapping_add(1));
        if large && self.puts.get().is_multiple_of(PUTS) {
            self.settle(Moment::now());
        }
    }

    /// Lets pooled stacks give back their memory that nobody has needed for a while. Returns when there may be
    /// more of them, if there may.
    pub(crate) fn settle(&self, now: Moment) -> Option<Duration> {
        let mut kinds = self.kinds.borrow_mut();
        if kinds.iter().all(Kind::is_settled) {
            return None;
        }
        if self.settled.get().until(now) < PERIOD {
            return Some(PERIOD);
        }
        let trimmed: usize = kinds.iter_mut().map(Kind::settle).sum();
        self.trimmed.set(self.trimmed.get() + trimmed as u64);
        if kinds.iter().any(|kind| kind.cold < kind.idle) {
            return Some(BREAK);
        }
        kinds.iter_mut().for_each(|kind| kind.idle = kind.surplus());
        self.settled.set(now);
        let settled = kinds.iter().all(Kind::is_settled);
        (!settled).then_some(PERIOD)
    }

    /// Gives the memory of a stack back that nobody stands on yet, but for its first page.
    pub(crate) fn freshen(&self, stack: &Stack) {
        let kinds = self.kinds.borrow();
        let kind = kinds.iter().find(|kind| kind.owns(stack));
        kind.into_iter()
            .for_each(|kind| kind.forget_pages(stack, page_size()));
    }

    /// Gives up a stack for ever: something on it may still be referred to.
    pub(crate) fn leak(&self, stack: Stack) {
        let mut kinds = self.kinds.borrow_mut();
        if let Some(kind) = kinds.iter_mut().find(|kind| kind.owns(&stack)) {
            kind.leaked = true;
        }
    }

    /// Gives the memory of all pooled stacks back to the system; their address space stays reserved.
    pub(crate) fn trim(&self) {
        for kind in self.kinds.borrow().iter() {
            for stack in &kind.pooled {
                kind.forget_pages(stack, 0);
            }
            self.trimmed
                .set(self.trimmed.get() + kind.pooled.len() as u64);
        }
    }

    pub(crate) fn stats(&self) -> StackStats {
        let kinds = self.kinds.borrow();
        StackStats {
            in_use: self.in_use.get(),
            pooled: kinds.iter().map(|kind| kind.pooled.len()).sum(),
            reserved: kinds.iter().map(Kind::reserved).sum(),
            trimmed: self.trimmed.get(),
        }
    }
}

/// All stacks of one size.
struct Kind {
    pages: Pages,
    /// The same in bytes: what can be used.
    usable: usize,
    /// A slot is a guard and the usable bytes above it.
    slot_size: usize,
    chunks: Vec<Chunk>,
    /// Slots of the last chunk that were handed out at least once.
    begun: usize,
    /// Slots of the last chunk that have their guards.
    guarded: usize,
    pooled: Vec<Stack>,
    /// So many at the bottom of the pool were not needed since it was last settled.
    idle: usize,
    /// So many at the bottom of the pool have given back what they had touched.
    cold: usize,
    leaked: bool,
}

impl Kind {
    fn new(pages: Pages) -> Kind {
        Kind {
            pages,
            usable: pages.bytes(),
            slot_size: slot_size(pages),
            chunks: Vec::new(),
            begun: 0,
            guarded: 0,
            pooled: Vec::new(),
            idle: 0,
            cold: 0,
            leaked: false,
        }
    }

    /// In a crowd the tops of those at the top of the pool have gone cold. The processor waits for several addresses at
    /// a time, but only if they are asked for together.
    fn fetch_next(&self) {
        for stack in self.pooled.iter().rev().take(AHEAD) {
            Context::fetch(stack.top().cast_const().wrapping_sub(64).cast());
        }
    }

    /// Pooled stacks beyond those that always keep their memory.
    fn surplus(&self) -> usize {
        self.pooled.len().saturating_sub(WARM)
    }

    fn is_settled(&self) -> bool {
        self.cold >= self.surplus()
    }

    /// Gives back the memory of some of those that were not needed; returns of how many.
    fn settle(&mut self) -> usize {
        let begin = self.cold;
        self.cold = self.idle.min(begin + AT_A_TIME).max(begin);
        for stack in &self.pooled[begin..self.cold] {
            self.forget_pages(stack, page_size());
        }
        self.cold - begin
    }

    /// The next slot that was never used, with its guard.
    #[cold]
    fn fresh(&mut self, besides: Option<usize>) -> io::Result<Stack> {
        if self
            .chunks
            .last()
            .is_none_or(|chunk| self.begun == chunk.slots)
        {
            self.grow(besides)?;
        }
        let chunk = self.chunks.last().expect("grown");
        // SAFETY: slot number `begun` lies within the chunk.
        let slot = unsafe { chunk.start.add(self.begun * self.slot_size) };
        if self.begun == self.guarded {
            // The more there are, the more there will be: several guards are cheaper at once.
            let ahead = (self.begun / 8).clamp(1, chunk.slots - self.begun);
            self.guarded += guard::install(&guard::Slots {
                first: slot,
                distance: self.slot_size,
                count: ahead,
                first_page: guard_size() + self.usable - page_size(),
            })?;
        }
        let colour = self.begun % COLOURS * COLOUR_STEP;
        self.begun += 1;
        // SAFETY: both addresses lie within the slot, which is larger than guard and colour together.
        unsafe {
            let limit = slot.add(guard_size());
            Ok(Stack {
                top: limit.add(self.usable - BELOW_TOP - colour),
                limit,
            })
        }
    }

    /// Reserves a chunk twice as large as the last one, or as large as the system allows and others leave.
    fn grow(&mut self, besides: Option<usize>) -> io::Result<()> {
        let cap = (LARGEST_CHUNK_BYTES / self.slot_size).clamp(1, LARGEST_CHUNK);
        let mut slots = self
            .chunks
            .last()
            .map_or(FIRST_CHUNK, |last| last.slots * 2)
            .min(cap);
        let chunk = loop {
            match Chunk::reserve(slots, self.slot_size, besides) {
                Ok(chunk) => break chunk,
                Err(error) if slots == 1 => return Err(error),
                Err(_) => slots /= 2,
            }
        };
        // Room for every stack in the pool, so that `put` never allocates.
        let all: usize = self.chunks.iter().map(|chunk| chunk.slots).sum();
        let more = all + slots - self.pooled.len();
        memory::reserve(&mut self.pooled, more);
        self.chunks.push(chunk);
        self.begun = 0;
        self.guarded = 0;
        Ok(())
    }

    fn owns(&self, stack: &Stack) -> bool {
        let end = stack.limit.as_ptr() as usize + self.usable;
        let top = stack.top.as_ptr() as usize;
        top <= end && end - top <= BELOW_TOP + COLOURS * COLOUR_STEP
    }

    /// Gives the memory of a stack back, but for the `keep` bytes at its top.
    fn forget_pages(&self, stack: &Stack, keep: usize) {
        let length = self.usable - keep;
        // SAFETY: the range is inside the slot, nobody stands on this stack, and what is on it is never
        // read again. It stays mapped; a failure changes nothing.
        unsafe { libc::madvise(stack.limit.as_ptr().cast(), length, libc::MADV_DONTNEED) };
    }

    fn reserved(&self) -> usize {
        let slots: usize = self.chunks.iter().map(|chunk| chunk.slots).sum();
        slots * self.slot_size
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if self.leaked {
            // Something still refers to a stack in here: the address space stays taken.
            return;
        }
        for chunk in &self.chunks {
            // SAFETY: no stack of it is in use: the thread that owns these stacks frees them after its last greenlet.
            unsafe { chunk.release(self.slot_size) };
        }
    }
}

/// One reserved mapping.
struct Chunk {
    start: ptr::NonNull<u8>,
    slots: usize,
}

impl Chunk {
    /// A chunk that leaves the headroom, and so many bytes besides. Without that two may have one each, the next one and the
    /// one that ends, whose stack comes back after that: so those who do not wait can run one after the other.
    fn reserve(slots: usize, slot_size: usize, besides: Option<usize>) -> io::Result<Chunk> {
        let length = slots * slot_size;
        let start = memory::map(length)?;
        keep_pages_small(start.as_ptr().cast(), length);
        let chunk = Chunk { start, slots };
        if besides.is_none() && slots == 1 {
            return Ok(chunk);
        }
        memory::check(besides.unwrap_or(0)).inspect_err(|_| {
            // SAFETY: nobody has a stack of it.
            unsafe { chunk.release(slot_size) };
        })?;
        Ok(chunk)
    }

    /// Gives it back to the system.
    ///
    /// # Safety
    /// No stack of it is in use, or is taken after this. Its slots have this size.
    unsafe fn release(&self, slot_size: usize) {
        // SAFETY: the mapping is ours, and nobody uses it (caller's promise).
        unsafe { memory::unmap(self.start, self.slots * slot_size) };
    }
}

/// A parked greenlet touches one page; a huge page for each would cost 512 times that.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn keep_pages_small(start: *mut libc::c_void, length: usize) {
    // SAFETY: advice about a mapping of ours; a kernel without huge pages refuses it, which is as good.
    unsafe { libc::madvise(start, length, libc::MADV_NOHUGEPAGE) };
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn keep_pages_small(_start: *mut libc::c_void, _length: usize) {}

/// How far apart two stacks lie: guard and usable bytes, and up to three pages more, so that the number of
/// pages leaves a remainder of 2 when divided by 4. At other distances (multiples of 4, and one more or less
/// than a power of two) stacks compete for the same entries of the translation cache and of the way
/// predictor, and a switch among a hundred greenlets takes twice as long (`asm-notes/stacks.md`).
fn slot_size(pages: Pages) -> usize {
    let size = guard_size() + pages.bytes();
    let padding = (2 + 3 * (size / page_size())) % 4;
    size + padding * page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Pages {
        Pages::checked(64 * 1024).unwrap()
    }

    #[test]
    fn a_stack_can_be_used_from_top_to_limit_and_its_guard_cannot() {
        let stacks = Stacks::default();
        let stack = stacks.take(pages(), 0).unwrap();
        // SAFETY: all bytes between limit and top are ours.
        unsafe {
            stack.limit().write(1);
            stack.top().sub(1).write(2);
        }
        let below = stack.limit() as usize - 1;
        assert!(stack.guards(below) && !stack.guards(below + 1));
        // SAFETY: the kernel reads at most one path there, or refuses.
        let read = unsafe { libc::access(below as *const libc::c_char, libc::F_OK) };
        assert_eq!(read, -1);
        assert_eq!(
            io::Error::last_os_error().raw_os_error(),
            Some(libc::EFAULT)
        );
        stacks.put(stack);
    }

    #[test]
    fn the_last_one_back_is_the_next_one_out() {
        let stacks = Stacks::default();
        let (a, b) = (
            stacks.take(pages(), 0).unwrap(),
            stacks.take(pages(), 0).unwrap(),
        );
        let top = a.top();
        stacks.put(b);
        stacks.put(a);
        assert_eq!(stacks.take(pages(), 0).unwrap().top(), top);
    }

    #[test]
    fn tops_are_coloured_within_a_kibibyte() {
        let stacks = Stacks::default();
        let offsets: Vec<usize> = (0..COLOURS)
            .map(|_| stacks.take(pages(), 0).unwrap().top() as usize % 4096)
            .collect();
        let mut distinct = offsets.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), COLOURS);
        assert!(
            offsets
                .iter()
                .all(|offset| 4096 - offset <= 1024 + BELOW_TOP && offset % 16 == 0)
        );
    }

    #[test]
    fn statistics_count_and_sizes_do_not_mix() {
        let stacks = Stacks::default();
        let small = stacks.take(pages(), 0).unwrap();
        let large = stacks.take(Pages::checked(1 << 20).unwrap(), 0).unwrap();
        assert_eq!(stacks.stats().in_use, 2);
        assert!(stacks.stats().reserved >= (1 << 20) + (64 << 10) + 2 * guard_size());
        stacks.put(small);
        stacks.put(large);
        let stats = stacks.stats();
        assert_eq!((stats.in_use, stats.pooled), (0, 2));
        let again = stacks.take(pages(), 0).unwrap();
        assert_eq!(stacks.stats().pooled, 1);
        stacks.put(again);
        stacks.trim();
        assert_eq!(stacks.stats().trimmed, 2);
    }

    #[test]
    fn what_nobody_needed_for_a_while_gives_its_memory_back() {
        let stacks = Stacks::default();
        let all: Vec<Stack> = (0..WARM + 2)
            .map(|_| stacks.take(pages(), 0).unwrap())
            .collect();
        let deep: Vec<*mut u8> = all.iter().map(Stack::limit).collect();
        for &byte in &deep {
            // SAFETY: the lowest byte of a stack that is in use by this test.
            unsafe { byte.write(7) };
        }
        let at = |seconds: u64| Moment::from_nanos(1_000_000_000 * seconds);
        assert_eq!(stacks.settle(at(10)), None, "nothing is pooled");
        all.into_iter().for_each(|stack| stacks.put(stack));
        assert_eq!(
            stacks.settle(at(10)),
            Some(PERIOD),
            "it is too early to tell"
        );
        assert_eq!(stacks.stats().trimmed, 0);
        assert_eq!(stacks.settle(at(10)), Some(PERIOD));
        let needed: Vec<Stack> = (0..WARM + 1)
            .map(|_| stacks.take(pages(), 0).unwrap())
            .collect();
        needed.into_iter().rev().for_each(|stack| stacks.put(stack));
        assert_eq!(stacks.settle(at(11)), Some(PERIOD));
        assert_eq!(stacks.stats().trimmed, 1);
        // SAFETY: pooled stacks stay mapped.
        unsafe {
            assert_eq!(deep[0].read(), 0, "nobody needed it");
            assert_eq!(deep[1].read(), 7, "somebody did");
        }
        assert_eq!(stacks.settle(at(12)), None);
        assert_eq!(stacks.stats().trimmed, 2);
        assert_eq!(stacks.settle(at(13)), None);
    }
}
