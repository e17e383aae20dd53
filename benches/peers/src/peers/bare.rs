//! No tasks at all: what the kernel takes for a stack for each of them.
//!
//! One mapping for all stacks, a guard below each, and one byte of each touched.

use std::io;

use anyhow::{Context, Result, ensure};

use super::STACK;
use crate::clock::Meter;

const GUARD: usize = 64 * 1024;
/// Linux 6.13 and later.
const MADV_GUARD_INSTALL: i32 = 102;

pub fn timers(count: u64) -> Result<f64> {
    let meter = Meter::start();
    let slot = STACK + GUARD;
    let length = count as usize * slot;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a mapping of our own, in a process that ends after this.
    unsafe {
        let start = libc::mmap(std::ptr::null_mut(), length, access, flags, -1, 0);
        ensure!(start != libc::MAP_FAILED, io::Error::last_os_error());
        libc::madvise(start, length, libc::MADV_NOHUGEPAGE);
        for index in 0..count as usize {
            let bottom = start.cast::<u8>().add(index * slot);
            if libc::madvise(bottom.cast(), GUARD, MADV_GUARD_INSTALL) != 0 {
                return Err(io::Error::last_os_error()).context("no guard");
            }
            bottom.add(slot - 64).write(1);
        }
    }
    Ok(meter.cost_of_each(count).cpu)
}
