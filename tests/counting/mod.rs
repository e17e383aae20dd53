//! Counts what this thread asks of the allocator: the system's, with a counter before it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How many allocations `body` makes, and all who run meanwhile.
pub(crate) fn counted(body: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    body();
    ALLOCATIONS.get() - before
}

/// What `body` allocates does not count.
pub(crate) fn uncounted<R>(body: impl FnOnce() -> R) -> R {
    let before = ALLOCATIONS.get();
    let result = body();
    ALLOCATIONS.set(before);
    result
}

#[test]
fn canary_an_allocation_is_counted() {
    let allocate = || drop(std::hint::black_box(Box::new(1)));
    assert_eq!(counted(|| (0..100).for_each(|_| allocate())), 100);
    assert_eq!(counted(|| uncounted(allocate)), 0);
}
