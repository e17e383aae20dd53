//! Seeds: greenlets whose turn has not come, and for whom nobody has asked.
//!
//! Many may be spawned at once, and all that most of them do at first is to wait for their turn. That takes a closure
//! and a place in the queue; what else is known of them, in 32 bytes, lies in front of the closure. The control block
//! comes with the turn, and may be the one that somebody has just left.
//!
//! ```text
//!   launch ──▶ seed ──its turn, or somebody asks──▶ greenlet with a control block ──▶ starts
//!                │
//!                └── lies in the block of its closure, and nowhere but in the queue
//! ```
//!
//! Whoever asks for one of them (to kill it, to unpark it, to list it) has all grow that there are. Each grows once, so
//! it costs no more to ask for many.

use std::num::NonZero;
use std::panic::Location;
use std::ptr::NonNull;

use super::Hub;
use super::launch::{Job, Launched, Start};
use crate::switch::body::{self, Body};
use crate::switch::control::{Birth, Control, ControlRef, Family, Wait};
use crate::sys::stack::Pages;

/// One in the queue: a greenlet, or a seed.
#[derive(Clone, Copy)]
pub(super) struct Turn(NonNull<()>);

/// Whoever it is, waits once.
impl PartialEq for Turn {
    fn eq(&self, other: &Turn) -> bool {
        self.whose() == other.whose()
    }
}

/// What is known of a greenlet before it is one. It does not change until it grows.
#[repr(C)]
pub(super) struct Seed {
    kind: &'static Kind,
    pub(super) site: &'static Location<'static>,
    pub(super) id: u64,
    pages: Pages,
    /// As in the control block.
    from_spawner: u32,
}

struct Kind {
    body: &'static body::Kind,
    grown: unsafe fn(NonNull<Seed>, &Control),
}

/// A seed, and what its greenlet will do.
#[repr(C)]
pub(super) struct Planted<J> {
    seed: Seed,
    pub(super) job: J,
}

const _: () = assert!(size_of::<Seed>() <= 32);
const _: () = assert!(align_of::<Seed>() > Turn::MARKS && align_of::<Control>() > Turn::MARKS);

impl Turn {
    /// Marks a seed. No address of either has a mark by itself.
    const SEED: usize = 1;
    /// Marks a greenlet that has yielded, and so goes on with little, mostly.
    const YIELD: usize = 2;
    const MARKS: usize = Turn::SEED | Turn::YIELD;

    #[inline(always)]
    pub(super) fn of(control: ControlRef) -> Turn {
        Turn(control.cast())
    }

    #[inline(always)]
    pub(super) fn of_yield(control: ControlRef) -> Turn {
        Turn(control.cast().map_addr(|address| address | Turn::YIELD))
    }

    #[inline(always)]
    fn of_seed(seed: NonNull<Seed>) -> Turn {
        Turn(seed.cast().map_addr(|address| address | Turn::SEED))
    }

    #[inline(always)]
    pub(super) fn is_yield(self) -> bool {
        self.0.addr().get() & Turn::YIELD != 0
    }

    /// The greenlet, or the seed.
    #[inline(always)]
    pub(super) fn whose(self) -> Result<ControlRef, NonNull<Seed>> {
        let unmarked = self.0.map_addr(|address| {
            // SAFETY: an address without its marks is one of a block, and not null.
            unsafe { NonZero::new_unchecked(address.get() & !Turn::MARKS) }
        });
        match self.0.addr().get() & Turn::SEED {
            0 => Ok(unmarked.cast()),
            _ => Err(unmarked.cast()),
        }
    }
}

impl Seed {
    /// Whoever made it; 0 if that is not known.
    pub(super) fn spawner(&self) -> u64 {
        Control::spawner_of(self.id, self.from_spawner)
    }
}

impl Hub {
    /// Puts what is to become a greenlet into a block, and has a place in the queue ready for it; returns where it is, and
    /// its number. None if there is no memory for that.
    ///
    /// # Safety
    /// It fits, planted, into a block. What `job` borrows lives until it has run or been dropped.
    #[inline]
    pub(super) unsafe fn plant<J: Job>(
        &self,
        pages: Pages,
        site: &'static Location<'static>,
        job: J,
    ) -> Option<(NonNull<Seed>, u64)> {
        debug_assert!(const { body::fits::<Planted<J>>() });
        let thread = self.thread();
        let besides = thread.promised();
        if !thread.can_promise() || !self.ready.provide(besides) {
            return None;
        }
        let place = thread.bodies.room::<Planted<J>>(besides)?;
        let id = thread.next_id();
        let kind = const {
            &Kind {
                body: Body::kind::<Planted<J>, Start<J>>(),
                grown: tell::<J>,
            }
        };
        // SAFETY: there is room for it.
        unsafe {
            place.write(Planted {
                seed: Seed {
                    kind,
                    site,
                    id,
                    pages,
                    from_spawner: Control::distance(id, thread.current().id),
                },
                job,
            });
        }
        Some((place.cast(), id))
    }

    /// Lets it wait for its turn.
    #[inline]
    pub(super) fn sow(&self, seed: NonNull<Seed>) {
        self.thread().promise();
        self.ready.push(Turn::of_seed(seed));
    }

    /// Its turn has come. None if it could not start.
    #[inline(never)]
    pub(super) fn sprout(&self, seed: NonNull<Seed>) -> Option<&'static Control> {
        let control = self.grow(seed);
        // SAFETY: it has started, and stays until it has run.
        self.set_up(control).then(|| unsafe { &*control.as_ptr() })
    }

    /// Gives it its control block: it is out of the queue, or gets another place there.
    #[inline(always)]
    pub(super) fn grow(&self, seed: NonNull<Seed>) -> ControlRef {
        self.thread().redeem();
        // SAFETY: a seed that was in the queue has not grown.
        unsafe { self.grow_named(seed, None) }
    }

    /// Makes the control block, with the count of the hub, of one that is or will be in the queue.
    ///
    /// # Safety
    /// It was planted here, and has not grown.
    #[inline(always)]
    pub(super) unsafe fn grow_named(
        &self,
        seed: NonNull<Seed>,
        name: Option<Box<str>>,
    ) -> ControlRef {
        let thread = self.thread();
        // SAFETY: caller's promise: it lies in its block.
        let Seed {
            kind,
            site,
            id,
            pages,
            from_spawner,
        } = *unsafe { seed.as_ref() };
        let birth = Birth {
            name,
            parent: Some(NonNull::from(&thread.main)),
            site,
            pages,
        };
        let control = thread.number_control(Family::of::<Launched>(), birth, id, from_spawner);
        // SAFETY: just made.
        let made = unsafe { control.as_ref() };
        // SAFETY: `plant` stored it there as what `kind` says, and it is the body of nobody else.
        made.body
            .set(Some(unsafe { Body::of_block(seed.cast(), kind.body) }));
        made.wait.set(Wait::Ready);
        // SAFETY: it is still in its block.
        unsafe { (kind.grown)(seed, made) };
        control
    }

    /// Has all seeds grow, the oldest first.
    pub(crate) fn grow_all(&self) {
        let mut left = self.thread().seeds();
        if left == 0 {
            return;
        }
        // Those that are left are the last ones, mostly.
        let places = (0..self.ready.len()).rev();
        let seeds = places.filter(|&place| self.seed_at(place).is_some());
        let oldest = seeds.take(left).last().unwrap_or(0);
        for place in oldest..self.ready.len() {
            if let Some(seed) = self.seed_at(place) {
                self.ready.replace_at(place, Turn::of(self.grow(seed)));
                left -= 1;
            }
        }
        debug_assert_eq!(left, 0, "every seed is in the queue");
    }

    fn seed_at(&self, place: usize) -> Option<NonNull<Seed>> {
        self.ready.peek(place)?.whose().err()
    }

    /// The seeds that there are, the oldest first. For a signal handler as well, which may miss some.
    pub(super) fn seeds(&self) -> impl Iterator<Item = &Seed> {
        let places = 0..self.ready.len();
        // SAFETY: what is in the queue has not grown, and stays in its block until then.
        places.filter_map(|place| Some(unsafe { self.seed_at(place)?.as_ref() }))
    }
}

/// # Safety
/// The seed was planted with a `J`, and is still in its block.
unsafe fn tell<J: Job>(seed: NonNull<Seed>, control: &Control) {
    // SAFETY: caller's promise.
    let planted = unsafe { seed.cast::<Planted<J>>().as_ref() };
    planted.job.grown(control);
}
