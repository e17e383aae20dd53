//! Large blocks of memory, in huge pages where the system has them.
//!
//! What a million greenlets keep is touched in any order. In pages of 4 KiB nearly each touch is a miss of the
//! translation cache, and each page a fault when it is first touched; in pages of 2 MiB hardly any is.

use std::alloc::{Layout, alloc};
use std::ptr::NonNull;

/// The size of a huge page, in bytes, and the alignment that lets a block have them.
pub(crate) const HUGE: usize = 2 << 20;

/// Allocates, as `alloc` does. A block that is as large as a huge page, and aligned to it, is made of them if
/// that can be had.
///
/// # Safety
/// As for [`alloc`]: the layout is not empty.
pub(crate) unsafe fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: caller's promise.
    let start = NonNull::new(unsafe { alloc(layout) })?;
    if layout.align() >= HUGE {
        make_huge(start.as_ptr(), layout.size());
    }
    Some(start)
}

/// Makes room for so many more, as [`Vec::reserve`] does, in huge pages if it is large and they can be had.
#[inline]
pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        grow(vec, more);
    }
}

#[cold]
#[inline(never)]
fn grow<T>(vec: &mut Vec<T>, more: usize) {
    let room = (vec.len() + more).max(2 * vec.capacity());
    if room * size_of::<T>() < 2 * HUGE {
        return vec.reserve(more);
    }
    // Not by `reserve`: what has small pages keeps them when it grows, and may come to lie where no huge one fits.
    let mut larger = Vec::<T>::with_capacity(room);
    make_huge(larger.as_mut_ptr().cast(), room * size_of::<T>());
    larger.append(vec);
    *vec = larger;
}

/// Asks for huge pages within these bytes, which belong to the caller. It stays so when they are freed and become
/// something else.
fn make_huge(start: *mut u8, size: usize) {
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
    {
        let within = start.addr().next_multiple_of(HUGE) - start.addr();
        let size = size.saturating_sub(within) / HUGE * HUGE;
        // SAFETY: pages of which all bytes are the caller's; how they are mapped changes nothing else. A failure
        // changes nothing at all.
        unsafe { libc::madvise(start.wrapping_add(within).cast(), size, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(all(any(target_os = "linux", target_os = "android"), not(miri))))]
    let _ = (start, size);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_keeps_what_it_has() {
        let mut numbers: Vec<u64> = Vec::new();
        for number in 0..1_000_000 {
            reserve(&mut numbers, 1);
            let room = numbers.capacity();
            numbers.push(number);
            assert_eq!(numbers.capacity(), room, "there was room");
        }
        assert!(numbers.iter().copied().eq(0..1_000_000));
        assert!(numbers.capacity() <= 2_000_000, "{}", numbers.capacity());
        reserve(&mut numbers, 5_000_000);
        assert!(numbers.capacity() >= 6_000_000 && numbers.len() == 1_000_000);
    }
}
