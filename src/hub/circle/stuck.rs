//! Who waits for ever, of those who wait for each other.
//!
//! Who waits for one of several things goes on when one of them comes, and a thing that several have comes when all of
//! those have gone. So somebody waits for ever if of each thing that it waits for one holder waits for ever. Those are
//! found by leaving out who may go on, until nobody is left to leave out:
//!
//! ```text
//!   A ──┬─ joins B           B ── joins A           of each thing of A one waits for ever
//!       └─ joins C           C ── mutex of A
//!   D ── group of E and F    E runs, F ── joins D   F alone is enough
//! ```

use std::collections::{HashMap, HashSet};
use std::iter::{once, successors};
use std::ops::Range;

/// Who waits for what, and who has that. Each waits for one of its things, and of a thing all holders have to go.
#[derive(Default)]
pub(in crate::hub) struct Graph {
    waiters: Vec<Waiter>,
    /// The things of the waiters, one waiter after the other.
    awaited: Vec<usize>,
    /// Where the holders of each thing are.
    things: Vec<Range<usize>>,
    holders: Vec<u64>,
    /// Things for which several may wait, by what they are known by.
    known: HashMap<usize, usize>,
}

struct Waiter {
    who: u64,
    awaited: Range<usize>,
}

impl Graph {
    /// Somebody waits, and its place is told. For what is added by `awaits`; as long as that is nothing, it may go on.
    pub(in crate::hub) fn add(&mut self, who: u64) -> usize {
        let awaited = self.awaited.len()..self.awaited.len();
        self.waiters.push(Waiter { who, awaited });
        self.waiters.len() - 1
    }

    /// The one who was added last waits for a thing as well.
    pub(in crate::hub) fn awaits(&mut self, holders: impl Iterator<Item = u64>) {
        let thing = self.add_thing(holders);
        self.awaits_thing(thing);
    }

    fn add_thing(&mut self, holders: impl Iterator<Item = u64>) -> usize {
        let begin = self.holders.len();
        self.holders.extend(holders);
        self.things.push(begin..self.holders.len());
        self.things.len() - 1
    }

    /// The same for a thing for which others may wait, too: its holders are asked for once.
    pub(in crate::hub) fn awaits_known<I: Iterator<Item = u64>>(
        &mut self,
        thing: usize,
        holders: impl FnOnce() -> I,
    ) {
        match self.known.get(&thing) {
            Some(&thing) => self.awaits_thing(thing),
            None => {
                self.known.insert(thing, self.things.len());
                self.awaits(holders());
            }
        }
    }

    fn awaits_thing(&mut self, thing: usize) {
        self.awaited.push(thing);
        let last = self.waiters.last_mut().expect("somebody was added");
        last.awaited.end = self.awaited.len();
    }

    /// The one at that place may go on, whatever it waits for.
    pub(in crate::hub) fn free(&mut self, at: usize) {
        self.waiters[at].awaited = 0..0;
    }

    /// The one at that place waits for ever, whatever it waits for: for itself.
    pub(in crate::hub) fn close(&mut self, at: usize) {
        let thing = self.add_thing(once(self.waiters[at].who));
        self.waiters[at].awaited = self.awaited.len()..self.awaited.len() + 1;
        self.awaited.push(thing);
    }

    /// All of `other` as well, which knows of none of these; its first one gets the next place.
    pub(in crate::hub) fn append(&mut self, other: &Graph) {
        let shift = |range: &Range<usize>, by: usize| range.start + by..range.end + by;
        let (awaited, things, holders) =
            (self.awaited.len(), self.things.len(), self.holders.len());
        self.waiters.extend(other.waiters.iter().map(|one| Waiter {
            who: one.who,
            awaited: shift(&one.awaited, awaited),
        }));
        self.awaited
            .extend(other.awaited.iter().map(|thing| thing + things));
        self.things
            .extend(other.things.iter().map(|it| shift(it, holders)));
        self.holders.extend(&other.holders);
    }

    /// For each thing of the one at that place, its number and its holders.
    pub(in crate::hub) fn things_of(&self, at: usize) -> impl Iterator<Item = (usize, &[u64])> {
        let awaited = &self.awaited[self.waiters[at].awaited.clone()];
        awaited.iter().map(|&thing| (thing, self.holders(thing)))
    }

    fn holders(&self, thing: usize) -> &[u64] {
        &self.holders[self.things[thing].clone()]
    }

    fn places(&self) -> HashMap<u64, usize> {
        self.waiters.iter().map(|one| one.who).zip(0..).collect()
    }
}

/// Who waits for ever.
pub(in crate::hub) struct Stuck {
    /// For each who does, by its place: of each thing one holder who does as well. For others nothing.
    holders: Vec<Vec<usize>>,
}

/// Who may go on, and what is to be left out with whom.
struct Knot {
    may_go_on: Vec<bool>,
    /// Who has which things, and which things are awaited by whom; both in order.
    holds: Vec<(usize, usize)>,
    waits: Vec<(usize, usize)>,
    /// How many holders of each thing may wait for ever.
    stuck: Vec<usize>,
}

/// The second ones of those pairs that begin with `first`.
fn seconds(pairs: &[(usize, usize)], first: usize) -> impl Iterator<Item = usize> {
    let begin = pairs.partition_point(|pair| pair.0 < first);
    let pairs = pairs[begin..].iter();
    pairs
        .take_while(move |pair| pair.0 == first)
        .map(|pair| pair.1)
}

impl Knot {
    fn of(graph: &Graph, places: &HashMap<u64, usize>) -> Knot {
        let (mut holds, mut waits, mut stuck) = (vec![], vec![], vec![]);
        for thing in 0..graph.things.len() {
            let before = holds.len();
            let known = graph.holders(thing).iter().filter_map(|id| places.get(id));
            holds.extend(known.map(|&holder| (holder, thing)));
            stuck.push(holds.len() - before);
        }
        for at in 0..graph.waiters.len() {
            waits.extend(graph.things_of(at).map(|(thing, _)| (thing, at)));
        }
        holds.sort_unstable();
        waits.sort_unstable();
        Knot {
            may_go_on: vec![false; graph.waiters.len()],
            holds,
            waits,
            stuck,
        }
    }

    /// Leaves out one of whom nothing is known, or who waits for something that may come; and whoever is to be left out for
    /// that.
    fn leave_out(&mut self, one: usize) {
        let mut going = vec![one];
        while let Some(gone) = going.pop() {
            if std::mem::replace(&mut self.may_go_on[gone], true) {
                continue;
            }
            for thing in seconds(&self.holds, gone) {
                self.stuck[thing] -= 1;
                if self.stuck[thing] == 0 {
                    going.extend(seconds(&self.waits, thing));
                }
            }
        }
    }
}

impl Stuck {
    pub(in crate::hub) fn among(graph: &Graph) -> Stuck {
        let places = graph.places();
        let mut knot = Knot::of(graph, &places);
        for at in 0..graph.waiters.len() {
            let mut things = graph.things_of(at).map(|(thing, _)| thing).peekable();
            if things.peek().is_none() || things.any(|thing| knot.stuck[thing] == 0) {
                knot.leave_out(at);
            }
        }
        let is_stuck = |at: &usize| !knot.may_go_on[*at];
        let one_of = |thing: usize| {
            let holders = graph.holders(thing).iter();
            holders
                .filter_map(|id| places.get(id).copied())
                .find(is_stuck)
        };
        let first: Vec<Option<usize>> = (0..graph.things.len()).map(one_of).collect();
        let holders = |at: usize| match is_stuck(&at) {
            true => graph
                .things_of(at)
                .filter_map(|(thing, _)| first[thing])
                .collect(),
            false => vec![],
        };
        Stuck {
            holders: (0..graph.waiters.len()).map(holders).collect(),
        }
    }

    pub(in crate::hub) fn is_nobody(&self) -> bool {
        self.holders.iter().all(Vec::is_empty)
    }

    /// Those who wait for each other in a circle, each for the first thing. Who waits for ever and is in none waits for
    /// some who are.
    pub(in crate::hub) fn circles(&self) -> Vec<Vec<usize>> {
        let next = |at: usize| self.holders[at].first().copied();
        let mut begun_at = vec![usize::MAX; self.holders.len()];
        let mut circles = vec![];
        for start in 0..self.holders.len() {
            let mut at = Some(start);
            while let Some(here) = at.filter(|&here| begun_at[here] == usize::MAX) {
                begun_at[here] = start;
                at = next(here);
            }
            // The way ends where somebody was before: if on this way, in a circle.
            if let Some(first) = at.filter(|&met| begun_at[met] == start) {
                let once_round = |&at: &usize| next(at).filter(|&at| at != first);
                circles.push(successors(Some(first), once_round).collect());
            }
        }
        circles
    }

    /// `some`, and those of whom it is the reason that they wait for ever.
    pub(in crate::hub) fn reasons(&self, some: &[usize]) -> Vec<usize> {
        closure(some, |at| &self.holders[at])
    }

    /// The same, and those who wait for one of these.
    pub(in crate::hub) fn connected(&self, some: &[usize]) -> Vec<usize> {
        let mut neighbours = self.holders.clone();
        for (at, holders) in self.holders.iter().enumerate() {
            holders
                .iter()
                .for_each(|&holder| neighbours[holder].push(at));
        }
        closure(some, |at| &neighbours[at])
    }
}

/// `some`, and whoever is next to one of them, and so on, in the order in which they are found.
fn closure<'a>(some: &[usize], next: impl Fn(usize) -> &'a Vec<usize>) -> Vec<usize> {
    let mut found = some.to_vec();
    let mut known: HashSet<usize> = some.iter().copied().collect();
    let mut looked_at = 0;
    while let Some(&at) = found.get(looked_at) {
        looked_at += 1;
        found.extend(next(at).iter().filter(|&&other| known.insert(other)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Graph, Stuck};
    use crate::hub::seen::each_thing;

    /// Who is stuck, and the circles, by numbers.
    fn stuck(all: &[(u64, &[u64])]) -> (Vec<u64>, Vec<Vec<u64>>) {
        let mut graph = Graph::default();
        for (who, holders) in all {
            graph.add(*who);
            each_thing(holders).for_each(|thing| graph.awaits(thing.iter().copied()));
        }
        let stuck = Stuck::among(&graph);
        let number = |at: usize| all[at].0;
        let who = (0..all.len()).filter(|&at| !stuck.holders[at].is_empty());
        let circles = stuck.circles().into_iter();
        let circles = circles.map(|circle| circle.into_iter().map(number).collect());
        (who.map(number).collect(), circles.collect())
    }

    #[test]
    fn a_circle_and_those_who_wait_for_it() {
        let all: &[(u64, &[u64])] = &[
            (1, &[2, 0]),
            (2, &[3, 0]),
            (3, &[2, 0]),
            (4, &[5, 0]),
            (5, &[9, 0]),
            (6, &[6, 0]),
        ];
        assert_eq!(stuck(all), (vec![1, 2, 3, 6], vec![vec![2, 3], vec![6]]));
    }

    #[test]
    fn who_waits_for_one_of_several_needs_all_of_them_to_be_stuck() {
        let half: &[(u64, &[u64])] = &[(1, &[2, 0, 3, 0]), (2, &[1, 0])];
        assert_eq!(stuck(half), (vec![], vec![]));
        let whole: &[(u64, &[u64])] = &[(1, &[2, 0, 3, 0]), (2, &[1, 0]), (3, &[1, 0])];
        assert_eq!(stuck(whole), (vec![1, 2, 3], vec![vec![1, 2]]));
        let unknown: &[(u64, &[u64])] = &[(1, &[2, 0, 0]), (2, &[1, 0])];
        assert_eq!(stuck(unknown), (vec![], vec![]));
    }

    #[test]
    fn who_waits_for_all_of_several_needs_one() {
        let all: &[(u64, &[u64])] = &[(1, &[7, 2, 0]), (2, &[1, 0]), (3, &[8, 9, 0])];
        assert_eq!(stuck(all), (vec![1, 2], vec![vec![1, 2]]));
    }

    #[test]
    fn what_several_wait_for_has_its_holders_once() {
        let mut graph = Graph::default();
        for who in 1..=3 {
            assert_eq!(graph.add(who), who as usize - 1);
            graph.awaits_known(77, || {
                assert_eq!(who, 1);
                [2, 9].into_iter()
            });
        }
        let stuck = Stuck::among(&graph);
        assert_eq!(stuck.holders, [[1], [1], [1]]);
        graph.free(1);
        assert!(Stuck::among(&graph).is_nobody());
        graph.close(1);
        assert_eq!(Stuck::among(&graph).circles(), [[1]]);
    }

    /// Those who are left when whoever may go on has been left out, over and over: the definition itself.
    fn left(all: &[(u64, Vec<u64>)]) -> Vec<u64> {
        let mut left: Vec<u64> = all.iter().map(|one| one.0).collect();
        loop {
            let before = left.clone();
            let waits_for_ever = |who: &u64| {
                let holders = &all[*who as usize - 1].1;
                let of_those = |thing: &[u64]| thing.iter().any(|holder| before.contains(holder));
                !holders.is_empty() && each_thing(holders).all(of_those)
            };
            left.retain(waits_for_ever);
            if left == before {
                return left;
            }
        }
    }

    #[test]
    fn it_is_the_largest_set_that_holds_itself() {
        let mut drawn = 1_u64;
        let mut draw = |below: u64| {
            drawn = drawn
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (drawn >> 33) % below
        };
        let mut found = 0;
        for _ in 0..5_000 {
            let count = 2 + draw(7);
            let all: Vec<(u64, Vec<u64>)> = (1..=count)
                .map(|who| {
                    let things = (0..draw(3)).flat_map(|_| {
                        let holders = [(); 2].map(|()| 1 + draw(count + 1));
                        [&holders[draw(2) as usize..], &[0]].concat()
                    });
                    (who, things.collect())
                })
                .collect();
            let borrowed: Vec<(u64, &[u64])> = all
                .iter()
                .map(|(who, holders)| (*who, &**holders))
                .collect();
            let (who, circles) = stuck(&borrowed);
            assert_eq!(who, left(&all), "{all:?}");
            assert_eq!(circles.is_empty(), who.is_empty(), "{all:?}");
            found += usize::from(!who.is_empty());
        }
        assert!((500..4_500).contains(&found), "{found}");
    }
}
