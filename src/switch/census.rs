//! How deep the stacks of greenlets were ever used, by where these were spawned.
//!
//! Off until it is asked for. While it is on, a greenlet that begins gets a stack whose memory was given back but for
//! the first page, and when it ends the system is asked what has memory: two system calls for each greenlet, and none
//! while it runs. So the answer is exact to a page.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::control::Control;
use super::thread::Thread;
use crate::sys::fork::Own;
use crate::sys::lock::lock;
use crate::sys::stack::{Pages, Stack, touched};

static ON: AtomicBool = AtomicBool::new(false);

/// Of one place where greenlets are spawned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Those that have ended.
    pub(crate) ended: u64,
    /// What the last one asked for, in bytes.
    pub(crate) size: usize,
    /// What any of them used, in bytes.
    pub(crate) deepest: usize,
}

fn records() -> &'static Mutex<HashMap<Location<'static>, Record>> {
    static RECORDS: Own<Mutex<HashMap<Location<'static>, Record>>> = Own::new();
    RECORDS.get()
}

pub(crate) fn turn(on: bool) {
    ON.store(on, Ordering::Relaxed);
}

#[inline(always)]
fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// A greenlet begins.
#[inline(always)]
pub(super) fn begin(thread: &Thread, control: &Control, stack: &Stack) {
    if is_on() {
        thread.stacks.freshen(stack);
        control.counted.set(true);
    }
}

/// It has ended.
#[inline(always)]
pub(super) fn end(control: &Control, stack: &Stack) {
    if control.counted.get() {
        note(control, stack);
    }
}

#[cold]
fn note(control: &Control, stack: &Stack) {
    let Some((limit, top)) = stack.ends() else {
        return;
    };
    let (size, used) = (control.pages.bytes(), touched(limit, top));
    let mut records = lock(records());
    let record = records.entry(*control.site).or_insert(Record {
        ended: 0,
        size,
        deepest: 0,
    });
    record.ended += 1;
    record.size = size;
    record.deepest = record.deepest.max(used);
}

/// What is known by now.
pub(crate) fn all() -> Vec<(Location<'static>, Record)> {
    let records = lock(records());
    records
        .iter()
        .map(|(site, record)| (*site, *record))
        .collect()
}

/// So many must have ended before their place is trusted.
const ENOUGH: u64 = 16;
/// What is added to twice the deepest use, in bytes.
const MARGIN: usize = 16 << 10;

/// How much to ask for at a place. Sizes are powers of two: stacks of few sizes are used again sooner.
pub(crate) fn suggestion(site: &Location<'static>) -> Option<Pages> {
    let record = *lock(records()).get(site)?;
    let wanted = (2 * record.deepest + MARGIN).next_power_of_two();
    (record.ended >= ENOUGH)
        .then(|| Pages::checked(wanted).ok())
        .flatten()
}
