//! What a greenlet waits for, as far as others can tell: who alone can end the wait, and which thing it is.
//!
//! While it waits, its control block points there. Some lists say only who; there are two for each connection, and one
//! for each greenlet. What a program has made itself also says where it was made, and how far it reaches in memory: by
//! that those are found who could do something about it.
//!
//! Who waits for the first of several things has a chain of them, in the frames in which it stands in line:
//!
//! ```text
//!   control block ──▶ among ──▶ among ──▶ the one it stands for first
//!                       │         │
//!                       ▼         ▼       each a holder or a subject
//! ```

use std::ops::Range;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of the only greenlet that can end the waits for something; 0 if it could be anybody. What threads share
/// is written by others, and a signal handler may read it.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Holder(AtomicU64);

impl Holder {
    pub(crate) const fn nobody() -> Holder {
        Holder(AtomicU64::new(0))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline(always)]
    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }
}

/// Something that a program has made and that greenlets wait for.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Subject {
    /// The first, so that it is found as in a list that has nothing else.
    holder: Holder,
    made: &'static Location<'static>,
    /// From the begin of the thing to this, in bytes, and its whole size.
    begin: u32,
    size: u32,
}

impl Subject {
    /// For a thing of `size` bytes in which this lies at `begin`.
    #[track_caller]
    pub(crate) const fn new(begin: usize, size: usize) -> Subject {
        Subject {
            holder: Holder::nobody(),
            made: Location::caller(),
            begin: begin as u32,
            size: size as u32,
        }
    }
}

/// What lists know of what is waited for.
pub(crate) trait Known {
    fn holder(&self) -> &Holder;
    fn awaits(&self) -> Awaits;
}

impl Known for Holder {
    #[inline(always)]
    fn holder(&self) -> &Holder {
        self
    }

    #[inline(always)]
    fn awaits(&self) -> Awaits {
        Awaits(ptr::from_ref(self))
    }
}

impl Known for Subject {
    #[inline(always)]
    fn holder(&self) -> &Holder {
        &self.holder
    }

    #[inline(always)]
    fn awaits(&self) -> Awaits {
        Awaits(
            ptr::from_ref(self)
                .cast::<Holder>()
                .wrapping_byte_add(Awaits::IS_SUBJECT),
        )
    }
}

/// What somebody waits for: nothing that is known, a holder, a subject, or several; of the last two the address is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awaits(*const Holder);

/// One thing that somebody waits for among others.
#[derive(Clone, Copy, Debug)]
#[repr(C)] // a debugger reads it
pub(crate) struct Among {
    this: Awaits,
    pub(crate) others: Awaits,
}

impl Among {
    pub(crate) fn new(this: Awaits, others: Awaits) -> Among {
        Among { this, others }
    }

    /// For as long as this stays where it is.
    pub(crate) fn awaits(&self) -> Awaits {
        match self.others {
            Awaits::NOTHING => self.this,
            _ => Awaits(
                ptr::from_ref(self)
                    .cast::<Holder>()
                    .wrapping_byte_add(Awaits::IS_SEVERAL),
            ),
        }
    }
}

/// One thing, as it is told to others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thing {
    pub(crate) made: &'static Location<'static>,
    /// Where it lies in memory.
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

impl Thing {
    /// Addresses that mean it. Many things lie in an `Rc` or an `Arc`, behind two counts, and are known by that place.
    pub(crate) fn reach(&self) -> Range<usize> {
        self.begin - 2 * size_of::<usize>()..self.end
    }
}

impl Awaits {
    const IS_SUBJECT: usize = 1;
    const IS_SEVERAL: usize = 2;

    pub(crate) const NOTHING: Awaits = Awaits(ptr::null());

    /// What is left if the address is not marked like that, or None.
    fn unmarked<T>(self, mark: usize) -> Option<*const T> {
        let marked = self.0.addr() & (Awaits::IS_SUBJECT | Awaits::IS_SEVERAL);
        (marked == mark).then(|| self.0.wrapping_byte_sub(mark).cast())
    }

    /// Each of the things.
    ///
    /// # Safety
    /// What it was made of is there as long as the iterator.
    unsafe fn each(self) -> impl Iterator<Item = Awaits> {
        let mut left = self;
        std::iter::from_fn(move || {
            if left == Awaits::NOTHING {
                return None;
            }
            let among = left.unmarked::<Among>(Awaits::IS_SEVERAL);
            // SAFETY: caller's promise; only those are marked so.
            let Among { this, others } = among.map_or_else(
                || Among::new(left, Awaits::NOTHING),
                |among| unsafe { *among },
            );
            left = others;
            Some(this)
        })
    }

    /// The number of who alone can end the wait, or 0.
    ///
    /// # Safety
    /// What it was made of is there.
    pub(crate) unsafe fn holder(self) -> u64 {
        let holder = |one: Awaits| {
            let place = one.unmarked(0).or_else(|| one.unmarked(Awaits::IS_SUBJECT));
            // SAFETY: caller's promise; a subject begins with its holder.
            place.map_or(0, |place: *const Holder| unsafe { (*place).get() })
        };
        // SAFETY: caller's promise.
        let mut holders = unsafe { self.each() }.map(holder);
        let first = holders.next().unwrap_or(0);
        if holders.all(|other| other == first) {
            first
        } else {
            0
        }
    }

    /// What the things are of which that is known.
    ///
    /// # Safety
    /// What it was made of is there as long as the iterator.
    pub(crate) unsafe fn things(self) -> impl Iterator<Item = Thing> {
        let thing = |one: Awaits| {
            let place = one.unmarked::<Subject>(Awaits::IS_SUBJECT)?;
            // SAFETY: caller's promise; only subjects are marked so.
            let subject = unsafe { &*place };
            let begin = place.addr() - subject.begin as usize;
            Some(Thing {
                made: subject.made,
                begin,
                end: begin + subject.size as usize,
            })
        };
        // SAFETY: caller's promise.
        unsafe { self.each() }.filter_map(thing)
    }
}
