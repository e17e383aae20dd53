//! Guards: what lies below a stack, so that running over it is noticed.
//!
//! They are made by `MADV_GUARD_INSTALL` where the kernel has it (Linux 6.13): a mark in the page table, so
//! that a million guarded stacks stay one mapping. Elsewhere by `mprotect`, which splits the mapping twice for
//! each stack and so ends near 32,000 of them (`vm.max_map_count`). A guard is 64 KiB, because C code compiled
//! without stack probes can step over a single page.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

use super::page_size;
#[cfg(target_os = "linux")]
use crate::sys::fd;
use crate::sys::memory;

/// The least size of a guard region, in bytes.
const GUARD: usize = 64 * 1024;

/// The size of a guard region: at least 64 KiB, whole pages.
pub(super) fn guard_size() -> usize {
    GUARD.next_multiple_of(page_size())
}

/// Some slots that lie side by side, and were never handed out.
pub(super) struct Slots {
    pub(super) first: NonNull<u8>,
    /// From one to the next, in bytes.
    pub(super) distance: usize,
    pub(super) count: usize,
    /// Where in each the page lies that is used first.
    pub(super) first_page: usize,
}

/// Makes the lowest parts of slots inaccessible; returns of how many: one at least.
///
/// # Errors
/// What the system says if not even one can be had.
pub(super) fn install(slots: &Slots) -> io::Result<usize> {
    let slot = slots.first;
    if light_guards() {
        let at_once = slots.count.min(AT_ONCE);
        if at_once > 1 && several_light_guards(slots, at_once) {
            return Ok(at_once);
        }
        if light_guard(slot).is_ok() {
            return Ok(1);
        }
    }
    install_by_mprotect(slot).map(|()| 1)
}

fn install_by_mprotect(slot: NonNull<u8>) -> io::Result<()> {
    // SAFETY: the guard region of a slot that was never handed out; nothing is stored there.
    let result = unsafe { libc::mprotect(slot.as_ptr().cast(), guard_size(), libc::PROT_NONE) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `MADV_GUARD_INSTALL`, which the libc crate does not name yet.
const MADV_GUARD_INSTALL: i32 = 102;

fn light_guard(slot: NonNull<u8>) -> io::Result<()> {
    // SAFETY: as for `mprotect`.
    let result = unsafe { libc::madvise(slot.as_ptr().cast(), guard_size(), MADV_GUARD_INSTALL) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// So many guards are made by one call.
const AT_ONCE: usize = 64;

/// Whether so many guards could be made by one call, which costs two thirds of as many calls. Where that is as many as it
/// can be, the first pages are made as well: for them all a call costs less than a fault each.
#[cfg(target_os = "linux")]
fn several_light_guards(slots: &Slots, count: usize) -> bool {
    // It names this process, so it is asked for each time: after a fork it would name the parent.
    let Ok(process) = fd::of_process(std::process::id()) else {
        return false;
    };
    // SAFETY: the guard regions of slots that were never handed out; nothing is stored there. A part of them may have been
    // made: making them again does no harm.
    let guarded = unsafe {
        advise(
            &process,
            slots,
            count,
            (0, guard_size()),
            MADV_GUARD_INSTALL,
        )
    };
    if guarded && count == AT_ONCE {
        let page = (slots.first_page, page_size());
        // SAFETY: makes pages that would be made at their first use; where there is no memory, then.
        unsafe { advise(&process, slots, count, page, libc::MADV_POPULATE_WRITE) };
    }
    guarded
}

/// Gives one advice about the same part of several slots, which is so many bytes from the beginning of each, and so long. False if
/// it was not taken for all.
///
/// # Safety
/// The advice does no harm to what is stored there.
#[cfg(target_os = "linux")]
unsafe fn advise(
    process: &std::os::fd::OwnedFd,
    slots: &Slots,
    count: usize,
    (begin, length): (usize, usize),
    advice: i32,
) -> bool {
    use std::os::fd::AsRawFd;

    let mut ranges = [const {
        libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        }
    }; AT_ONCE];
    for (number, range) in ranges[..count].iter_mut().enumerate() {
        let part = number * slots.distance + begin;
        range.iov_base = slots.first.as_ptr().wrapping_add(part).cast();
        range.iov_len = length;
    }
    // SAFETY: the ranges lie in slots, and are there for the call; caller's promise.
    let advised = unsafe {
        libc::syscall(
            libc::SYS_process_madvise,
            process.as_raw_fd(),
            ranges.as_ptr(),
            count,
            advice,
            0,
        )
    };
    usize::try_from(advised) == Ok(count * length)
}

#[cfg(not(target_os = "linux"))]
fn several_light_guards(_slots: &Slots, _count: usize) -> bool {
    false
}

/// Whether the kernel can guard pages without splitting the mapping. Tried once for the process.
fn light_guards() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);
    if cfg!(greenlet_mprotect) || !cfg!(target_os = "linux") {
        return false;
    }
    match KNOWN.load(Ordering::Relaxed) {
        UNKNOWN => {
            let works = try_light_guard();
            KNOWN.store(if works { YES } else { NO }, Ordering::Relaxed);
            works
        }
        known => known == YES,
    }
}

/// Guards a scratch mapping and asks the kernel to read it. An emulator may accept advice it does not
/// know and do nothing, so the return value alone proves nothing.
fn try_light_guard() -> bool {
    let Ok(start) = memory::map(guard_size()) else {
        return false;
    };
    let accepted = light_guard(start).is_ok();
    // SAFETY: the call reads a path from our mapping, or fails with EFAULT if it cannot.
    let read = unsafe { libc::access(start.as_ptr().cast_const().cast(), libc::F_OK) };
    let refused = read == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT);
    // SAFETY: the scratch mapping is ours and unused.
    unsafe { memory::unmap(start, guard_size()) };
    accepted && refused
}
