//! Timers in exact order: a heap with 4 children a node. A cache line holds four siblings.
//!
//! What moves here tells its new place to the table, so that any timer can be taken out.

use super::Entry;
use super::table::Table;

/// Children of a node. Half the levels of a binary heap, and the siblings lie side by side.
const ARITY: usize = 4;

/// Entries, of which the earliest is at hand.
pub(super) struct Heap {
    entries: Vec<Entry>,
}

impl Heap {
    pub(super) const fn new() -> Self {
        Heap {
            entries: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The earliest; among equals, the one inserted first.
    #[inline]
    pub(super) fn first(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    #[inline]
    pub(super) fn push<P: Copy>(&mut self, entry: Entry, table: &mut Table<P>) {
        self.entries.push(entry);
        self.rise(self.entries.len() - 1, entry, table);
    }

    /// Takes out the entry at `index`.
    #[inline]
    pub(super) fn take_out<P: Copy>(&mut self, index: usize, table: &mut Table<P>) {
        let last = self.entries.pop().expect("the entry at `index`");
        if index != self.entries.len() {
            self.fill(index, last, table);
        }
    }

    /// Puts an entry where it belongs, now that there is a hole at `index`.
    fn fill<P: Copy>(&mut self, index: usize, last: Entry, table: &mut Table<P>) {
        if index > 0 && last.precedes(&self.entries[(index - 1) / ARITY]) {
            self.rise(index, last, table);
        } else {
            self.sink(index, last, table);
        }
    }

    /// Moves the hole at `index` up to where `entry` belongs, and puts it there.
    fn rise<P: Copy>(&mut self, mut index: usize, entry: Entry, table: &mut Table<P>) {
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if !entry.precedes(&self.entries[parent]) {
                break;
            }
            self.put(index, self.entries[parent], table);
            index = parent;
        }
        self.put(index, entry, table);
    }

    /// Moves the hole at `index` down to where `entry` belongs, and puts it there.
    fn sink<P: Copy>(&mut self, mut index: usize, entry: Entry, table: &mut Table<P>) {
        while let Some(child) = self.first_child(index) {
            if !self.entries[child].precedes(&entry) {
                break;
            }
            self.put(index, self.entries[child], table);
            index = child;
        }
        self.put(index, entry, table);
    }

    /// The child that expires first.
    fn first_child(&self, index: usize) -> Option<usize> {
        let begin = index * ARITY + 1;
        let end = (begin + ARITY).min(self.entries.len());
        (begin..end).reduce(|first, child| {
            if self.entries[child].precedes(&self.entries[first]) {
                child
            } else {
                first
            }
        })
    }

    #[inline]
    fn put<P: Copy>(&mut self, index: usize, entry: Entry, table: &mut Table<P>) {
        self.entries[index] = entry;
        // Fits: there are no more entries than ids.
        table.set_place(entry.id(), index as u32);
    }

    /// Panics if a child precedes its parent, or the table does not know where an entry is.
    #[cfg(test)]
    pub(super) fn check<P: Copy>(&self, table: &Table<P>) {
        for (index, entry) in self.entries.iter().enumerate() {
            assert_eq!(table.place(entry.id()) as usize, index);
            assert!(index == 0 || !entry.precedes(&self.entries[(index - 1) / ARITY]));
        }
    }
}
