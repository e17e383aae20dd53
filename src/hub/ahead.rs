//! Fetching what the next turns touch.
//!
//! In a crowd each switch misses the caches, that of addresses as well, and here it is known who comes next. The
//! processor waits for several addresses at a time, but only if they are asked for together.

use super::Hub;
use crate::switch::control::{Control, ControlRef};
use crate::sys::context::Context;

/// For so many turns at once their frames are fetched, and for as many after them the control blocks that say where
/// those are.
const BATCH: u32 = 4;
/// One that waits for a source counts as so many more: a processor that is asked for more than some twenty lines at once
/// forgets some, and the calls of the system that the others make drive out those of the last.
const WEIGHT_OF_A_SOURCE: u32 = 1;
/// So many cache lines hold the frame of a yield.
const LINES_OF_A_YIELD: usize = 2;
/// So many hold those of a wait.
const LINES_OF_A_WAIT: usize = 5;
/// So many hold those of a call of a source, and the beginning of a buffer that lies right above them.
const LINES_OF_A_CALL: usize = 7;
/// So many bytes from the beginning of a source lies what its owner keeps beside it, how long a call may wait; a guess.
const BESIDE_A_SOURCE: isize = -16;

impl Hub {
    /// After a turn has been taken.
    #[inline(always)]
    pub(super) fn look_ahead(&self) {
        match self.fetched.get() {
            0 => self.fetch_next(),
            left => self.fetched.set(left - 1),
        }
    }

    /// Before the turn of `next`, for whom there is nothing left to fetch.
    #[inline(never)]
    pub(super) fn fetch_others(&self, next: ControlRef) -> ControlRef {
        self.fetch_next();
        next
    }

    #[inline]
    fn fetch_next(&self) {
        if !self.thread().is_crowded() {
            return self.fetched.set(BATCH - 1);
        }
        let next = |place: u32| self.ready.peek(place as usize);
        let (mut count, mut weight) = (0, 0);
        while weight < BATCH
            && let Some(turn) = next(count)
        {
            if let Ok(control) = turn.whose() {
                // SAFETY: what is in the queue is kept (`admit`), also one that is dead.
                weight += fetch_where_it_goes_on(unsafe { control.as_ref() }, turn.is_yield());
            }
            weight += 1;
            count += 1;
        }
        self.fetched.set(count.saturating_sub(1));
        for turn in (count..2 * count).map_while(next) {
            match turn.whose() {
                Ok(control) if turn.is_yield() => Control::fetch_first_line(control),
                Ok(control) => Control::fetch(control),
                Err(seed) => Context::fetch(seed.as_ptr().cast_const().cast()),
            }
        }
    }
}

/// Fetches what a greenlet touches when it goes on, whose control block is there. Returns for how many more it counts.
#[inline(always)]
fn fetch_where_it_goes_on(control: &Control, has_yielded: bool) -> u32 {
    let (context, source) = (&control.context, control.source.get());
    // SAFETY: what is in the queue is kept (`admit`), and what a context holds can be read.
    unsafe {
        if has_yielded {
            Context::look_ahead_to::<LINES_OF_A_YIELD>(context);
            return 0;
        }
        if source.is_null() {
            Context::look_ahead_to::<LINES_OF_A_WAIT>(context);
            Context::fetch(control.owes.get());
            return 0;
        }
        Context::look_ahead_to::<LINES_OF_A_CALL>(context);
    }
    control.awaits.get().fetch();
    Context::fetch(source);
    Context::fetch(source.wrapping_byte_offset(BESIDE_A_SOURCE));
    WEIGHT_OF_A_SOURCE
}
