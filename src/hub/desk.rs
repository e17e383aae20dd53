//! Who may be woken by other threads: the desk where greenlets enrol, and what is handed out to call them.
//!
//! A greenlet that somebody outside may wake takes a [`Ticket`]; its [`Knocker`] may go to any thread, and
//! may be used at any time. A knock with a ticket that has been given back names a dead key, and is ignored
//! (law 8). How a knock and a hub that goes to sleep find each other is in [`door`](super::door).

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;

use super::Hub;
use super::door::Door;
use super::remote::Remote;
use crate::switch::control::ControlRef;

type Key = u64;

/// Who may be woken from outside.
#[derive(Default)]
pub(super) struct Desk {
    door: RefCell<Option<Arc<Remote<Key>>>>,
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<u32>>,
    enrolled: Cell<usize>,
}

struct Place {
    generation: u32,
    who: Option<ControlRef>,
}

/// The running greenlet may be woken from outside for as long as it has this.
pub(crate) struct Ticket {
    knocker: Knocker,
}

/// Wakes the greenlet of one ticket, from any thread.
#[derive(Clone)]
pub(crate) struct Knocker {
    door: Arc<Remote<Key>>,
    key: Key,
}

impl Knocker {
    /// Wakes the greenlet, if it still has its ticket; false if its hub has ended.
    pub(crate) fn knock(&self) -> bool {
        self.door.knock(self.key)
    }

    /// As [`knock`](Self::knock), and at once if the greenlet is one of this thread.
    pub(crate) fn wake(&self) -> bool {
        match Hub::here_if_open() {
            Some(hub) if hub.desk.has(&self.door) => {
                if let Some(who) = hub.desk.who(self.key) {
                    hub.wake(who);
                }
                true
            }
            _ => self.knock(),
        }
    }
}

impl Ticket {
    /// What may be given to other threads.
    pub(crate) fn knocker(&self) -> Knocker {
        self.knocker.clone()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(hub) = Hub::here_if_open() {
            hub.desk.strike(self.knocker.key);
        }
    }
}

impl Hub {
    /// Enrols the greenlet that runs.
    ///
    /// # Errors
    /// What the system says if the hub has no poller yet and cannot have one.
    pub(crate) fn enrol(&self) -> io::Result<Ticket> {
        let door = self.desk.door(self)?;
        let key = self.desk.enter(self.current());
        Ok(Ticket {
            knocker: Knocker { door, key },
        })
    }
}

impl Desk {
    fn door(&self, hub: &Hub) -> io::Result<Arc<Remote<Key>>> {
        let mut door = self.door.borrow_mut();
        if let Some(door) = &*door {
            return Ok(Arc::clone(door));
        }
        let made = Arc::new(Door::new(Default::default(), hub.io.bell()?));
        Ok(Arc::clone(door.insert(made)))
    }

    fn enter(&self, who: ControlRef) -> Key {
        self.enrolled.set(self.enrolled.get() + 1);
        let mut places = self.places.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => index,
            None => {
                places.push(Place {
                    generation: 0,
                    who: None,
                });
                (places.len() - 1) as u32
            }
        };
        let place = &mut places[index as usize];
        place.who = Some(who);
        key(index, place.generation)
    }

    fn strike(&self, key: Key) {
        let (index, generation) = parts(key);
        let mut places = self.places.borrow_mut();
        let Some(place) = places.get_mut(index as usize) else {
            return;
        };
        if place.generation == generation && place.who.take().is_some() {
            place.generation = generation.wrapping_add(1);
            self.free.borrow_mut().push(index);
            self.enrolled.set(self.enrolled.get() - 1);
        }
    }

    /// The next greenlet that was called.
    pub(super) fn answer(&self) -> Option<ControlRef> {
        let door = self.door.borrow();
        let door = door.as_ref().filter(|door| !door.is_quiet())?;
        loop {
            if let Some(who) = self.who(door.answer()?) {
                return Some(who);
            }
        }
    }

    /// Whose key it is.
    fn who(&self, key: Key) -> Option<ControlRef> {
        let (index, generation) = parts(key);
        let places = self.places.borrow();
        let place = places.get(index as usize)?;
        (place.generation == generation).then_some(place.who)?
    }

    /// Whether it is the door of this hub.
    fn has(&self, door: &Arc<Remote<Key>>) -> bool {
        let own = self.door.borrow();
        own.as_ref().is_some_and(|own| Arc::ptr_eq(own, door))
    }

    /// How many could be woken from outside.
    pub(super) fn enrolled(&self) -> usize {
        self.enrolled.get()
    }

    /// Before the hub blocks: false if somebody has knocked already.
    pub(super) fn fall_asleep(&self) -> bool {
        self.door
            .borrow()
            .as_ref()
            .is_none_or(|door| door.fall_asleep())
    }

    pub(super) fn wake_up(&self) {
        if let Some(door) = &*self.door.borrow() {
            door.wake_up();
        }
    }

    /// Nobody is let in any more.
    pub(super) fn close(&self) {
        if let Some(door) = &*self.door.borrow() {
            door.close();
        }
    }

    /// After a fork: the door belongs to the parent.
    pub(super) fn begin_again(&self) {
        *self.door.borrow_mut() = None;
        self.enrolled.set(0);
        self.free.borrow_mut().clear();
        let mut places = self.places.borrow_mut();
        for (index, place) in places.iter_mut().enumerate() {
            place.who = None;
            place.generation = place.generation.wrapping_add(1);
            self.free.borrow_mut().push(index as u32);
        }
    }
}

fn key(index: u32, generation: u32) -> Key {
    u64::from(generation) << 32 | u64::from(index)
}

fn parts(key: Key) -> (u32, u32) {
    (key as u32, (key >> 32) as u32)
}
