//! The bucket of the wheel that was opened last, in exact order: what expires next.
//!
//! All of it comes near at once, so it is sorted once. A heap would move each entry some times more, and the table
//! would be told each time.
//!
//! Only the end is looked at when timers expire. What is removed from the middle leaves a gap, which goes when it comes
//! to the end: there are no more gaps than entries that the bucket had when it was opened.

use super::table::Table;
use super::{Entry, IN_RUN};
use crate::sys::memory;

/// There is memory for so many as soon as there is one: most buckets that are opened allocate nothing.
const AT_FIRST: usize = 64;

/// Entries, of which the last one expires first.
pub(super) struct Run {
    /// Gaps between entries, but not at the end.
    entries: Vec<Entry>,
}

impl Run {
    pub(super) const fn new() -> Self {
        Run {
            entries: Vec::new(),
        }
    }

    /// The earliest; among equals, the one inserted first.
    #[inline]
    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_gap())
    }

    /// Adds one of a bucket that is being opened. They are to be [sorted](Self::sort) before anything else is done.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        let more = if self.entries.capacity() == 0 {
            AT_FIRST
        } else {
            1
        };
        memory::reserve(&mut self.entries, more);
        self.entries.push(entry);
    }

    /// Sorts a bucket that has been opened. `order` is the one that the next timer will have.
    pub(super) fn sort<P: Copy>(&mut self, order: u32, table: &mut Table<P>) {
        self.entries
            .sort_unstable_by_key(|entry| !entry.rank(order));
        for (index, entry) in self.entries.iter().enumerate() {
            // Fits: there are no more entries than ids.
            table.set_place(entry.id(), IN_RUN | index as u32);
        }
    }

    /// Takes out the first one.
    #[inline]
    pub(super) fn take_first(&mut self) {
        self.entries.pop();
        self.close_gaps();
    }

    /// Takes out the entry at `index`.
    pub(super) fn take_out(&mut self, index: usize) {
        self.entries[index] = Entry::GAP;
        self.close_gaps();
    }

    #[inline]
    fn close_gaps(&mut self) {
        while self.entries.last().is_some_and(Entry::is_gap) {
            self.entries.pop();
        }
    }

    /// Panics if entries are not in order, or the table does not know where one is.
    #[cfg(test)]
    pub(super) fn check<P: Copy>(&self, table: &Table<P>) {
        let later_and_earlier = self.iter().zip(self.iter().skip(1));
        assert!({ later_and_earlier }.all(|(later, earlier)| earlier.precedes(later)));
        assert!(self.first().is_none_or(|first| !first.is_gap()));
        for (index, entry) in self.entries.iter().enumerate() {
            assert!(entry.is_gap() || table.place(entry.id()) == IN_RUN | index as u32);
        }
    }
}
