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
use super::remote::{Doorbell, Remote};
use super::roll;
use crate::data::register::{Key, Register};
use crate::switch::control::ControlRef;

/// Where other threads call the greenlets of one hub.
pub(super) type Way = Arc<Remote>;

/// Who may be woken from outside.
#[derive(Default)]
pub(super) struct Desk {
    door: RefCell<Option<Way>>,
    enrolled: Register<Enrolled>,
    /// How many of those nobody can wake after all.
    forlorn: Cell<usize>,
}

/// One who may be woken from outside.
#[derive(Clone, Copy)]
struct Enrolled {
    who: ControlRef,
    /// What is to be done for it if it is given up.
    leave: Option<*const dyn Fn()>,
}

/// The greenlet that has enrolled may be woken from outside for as long as it has this.
pub(crate) struct Ticket {
    key: Key,
}

/// Wakes the greenlet of one ticket, from any thread.
#[derive(Clone)]
pub(crate) struct Knocker {
    door: Way,
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
                if let Some(enrolled) = hub.desk.enrolled.find(self.key) {
                    hub.wake(enrolled.who);
                }
                true
            }
            _ => self.knock(),
        }
    }
}

/// Somebody has enrolled whom nobody else can call, for as long as this is there.
pub(crate) struct Forlorn<'a> {
    desk: &'a Desk,
    ticket: &'a Ticket,
}

impl Drop for Forlorn<'_> {
    fn drop(&mut self) {
        // A fork takes the ticket away, and the count with it.
        if self.desk.enrolled.find(self.ticket.key).is_some() {
            self.desk.forlorn.set(self.desk.forlorn.get() - 1);
        }
    }
}

impl Ticket {
    pub(crate) fn key(&self) -> Key {
        self.key
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(hub) = Hub::here_if_open() {
            hub.desk.enrolled.strike(self.key);
        }
    }
}

impl Hub {
    /// The one with this ticket waits, and nobody else has its [`Knocker`].
    pub(crate) fn nobody_calls<'a>(&'a self, ticket: &'a Ticket) -> Option<Forlorn<'a>> {
        let desk = &self.desk;
        desk.enrolled.find(ticket.key)?;
        desk.forlorn.set(desk.forlorn.get() + 1);
        Some(Forlorn { desk, ticket })
    }

    /// Enrols the greenlet that runs; returns also what may be given to other threads.
    ///
    /// # Errors
    /// What the system says if the hub has no poller yet and cannot have one.
    pub(crate) fn enrol(&self) -> io::Result<(Ticket, Knocker)> {
        let door = self.desk.door(self)?;
        let key = self.desk.enter(self.current());
        Ok((Ticket { key }, Knocker { door, key }))
    }

    /// The same for who has enrolled before. The knocker of then is used again: a new one would be counted, where other
    /// threads count as well.
    ///
    /// # Errors
    /// As [`enrol`](Self::enrol).
    pub(crate) fn enrol_again(&self, knocker: &mut Option<Knocker>) -> io::Result<Ticket> {
        if let Some(knocker) = knocker
            && self.desk.has(&knocker.door)
        {
            knocker.key = self.desk.enter(self.current());
            return Ok(Ticket { key: knocker.key });
        }
        let (ticket, new) = self.enrol()?;
        *knocker = Some(new);
        Ok(ticket)
    }

    /// Does `rest`. If the one with this ticket, which does it, is given up meanwhile, `leave` is done for it: others may
    /// count on what it stands for.
    pub(crate) fn leaving<R>(&self, ticket: Key, leave: &dyn Fn(), rest: impl FnOnce() -> R) -> R {
        struct Stays<'a>(&'a Desk, Key);
        impl Drop for Stays<'_> {
            fn drop(&mut self) {
                self.0
                    .enrolled
                    .change(self.1, |enrolled| enrolled.leave = None);
            }
        }
        let _stays = Stays(&self.desk, ticket);
        // SAFETY: it is the same pointer; `Stays` takes it back before `leave` goes.
        let leave: *const (dyn Fn() + 'static) = unsafe { std::mem::transmute(leave) };
        self.desk
            .enrolled
            .change(ticket, |enrolled| enrolled.leave = Some(leave));
        rest()
    }

    /// `who` will never run again: it leaves where it stands, and nobody outside can wake it.
    pub(super) fn strike_out(&self, who: ControlRef) {
        let enrolled = &self.desk.enrolled;
        for key in enrolled.keys_of(|enrolled| enrolled.who == who) {
            let leave = enrolled.find(key).and_then(|enrolled| enrolled.leave);
            enrolled.strike(key);
            if let Some(leave) = leave {
                // SAFETY: the frame that has lent it is there (`leaving`): it is not unwound, and its stack is never used again.
                unsafe { (*leave)() };
            }
        }
    }
}

impl Desk {
    fn enter(&self, who: ControlRef) -> Key {
        self.enrolled.enter(Enrolled { who, leave: None })
    }

    fn door(&self, hub: &Hub) -> io::Result<Way> {
        let mut door = self.door.borrow_mut();
        if let Some(door) = &*door {
            return Ok(Arc::clone(door));
        }
        let made = Arc::new(Door::new(Default::default(), Doorbell::new(hub.io.bell()?)));
        roll::note_way_in(hub, &made);
        Ok(Arc::clone(door.insert(made)))
    }

    /// The next greenlet that was called.
    pub(super) fn answer(&self) -> Option<ControlRef> {
        let door = self.door.borrow();
        let door = door.as_ref().filter(|door| !door.is_quiet())?;
        loop {
            if let Some(enrolled) = self.enrolled.find(door.answer()?) {
                return Some(enrolled.who);
            }
        }
    }

    /// Whether it is the door of this hub.
    fn has(&self, door: &Way) -> bool {
        let own = self.door.borrow();
        own.as_ref().is_some_and(|own| Arc::ptr_eq(own, door))
    }

    /// How many could be woken from outside.
    pub(super) fn enrolled(&self) -> usize {
        self.enrolled.len() - self.forlorn.get()
    }

    /// Whether somebody outside may have something to call with.
    pub(super) fn has_door(&self) -> bool {
        self.door.borrow().is_some()
    }

    /// Whether nobody has called anybody since the last answer.
    pub(super) fn is_quiet(&self) -> bool {
        let door = self.door.borrow();
        door.as_ref().is_none_or(|door| door.is_quiet())
    }

    /// Before the hub blocks, in its poller or because it parks its thread: false if somebody has knocked already.
    pub(super) fn fall_asleep(&self, parks: bool) -> bool {
        let door = self.door.borrow();
        door.as_ref().is_none_or(|door| {
            door.bell().set(parks);
            door.fall_asleep()
        })
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

    /// Nobody will wait here any more. Those outside who could wake somebody keep the door.
    pub(super) fn end(&self) {
        self.door.take();
    }

    /// After a fork: the door belongs to the parent.
    pub(super) fn begin_again(&self) {
        *self.door.borrow_mut() = None;
        self.enrolled.clear(|_| ());
        self.forlorn.set(0);
    }
}
