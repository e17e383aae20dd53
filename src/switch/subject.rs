//! What a greenlet waits for, as far as others can tell: who can end the wait, and which thing it is.
//!
//! While it waits, its control block points there. Some lists say only who; there are two for each connection, and one
//! for each greenlet. What a program has made itself also says where it was made, and how far it reaches in memory: by
//! that those are found who could do something about it. A thing that several have together, as readers have a lock and
//! members their group, is a party: all of them have to go.
//!
//! Who waits for the first of several things has a chain of them, in the frames in which it stands in line:
//!
//! ```text
//!   control block ──▶ among ──▶ among ──▶ the one it stands for first
//!                       │         │
//!                       ▼         ▼       each a holder, a subject or a party
//! ```

use std::ops::Range;
use std::os::fd::RawFd;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::data::crowd::Crowd;

/// The number of the only greenlet that can end the waits for something, or of the descriptor that does; 0 if it could
/// be anybody. What threads share is written by others, and a signal handler may read it.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Holder(AtomicU64);

impl Holder {
    /// What is below that is the number of a descriptor.
    const IS_DESCRIPTOR: u64 = 1 << 63;

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

    pub(crate) fn set_descriptor(&self, fd: RawFd) {
        self.set(Holder::IS_DESCRIPTOR | u64::from(fd.cast_unsigned()));
    }

    fn greenlet(&self) -> Option<u64> {
        Some(self.get()).filter(|&number| number != 0 && number & Holder::IS_DESCRIPTOR == 0)
    }

    fn descriptor(&self) -> Option<RawFd> {
        let number = self.get();
        (number & Holder::IS_DESCRIPTOR != 0).then(|| (number as u32).cast_signed())
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

/// Something that a program has made, and that several have together. Who is its holder has it, too.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Party {
    /// The first, so that it is found as in a subject.
    subject: Subject,
    all: Crowd,
}

#[cfg(target_pointer_width = "64")] // a debugger relies on it
const _: () = assert!(std::mem::offset_of!(Party, all) == 24);

impl Party {
    pub(crate) const fn of(subject: Subject) -> Party {
        Party {
            subject,
            all: Crowd::new(),
        }
    }

    /// Those who have it.
    pub(crate) fn all(&self) -> &Crowd {
        &self.all
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

impl Known for Party {
    #[inline(always)]
    fn holder(&self) -> &Holder {
        &self.subject.holder
    }

    #[inline(always)]
    fn awaits(&self) -> Awaits {
        Awaits(
            ptr::from_ref(self)
                .cast::<Holder>()
                .wrapping_byte_add(Awaits::IS_PARTY),
        )
    }
}

/// What somebody waits for: nothing that is known, a holder, a subject, a party, or several of them; the address is marked
/// with which.
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
    const IS_PARTY: usize = 3;
    const MARK: usize = 3;

    pub(crate) const NOTHING: Awaits = Awaits(ptr::null());

    /// The address, if it has that mark.
    fn marked<T>(self, mark: usize) -> Option<*const T> {
        let is_so = self.0.addr() & Awaits::MARK == mark;
        is_so.then(|| self.0.wrapping_byte_sub(mark).cast())
    }

    /// Each of the things.
    ///
    /// # Safety
    /// What it was made of is there as long as the iterator.
    pub(crate) unsafe fn each<'a>(self) -> impl Iterator<Item = Awaited<'a>> {
        let mut left = self;
        std::iter::from_fn(move || {
            if left == Awaits::NOTHING {
                return None;
            }
            let among = left.marked::<Among>(Awaits::IS_SEVERAL);
            // SAFETY: caller's promise; only those are marked so.
            let Among { this, others } = among.map_or_else(
                || Among::new(left, Awaits::NOTHING),
                |among| unsafe { *among },
            );
            left = others;
            // SAFETY: caller's promise.
            Some(unsafe { this.one() })
        })
    }

    /// # Safety
    /// As for `each`; it is not several.
    unsafe fn one<'a>(self) -> Awaited<'a> {
        let subject = self.marked::<Subject>(Awaits::IS_SUBJECT);
        let party = self.marked::<Party>(Awaits::IS_PARTY);
        // SAFETY: caller's promise; a mark says what is there, and what has another mark, or none, begins with a holder.
        unsafe {
            let party = party.map(|party| &*party);
            let subject = subject
                .map(|subject| &*subject)
                .or(party.map(|party| &party.subject));
            Awaited {
                holder: subject.map_or_else(|| &*self.0, |subject| &subject.holder),
                subject,
                party,
            }
        }
    }
}

/// One thing that somebody waits for.
#[derive(Clone, Copy)]
pub(crate) struct Awaited<'a> {
    holder: &'a Holder,
    subject: Option<&'a Subject>,
    party: Option<&'a Party>,
}

impl<'a> Awaited<'a> {
    /// The numbers of those who have it, and all have to go. Nobody: it could be anybody.
    pub(crate) fn holders(self) -> impl Iterator<Item = u64> + 'a {
        let all = self.party.into_iter().flat_map(|party| party.all.iter());
        self.holder.greenlet().into_iter().chain(all)
    }

    /// The descriptor on which something is to happen.
    pub(crate) fn descriptor(self) -> Option<RawFd> {
        self.holder.descriptor()
    }

    /// What it is, if that is known.
    pub(crate) fn thing(self) -> Option<Thing> {
        let subject = self.subject?;
        let begin = ptr::from_ref(subject).addr() - subject.begin as usize;
        Some(Thing {
            made: subject.made,
            begin,
            end: begin + subject.size as usize,
        })
    }
}
