//! Deadlines in order: what a hub asks how long it may sleep, and who must wake then.
//!
//! ```text
//!   heap        16 bytes each, 4 children: four siblings fill a cache line
//!   [ at | order | id ] --- id ---+
//!                                 v
//!   positions   4 bytes each    [ where in the heap ]   or, of a free id, the next free one
//!   slots                       [ payload | generation ]
//! ```
//!
//! Nearly every timer is removed before it expires (a timeout that did not happen), so removal is exact: no
//! dead entries wait in the heap for their time to come. What moves in the heap tells its new place to
//! `positions`, a table so small that it stays in the first cache; payloads are touched once when a timer
//! comes and once when it goes.
//!
//! Equal deadlines expire in the order in which they were inserted. The order is a number of 32 bits that
//! wraps, compared by distance: it holds as long as fewer than 2^31 timers were inserted between the two.
//!
//! A key carries a generation, so a stale one never hits the timer that has its id now. An id whose
//! generations are used up is not used again: 24 bytes lost for each 4 billion timers.
//!
//! Memory grows to the largest number of timers that there were at a time, and stays.

use std::num::NonZeroU32;

/// Children of a node. Half the levels of a binary heap, and the siblings lie side by side.
const ARITY: usize = 4;

/// Ends the list of free ids.
const NO_ID: u32 = u32::MAX;

/// The generation that no key has: its id is retired.
const LAST_GENERATION: NonZeroU32 = NonZeroU32::MAX;

/// Deadlines, each with a payload.
pub(crate) struct Timers<P> {
    heap: Vec<Entry>,
    /// By id: the index in `heap`; of a free id, the next free id.
    positions: Vec<u32>,
    /// By id.
    slots: Vec<Slot<P>>,
    free: u32,
    order: u32,
}

/// Names a timer until it is removed or has expired, and nothing afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerKey {
    id: u32,
    generation: NonZeroU32,
}

#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    order: u32,
    id: u32,
}

struct Slot<P> {
    payload: P,
    generation: NonZeroU32,
}

impl Entry {
    /// Whether this one expires before the other.
    #[inline]
    fn precedes(&self, other: &Entry) -> bool {
        let distance = self.order.wrapping_sub(other.order).cast_signed();
        self.at < other.at || (self.at == other.at && distance < 0)
    }
}

impl<P: Copy> Timers<P> {
    pub(crate) const fn new() -> Self {
        Timers {
            heap: Vec::new(),
            positions: Vec::new(),
            slots: Vec::new(),
            free: NO_ID,
            order: 0,
        }
    }

    /// Adds a timer that expires at `at`, in nanoseconds.
    pub(crate) fn insert(&mut self, at: u64, payload: P) -> TimerKey {
        let (id, generation) = self.take_id(payload);
        let order = self.order;
        self.order = order.wrapping_add(1);
        let entry = Entry { at, order, id };
        self.heap.push(entry);
        self.rise(self.heap.len() - 1, entry);
        TimerKey { id, generation }
    }

    /// Removes a timer; false if it has expired or was removed.
    pub(crate) fn remove(&mut self, key: TimerKey) -> bool {
        let id = key.id as usize;
        let live = self
            .slots
            .get(id)
            .is_some_and(|slot| slot.generation == key.generation);
        if live {
            self.take_out(self.positions[id] as usize);
        }
        live
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Takes the earliest timer whose deadline is not later than `now`.
    pub(crate) fn expire(&mut self, now: u64) -> Option<P> {
        let first = self.heap.first().filter(|entry| entry.at <= now)?;
        let payload = self.slots[first.id as usize].payload;
        self.take_out(0);
        Some(payload)
    }

    /// Removes all timers but those whose payload is one to `keep`.
    pub(crate) fn retain(&mut self, keep: impl Fn(&P) -> bool) {
        let ids: Vec<u32> = self.heap.iter().map(|entry| entry.id).collect();
        for id in ids {
            if !keep(&self.slots[id as usize].payload) {
                self.take_out(self.positions[id as usize] as usize);
            }
        }
    }

    /// All of them, in no order: each deadline with its payload.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &P)> {
        let of = |entry: &Entry| (entry.at, &self.slots[entry.id as usize].payload);
        self.heap.iter().map(of)
    }

    /// How many timers there are.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn take_id(&mut self, payload: P) -> (u32, NonZeroU32) {
        if self.free == NO_ID {
            return self.new_id(payload);
        }
        let id = self.free;
        self.free = self.positions[id as usize];
        let slot = &mut self.slots[id as usize];
        slot.payload = payload;
        (id, slot.generation)
    }

    #[cold]
    fn new_id(&mut self, payload: P) -> (u32, NonZeroU32) {
        let id = u32::try_from(self.slots.len()).expect("fewer than 2^32 timers");
        assert_ne!(id, NO_ID, "fewer than 2^32 timers");
        let generation = NonZeroU32::MIN;
        self.positions.push(0);
        self.slots.push(Slot {
            payload,
            generation,
        });
        (id, generation)
    }

    fn free_id(&mut self, id: u32) {
        let generation = &mut self.slots[id as usize].generation;
        *generation = generation.saturating_add(1);
        if *generation != LAST_GENERATION {
            self.positions[id as usize] = self.free;
            self.free = id;
        }
    }

    /// Takes the entry at `index` out of the heap; the last one moves to where it belongs.
    fn take_out(&mut self, index: usize) {
        self.free_id(self.heap[index].id);
        let last = self.heap.pop().expect("the entry at `index`");
        if index == self.heap.len() {
            return;
        }
        if index > 0 && last.precedes(&self.heap[(index - 1) / ARITY]) {
            self.rise(index, last);
        } else {
            self.sink(index, last);
        }
    }

    /// Moves the hole at `index` up to where `entry` belongs, and puts it there.
    fn rise(&mut self, mut index: usize, entry: Entry) {
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if !entry.precedes(&self.heap[parent]) {
                break;
            }
            self.place(index, self.heap[parent]);
            index = parent;
        }
        self.place(index, entry);
    }

    /// Moves the hole at `index` down to where `entry` belongs, and puts it there.
    fn sink(&mut self, mut index: usize, entry: Entry) {
        while let Some(child) = self.first_child(index) {
            if !self.heap[child].precedes(&entry) {
                break;
            }
            self.place(index, self.heap[child]);
            index = child;
        }
        self.place(index, entry);
    }

    /// The child that expires first.
    fn first_child(&self, index: usize) -> Option<usize> {
        let begin = index * ARITY + 1;
        let end = (begin + ARITY).min(self.heap.len());
        (begin..end).reduce(|first, child| {
            if self.heap[child].precedes(&self.heap[first]) {
                child
            } else {
                first
            }
        })
    }

    #[inline]
    fn place(&mut self, index: usize, entry: Entry) {
        self.heap[index] = entry;
        // Fits: there are no more entries than ids.
        self.positions[entry.id as usize] = index as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    impl<P: Copy> Timers<P> {
        /// Panics if the tables do not agree.
        fn check(&self) {
            for (index, entry) in self.heap.iter().enumerate() {
                assert_eq!(self.positions[entry.id as usize] as usize, index);
                assert!(index == 0 || !entry.precedes(&self.heap[(index - 1) / ARITY]));
            }
            let mut free = 0;
            let mut id = self.free;
            while id != NO_ID {
                free += 1;
                id = self.positions[id as usize];
            }
            let retired = |slot: &&Slot<P>| slot.generation == LAST_GENERATION;
            let retired = self.slots.iter().filter(retired).count();
            assert_eq!(self.heap.len() + free + retired, self.slots.len());
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        /// Removes the key that was given out as this one, live or stale.
        Remove(prop::sample::Index),
        Expire(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few different deadlines, so that many are equal.
        let at = prop_oneof![8 => 0..20u64, 1 => Just(u64::MAX), 1 => any::<u64>()];
        prop_oneof![
            4 => at.clone().prop_map(Step::Insert),
            2 => any::<prop::sample::Index>().prop_map(Step::Remove),
            3 => at.prop_map(Step::Expire),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_a_list(steps in vec(step(), 0..400), order in prop_oneof![Just(0), Just(u32::MAX - 50)]) {
            let mut timers = Timers::new();
            timers.order = order;
            // The payload is the number of the insertion, which is also the index in `keys`.
            let mut list: Vec<(u64, usize)> = vec![];
            let mut keys: Vec<TimerKey> = vec![];
            for step in steps {
                match step {
                    Step::Insert(at) => {
                        list.push((at, keys.len()));
                        keys.push(timers.insert(at, keys.len()));
                    }
                    Step::Remove(_) if keys.is_empty() => {}
                    Step::Remove(index) => {
                        let number = index.index(keys.len());
                        let found = list.iter().position(|timer| timer.1 == number);
                        prop_assert_eq!(timers.remove(keys[number]), found.is_some());
                        found.map(|place| list.remove(place));
                    }
                    Step::Expire(now) => {
                        let first = list.iter().copied().min().filter(|timer| timer.0 <= now);
                        prop_assert_eq!(timers.expire(now), first.map(|timer| timer.1));
                        list.retain(|timer| Some(*timer) != first);
                    }
                }
                timers.check();
                prop_assert_eq!(timers.len(), list.len());
                prop_assert_eq!(timers.is_empty(), list.is_empty());
                prop_assert_eq!(timers.next(), list.iter().map(|timer| timer.0).min());
            }
        }
    }

    #[test]
    fn equal_deadlines_expire_in_the_order_of_insertion() {
        let mut timers = Timers::new();
        timers.order = u32::MAX - 10; // wraps on the way
        let keys: Vec<_> = (0..100).map(|number| timers.insert(7, number)).collect();
        for number in (0..100).step_by(3) {
            assert!(timers.remove(keys[number]));
        }
        let rest: Vec<_> = std::iter::from_fn(|| timers.expire(7)).collect();
        let expected: Vec<_> = (0..100).filter(|number| number % 3 != 0).collect();
        assert_eq!(rest, expected);
    }

    #[test]
    fn a_timer_expires_at_its_deadline_and_not_before() {
        let mut timers = Timers::new();
        timers.insert(u64::MAX, "never");
        timers.insert(5, "five");
        assert_eq!(timers.next(), Some(5));
        assert_eq!(timers.expire(4), None);
        assert_eq!(timers.expire(5), Some("five"));
        assert_eq!(timers.expire(u64::MAX - 1), None);
        assert_eq!(timers.next(), Some(u64::MAX));
        assert_eq!(timers.expire(u64::MAX), Some("never"));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_stale_key_hits_nobody() {
        let mut timers = Timers::new();
        let removed = timers.insert(1, 1);
        assert!(timers.remove(removed));
        assert!(!timers.remove(removed));
        let expired = timers.insert(1, 2);
        assert_eq!(timers.expire(1), Some(2));
        let live = timers.insert(1, 3);
        assert_eq!(
            (live.id, live.id),
            (removed.id, expired.id),
            "the id is used again"
        );
        assert!(!timers.remove(removed) && !timers.remove(expired));
        assert_eq!(timers.len(), 1);
        assert!(timers.remove(live));
    }

    #[test]
    fn an_id_without_generations_is_retired() {
        let mut timers = Timers::new();
        let first = timers.insert(1, ());
        assert!(timers.remove(first));
        timers.slots[0].generation = NonZeroU32::new(u32::MAX - 1).unwrap();
        let last = timers.insert(1, ());
        assert_eq!(last.id, 0);
        assert!(timers.remove(last));
        let next = timers.insert(1, ());
        assert_eq!(next.id, 1);
        assert!(!timers.remove(last) && timers.remove(next));
        timers.check();
    }

    #[test]
    fn a_hundred_thousand_in_no_order() {
        const COUNT: u64 = 100_000;
        let mut timers = Timers::new();
        // 7 and COUNT have no common divisor: every deadline once.
        let keys: Vec<_> = (0..COUNT)
            .map(|number| timers.insert(number * 7 % COUNT, number))
            .collect();
        timers.check();
        for key in keys.iter().step_by(2) {
            assert!(timers.remove(*key));
        }
        timers.check();
        let mut last = 0;
        for _ in 0..COUNT / 2 {
            let at = timers.next().unwrap();
            let number = timers.expire(at).unwrap();
            assert!(number % 2 == 1 && number * 7 % COUNT == at && at >= last);
            last = at;
        }
        assert!(timers.is_empty());
    }

    #[test]
    fn memory_is_used_again() {
        let mut timers = Timers::new();
        for round in 0..1000 {
            let keys = [0; 8].map(|_| timers.insert(round, ()));
            assert!(timers.remove(keys[3]));
            while timers.expire(round).is_some() {}
        }
        assert_eq!((timers.slots.len(), timers.positions.len()), (8, 8));
        assert_eq!(size_of::<Entry>(), 16);
        assert_eq!(size_of::<Option<TimerKey>>(), 8);
    }
}
