//! What other threads say when they are asked, whatever they do.

use std::collections::HashMap;

use super::{Dump, Seen};
use crate::hub::Hub;
use crate::hub::roll::{self, Face};
use crate::hub::seen::{Sheet, Wish};

/// A dump of another thread.
pub(crate) fn dump_of(face: &Face, wish: Wish) -> Dump {
    let mut room = (0, 0);
    // SAFETY: reads two numbers.
    let asked = unsafe { roll::ask(face.number, |hub, _| room = hub.population()) };
    // It goes on meanwhile.
    let (greenlets, alarms) = (room.0 + room.0 / 4 + 16, room.1 + room.1 / 4 + 16);
    let mut sheet = Sheet::with_room(greenlets, alarms, wish);
    let fill = |hub: &Hub, registers: &_| sheet.fill(hub, Some(registers));
    // SAFETY: filling a sheet allocates nothing, and changes nothing.
    let filled = asked.and_then(|()| unsafe { roll::ask(face.number, fill) });
    match filled {
        Ok(()) => Dump::of(face, Some(&sheet), None),
        Err(silence) => Dump::of(face, None, Some(silence)),
    }
}

/// Who runs on another thread; nobody if that is main, and there is nobody else, unless it is to be seen `alone`, and
/// nobody if the hub has gone on since its `face` was seen: the answer may be long in coming.
pub(crate) fn who_runs(face: &Face, alone: bool) -> Option<Seen> {
    let wish = Wish {
        frames: true,
        touched: false,
    };
    let mut sheet = Sheet::with_room(1, 0, wish);
    let fill = |hub: &Hub, registers: &_| {
        if hub.pulse() == face.pulse {
            sheet.fill_with_who_runs(hub, registers, alone);
        }
    };
    // SAFETY: as in `dump_of`.
    unsafe { roll::ask(face.number, fill) }.ok()?;
    let sight = sheet.sights.first()?;
    Some(Seen::of(&sheet, sight, &HashMap::new()))
}
