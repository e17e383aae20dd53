//! Circles through several threads, where all of them stand still: then each can be asked what it sees, and what they
//! see goes together.

use std::fmt::{self, Write};
use std::iter::once;

use super::text::Names;
use super::{Dump, Seen, circles_among, dump_of};
use crate::hub::roll;
use crate::hub::seen::Wish;

impl Dump {
    /// One line for each circle that is not of this dump alone. It is known that no thread does anything.
    pub(in crate::hub) fn write_cycles_across(&self, f: &mut dyn Write) -> fmt::Result {
        let wish = Wish {
            frames: false,
            touched: false,
        };
        let faces = roll::faces().into_iter();
        let others = faces.filter(|face| face.number != self.number);
        let others: Vec<Dump> = others.map(|face| dump_of(&face, wish)).collect();
        let each = |dump| Dump::greenlets(dump).iter().map(move |seen| (dump, seen));
        let (whose, all): (Vec<&Dump>, Vec<&Seen>) =
            once(self).chain(&others).flat_map(each).unzip();
        for circle in circles_among(&all) {
            if circle.iter().any(|&at| whose[at].number != self.number) {
                write_circle(f, circle.iter().map(|&at| (whose[at], all[at])))?;
            }
        }
        Ok(())
    }
}

fn write_circle<'a>(
    f: &mut dyn Write,
    members: impl Iterator<Item = (&'a Dump, &'a Seen)> + Clone,
) -> fmt::Result {
    f.write_str("\n  in a circle: ")?;
    for (dump, seen) in members.clone() {
        write!(f, "{seen} of thread ")?;
        match dump.thread() {
            Some(name) => write!(f, "'{}'", name.escape_debug())?,
            None => write!(f, "{}", dump.number())?,
        }
        f.write_str(" ")?;
        Names::of(dump).write_does(f, seen)?;
        f.write_str(" → ")?;
    }
    members
        .take(1)
        .try_for_each(|(_, first)| write!(f, "{first}"))
}
