//! Who knows what somebody waits for: whose stack has an address of it.
//!
//! A channel does not know who has its ends, nor a semaphore who has its permits; but an end, a permit or a reference
//! that somebody uses lies in a frame of that one's stack. So the stacks are searched, word by word, for anything that
//! points into what is waited for, as a conservative garbage collector does. A word may be left over from an earlier
//! call, or from a register that another greenlet used: what is found is who *could* help. Who has it in a box, and
//! nowhere else, is not found.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Seen;
use crate::switch::greenlet::GreenletId;
use crate::switch::subject::Thing;
use crate::sys::context::CAN_WALK;
use crate::sys::stack;

/// The most that are kept of those who know one thing.
const MOST: usize = 16;

/// One thing, and who knows it.
struct Sought {
    thing: Thing,
    known_to: Vec<GreenletId>,
}

/// Notes of all who wait for a thing who else knows it. The stack of the one that runs is searched from `mark` on.
pub(super) fn note(all: &mut [Seen], runs: u64, mark: usize) {
    let mut sought = things(all);
    if !CAN_WALK || sought.is_empty() {
        return;
    }
    // If one cannot be searched, nothing is said: it might be that one.
    let searched = all.iter().all(|seen| match seen.sight.id == runs {
        true => search(seen, mark, &mut sought),
        false => search(seen, seen.sight.sp, &mut sought),
    });
    if !searched {
        return;
    }
    let known = |found: Sought| (found.thing.begin, Arc::from(found.known_to));
    let known: BTreeMap<usize, Arc<[GreenletId]>> = sought.into_iter().map(known).collect();
    for seen in all {
        let mut of_each = seen.things.iter().filter_map(|it| known.get(&it.begin));
        seen.known_to = of_each.next().map(|first| {
            let others = of_each.flat_map(|ids| ids.iter().copied());
            with_others(first, others)
        });
    }
}

/// Those who know one of several things, each once.
fn with_others(
    first: &Arc<[GreenletId]>,
    others: impl Iterator<Item = GreenletId>,
) -> Arc<[GreenletId]> {
    let mut all = first.to_vec();
    for id in others {
        if !all.contains(&id) && all.len() < MOST {
            all.push(id);
        }
    }
    match all.len() == first.len() {
        true => Arc::clone(first),
        false => all.into(),
    }
}

/// All that is waited for, in the order of addresses.
fn things(all: &[Seen]) -> Vec<Sought> {
    let things = all.iter().flat_map(|seen| &seen.things);
    let things: BTreeMap<usize, Thing> = things.map(|thing| (thing.begin, *thing)).collect();
    let sought = |thing| Sought {
        thing,
        known_to: Vec::new(),
    };
    things.into_values().map(sought).collect()
}

/// Searches one stack from `begin` on; false if that cannot be done.
fn search(seen: &Seen, begin: usize, sought: &mut [Sought]) -> bool {
    let Seen { sight, things, .. } = seen;
    let is_own = |thing: &Thing| things.iter().any(|own| own.begin == thing.begin);
    let id = GreenletId::of(sight.id);
    let look_at = |word: usize| {
        let after = sought.partition_point(|sought| sought.thing.reach().start <= word);
        // Before a thing there may be another one, without anything in between.
        let within = |at: &usize| sought[*at].thing.reach().contains(&word);
        let Some(at) = (after.saturating_sub(2)..after).find(within) else {
            return;
        };
        let Sought { thing, known_to } = &mut sought[at];
        if !is_own(thing) && known_to.last() != Some(&id) && known_to.len() < MOST {
            known_to.push(id);
        }
    };
    match sight.is_main {
        true => stack::search_native(begin, look_at),
        false => stack::search(begin, sight.sp + sight.stack[1], look_at),
    }
}
