//! What the loop looks at between turns, and where it waits when nobody is ready: other threads, alarms, I/O.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use super::deadline::Alarm;
use super::{Hub, alone, lateness};
use crate::data::timers::Timers;
use crate::sys::clock::Moment;
use crate::sys::context::SHARES_THREAD;

/// How many alarms are taken out of the timers before they go off.
const AT_A_TIME: usize = 16;

impl Hub {
    /// A look at the clock, and at I/O and timers if it is time.
    #[cold]
    #[inline(never)]
    pub(super) fn glance(&self) {
        let now = Moment::now();
        if self.pace.is_over(now) {
            self.look(now);
        }
    }

    fn look(&self, now: Moment) {
        self.pace.looked_in_between(now);
        self.thread().look_again_for_memory();
        self.come_in();
        self.ring_alarms(now);
        self.io.poll(self, Some(Duration::ZERO));
        self.raise_late();
        self.pace.looked_at(self.ready.len());
    }

    /// Nobody is ready, and has been `since`: waits for what happens next. If that takes long, it looks for circles, and
    /// for somebody who could come.
    #[cold]
    #[inline(never)]
    pub(super) fn rest(&self, since: &mut Option<Moment>) {
        self.raise_late();
        self.thread().look_again_for_memory();
        self.come_in();
        let begin = Moment::now();
        self.ring_alarms(begin);
        let since = *since.get_or_insert(begin);
        let look = self.circles.look_at(since);
        let next = self.timers.borrow().next().map(Moment::from_nanos);
        let for_others = next.is_none() && self.io.awaited() == 0;
        let ask = for_others.then(|| alone::ask_at(since, begin));
        if !self.ready.is_empty() {
            // Where some timer is always due, this is the only look at I/O.
            self.io.poll(self, Some(Duration::ZERO));
        } else if for_others && self.desk.enrolled() == 0 {
            self.everybody_waits(None);
        } else {
            self.pace.waits_for_others.store(for_others, Relaxed);
            self.sleep_until(begin, [next, look, ask].into_iter().flatten().min());
        }
        let now = Moment::now();
        self.pace.rested(now);
        self.come_in();
        self.ring_alarms(now);
        self.pace.looked_at(self.ready.len());
        let is_time = |at: Option<Moment>| at.is_some_and(|at| at <= now) && self.ready.is_empty();
        if is_time(look) {
            self.look_for_circles(now);
        }
        if is_time(ask) {
            self.ask_for_others();
        }
    }

    /// Sleeps until something happens, or `next`.
    fn sleep_until(&self, now: Moment, next: Option<Moment>) {
        let settles = self.thread().stacks.settle(now);
        let next = next.map(|next| now.until(next));
        let timeout = next.into_iter().chain(settles).min();
        self.pace.rests.store(true, Relaxed);
        // Without descriptors the poller has nothing to say. With any it has, also of those for which nobody waits now.
        // Where greenlets are threads, whoever calls could not know which of them sleeps for all.
        let parks = self.io.registered() == 0 && (SHARES_THREAD || !self.desk.has_door());
        if self.desk.fall_asleep(parks) {
            match timeout {
                _ if !parks => self.io.poll(self, timeout),
                Some(timeout) => thread::park_timeout(timeout),
                None => thread::park(),
            }
        }
        self.desk.wake_up();
        self.pace.rests.store(false, Relaxed);
    }

    /// Wakes those that other threads have called.
    fn come_in(&self) {
        while let Some(control) = self.desk.answer() {
            self.wake(control);
        }
    }

    /// Lets every alarm go off whose time has come.
    #[inline]
    fn ring_alarms(&self, now: Moment) {
        if !self.timers.borrow().is_empty() {
            self.ring_those_due(now);
        }
    }

    /// Some at a time: what the next ones will touch has mostly gone cold, and is fetched meanwhile.
    #[inline(never)]
    fn ring_those_due(&self, now: Moment) {
        let mut due = [const { None }; AT_A_TIME];
        loop {
            let count = self.with_timers(|timers| take_due(timers, now, &mut due));
            due[..count]
                .iter_mut()
                .filter_map(Option::take)
                .for_each(|alarm| alarm.fire(self));
            if count < AT_A_TIME {
                return;
            }
        }
    }
}

/// Takes out alarms whose time has come, as many as there is room for; returns how many.
#[inline]
fn take_due(timers: &mut Timers<Alarm>, now: Moment, due: &mut [Option<Alarm>]) -> usize {
    let mut count = 0;
    while count < due.len()
        && let Some((at, alarm)) = timers.expire(now.nanos())
    {
        if lateness::is_on() {
            lateness::note(at, now);
        }
        alarm.fetch();
        due[count] = Some(alarm);
        count += 1;
    }
    count
}
