//! Random steps, done by the timers and by a list of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::wheel::BLOCK;
use super::*;

/// What a list would say, and all keys there ever were. A payload is the number of its insertion.
#[derive(Default)]
struct Model {
    list: Vec<(u64, usize)>,
    keys: Vec<TimerKey>,
}

impl Model {
    fn insert(&mut self, timers: &mut Timers<usize>, at: u64) {
        self.list.push((at, self.keys.len()));
        self.keys.push(timers.insert(at, self.keys.len()));
    }

    fn remove(&mut self, timers: &mut Timers<usize>, number: usize) {
        let found = self.list.iter().position(|timer| timer.1 == number);
        assert_eq!(timers.remove(self.keys[number]), found.is_some());
        found.map(|place| self.list.remove(place));
    }

    /// False if nothing was due.
    fn expire(&mut self, timers: &mut Timers<usize>, now: u64) -> bool {
        let first = self.list.iter().copied().min();
        let first = first.filter(|timer| timer.0 <= now);
        assert_eq!(timers.expire(now), first);
        self.list.retain(|timer| Some(*timer) != first);
        first.is_some()
    }

    fn check(&self, timers: &Timers<usize>) {
        timers.check();
        assert_eq!(timers.len(), self.list.len());
        let earliest = self.list.iter().map(|timer| timer.0).min();
        let next = timers.next();
        assert_eq!(next.is_some(), earliest.is_some());
        assert!(next <= earliest, "{next:?} is later than {earliest:?}");
        if self.list.len() <= FEW.min(BLOCK) {
            assert_eq!(next, earliest, "few are looked at");
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So much later than now.
    Insert(u64),
    /// Many at once, each later than the one before by so much.
    Crowd(u64, u64),
    /// Before now, or now.
    InsertLate(u64),
    InsertAt(u64),
    /// Removes the key that was given out as this one, live or stale.
    Remove(prop::sample::Index),
    Retain(usize),
    /// Expires one at the time that is now.
    Expire,
    /// Time goes on.
    Pass(u64),
    /// Time goes on to where the timers say that they want to be looked at.
    PassToNext,
}

/// As likely within a tick as at any level of the wheel.
fn distance() -> impl Strategy<Value = u64> {
    (0..64_u32, any::<u64>()).prop_map(|(bits, any)| any >> (63 - bits))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => distance().prop_map(Step::Insert),
        1 => (distance(), distance()).prop_map(|(first, step)| Step::Crowd(first, step >> 6)),
        1 => distance().prop_map(Step::InsertLate),
        2 => prop_oneof![Just(0), Just(u64::MAX), 0..20_u64].prop_map(Step::InsertAt),
        4 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => (2..20_usize).prop_map(Step::Retain),
        8 => Just(Step::Expire),
        2 => distance().prop_map(Step::Pass),
        4 => Just(Step::PassToNext),
    ]
}

/// Does one step at `now`, and returns what time it is then.
fn take(step: &Step, model: &mut Model, timers: &mut Timers<usize>, now: u64) -> u64 {
    match *step {
        Step::Insert(distance) => model.insert(timers, now.saturating_add(distance)),
        Step::Crowd(first, step) => (0..100).for_each(|number| {
            let distance = first.saturating_add(step.saturating_mul(number));
            model.insert(timers, now.saturating_add(distance));
        }),
        Step::InsertLate(distance) => model.insert(timers, now.saturating_sub(distance)),
        Step::InsertAt(at) => model.insert(timers, at),
        Step::Remove(_) if model.keys.is_empty() => {}
        Step::Remove(index) => model.remove(timers, index.index(model.keys.len())),
        Step::Retain(every) => {
            timers.retain(|number| number % every != 0);
            model.list.retain(|timer| timer.1 % every != 0);
        }
        Step::Expire => drop(model.expire(timers, now)),
        Step::Pass(distance) => return now.saturating_add(distance),
        Step::PassToNext => return timers.next().map_or(now, |next| next.max(now)),
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_list(
        steps in vec(step(), 0..200),
        order in prop_oneof![Just(0), Just(u32::MAX - 50)],
        begin in prop_oneof![Just(0), distance()],
        crowded in any::<bool>(),
    ) {
        let mut timers = Timers::new();
        let mut model = Model::default();
        timers.order = order;
        if crowded {
            (0..FEW).for_each(|_| model.insert(&mut timers, u64::MAX));
        }
        let mut now = begin;
        for step in steps {
            now = take(&step, &mut model, &mut timers, now);
            model.check(&timers);
        }
        while model.expire(&mut timers, now) {}
        model.check(&timers);
        while model.expire(&mut timers, u64::MAX) {}
        prop_assert!(timers.is_empty());
    }

    #[test]
    fn a_time_that_goes_back_harms_nothing(
        steps in vec((distance(), distance()), 0..200),
    ) {
        let mut timers = Timers::new();
        let mut model = Model::default();
        for (at, now) in steps {
            model.insert(&mut timers, at);
            model.expire(&mut timers, now);
            model.check(&timers);
        }
    }

    #[test]
    fn whoever_sleeps_until_next_is_never_late_and_wakes_seldom(
        distances in vec(distance().prop_map(|distance| distance >> 20), 1..400),
    ) {
        let mut timers = Timers::new();
        distances.iter().for_each(|distance| {
        timers.insert(*distance, ());
    });
        let mut looks = 0;
        while let Some(now) = timers.next() {
            looks += 1;
            while let Some((at, ())) = timers.expire(now) {
                prop_assert_eq!(at, now);
            }
        }
        // One for each deadline, and on the way there one for each digit.
        prop_assert!(looks <= distances.len() * 9, "{} looks", looks);
    }
}
