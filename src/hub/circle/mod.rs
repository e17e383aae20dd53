//! Circles: greenlets that wait for each other, and so for ever, while others of their thread go on (law 12).
//!
//! Where nothing at all can happen any more, [`report`](super::report) says so at once. Here it is about the other
//! case: somebody waits for another thread, for a descriptor or for a timer, and so the hub cannot know that it waits for
//! ever. Of a circle it can: each in it waits for what one greenlet alone can end (who has the mutex, who is joined), and
//! that one is in it as well.
//!
//! ```text
//!   main ──joins──▶ A ──mutex──▶ B        a circle, and main waits for it
//!                   ▲            │
//!                   └───joins────┘        C ──recv──▶ another thread: neither helps nor hides
//! ```
//!
//! A look costs time. It is taken only if two or more wait that way, one of them since the last look, and when nobody has
//! been ready for [`SUSPICIOUS`]. Some threads never rest so long: there it is taken in some short rest, as much later
//! after each look that finds nothing, up to [`SELDOM`]. Told is of waits that are as old as that first time. Who has a
//! timer ends its own wait, and is in no circle; nor is one that is to be raised in soon. What a circle needs of other
//! threads is read from a [`board`].
//!
//! It is only told, once, and never raised, since it is not quite certain: somebody may still kill one of them, and who
//! has a lock is taken to be the one who has locked it, though that one may have given the guard to another greenlet.

mod board;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::iter::successors;
use std::time::Duration;

pub(super) use board::unpin;

use super::Hub;
use crate::switch::control::{Control, Wait, alert};
use crate::switch::subject::Awaits;
use crate::sys::clock::Moment;

/// A rest as long as this is a reason to look for circles, and for somebody who could come.
pub(super) const SUSPICIOUS: Duration = Duration::from_secs(1);
/// Where there never is such a rest, the most time between two looks; and where somebody waits for other threads, which
/// may close a circle at any time, rest or not.
pub(super) const SELDOM: Duration = Duration::from_secs(64);
const ABROAD: Duration = Duration::from_secs(4);

/// So much stack is needed to look, and to say what was found without the names of functions.
const ROOM: usize = 32 * 1024;

/// What a hub knows of circles.
pub(super) struct Circles {
    /// How many wait for what one greenlet alone may be able to end. Those that were leaked, or left behind by a
    /// fork, stay counted: there is a look more then, and that is all.
    bound: Cell<usize>,
    /// How many of those wait for what greenlets of other threads may have.
    abroad: Cell<usize>,
    /// Somebody has begun to wait so since the last look.
    anew: Cell<bool>,
    /// When to look though there was no long rest, and how long that is after the last look.
    at_last: Cell<Moment>,
    seldom: Cell<Duration>,
    /// Those of whom it was told, each by one in it and by where it waits.
    told: RefCell<Vec<Mark>>,
}

impl Default for Circles {
    fn default() -> Circles {
        Circles {
            bound: Cell::new(0),
            abroad: Cell::new(0),
            anew: Cell::new(false),
            at_last: Cell::new(Moment::now().after(SUSPICIOUS)),
            seldom: Cell::new(SUSPICIOUS),
            told: RefCell::default(),
        }
    }
}

impl Circles {
    /// When to look, if nobody has been ready since `rests_since`. A circle through other threads may be closed by those.
    pub(super) fn look_at(&self, rests_since: Moment) -> Option<Moment> {
        let abroad = self.abroad.get() >= 1;
        let suspicious = self.anew.get() && (abroad || self.bound.get() >= 2);
        match suspicious {
            true => Some(rests_since.after(SUSPICIOUS).min(self.at_last.get())),
            false => abroad.then(|| self.at_last.get()),
        }
    }

    /// There is a look now, and another one is to come: in a while, if there was a circle that has closed just now, and
    /// after a rest, if one may close that somebody has just begun.
    fn look(&self, now: Moment, closed: bool, begun: bool) {
        let seldom = match closed {
            true => SUSPICIOUS,
            false => (2 * self.seldom.get()).min(self.longest()),
        };
        self.anew.set(closed || begun);
        self.seldom.set(seldom);
        self.at_last.set(now.after(seldom));
    }

    fn longest(&self) -> Duration {
        match self.abroad.get() {
            0 => SELDOM,
            _ => ABROAD,
        }
    }

    fn bind(&self, abroad: usize) -> Bound<'_> {
        self.count(1, abroad);
        self.anew.set(true);
        Bound {
            circles: self,
            abroad,
        }
    }

    fn count(&self, bound: usize, abroad: usize) {
        self.bound.set(self.bound.get().wrapping_add(bound));
        self.abroad.set(self.abroad.get().wrapping_add(abroad));
    }
}

/// By what a circle is known again: one of this thread who is in it, and where that one waits.
type Mark = (u64, Awaits);

/// A circle, or what of it is in this thread.
struct Circle {
    here: Vec<usize>,
    /// How it goes, if that is through other threads as well.
    through: Option<String>,
}

/// While this is there, the greenlet that has it may be a part of a circle.
pub(crate) struct Bound<'a> {
    circles: &'a Circles,
    abroad: usize,
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        self.circles.count(usize::MAX, self.abroad.wrapping_neg());
    }
}

/// Who waits for whom, in the order of numbers.
struct Links(Vec<Link>);

struct Link {
    who: &'static Control,
    holder: u64,
    /// It ends its wait by itself.
    timed: bool,
}

impl Link {
    fn of(who: &'static Control) -> Option<Link> {
        let told = alert::RAISE | alert::DEFERRED | alert::OVERDUE;
        let will_be_raised_in = who.alert.get() & told != 0 && !who.shielded.get();
        let link = Link {
            who,
            holder: who.holder(),
            timed: false,
        };
        let waits = who.wait.get() == Wait::Parked && link.holder != 0;
        (waits && !will_be_raised_in).then_some(link)
    }

    fn is_young(&self, now: Moment) -> bool {
        Moment::from_nanos(self.who.since.get()).until(now) < SUSPICIOUS
    }
}

impl Links {
    fn of(hub: &Hub) -> Links {
        let all = hub.thread().all().chain([&hub.thread().main]);
        let mut links: Vec<Link> = all.filter_map(Link::of).collect();
        links.sort_unstable_by_key(|link| link.who.id);
        Links(links)
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.0.binary_search_by_key(&id, |link| link.who.id).ok()
    }

    /// For whom the one at `at` waits, if that one waits for somebody as well.
    fn next(&self, at: usize) -> Option<usize> {
        let link = Some(&self.0[at]).filter(|link| !link.timed)?;
        self.find(link.holder)
            .filter(|&holder| !self.0[holder].timed)
    }

    /// Whether somebody in `circle` has not waited for long.
    fn is_young(&self, circle: &Circle, now: Moment) -> bool {
        circle.here.iter().any(|&at| self.0[at].is_young(now))
    }

    fn mark(&self, circle: &Circle) -> Mark {
        let oldest = circle.here.iter().min().expect("a circle has somebody");
        let who = self.0[*oldest].who;
        (who.id, who.awaits.get())
    }

    fn circles(&self) -> Vec<Circle> {
        let here = circles(self.0.len(), |at| self.next(at));
        let circle = |here| Circle {
            here,
            through: None,
        };
        here.into_iter().map(circle).collect()
    }

    /// Marks those who have a timer: of their wait, or of a stretch of code around it.
    fn note_timers(&mut self, hub: &Hub) {
        let address = |link: &Link| std::ptr::from_ref(link.who).addr();
        let mut places: Vec<(usize, usize)> = self.0.iter().map(address).zip(0..).collect();
        places.sort_unstable();
        for (_, alarm) in hub.timers.borrow().iter() {
            let whose = alarm.whose().addr().get();
            if let Ok(place) = places.binary_search_by_key(&whose, |place| place.0) {
                self.0[places[place].1].timed = true;
            }
        }
    }

    /// Who is in one of `circles`, or waits for one of those, or for one who does.
    fn stuck(&self, circles: &[Circle]) -> Vec<&'static Control> {
        let inside = circles.iter().flat_map(|circle| &circle.here);
        let mut stuck: HashSet<usize> = inside.copied().collect();
        let mut others = HashSet::new();
        for start in 0..self.0.len() {
            let mut path = vec![];
            let mut next = Some(start);
            while let Some(here) = next.filter(|at| !stuck.contains(at) && others.insert(*at)) {
                path.push(here);
                next = self.next(here);
            }
            if next.is_some_and(|met| stuck.contains(&met)) {
                stuck.extend(path);
            }
        }
        // As in every dump: main first, then the newest first.
        let mut order: Vec<&Control> = stuck.into_iter().map(|at| self.0[at].who).collect();
        order.sort_unstable_by_key(|who| (!who.is_main(), std::cmp::Reverse(who.id)));
        order
    }
}

/// The circles among `0..count`, each of whom has one `next` at the most.
pub(super) fn circles(count: usize, next: impl Fn(usize) -> Option<usize>) -> Vec<Vec<usize>> {
    let mut begun_at = vec![usize::MAX; count];
    let mut circles = vec![];
    for start in 0..count {
        let mut at = Some(start);
        while let Some(here) = at.filter(|&here| begun_at[here] == usize::MAX) {
            begun_at[here] = start;
            at = next(here);
        }
        // The way ends where somebody was before: if on this way, in a circle.
        if let Some(first) = at.filter(|&met| begun_at[met] == start) {
            let once_round = |&at: &usize| next(at).filter(|&at| at != first);
            circles.push(successors(Some(first), once_round).collect());
        }
    }
    circles
}

impl Hub {
    /// The greenlet that runs begins to wait for what one other of its thread alone may be able to end.
    pub(crate) fn bind(&self) -> Bound<'_> {
        self.circles.bind(0)
    }

    /// The same for one of any thread.
    pub(crate) fn bind_abroad(&self) -> Bound<'_> {
        self.circles.bind(1)
    }

    /// Tells of circles, of each once.
    #[cold]
    pub(super) fn look_for_circles(&self, now: Moment) {
        // It looks on the stack of whoever waits, and who only waits needs little of that.
        if !self.has_room(ROOM) {
            return self.circles.look(now, false, false);
        }
        let abroad = self.circles.abroad.get() > 0;
        let mut links = Links::of(self);
        let mut circles = links.circles();
        if abroad || !circles.is_empty() {
            links.note_timers(self);
            circles = links.circles();
        }
        if abroad {
            circles.extend(board::circles(self, &links, now));
        }
        let found = circles.len();
        circles.retain(|circle| !links.is_young(circle, now));
        let begun = abroad && links.0.iter().any(|link| link.is_young(now));
        self.circles.look(now, circles.len() < found, begun);
        let marks = circles.iter().map(|circle| links.mark(circle)).collect();
        let told = self.circles.told.replace(marks);
        circles.retain(|circle| !told.contains(&links.mark(circle)));
        if !circles.is_empty() {
            let through = circles.iter().filter_map(|it| it.through.as_deref());
            self.tell_of_circles(&links.stuck(&circles), through);
        }
    }
}
