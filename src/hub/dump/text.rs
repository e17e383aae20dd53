//! How a dump reads: a paragraph for each greenlet.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};
use std::panic::Location;
use std::time::Duration;

use super::{Dump, Seen, WaitObject};
use crate::switch::greenlet::GreenletId;

/// So many things are named for which somebody waits, and so many who know them; of the others only the number is told.
const NAMED_EACH: usize = 4;

/// What is needed to name greenlets and things, made once for a text.
pub(super) struct Names<'a> {
    greenlets: HashMap<u64, &'a Seen>,
    /// The things that were made at each place; where it is not one alone, it says too little.
    things: HashMap<&'a Location<'static>, HashSet<usize>>,
}

impl<'a> Names<'a> {
    pub(super) fn of(dump: &'a Dump) -> Names<'a> {
        let mut things: HashMap<_, HashSet<_>> = HashMap::new();
        for WaitObject { made, address } in dump.greenlets.iter().flat_map(Seen::objects) {
            things.entry(made).or_default().insert(address);
        }
        let greenlets = dump.greenlets.iter().map(|seen| (seen.sight.id, seen));
        Names {
            greenlets: greenlets.collect(),
            things,
        }
    }

    /// What somebody does, and with which things.
    pub(super) fn write_does(&self, f: &mut dyn Write, seen: &Seen) -> fmt::Result {
        f.write_str(seen.does())?;
        let objects: Vec<WaitObject> = seen.objects().collect();
        if !objects.is_empty() {
            f.write_str(", made at ")?;
        }
        write_some(
            f,
            " and at ",
            &objects,
            |f, WaitObject { made, address }| {
                write!(f, "{made}")?;
                match self.things[made].len() {
                    0..=1 => Ok(()),
                    _ => write!(f, " ({address:#x})"),
                }
            },
        )?;
        if !seen.descriptors.is_empty() {
            f.write_str(", descriptor ")?;
        }
        write_some(f, " and ", &seen.descriptors, |f, fd| write!(f, "{fd}"))
    }

    fn write_greenlet(&self, f: &mut dyn Write, id: GreenletId) -> fmt::Result {
        match self.greenlets.get(&id.number()) {
            Some(seen) => write!(f, "{seen}"),
            None => write!(f, "greenlet {id}"),
        }
    }

    /// Who can end a wait, as far as that is known.
    fn write_who_can_help(&self, f: &mut dyn Write, seen: &Seen) -> fmt::Result {
        let (open, known): (Vec<_>, Vec<_>) = seen.holders().partition(Vec::is_empty);
        let open = !open.is_empty();
        if !known.is_empty() {
            f.write_str(if open { ", " } else { ", until " })?;
        }
        write_some(f, " or ", &known, |f, some| self.write_greenlets(f, some))?;
        match known.last() {
            None => {}
            Some(_) if open => f.write_str(" can end that")?,
            Some(holders) if holders.len() == 1 => f.write_str(" ends that")?,
            Some(_) => f.write_str(" end that")?,
        }
        let needs_no_other = !open && !known.is_empty();
        let Some(known_to) = seen.known_to().filter(|_| !needs_no_other) else {
            return Ok(());
        };
        if known_to.is_empty() {
            return f.write_str(", known to no other stack of this thread");
        }
        f.write_str(", may be known to ")?;
        self.write_greenlets(f, known_to)
    }

    fn write_greenlets(&self, f: &mut dyn Write, some: &[GreenletId]) -> fmt::Result {
        write_some(f, " and ", some, |f, id| self.write_greenlet(f, *id))
    }
}

/// The first ones, and how many others there are.
fn write_some<T>(
    f: &mut dyn Write,
    and: &str,
    some: &[T],
    one: impl Fn(&mut dyn Write, &T) -> fmt::Result,
) -> fmt::Result {
    for (n, item) in some.iter().take(NAMED_EACH).enumerate() {
        f.write_str(if n == 0 { "" } else { and })?;
        one(f, item)?;
    }
    match some.len().saturating_sub(NAMED_EACH) {
        0 => Ok(()),
        count => write!(f, "{and}{count} others"),
    }
}

impl Dump {
    /// One line for each of the first `limit` greenlets, with what is known of it below it.
    pub(in crate::hub) fn write(&self, f: &mut dyn Write, limit: usize) -> fmt::Result {
        let mut stacks: HashMap<&[usize], u64> = HashMap::new();
        let names = Names::of(self);
        for seen in self.greenlets.iter().take(limit) {
            write_line(f, seen, &names)?;
            write_details(f, seen, &names)?;
            if seen.frames.is_empty() {
                continue;
            }
            let first = *stacks.entry(&seen.frames).or_insert(seen.sight.id);
            match first == seen.sight.id {
                true => seen.calls().write(f, 6)?,
                false => write!(f, "\n      as greenlet #{first}")?,
            }
        }
        let left = self.missed + self.greenlets.len().saturating_sub(limit);
        match left {
            0 => Ok(()),
            left => write!(f, "\n  and {left} others"),
        }
    }

    /// The circles, one line each.
    pub(in crate::hub) fn write_cycles(&self, f: &mut dyn Write) -> fmt::Result {
        let names = Names::of(self);
        for cycle in self.cycles() {
            f.write_str("\n  in a circle: ")?;
            for seen in &cycle {
                write!(f, "{seen} ")?;
                names.write_does(f, seen)?;
                f.write_str(" → ")?;
            }
            write!(f, "{}", cycle[0])?;
        }
        Ok(())
    }

    /// Who can be woken from outside.
    pub(in crate::hub) fn write_ways_in(&self, f: &mut dyn Write) -> fmt::Result {
        if self.enrolled > 0 {
            write!(f, ", other threads may wake {}", self.enrolled)?;
        }
        if self.awaited > 0 {
            write!(f, ", {} wait for descriptors", self.awaited)?;
        }
        Ok(())
    }
}

fn write_line(f: &mut dyn Write, seen: &Seen, names: &Names<'_>) -> fmt::Result {
    write!(f, "\n  {seen} ")?;
    names.write_does(f, seen)?;
    if seen.sight.may_unwind {
        f.write_str(", in a destructor while it unwinds")?;
    }
    if seen.sight.is_due {
        f.write_str(", with a kill, a deadline or a throw to come")?;
    }
    match seen.is_main() {
        true => Ok(()),
        false => write!(f, " (spawned at {})", seen.site()),
    }
}

fn write_details(f: &mut dyn Write, seen: &Seen, names: &Names<'_>) -> fmt::Result {
    write!(f, "\n      turn {}", seen.sight.turns + 1)?;
    if let Some(waiting) = seen.waiting {
        write!(f, ", for {}", Short(waiting))?;
    }
    if let Some(deadline) = seen.deadline {
        write!(f, ", at most {} more", Short(deadline))?;
    }
    names.write_who_can_help(f, seen)?;
    let stack = seen.stack();
    if stack.used + stack.deepest > 0 {
        let kibibytes = |bytes: usize| bytes.div_ceil(1024);
        let used = kibibytes(stack.used.max(stack.deepest));
        write!(f, ", stack {used} of {} KiB", kibibytes(stack.size))?;
    }
    match seen.spawner() {
        Some(spawner) => write!(f, ", spawned by {spawner}"),
        None => Ok(()),
    }
}

/// A time, as precise as it is of interest.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0..10 => write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3),
            ms @ 10..1000 => write!(f, "{ms} ms"),
            1000..600_000 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            ms => write!(f, "{} min", ms / 60_000),
        }
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.thread.as_deref().unwrap_or("without a name");
        write!(f, "thread '{name}' ({}): ", self.number)?;
        if let Some(silence) = self.silence() {
            return write!(f, "no answer, {silence}");
        }
        write!(f, "{} greenlets", self.greenlets.len() + self.missed)?;
        match self.rests {
            true => write!(f, ", waits")?,
            false => write!(f, ", works for {}", Short(self.quiet))?,
        }
        self.write_ways_in(f)?;
        self.write(f, usize::MAX)?;
        self.write_cycles(f)
    }
}
