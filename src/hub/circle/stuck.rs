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
use std::iter::successors;

/// One who waits.
#[derive(Clone, Copy)]
pub(in crate::hub) struct Waits<'a> {
    pub(in crate::hub) who: u64,
    /// For each thing the numbers of those who have it, and 0.
    pub(in crate::hub) holders: &'a [u64],
}

/// The holders of each thing.
pub(in crate::hub) fn each_thing(holders: &[u64]) -> impl Iterator<Item = &[u64]> {
    let things = holders.split_inclusive(|&number| number == 0);
    things.map(|thing| &thing[..thing.len() - 1])
}

/// Who waits for ever.
pub(in crate::hub) struct Stuck {
    /// For each who does, by its place: of each thing one holder who does as well. For others nothing.
    holders: Vec<Vec<usize>>,
}

/// That somebody has a thing for which somebody waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hold {
    holder: usize,
    thing: usize,
}

/// A thing: who waits for it, and how many of its holders may wait for ever.
struct Thing {
    awaited_by: usize,
    stuck: usize,
}

/// Who has what, to be taken apart.
struct Knot {
    /// In the order of holders.
    holds: Vec<Hold>,
    things: Vec<Thing>,
    may_go_on: Vec<bool>,
}

impl Knot {
    fn of(all: &[Waits<'_>], place: impl Fn(&u64) -> Option<usize>) -> Knot {
        let (mut things, mut holds) = (vec![], vec![]);
        for (awaited_by, one) in all.iter().enumerate() {
            for holders in each_thing(one.holders) {
                let (thing, before) = (things.len(), holds.len());
                let known = holders.iter().filter_map(&place);
                holds.extend(known.map(|holder| Hold { holder, thing }));
                let stuck = holds.len() - before;
                things.push(Thing { awaited_by, stuck });
            }
        }
        holds.sort_unstable();
        Knot {
            holds,
            things,
            may_go_on: vec![false; all.len()],
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
            let first = self.holds.partition_point(|hold| hold.holder < gone);
            let holds = self.holds[first..].iter();
            for hold in holds.take_while(|hold| hold.holder == gone) {
                let thing = &mut self.things[hold.thing];
                thing.stuck -= 1;
                if thing.stuck == 0 {
                    going.push(thing.awaited_by);
                }
            }
        }
    }
}

impl Stuck {
    pub(in crate::hub) fn among(all: &[Waits<'_>]) -> Stuck {
        let places: HashMap<u64, usize> = all.iter().map(|one| one.who).zip(0..).collect();
        let place = |number: &u64| places.get(number).copied();
        let mut knot = Knot::of(all, place);
        let unknown = (0..all.len()).filter(|&at| all[at].holders.is_empty());
        let coming = knot.things.iter().filter(|thing| thing.stuck == 0);
        let first: Vec<usize> = unknown.chain(coming.map(|it| it.awaited_by)).collect();
        first.into_iter().for_each(|at| knot.leave_out(at));
        let is_stuck = |at: &usize| !knot.may_go_on[*at];
        let one_of = |thing: &[u64]| thing.iter().filter_map(place).find(is_stuck);
        let holders = |(at, one): (usize, &Waits<'_>)| match is_stuck(&at) {
            true => each_thing(one.holders).filter_map(one_of).collect(),
            false => vec![],
        };
        Stuck {
            holders: all.iter().enumerate().map(holders).collect(),
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
    use super::{Stuck, Waits, each_thing};

    /// Who is stuck, and the circles, by numbers.
    fn stuck(all: &[(u64, &[u64])]) -> (Vec<u64>, Vec<Vec<u64>>) {
        let waits = |&(who, holders)| Waits { who, holders };
        let stuck = Stuck::among(&all.iter().map(waits).collect::<Vec<_>>());
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
