//! Circles: greenlets that wait for each other, and so for ever, while others of their thread go on (law 12).
//!
//! Where nothing at all can happen any more, [`report`](super::report) says so at once. Here it is about the other
//! case: somebody waits for another thread, for a descriptor or for a timer, and so the hub cannot know that it waits for
//! ever. Of a circle it can: each in it waits for what only greenlets can end that are known (who has the mutex, who is
//! joined), and those are in it as well. Who waits for one of several things, or for one thing that several have, is in
//! [`stuck`].
//!
//! ```text
//!   main ──joins──▶ A ──mutex──▶ B        a circle, and main waits for it
//!                   ▲            │
//!                   └───joins────┘        C ──recv──▶ another thread: neither helps nor hides
//! ```
//!
//! A look costs time. It is taken only if somebody has begun to wait that way since the last look, and when nobody has
//! been ready for [`SUSPICIOUS`]. Some threads never rest so long: there it is taken in some short rest, as much later
//! after each look that finds nothing, up to [`SELDOM`]. Told is of waits that are as old as that first time. Who has a
//! timer ends its own wait, and is in no circle; nor is one that is to be raised in soon. What a circle needs of other
//! threads is read from a [`board`].
//!
//! It is only told, once, and never raised, since it is not quite certain: somebody may still kill one of them, and who
//! has a lock is taken to be the one who has locked it, though that one may have given the guard to another greenlet.

mod board;
mod stuck;

use std::cell::{Cell, RefCell};
use std::time::Duration;

pub(super) use stuck::{Graph, Stuck};

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
    /// How many wait for what only greenlets of other threads may be able to end. Those that were leaked, or left behind
    /// by a fork, stay counted: there is a look more then, and that is all.
    abroad: Cell<usize>,
    /// What was seen is on the board.
    pinned: Cell<bool>,
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
            abroad: Cell::new(0),
            pinned: Cell::new(false),
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
        match self.anew.get() {
            true => Some(rests_since.after(SUSPICIOUS).min(self.at_last.get())),
            false => (self.abroad.get() > 0).then(|| self.at_last.get()),
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

    /// Nobody here waits for other threads any more.
    pub(super) fn end(&self) {
        if self.pinned.take() {
            board::unpin(self);
        }
    }

    fn longest(&self) -> Duration {
        match self.abroad.get() {
            0 => SELDOM,
            _ => ABROAD,
        }
    }

    fn count_abroad(&self, more: usize) {
        self.abroad.set(self.abroad.get().wrapping_add(more));
        // What nobody brings up to date any more would hide what others see.
        if self.abroad.get() == 0 {
            self.end();
        }
    }
}

/// By what a circle is known again: one of this thread who is in it, and where that one waits.
type Mark = (u64, Awaits);

/// A circle, or what of it is in this thread.
struct Circle {
    here: Vec<usize>,
    /// And others who are the reason that somebody in it waits for ever.
    reasons: Vec<usize>,
    /// How it goes, if that is through other threads as well.
    through: Option<String>,
}

/// While this is there, the greenlet that has it may be a part of a circle through several threads.
pub(crate) struct Abroad<'a>(&'a Circles);

impl Drop for Abroad<'_> {
    fn drop(&mut self) {
        self.0.count_abroad(usize::MAX);
    }
}

/// Who waits for whom, in the order of numbers.
struct Links {
    links: Vec<Link>,
    graph: Graph,
}

struct Link {
    who: &'static Control,
    /// It ends its wait by itself.
    timed: bool,
}

impl Link {
    fn is_young(&self, now: Moment) -> bool {
        Moment::from_nanos(self.who.since.get()).until(now) < SUSPICIOUS
    }
}

fn waits_for_others(who: &Control) -> bool {
    let told = alert::RAISE | alert::DEFERRED | alert::OVERDUE;
    let will_be_raised_in = who.alert.get() & told != 0 && !who.shielded.get();
    who.wait.get() == Wait::Parked && !will_be_raised_in && who.waits_for_known()
}

impl Links {
    fn of(hub: &Hub) -> Links {
        let all = hub.thread().all().chain([&hub.thread().main]);
        let mut all: Vec<&Control> = all.filter(|who| waits_for_others(who)).collect();
        all.sort_unstable_by_key(|who| who.id);
        let mut graph = Graph::default();
        for who in &all {
            graph.add(who.id);
            for one in who.awaited() {
                match one.has_ways() {
                    true => one.ways(|holders| graph.awaits(holders)),
                    false => graph.awaits_known(one.address(), || one.holders()),
                }
            }
        }
        let link = |who| Link { who, timed: false };
        Links {
            links: all.into_iter().map(link).collect(),
            graph,
        }
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.links
            .binary_search_by_key(&id, |link| link.who.id)
            .ok()
    }

    /// Whether somebody has not waited for long, of those who are the reason that there is this circle.
    fn is_young(&self, circle: &Circle, now: Moment) -> bool {
        circle
            .reasons
            .iter()
            .any(|&at| self.links[at].is_young(now))
    }

    fn mark(&self, circle: &Circle) -> Mark {
        let oldest = circle.here.iter().min().expect("a circle has somebody");
        let who = self.links[*oldest].who;
        (who.id, who.awaits.get())
    }

    /// Marks those who have a timer: of their wait, or of a stretch of code around it.
    fn note_timers(&mut self, hub: &Hub) {
        let address = |link: &Link| std::ptr::from_ref(link.who).addr();
        let mut places: Vec<(usize, usize)> = self.links.iter().map(address).zip(0..).collect();
        places.sort_unstable();
        for (_, alarm) in hub.timers.borrow().iter() {
            let whose = alarm.whose().addr().get();
            if let Ok(place) = places.binary_search_by_key(&whose, |place| place.0) {
                let at = places[place].1;
                self.links[at].timed = true;
                self.graph.free(at);
            }
        }
    }
}

/// The circles of this thread alone.
fn circles_here(stuck: &Stuck) -> Vec<Circle> {
    let circle = |here: Vec<usize>| Circle {
        reasons: stuck.reasons(&here),
        here,
        through: None,
    };
    stuck.circles().into_iter().map(circle).collect()
}

impl Hub {
    /// The greenlet that runs begins to wait for what only greenlets that are known may be able to end.
    #[inline]
    pub(crate) fn bind(&self) {
        self.circles.anew.set(true);
    }

    /// The same where those may be of any thread.
    pub(crate) fn bind_abroad(&self) -> Abroad<'_> {
        self.bind();
        self.circles.count_abroad(1);
        Abroad(&self.circles)
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
        let mut stuck = Stuck::among(&links.graph);
        if abroad || !stuck.is_nobody() {
            links.note_timers(self);
            stuck = Stuck::among(&links.graph);
        }
        let mut circles = circles_here(&stuck);
        if abroad {
            self.circles.pinned.set(true);
            circles.extend(board::circles(self, &links, now));
        }
        let found = circles.len();
        circles.retain(|circle| !links.is_young(circle, now));
        let begun = abroad && links.links.iter().any(|link| link.is_young(now));
        self.circles.look(now, circles.len() < found, begun);
        let marks = circles.iter().map(|circle| links.mark(circle)).collect();
        let told = self.circles.told.replace(marks);
        circles.retain(|circle| !told.contains(&links.mark(circle)));
        if !circles.is_empty() {
            self.tell_of(&circles, links);
        }
    }

    /// Who is in a circle through other threads waits for ever, whoever is asked of this thread.
    fn tell_of(&self, circles: &[Circle], mut links: Links) {
        for circle in circles.iter().filter(|circle| circle.through.is_some()) {
            circle.reasons.iter().for_each(|&at| links.graph.close(at));
        }
        let inside = circles.iter().flat_map(|circle| &circle.reasons);
        let inside: Vec<usize> = inside.copied().collect();
        let connected = Stuck::among(&links.graph).connected(&inside);
        let who = connected.into_iter().map(|at| links.links[at].who);
        let mut who: Vec<&Control> = who.collect();
        // As in every dump: main first, then the newest first.
        who.sort_unstable_by_key(|who| (!who.is_main(), std::cmp::Reverse(who.id)));
        let through = circles.iter().filter_map(|it| it.through.as_deref());
        self.tell_of_circles(&who, through);
    }
}
