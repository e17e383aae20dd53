//! What is said when everybody waits and nothing can wake anybody (law 12).
//!
//! That is known at once, and raised in main. Where something can still happen, but hardly to some who wait for each
//! other, that is found after a while ([`circle`](super::circle)), and told in the same form.

use std::fmt::{self, Write};

use super::Hub;
use super::dump::Dump;
use super::seen::Wish;
use crate::switch::control::{Control, Wait};
use crate::switch::thread::say;

/// So many greenlets are named, those of circles first; of the others only the number is told.
const NAMED: usize = 50;

/// What is added where somebody waits in a destructor while it unwinds (law 10).
const UNWINDING: &str = "\n  a greenlet that is unwound waits in a destructor: nothing is raised in it before that has ended";

/// So much stack is needed to look up the names of functions, with a good deal to spare.
const ROOM: usize = 128 * 1024;

impl Hub {
    /// Nobody is ready, no timer is set, no descriptor is waited for, no other thread holds a way in, or so many do and
    /// none of those will ever come: raises that in the main greenlet, whatever it waits for.
    #[cold]
    pub(super) fn everybody_waits(&self, others: Option<usize>) {
        let report = self.who_waits(others);
        // Another one that was told may have let go of something meanwhile.
        if others.is_some() && !self.desk.is_quiet() {
            return;
        }
        say(format_args!("{report}"));
        let main = &self.thread().main;
        if !self.can_interrupt(main) {
            let why = match main.shielded.get() {
                true => "which waits at the end of a scope",
                false => "which waits in a destructor while it unwinds",
            };
            say(format_args!(
                "nothing can be raised in {main}, {why}; aborting"
            ));
            std::process::abort();
        }
        self.raise_at(main, Box::new(report));
    }

    /// Some of this thread wait for each other, or for one who does, and others may go on. Circles may go `through` other
    /// threads.
    #[cold]
    pub(super) fn tell_of_circles<'a>(
        &self,
        stuck: &[&Control],
        through: impl Iterator<Item = &'a str> + Clone,
    ) {
        let whose = match through.clone().next() {
            Some(_) => "of several threads",
            None => "of this thread",
        };
        let mut report =
            format!("deadlock: greenlets {whose} wait for each other, and so for ever");
        for circle in through {
            report.push_str("\n  in a circle: ");
            report.push_str(circle);
        }
        let dump = self.dump_some(
            stuck,
            Wish {
                frames: self.has_room(ROOM),
                touched: false,
            },
        );
        let _ = dump.write_cycles(&mut report);
        let _ = dump.write(&mut report, NAMED);
        let _ = self.write_what_may_happen(&dump, &mut report);
        say(format_args!("{report}"));
    }

    /// Others go on: the stack on which the hub looks must not run over.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let mark = 0_u8;
        let here = (&raw const mark).addr();
        let current = self.thread().current();
        let below = current.stack_below(here);
        current.is_main() || below.is_some_and(|below| below >= bytes)
    }

    /// What could wake others of this thread.
    fn write_what_may_happen(&self, dump: &Dump, report: &mut String) -> fmt::Result {
        report.push_str("\n  others of this thread may go on");
        match self.timers.borrow().len() {
            0 => {}
            1 => report.push_str(", a timer is set"),
            timers => write!(report, ", {timers} timers are set")?,
        }
        dump.write_ways_in(report)?;
        report.push_str("; none of them can end this, unless it kills one of these or was given a guard of theirs");
        Ok(())
    }

    fn who_waits(&self, others: Option<usize>) -> String {
        let thread = self.thread();
        let mut report = String::from(
            "deadlock: every greenlet of this thread waits, and nothing can wake one of them",
        );
        let mut dump = self.dump(Wish {
            frames: true,
            touched: false,
        });
        // The one that looks for the next may be one that ends, and waits for nothing.
        let current = thread.current();
        if current.wait.get() == Wait::Switch {
            dump.leave_out(current.id);
        }
        let _ = dump.write_cycles(&mut report);
        if others.is_some_and(|others| others > 0) {
            let _ = dump.write_cycles_across(&mut report);
        }
        dump.put_circles_first();
        let _ = dump.write(&mut report, NAMED);
        if thread.all().chain([&thread.main]).any(Control::may_unwind) {
            report.push_str(UNWINDING);
        }
        let _ = match others {
            None => Ok(()),
            Some(0) => report.write_str(
                "\n  some wait for other threads, and there is no other thread that could come",
            ),
            Some(1) => report.write_str(
                "\n  some wait for other threads, and the only other one waits like this one",
            ),
            Some(others) => write!(
                report,
                "\n  some wait for other threads, and all {others} others wait like this one"
            ),
        };
        report
    }
}
