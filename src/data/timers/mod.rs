//! Deadlines in order: what a hub asks how long it may sleep, and who must wake then.
//!
//! ```text
//!   near   heap    [ at | order | id ]   in exact order
//!   soon   run     [ at | order | id ]   in exact order
//!     ▲
//!     │ when its time has come
//!   far    wheel   [ at | order | id ]   in buckets, no order within
//!                              │
//!   table          [ payload | generation | place ]
//! ```
//!
//! Whatever is more than a tick of 1 ms away costs a push, and being sorted with those of its tick when that has come.
//! The heap takes what is nearer than that, and stays in the first caches. While it is short it takes everything. So
//! where there are few timers there is no wheel, and nothing is moved down.
//!
//! Nearly every timer is removed before it expires (a timeout that did not happen), so removal is exact: no
//! dead entries wait for their time to come, but for those of the bucket that is open. What moves tells its new place
//! to the table.
//!
//! Time never goes on beyond what [`expire`](Timers::expire) is told, nor beyond the earliest timer: where many
//! ticks have passed at once one after the other is opened.
//!
//! Equal deadlines expire in the order in which they were inserted, since nothing expires but from the heap and the
//! run, whichever has the first one. The order is a number of 32 bits that wraps, compared by distance: it holds as
//! long as fewer than 2^31 timers were inserted between the two.
//!
//! Memory grows to the largest number of timers that there were at a time, and stays.

mod heap;
mod run;
mod table;
#[cfg(test)]
mod tests;
mod wheel;

use heap::Heap;
use run::Run;
use table::Table;
pub(crate) use table::TimerKey;
use wheel::{Wheel, tick};

/// A heap that is no longer than this takes timers for whenever it may be.
const FEW: usize = 64;

/// In a place: it is one in the wheel.
const FAR: u32 = 1 << 31;
/// In a place that is not in the wheel: it is one in the run, not in the heap.
const IN_RUN: u32 = 1 << 30;

/// Deadlines, each with a payload.
pub(crate) struct Timers<P> {
    /// What is due in the tick that is now or before, and not in the run; and maybe more.
    near: Heap,
    /// What was in the wheel and is due in the tick that is now.
    run: Run,
    far: Wheel,
    table: Table<P>,
    order: u32,
}

/// Two words, so that it travels in two registers.
#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    /// The order in the upper half, the id in the lower one.
    tag: u64,
}

impl Entry {
    /// No timer: there are fewer ids.
    const GAP: Entry = Entry {
        at: 0,
        tag: u64::MAX,
    };

    #[inline]
    fn new(at: u64, order: u32, id: u32) -> Entry {
        let tag = u64::from(order) << 32 | u64::from(id);
        Entry { at, tag }
    }

    #[inline]
    fn id(&self) -> u32 {
        self.tag as u32
    }

    #[inline]
    fn order(&self) -> u32 {
        (self.tag >> 32) as u32
    }

    #[inline]
    fn is_gap(&self) -> bool {
        self.id() == u32::MAX
    }

    /// Less for those that expire before others. `order` is the one that the next timer will have.
    #[inline]
    fn rank(&self, order: u32) -> u128 {
        u128::from(self.at) << 32 | u128::from(self.order().wrapping_sub(order))
    }

    /// Whether this one expires before the other.
    #[inline]
    fn precedes(&self, other: &Entry) -> bool {
        let distance = self.order().wrapping_sub(other.order()).cast_signed();
        self.at < other.at || (self.at == other.at && distance < 0)
    }
}

impl<P: Copy> Timers<P> {
    pub(crate) const fn new() -> Self {
        Timers {
            near: Heap::new(),
            run: Run::new(),
            far: Wheel::new(),
            table: Table::new(),
            order: 0,
        }
    }

    /// Adds a timer that expires at `at`, in nanoseconds.
    pub(crate) fn insert(&mut self, at: u64, payload: P) -> TimerKey {
        let key = self.table.enter(payload);
        let order = self.order;
        self.order = order.wrapping_add(1);
        self.settle(Entry::new(at, order, key.id));
        key
    }

    /// Removes a timer; false if it has expired or was removed.
    pub(crate) fn remove(&mut self, key: TimerKey) -> bool {
        let Some(place) = self.table.leave(key) else {
            return false;
        };
        if place & FAR != 0 {
            let index = (place & !FAR) as usize;
            self.far.take_out(index, &mut self.table);
        } else if place & IN_RUN != 0 {
            self.run.take_out((place & !IN_RUN) as usize);
        } else {
            self.near.take_out(place as usize, &mut self.table);
        }
        true
    }

    /// When to look again, if ever: the earliest deadline, or a time before it at which something comes near. There
    /// are few of those: one for each level of the wheel, and one each tick.
    pub(crate) fn next(&self) -> Option<u64> {
        let near = self.first().map(|entry| entry.at);
        if near.map_or(u64::MAX, tick) < self.far.begins() {
            return near;
        }
        near.into_iter().chain(self.far.next()).min()
    }

    /// Takes the earliest timer whose deadline is not later than `now`: the deadline and the payload.
    #[inline]
    pub(crate) fn expire(&mut self, now: u64) -> Option<(u64, P)> {
        while self.far_comes_first(now) {
            self.move_down();
        }
        let Some(first) = self.first().filter(|entry| entry.at <= now) else {
            self.far.advance(tick(now));
            return None;
        };
        match self.run_comes_first() {
            true => self.run.take_first(),
            false => self.near.take_out(0, &mut self.table),
        }
        Some((first.at, self.table.give_back(first.id())))
    }

    /// Removes all timers but those whose payload is one to `keep`.
    pub(crate) fn retain(&mut self, keep: impl Fn(&P) -> bool) {
        let ids: Vec<u32> = self.entries().map(|entry| entry.id()).collect();
        for id in ids {
            if !keep(self.table.payload(id)) {
                self.remove(self.table.key(id));
            }
        }
    }

    /// All of them, in no order: each deadline with its payload.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &P)> {
        self.entries()
            .map(|entry| (entry.at, self.table.payload(entry.id())))
    }

    /// How many timers there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let near = self.near.iter().chain(self.run.iter());
        near.chain(self.far.iter())
    }

    /// The earliest of those that are not in the wheel.
    #[inline]
    fn first(&self) -> Option<Entry> {
        match self.run_comes_first() {
            true => self.run.first().copied(),
            false => self.near.first().copied(),
        }
    }

    /// Whether the first one of the run comes before that of the heap.
    #[inline]
    fn run_comes_first(&self) -> bool {
        self.run
            .first()
            .is_some_and(|first| self.near.first().is_none_or(|near| first.precedes(near)))
    }

    /// Puts an entry where it belongs.
    #[inline]
    fn settle(&mut self, entry: Entry) {
        if self.near.len() < FEW || tick(entry.at) <= self.far.now() {
            self.near.push(entry, &mut self.table);
        } else {
            self.far.push(entry, &mut self.table);
        }
    }

    /// Whether the wheel may have something that is earlier than the first one elsewhere, and not later than `now`.
    #[inline]
    fn far_comes_first(&self, now: u64) -> bool {
        let first = self.first().map_or(now, |entry| entry.at.min(now));
        tick(first) >= self.far.begins()
    }

    /// Empties the first bucket of the wheel. The run is empty: what it had was due before that.
    #[cold]
    #[inline(never)]
    fn move_down(&mut self) {
        debug_assert!(self.run.first().is_none());
        let mut opened = self.far.open();
        while let Some(block) = opened {
            let mut index = 0;
            while let Some(entry) = self.far.in_block(block, index) {
                match tick(entry.at) <= self.far.now() {
                    true => self.run.push(entry),
                    false => self.settle(entry),
                }
                index += 1;
            }
            opened = self.far.close(block);
        }
        self.run.sort(self.order, &mut self.table);
    }
}
