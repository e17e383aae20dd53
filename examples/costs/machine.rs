//! The processor, its caches, the memory, and the way into the kernel.

use std::hint::black_box;
use std::io;
use std::time::Instant;

use memmap2::MmapMut;

/// Additions, each of which needs the one before: in registers, and nowhere else.
pub(crate) fn register(count: u64) -> io::Result<f64> {
    let mut x = black_box(1_u64);
    let begin = Instant::now();
    for n in 0..count / 8 {
        // Neither can be known before the other: the compiler cannot make one of them.
        x = (x ^ n).wrapping_add(n);
        x = (x ^ n).wrapping_add(n);
        x = (x ^ n).wrapping_add(n);
        x = (x ^ n).wrapping_add(n);
    }
    black_box(x);
    Ok(begin.elapsed().as_secs_f64())
}

/// Follows a chain through so many bytes, in an order that nobody can guess. The first word of each line of the cache
/// says which is next.
pub(crate) fn chase(bytes: usize, count: u64) -> io::Result<f64> {
    let mut memory = MmapMut::map_anon(bytes)?;
    // In small pages it would be measured how long it takes to find out where a page lies.
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    let lines = memory.as_chunks_mut::<64>().0;
    for (at, line) in (0_u64..).zip(lines.iter_mut()) {
        line[..8].copy_from_slice(&at.to_ne_bytes());
    }
    // Sattolo's shuffle: one circle through all of them.
    let mut random = Random(1);
    for at in (1..lines.len()).rev() {
        lines.swap(at, random.below(at as u64) as usize);
    }
    let next = |at: u64| u64::from_ne_bytes(*lines[at as usize].first_chunk().expect("64 bytes"));
    let follow = |count: u64| (0..count).fold(0, |at, _| next(at));
    black_box(follow(lines.len().min(100_000) as u64));
    let begin = Instant::now();
    black_box(follow(count));
    Ok(begin.elapsed().as_secs_f64())
}

/// Numbers that cannot be guessed by a processor.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// The way into the kernel and back, for next to nothing.
pub(crate) fn system_call(count: u64) -> io::Result<f64> {
    let begin = Instant::now();
    for _ in 0..count {
        // SAFETY: no pointers.
        black_box(unsafe { libc::getppid() });
    }
    Ok(begin.elapsed().as_secs_f64())
}

/// The first touch of a page: the kernel finds one, clears it and maps it.
pub(crate) fn page_fault(count: u64) -> io::Result<f64> {
    let mut memory = MmapMut::map_anon(count as usize * 4096)?;
    #[cfg(target_os = "linux")]
    memory.advise(memmap2::Advice::NoHugePage)?;
    let begin = Instant::now();
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    Ok(begin.elapsed().as_secs_f64())
}
