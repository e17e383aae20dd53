//! `std::thread::park`, and the handle that ends it: the only thing of a greenlet that may go to other threads.
//!
//! ```text
//!   park:    permit? take it, return          unpark:  leave a permit
//!            hang a knocker on the handle               a knocker hangs there? knock
//!            permit? else wait, look again
//! ```
//!
//! The knocker hangs under a lock, so one of the two finds what the other has left. A greenlet that is parked can
//! be woken from outside, and the hub waits for that as long as anybody could come; so it enrols only while
//! somebody else has its handle, and when the last one of them goes it is knocked for, to look again, and stands on
//! its own: then a deadlock is one, and is reported.

use std::cell::OnceCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::hub::Hub;
use crate::hub::desk::{Knocker, Ticket};
use crate::switch::control::Control;
use crate::switch::greenlet::GreenletId;
use crate::switch::local::LocalKey;
use crate::sys::clock::Moment;
use crate::sys::lock::lock;

/// What a greenlet and its handles share. What both sides touch at each wake lies together.
#[repr(C)]
struct Shared {
    permit: AtomicBool,
    place: Mutex<Place>,
    /// How many [`Thread`]s there are.
    handles: AtomicUsize,
    id: GreenletId,
    name: Option<Box<str>>,
}

/// Where a knocker hangs. It stays when nobody is parked, and is used again, until the greenlet ends.
#[derive(Default)]
struct Place {
    /// It waits here, whether somebody can knock or not.
    waits: bool,
    /// It waits here, and somebody can knock.
    is_parked: bool,
    knocker: Option<Knocker>,
}

/// The greenlet's own share of its handles.
struct Own(Arc<Shared>);

static OWN: LocalKey<OnceCell<Own>> = LocalKey::new(OnceCell::new);

/// Handles that stay longer keep nothing of the hub.
impl Drop for Own {
    fn drop(&mut self) {
        self.0.place().knocker = None;
    }
}

impl Shared {
    fn of(control: &Control) -> Arc<Shared> {
        if control.is_dead() {
            return Shared::new(control);
        }
        let own = OWN.of(control);
        Arc::clone(&own.get_or_init(|| Own(Shared::new(control))).0)
    }

    fn new(control: &Control) -> Arc<Shared> {
        let name = match control.is_main() {
            true => std::thread::current().name().map(Box::from),
            false => control.name().map(Box::from),
        };
        Shared::with(GreenletId::of(control.id), name)
    }

    fn with(id: GreenletId, name: Option<Box<str>>) -> Arc<Shared> {
        Arc::new(Shared {
            id,
            name,
            permit: AtomicBool::new(false),
            handles: AtomicUsize::new(0),
            place: Mutex::default(),
        })
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        lock(&self.place)
    }

    fn take_permit(&self) -> bool {
        self.permit.swap(false, Ordering::AcqRel)
    }

    /// Waits for a permit; until `deadline`, if there is one.
    fn park(&self, deadline: Option<Moment>) {
        let hub = Hub::here();
        while !self.take_permit() {
            let Ok(_listed) = self.enlist(hub) else {
                // Without a poller nobody can knock. To return for no reason is allowed.
                return hub.yield_now();
            };
            if self.permit.load(Ordering::Acquire) {
                continue;
            }
            if hub.park_until(&"is parked", deadline) {
                self.take_permit();
                return;
            }
        }
    }

    /// Lets those who have a handle knock, if there is anybody.
    fn enlist(&self, hub: &Hub) -> std::io::Result<Listed<'_>> {
        let mut place = self.place();
        let mut ticket = None;
        if self.handles.load(Ordering::Acquire) > 0 {
            ticket = Some(hub.enrol_again(&mut place.knocker)?);
            place.is_parked = true;
        }
        place.waits = true;
        Ok(Listed {
            shared: self,
            _ticket: ticket,
        })
    }

    fn knock(&self) {
        let knocker = {
            let place = self.place();
            place.is_parked.then(|| place.knocker.clone()).flatten()
        };
        if let Some(knocker) = knocker {
            knocker.wake();
        }
    }
}

/// A greenlet that is parked; takes the knocker off the handle on every way out.
struct Listed<'a> {
    shared: &'a Shared,
    _ticket: Option<Ticket>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut place = self.shared.place();
        (place.waits, place.is_parked) = (false, false);
    }
}

/// Waits until somebody [unparks](Thread::unpark) this greenlet, or has done so since it last returned from
/// here, or for no reason at all.
///
/// ```
/// use greenlet::thread;
///
/// let parked = thread::spawn(thread::park);
/// parked.thread().unpark();
/// parked.join().unwrap();
/// ```
///
/// # Parks
/// Unless it has been unparked already.
///
/// # Cancellation
/// No permit is taken.
///
/// # Panics
/// As [`sleep`](crate::sleep).
pub fn park() {
    own().park(None);
}

/// As [`park`], for `timeout` at most.
///
/// # Parks
/// Unless it has been unparked already.
///
/// # Cancellation
/// No permit is taken.
///
/// # Panics
/// As [`park`].
pub fn park_timeout(timeout: Duration) {
    own().park(Some(Moment::now().after(timeout)));
}

fn own() -> Arc<Shared> {
    Shared::of(Hub::here().thread().current())
}

/// A handle to a greenlet that any thread may have: `std::thread::Thread`.
///
/// ```
/// let me = greenlet::thread::current();
/// std::thread::spawn(move || me.unpark());
/// greenlet::thread::park();
/// ```
///
/// # Differences from std
/// While a handle is somewhere, its greenlet may be unparked, so a deadlock is reported only if no thread is left that
/// could do that; see [the manual](crate::manual::hub). The main greenlet of an OS thread has the name of that thread.
pub struct Thread {
    shared: Arc<Shared>,
}

/// A handle to the greenlet that runs.
///
/// # Panics
/// If the thread-locals of this thread have been destroyed.
pub fn current() -> Thread {
    Thread::handle(own())
}

impl Thread {
    /// The handle of a greenlet of this thread. If it is parked, it learns that somebody may unpark it.
    pub(super) fn of(control: &Control) -> Thread {
        let thread = Thread::handle(Shared::of(control));
        let waits_alone = {
            let place = thread.shared.place();
            place.waits && !place.is_parked
        };
        if waits_alone && let Some(hub) = Hub::here_if_open() {
            hub.wake(control.into());
        }
        thread
    }

    /// One that has ended, and was never asked for: it had no name, since a name is asked for at once.
    pub(super) fn of_ended(id: GreenletId) -> Thread {
        Thread::handle(Shared::with(id, None))
    }

    fn handle(shared: Arc<Shared>) -> Thread {
        shared.handles.fetch_add(1, Ordering::AcqRel);
        Thread { shared }
    }

    /// Lets the greenlet return from [`park`], now or when it comes there. Calls that come before it has are
    /// as one.
    ///
    /// # Parks
    /// No.
    pub fn unpark(&self) {
        if !self.shared.permit.swap(true, Ordering::AcqRel) {
            self.shared.knock();
        }
    }

    /// Its number.
    pub fn id(&self) -> GreenletId {
        self.shared.id
    }

    /// The name its builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.shared.name.as_deref()
    }
}

impl Clone for Thread {
    fn clone(&self) -> Thread {
        Thread::handle(Arc::clone(&self.shared))
    }
}

/// When the last one goes, nobody can unpark the greenlet any more.
impl Drop for Thread {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.knock();
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
