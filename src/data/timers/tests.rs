//! Single cases, and in `against_a_list` random ones.

use super::*;

mod against_a_list;

impl<P: Copy> Timers<P> {
    /// Panics if the tables do not agree.
    fn check(&self) {
        self.near.check(&self.table);
        self.run.check(&self.table);
        self.far.check(&self.table);
        self.table.check();
        assert_eq!(self.entries().count(), self.len());
    }

    /// Fills the heap with what never expires: everything else has to go to the wheel.
    fn with_a_full_heap(payload: P) -> Self {
        let mut timers = Timers::new();
        (0..FEW).for_each(|_| {
            timers.insert(u64::MAX, payload);
        });
        timers
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
    let expected = (0..100).filter(|number| number % 3 != 0);
    assert_eq!(rest, expected.map(|number| (7, number)).collect::<Vec<_>>());
}

#[test]
fn equals_of_a_bucket_expire_in_the_order_of_insertion() {
    const AT: u64 = 1 << 30;
    let mut timers = Timers::with_a_full_heap(0);
    timers.order = u32::MAX - 10; // wraps on the way
    (0..100).for_each(|number| {
        timers.insert(AT, number);
    });
    let all: Vec<_> = std::iter::from_fn(|| timers.expire(AT)).collect();
    let expected: Vec<_> = (0..100).map(|number| (AT, number)).collect();
    assert_eq!(all, expected);
}

#[test]
fn equals_that_were_far_when_they_were_inserted_come_before_those_that_were_near() {
    const AT: u64 = 1_000_000_000_000;
    let mut timers = Timers::with_a_full_heap(0);
    let mut number = 0;
    // From as far away as an hour to within the tick, always to the same moment.
    for bits in (0..42).rev() {
        assert_eq!(timers.expire(AT.saturating_sub(1 << bits)), None);
        for _ in 0..3 {
            number += 1;
            timers.insert(AT, number);
        }
    }
    let all: Vec<_> = std::iter::from_fn(|| timers.expire(AT)).collect();
    let expected: Vec<_> = (1..=number).map(|number| (AT, number)).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_timer_expires_at_its_deadline_and_not_before() {
    let mut timers = Timers::new();
    timers.insert(u64::MAX, "never");
    timers.insert(5, "five");
    assert_eq!(timers.next(), Some(5));
    assert_eq!(timers.expire(4), None);
    assert_eq!(timers.expire(5), Some((5, "five")));
    assert_eq!(timers.expire(u64::MAX - 1), None);
    assert_eq!(timers.next(), Some(u64::MAX));
    assert_eq!(timers.expire(u64::MAX), Some((u64::MAX, "never")));
    assert_eq!(timers.next(), None);
}

#[test]
fn a_timer_of_the_wheel_expires_at_its_deadline_and_not_before() {
    for bits in 0..64 {
        let at = 1 << bits;
        let mut timers = Timers::with_a_full_heap("never");
        timers.insert(at, "then");
        assert_eq!(timers.next(), Some(at));
        assert_eq!(timers.expire(at - 1), None);
        assert_eq!(timers.expire(at), Some((at, "then")));
        assert_eq!(timers.expire(at), None);
        timers.check();
    }
}

#[test]
fn a_lone_timer_does_not_bring_the_others_near() {
    let mut timers = Timers::with_a_full_heap(());
    (0..1000).for_each(|number| {
        timers.insert(number << 30, ());
    });
    timers.insert(1 << 50, ());
    let near = timers.near.len();
    assert_eq!(timers.expire(0), Some((0, ())));
    assert_eq!(timers.expire(0), None);
    assert!(timers.near.len() <= near);
    timers.check();
}

#[test]
fn after_a_jump_one_tick_comes_near_after_the_other() {
    let mut timers = Timers::with_a_full_heap(0);
    // 100 each tick, for a thousand ticks.
    (0..100_000).for_each(|number| {
        timers.insert(number * (1 << 20) / 100, number);
    });
    let mut last = 0;
    while let Some((at, _)) = timers.expire(1 << 40) {
        assert!(at >= last);
        last = at;
        // Those of the first tick were near from the beginning.
        assert!(timers.near.len() <= FEW + 101, "{}", timers.near.len());
        assert!(timers.run.iter().count() <= 101);
    }
    assert_eq!(timers.len(), FEW);
    timers.check();
}

#[test]
fn a_stale_key_hits_nobody() {
    for mut timers in [Timers::new(), Timers::with_a_full_heap(0)] {
        let others = timers.len();
        let removed = timers.insert(1 << 21, 1);
        assert!(timers.remove(removed));
        assert!(!timers.remove(removed));
        let expired = timers.insert(1 << 21, 2);
        assert_eq!(timers.expire(1 << 21), Some((1 << 21, 2)));
        let live = timers.insert(1 << 22, 3);
        assert_eq!(
            (live.id, live.id),
            (removed.id, expired.id),
            "the id is used again"
        );
        assert!(!timers.remove(removed) && !timers.remove(expired));
        assert_eq!(timers.len(), others + 1);
        assert!(timers.remove(live));
    }
}

#[test]
fn an_id_without_generations_is_retired() {
    let mut timers = Timers::new();
    let first = timers.insert(1, ());
    assert!(timers.remove(first));
    timers.table.wear_out(0);
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
    // All within a tick, and over eight minutes.
    for scale in [1, 5_000_000] {
        let mut timers = Timers::new();
        // 7 and COUNT have no common divisor: every deadline once.
        let keys: Vec<_> = (0..COUNT)
            .map(|number| timers.insert(number * 7 % COUNT * scale, number))
            .collect();
        timers.check();
        for key in keys.iter().step_by(2) {
            assert!(timers.remove(*key));
        }
        timers.check();
        let mut now = 0;
        while let Some(next) = timers.next() {
            now = next.max(now);
            while let Some((at, number)) = timers.expire(now) {
                assert!(number % 2 == 1 && number * 7 % COUNT * scale == at && at == now);
            }
        }
        assert!(timers.is_empty());
        timers.check();
    }
}

#[test]
fn retain_reaches_every_tier() {
    let mut timers = Timers::with_a_full_heap(1);
    (18..20).for_each(|bits| {
        timers.insert((1 << 20) + (1 << bits), bits);
    });
    (20..64).for_each(|bits| {
        timers.insert(1 << bits, bits);
    });
    // Opens a bucket: its first one expires, those of above are next.
    assert_eq!(timers.expire(1 << 20), Some((1 << 20, 20)));
    timers.insert(1 << 20, 20);
    assert_eq!(timers.run.iter().count(), 2);
    timers.retain(|bits| bits % 2 == 0);
    timers.check();
    let mut left: Vec<_> = timers.iter().map(|(at, bits)| (*bits, at)).collect();
    left.sort_unstable();
    let next = (18, (1 << 20) + (1 << 18));
    let expected = (20..64).step_by(2).map(|bits| (bits, 1 << bits));
    let expected = std::iter::once(next).chain(expected);
    assert_eq!(left, expected.collect::<Vec<_>>());
}

#[test]
fn an_opened_bucket_expires_in_order_with_what_comes_and_goes_meanwhile() {
    const BEGIN: u64 = 1 << 20;
    let mut timers = Timers::with_a_full_heap(0);
    let keys: Vec<_> = (0..100).map(|at| timers.insert(BEGIN + at, at)).collect();
    assert_eq!(timers.expire(BEGIN), Some((BEGIN, 0)));
    // The first ones, the last ones, every third one, and those that have expired already.
    let goes = |at: u64| !(10..=90).contains(&at) || at.is_multiple_of(3);
    for at in (0..100).rev().filter(|&at| goes(at)) {
        assert_eq!(timers.remove(keys[at as usize]), at != 0);
        timers.check();
    }
    for at in (0..100).filter(|at| at % 4 == 3) {
        timers.insert(BEGIN + at, 100 + at);
    }
    let mut expected: Vec<_> = (0..100)
        .filter(|&at| !goes(at))
        .map(|at| (at, at))
        .collect();
    expected.extend((0..100).filter(|at| at % 4 == 3).map(|at| (at, 100 + at)));
    expected.sort_unstable();
    let all = std::iter::from_fn(|| timers.expire(BEGIN + 1000));
    let all: Vec<_> = all.map(|(at, payload)| (at - BEGIN, payload)).collect();
    assert_eq!(all, expected);
    assert_eq!(timers.len(), FEW);
    timers.check();
}

#[test]
fn memory_is_used_again() {
    let mut timers = Timers::new();
    for round in 0..1000 {
        let keys = [0; 8].map(|_| timers.insert(round, ()));
        assert!(timers.remove(keys[3]));
        while timers.expire(round).is_some() {}
    }
    assert_eq!(timers.table.ids(), 8);
    assert_eq!(size_of::<Entry>(), 16);
    assert_eq!(size_of::<Option<TimerKey>>(), 8);
}

#[test]
fn what_one_bucket_leaves_is_there_for_the_next() {
    const COUNT: u64 = 2000;
    let mut timers = Timers::with_a_full_heap(());
    let mut now = 0;
    // Each time all of them lie in a few buckets, which are others each time.
    for round in 0..60_u64 {
        let distance = 1 << (22 + round % 20);
        (0..COUNT).for_each(|number| {
            timers.insert(now + distance + number * 100, ());
        });
        now += distance + COUNT * 100;
        while timers.expire(now).is_some() {}
        assert_eq!(timers.len(), FEW);
    }
    let room = timers.far.room();
    assert!(room <= COUNT as usize + 3 * wheel::BLOCK, "room for {room}");
    assert_eq!(timers.table.ids(), FEW + COUNT as usize);
}
