//! Closures at rest: a body waits in a pooled block until its greenlet first runs. What floors above
//! have [room](Blocks::room) for lies in the same blocks.
//!
//! A closure of up to 128 bytes (88 if the hub runs it) costs no allocation; a larger one waits in a box of its own. Most
//! are small, and a million may wait, so there are blocks of several sizes. The block goes back to the pool at the start, so
//! that a suspended greenlet holds none.

use std::cell::Cell;
use std::mem;
use std::ptr::NonNull;

use super::thread::Thread;
use crate::data::slab::{Slab, align};
use crate::sys::context::Entry;
use crate::sys::memory;

/// The sizes of pooled blocks, in bytes.
const SMALL: usize = 64;
const MEDIUM: usize = 96;
const LARGE: usize = 128;

/// One box of so many looks whether there is memory for more.
const BOXES: usize = 64;

/// Where the bodies of a thread wait, and other small things of its greenlets lie.
pub(crate) struct Blocks {
    small: Slab<SMALL>,
    medium: Slab<MEDIUM>,
    large: Slab<LARGE>,
    /// Boxes that stand for a block.
    boxes: Cell<usize>,
}

impl Blocks {
    pub(crate) const fn new() -> Blocks {
        Blocks {
            small: Slab::new(),
            medium: Slab::new(),
            large: Slab::new(),
            boxes: Cell::new(0),
        }
    }

    /// How many blocks are out.
    pub(crate) fn taken(&self) -> usize {
        self.small.taken() + self.medium.taken() + self.large.taken() + self.boxes.get()
    }

    /// Memory for a value: a block, or a box if it is too large; nothing is there yet. None if there is no memory that
    /// leaves so many bytes for something besides.
    #[inline]
    pub(crate) fn room<V>(&self, besides: usize) -> Option<NonNull<V>> {
        match const { fits::<V>() } {
            true => Some(self.block::<V>(besides)?.cast()),
            false => self.large_room(besides),
        }
    }

    #[cold]
    fn large_room<V>(&self, besides: usize) -> Option<NonNull<V>> {
        let boxes = self.boxes.get();
        if boxes % BOXES == BOXES - 1 {
            memory::check(besides).ok()?;
        }
        let room = memory::room::<V>()?;
        self.boxes.set(boxes + 1);
        Some(NonNull::from(Box::leak(room)).cast())
    }

    /// Takes it out again.
    ///
    /// # Safety
    /// It lies in [room](Self::room) from here, and is not used again.
    #[inline]
    pub(crate) unsafe fn release<V>(&self, place: NonNull<V>) -> V {
        // SAFETY: caller's promise; `room` went the same way. The room is free before the value is used, whatever that does.
        unsafe {
            if const { !fits::<V>() } {
                self.boxes.set(self.boxes.get() - 1);
                return *Box::from_raw(place.as_ptr());
            }
            let value = place.read();
            match const { size::<V>() } {
                SMALL => self.small.put(place.cast()),
                MEDIUM => self.medium.put(place.cast()),
                _ => self.large.put(place.cast()),
            }
            value
        }
    }

    /// A block for a value that fits.
    #[inline]
    fn block<V>(&self, besides: usize) -> Option<NonNull<u8>> {
        match const { size::<V>() } {
            SMALL => self.small.take(besides),
            MEDIUM => self.medium.take(besides),
            _ => self.large.take(besides),
        }
    }
}

/// A closure that has not run, and how to run or drop it.
pub(crate) struct Body {
    block: NonNull<u8>,
    kind: &'static Kind,
}

/// What sort of closure lies in a block.
pub(crate) struct Kind {
    entry: Entry,
    drop: unsafe fn(NonNull<u8>, &Thread),
}

impl Body {
    /// Puts a closure into a block of this thread; None if there is no memory for it. `entry` is what
    /// [`take`](Self::take)s it out again.
    #[inline]
    pub(crate) fn new<F: 'static, E: Enter<F>>(thread: &Thread, closure: F) -> Option<Body> {
        let block = thread.bodies.room::<F>(thread.promised())?;
        // SAFETY: there is room for it.
        unsafe { block.write(closure) };
        Some(Body {
            block: block.cast(),
            kind: Body::kind::<F, E>(),
        })
    }

    /// What is to be known of a closure.
    pub(crate) const fn kind<F, E: Enter<F>>() -> &'static Kind {
        const {
            &Kind {
                entry: E::enter,
                drop: drop_stored::<F>,
            }
        }
    }

    /// The closure that was put in a block ([room](Blocks::room)) before it had a greenlet.
    ///
    /// # Safety
    /// It is what `kind` says, and the body of nobody else.
    pub(crate) unsafe fn of_block(block: NonNull<u8>, kind: &'static Kind) -> Body {
        Body { block, kind }
    }

    /// What the greenlet's stack begins with.
    pub(crate) fn entry(&self) -> Entry {
        self.kind.entry
    }

    /// Takes the closure out, and gives the block back.
    ///
    /// # Safety
    /// It was stored as an `F`.
    #[inline]
    pub(crate) unsafe fn take<F>(self, thread: &Thread) -> F {
        let block = self.block;
        mem::forget(self);
        // SAFETY: it is in a block of this thread (caller's promise), and this is the one time that it is read.
        unsafe { thread.bodies.release(block.cast()) }
    }

    /// Drops a closure that will never run. This is user code: it may panic, and it may switch.
    pub(crate) fn discard(self, thread: &Thread) {
        let (block, kind) = (self.block, self.kind);
        mem::forget(self);
        // SAFETY: `kind` was stored with what the block holds, and the body is gone after this.
        unsafe { (kind.drop)(block, thread) }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        debug_assert!(false, "a body is taken or discarded, never dropped");
    }
}

/// How the greenlet with this closure starts; see [`Entry`].
pub(crate) trait Enter<F> {
    /// # Safety
    /// As [`Entry`]: called by the context, with the control block whose body holds an `F`.
    unsafe fn enter(control: *const ()) -> *const crate::sys::context::Context;
}

/// Whether it lies in a block, and not in a box.
const fn fits<F>() -> bool {
    fits_into::<F>(LARGE)
}

const fn fits_into<F>(size: usize) -> bool {
    mem::size_of::<F>() <= size && mem::align_of::<F>() <= align(size)
}

/// The size of the block for it.
const fn size<F>() -> usize {
    if fits_into::<F>(SMALL) {
        SMALL
    } else if fits_into::<F>(MEDIUM) {
        MEDIUM
    } else {
        LARGE
    }
}

/// # Safety
/// The block holds a `V` that nobody uses again, and belongs to this thread.
unsafe fn drop_stored<V>(block: NonNull<u8>, thread: &Thread) {
    // SAFETY: caller's promise.
    drop(unsafe { thread.bodies.release(block.cast::<V>()) });
}
