//! What is said when everybody waits and nothing can wake anybody (law 12).
//!
//! That is known at once, and raised in main. Where something can still happen, but not to some who wait for each other,
//! that is found after a while ([`circle`](super::circle)), and told in the same form. It is raised in main only if main
//! waits for one of them; others go on.

use std::fmt::{self, Write};

use super::Hub;
use super::dump::Dump;
use super::seen::Wish;
use crate::switch::control::{Control, Wait};
use crate::switch::thread::say;

/// So many greenlets are named; of the others only the number is told.
const NAMED: usize = 50;

/// What is added where somebody waits in a destructor while it unwinds (law 10).
const UNWINDING: &str = "\n  a greenlet that is unwound waits in a destructor: whatever was to be raised in those that began to wait after it waits for that";

/// So much stack is needed to look up the names of functions, with a good deal to spare.
const ROOM: usize = 128 * 1024;

/// Why nothing can be raised in main.
fn why_not(main: &Control) -> &'static str {
    match main.shielded.get() {
        true => "which waits at the end of a scope",
        false => "which waits in a destructor, or began to wait while another greenlet did",
    }
}

impl Hub {
    /// Nobody is ready, no timer is set, no descriptor is waited for, no other thread holds a way in: raises
    /// that in the main greenlet, whatever it waits for.
    #[cold]
    pub(super) fn everybody_waits(&self) {
        let report = self.who_waits();
        say(format_args!("{report}"));
        let main = &self.thread().main;
        if !self.can_interrupt(main) {
            let why = why_not(main);
            say(format_args!(
                "nothing can be raised in {main}, {why}; aborting"
            ));
            std::process::abort();
        }
        self.raise_at(main, Box::new(report));
    }

    /// Some of this thread wait for each other, or for one who does, and others may go on: tells that, and raises it in
    /// main if that `concerns_main`.
    #[cold]
    pub(super) fn some_wait(&self, stuck: &[&Control], concerns_main: bool) {
        let report = self.who_waits_in_circles(stuck);
        say(format_args!("{report}"));
        let main = &self.thread().main;
        if concerns_main && self.can_interrupt(main) {
            self.raise_at(main, Box::new(report));
        } else if concerns_main {
            let why = why_not(main);
            say(format_args!("nothing can be raised in {main}, {why}"));
        }
    }

    fn who_waits_in_circles(&self, stuck: &[&Control]) -> String {
        let mut report =
            String::from("deadlock: greenlets of this thread wait for each other, and so for ever");
        let dump = self.dump_some(
            stuck,
            Wish {
                frames: self.has_room_to_look_up_names(),
                touched: false,
            },
        );
        let _ = dump.write_cycles(&mut report);
        let _ = dump.write(&mut report, NAMED);
        let _ = self.write_what_may_happen(&dump, &mut report);
        report
    }

    /// Others go on: the stack on which the hub looks must not run over.
    fn has_room_to_look_up_names(&self) -> bool {
        let mark = 0_u8;
        let here = (&raw const mark).addr();
        let current = self.thread().current();
        let has_room = |(limit, _)| here.saturating_sub(limit) >= ROOM;
        current.is_main() || current.stack_ends().is_some_and(has_room)
    }

    /// What could wake others of this thread.
    fn write_what_may_happen(&self, dump: &Dump, report: &mut String) -> fmt::Result {
        report.push_str("\n  others of this thread may go on");
        match self.timers.borrow().len() {
            0 => {}
            timers => write!(report, ", {timers} timers are set")?,
        }
        dump.write_ways_in(report)?;
        report.push_str("; nobody of them can end this but by a kill");
        Ok(())
    }

    fn who_waits(&self) -> String {
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
        let _ = dump.write(&mut report, NAMED);
        if thread.all().chain([&thread.main]).any(Control::may_unwind) {
            report.push_str(UNWINDING);
        }
        report
    }
}
