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
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(miri)))]
    if layout.align() >= HUGE {
        // SAFETY: the block is ours; how it is mapped changes nothing else. A failure changes nothing at all.
        unsafe { libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
    }
    Some(start)
}
