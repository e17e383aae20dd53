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

use std::iter::once;
use std::ops::Range;
use std::os::fd::RawFd;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::data::crowd::Crowd;
use crate::sys::context::Context;

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

    pub(crate) fn descriptor(&self) -> Option<RawFd> {
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
    /// From the beginning of the thing to this, in bytes, and its whole size.
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

/// A party of so many, if it is complete, of whom one has to go: the places of a pool.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct AnyOf {
    /// The first, so that it is found as in a party.
    party: Party,
    size: usize,
}

impl AnyOf {
    /// Of more it is not asked who they are, each time that somebody waits.
    const MOST: usize = 64;

    pub(crate) const fn of(subject: Subject, size: usize) -> AnyOf {
        AnyOf {
            party: Party::of(subject),
            size,
        }
    }

    /// Those who have a place. None if some have not come yet.
    pub(crate) fn all(&self) -> &Crowd {
        &self.party.all
    }

    fn known(&self) -> Option<&Crowd> {
        let known = self.size <= AnyOf::MOST && self.party.all.len() == self.size;
        known.then_some(&self.party.all)
    }
}

/// What lists know of what is waited for.
pub(crate) trait Known: Sized {
    /// What marks an address of one.
    const MARK: usize;

    fn holder(&self) -> &Holder;

    #[inline(always)]
    fn awaits(&self) -> Awaits {
        Awaits::marked_as(Self::MARK, self)
    }
}

impl Known for Holder {
    const MARK: usize = 0;

    #[inline(always)]
    fn holder(&self) -> &Holder {
        self
    }
}

impl Known for Subject {
    const MARK: usize = Awaits::IS_SUBJECT;

    #[inline(always)]
    fn holder(&self) -> &Holder {
        &self.holder
    }
}

impl Known for Party {
    const MARK: usize = Awaits::IS_PARTY;

    #[inline(always)]
    fn holder(&self) -> &Holder {
        &self.subject.holder
    }
}

impl Known for AnyOf {
    const MARK: usize = Awaits::IS_ANY_OF;

    #[inline(always)]
    fn holder(&self) -> &Holder {
        self.party.holder()
    }
}

/// What somebody waits for: nothing that is known, a holder, a subject, a party, one of a party, or several of them; the
/// address is marked with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awaits(*const Holder);

/// One thing that somebody waits for among others.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))] // a debugger reads it, and its address has room for a mark
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
            _ => Awaits::marked_as(Awaits::IS_SEVERAL, self),
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
    const IS_ANY_OF: usize = 4;
    const MARK: usize = 7;

    pub(crate) const NOTHING: Awaits = Awaits(ptr::null());

    #[inline(always)]
    fn marked_as<T>(mark: usize, what: &T) -> Awaits {
        const { assert!(align_of::<T>() > Awaits::MARK) };
        let address = ptr::from_ref(what).cast::<Holder>();
        Awaits(address.wrapping_byte_add(mark))
    }

    /// Fetches what is known of it; nobody need be there any more.
    #[inline(always)]
    pub(crate) fn fetch(self) {
        Context::fetch(self.0.cast());
    }

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
        let any_of = self.marked::<AnyOf>(Awaits::IS_ANY_OF);
        // SAFETY: caller's promise; a mark says what is there, and what has none is a holder.
        unsafe {
            let party = party.map(|party| &*party);
            let any_of = any_of.map(|any_of| &*any_of);
            let of_many = party.or(any_of.map(|any_of| &any_of.party));
            let of_many = of_many.map(|party| &party.subject);
            let subject = subject.map(|subject| &*subject).or(of_many);
            Awaited {
                holder: subject.map_or_else(|| &*self.0, |subject| &subject.holder),
                subject,
                party,
                any_of,
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
    any_of: Option<&'a AnyOf>,
}

impl<'a> Awaited<'a> {
    /// The numbers of those who have it, and all have to go. Nobody: it could be anybody.
    pub(crate) fn holders(self) -> impl Iterator<Item = u64> + 'a {
        let all = self.party.into_iter().flat_map(|party| party.all.iter());
        self.holder.greenlet().into_iter().chain(all)
    }

    /// Each way in which it can come, with those who all have to go for that.
    pub(crate) fn ways(self, mut way: impl FnMut(&mut dyn Iterator<Item = u64>)) {
        match self.any_of.and_then(AnyOf::known) {
            Some(any) => any.iter().for_each(|one| way(&mut once(one))),
            None => way(&mut self.holders()),
        }
    }

    /// Whether that may be more than one.
    pub(crate) fn has_ways(self) -> bool {
        self.any_of.is_some()
    }

    /// Whether somebody is known who has it.
    pub(crate) fn is_held(self) -> bool {
        let all = self.party.is_some_and(|party| party.all.len() > 0);
        let any = self.any_of.is_some_and(|any_of| any_of.known().is_some());
        all || any || self.holder.greenlet().is_some()
    }

    /// Where it lies: two who wait there wait for the same.
    pub(crate) fn address(self) -> usize {
        ptr::from_ref(self.holder).addr()
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
