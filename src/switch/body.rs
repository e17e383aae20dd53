//! Closures at rest: a body waits in a pooled block until its greenlet first runs. What floors above
//! have [room](Blocks::room) for lies in the same blocks.
//!
//! A closure of up to 128 bytes (88 if the hub runs it) costs no allocation; a larger one is boxed, and the box is what
//! waits. Most are small, and a million may wait, so there are blocks of several sizes. The block goes back to the pool at
//! the start, so that a suspended greenlet holds none.

use std::cell::Cell;
use std::mem::{self, MaybeUninit};
use std::ptr::NonNull;

use super::thread::Thread;
use crate::data::slab::{Slab, align};
use crate::sys::context::Entry;
use crate::sys::memory;

/// The sizes of pooled blocks, in bytes.
const SMALL: usize = 64;
const MEDIUM: usize = 96;
const LARGE: usize = 128;

/// Boxes of so many bytes together look whether there is memory for more.
const UNSEEN: usize = 1 << 20;

/// Where the bodies of a thread wait, and other small things of its greenlets lie.
pub(crate) struct Blocks {
    small: Slab<SMALL>,
    medium: Slab<MEDIUM>,
    large: Slab<LARGE>,
    /// Boxes that stand for a block.
    boxes: Cell<usize>,
    /// How many bytes of boxes were made since it was last seen that there is memory.
    unseen: Cell<usize>,
}

impl Blocks {
    pub(crate) const fn new() -> Blocks {
        Blocks {
            small: Slab::new(),
            medium: Slab::new(),
            large: Slab::new(),
            boxes: Cell::new(0),
            unseen: Cell::new(0),
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
        if const { fits::<V>() } {
            return Some(self.block::<V>(besides)?.cast());
        }
        let room = self.large_room::<V>(besides)?;
        self.boxes.set(self.boxes.get() + 1);
        Some(NonNull::from(Box::leak(room)).cast())
    }

    /// A box for a value that is too large, on the same terms.
    pub(crate) fn boxed<V>(&self, value: V, besides: usize) -> Option<Box<V>> {
        Some(Box::write(self.large_room(besides)?, value))
    }

    #[cold]
    fn large_room<V>(&self, besides: usize) -> Option<Box<MaybeUninit<V>>> {
        let unseen = self.unseen.get().saturating_add(size_of::<V>());
        if unseen >= UNSEEN {
            memory::check(besides.saturating_add(size_of::<V>())).ok()?;
        }
        self.unseen.set(unseen % UNSEEN);
        memory::room()
    }

    /// Takes it out again.
    ///
    /// # Safety
    /// It lies in [room](Self::room) from here, and is not used again.
    #[inline]
    pub(crate) unsafe fn release<V>(&self, value: NonNull<V>) -> V {
        // SAFETY: caller's promise; `room` went the same way.
        unsafe {
            match const { fits::<V>() } {
                true => self.take_out(value.cast()),
                false => {
                    self.boxes.set(self.boxes.get() - 1);
                    *Box::from_raw(value.as_ptr())
                }
            }
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

    #[inline]
    fn put_in<V>(&self, value: V, besides: usize) -> Option<NonNull<u8>> {
        let block = self.block::<V>(besides)?;
        // SAFETY: the block is fresh, large enough and aligned (`fits`, or a box).
        unsafe { block.cast::<V>().write(value) };
        Some(block)
    }

    /// # Safety
    /// The block is one of these and holds a `V`, which is not used again.
    #[inline]
    unsafe fn take_out<V>(&self, block: NonNull<u8>) -> V {
        // SAFETY: caller's promise. The block is free before the value is used, whatever that does.
        unsafe {
            let value = block.cast::<V>().read();
            match const { size::<V>() } {
                SMALL => self.small.put(block),
                MEDIUM => self.medium.put(block),
                _ => self.large.put(block),
            }
            value
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
    pub(crate) fn new<F: 'static, E: Enter<F>>(thread: &Thread, closure: F) -> Option<Body> {
        let (blocks, besides) = (&thread.bodies, thread.promised());
        if const { fits::<F>() } {
            return Some(Body {
                block: blocks.put_in(closure, besides)?,
                kind: Body::kind::<F, E>(),
            });
        }
        Some(Body {
            block: blocks.put_in(blocks.boxed(closure, besides)?, besides)?,
            kind: const {
                &Kind {
                    entry: E::enter,
                    drop: drop_stored::<Box<F>>,
                }
            },
        })
    }

    /// What is to be known of a closure that fits into a block.
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
    /// It is what `kind` says, fits, and is the body of nobody else.
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
        // SAFETY: `new` stored an `F`, or a box of one, in a block of this thread (caller's promise), and
        // this is the one time that it is read.
        unsafe {
            match const { fits::<F>() } {
                true => thread.bodies.take_out::<F>(block),
                false => *thread.bodies.take_out::<Box<F>>(block),
            }
        }
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
pub(crate) const fn fits<F>() -> bool {
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
    drop(unsafe { thread.bodies.take_out::<V>(block) });
}
