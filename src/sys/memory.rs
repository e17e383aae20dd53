//! Memory for what there may be a million of: in huge pages where the system has them, and not the last that there is.
//!
//! Whoever cannot have more is told, and the program goes on; but who gets no memory for anything else ends it. So what can
//! be refused leaves some [headroom](HEADROOM).
//!
//! What a million greenlets keep is touched in any order. In pages of 4 KiB nearly each touch is a miss of the
//! translation cache, and each page a fault when it is first touched; in pages of 2 MiB hardly any is.

use std::alloc::{Layout, alloc, dealloc};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// The size of a huge page, in bytes, and the alignment that lets a block have them.
pub(crate) const HUGE: usize = 2 << 20;

/// So many bytes of address space are left when stacks are reserved, and memory for greenlets is asked for.
const HEADROOM: usize = if cfg!(target_pointer_width = "64") {
    32 << 20
} else {
    4 << 20
};

#[cfg(any(target_os = "freebsd", target_os = "dragonfly"))]
const NORESERVE: i32 = 0;
#[cfg(not(any(target_os = "freebsd", target_os = "dragonfly")))]
const NORESERVE: i32 = libc::MAP_NORESERVE;

/// Address space that costs memory only where it is touched. Nobody else refers to it.
pub(crate) fn map(length: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a fresh anonymous mapping disturbs nobody.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANON | NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(NonNull::new(start.cast()).expect("mmap does not return null"))
}

/// Whether so many bytes could be had, and the headroom besides.
pub(crate) fn check(bytes: usize) -> io::Result<()> {
    let length = bytes + HEADROOM;
    let start = map(length)?;
    // SAFETY: mapped just now, and nobody has an address of it.
    unsafe { unmap(start, length) };
    Ok(())
}

/// What the system says when there is none.
#[cold]
pub(crate) fn exhausted() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOMEM)
}

/// A box for a value; None if there is no memory for it.
pub(crate) fn room<V>() -> Option<Box<MaybeUninit<V>>> {
    let layout = Layout::new::<V>();
    if layout.size() == 0 {
        return Some(Box::new_uninit());
    }
    // SAFETY: the layout is not empty; it is that of the box, which nobody else has.
    unsafe { Some(Box::from_raw(NonNull::new(alloc(layout))?.as_ptr().cast())) }
}

/// Allocates, as `alloc` does. A block that is aligned to a huge page takes no more address space than it has bytes, and is
/// made of huge pages if they can be had.
///
/// # Safety
/// As for [`alloc`]: the layout is not empty. It is freed by [`free`].
pub(crate) unsafe fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if !is_huge(layout) {
        // SAFETY: caller's promise.
        return NonNull::new(unsafe { alloc(layout) });
    }
    let start = map_huge(layout.size()).ok()?;
    make_huge(start.as_ptr(), layout.size());
    Some(start)
}

/// # Safety
/// It was [allocated](allocate) with this layout, and nobody refers to it any more.
pub(crate) unsafe fn free(start: NonNull<u8>, layout: Layout) {
    // SAFETY: caller's promise.
    unsafe {
        match is_huge(layout) {
            true => unmap(start, layout.size()),
            false => dealloc(start.as_ptr(), layout),
        }
    }
}

fn is_huge(layout: Layout) -> bool {
    layout.align() >= HUGE && !cfg!(miri)
}

/// A mapping that begins where a huge page can. It mostly lies next to another one, and does so by itself.
fn map_huge(length: usize) -> io::Result<NonNull<u8>> {
    let start = map(length)?;
    if start.addr().get().is_multiple_of(HUGE) {
        return Ok(start);
    }
    // SAFETY: mapped just now, and nobody has an address of it.
    unsafe { unmap(start, length) };
    let start = map(length + HUGE)?;
    let before = start.addr().get().next_multiple_of(HUGE) - start.addr().get();
    // SAFETY: as above, and all of this lies within the mapping; what is neither before nor after has the length.
    unsafe {
        let within = start.add(before);
        unmap(start, before);
        unmap(within.add(length), HUGE - before);
        Ok(within)
    }
}

/// # Safety
/// It was [mapped](map), and nobody refers to these bytes any more.
pub(crate) unsafe fn unmap(start: NonNull<u8>, length: usize) {
    if length > 0 {
        // SAFETY: caller's promise.
        unsafe { libc::munmap(start.as_ptr().cast(), length) };
    }
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
