//! What is said when everybody waits and nothing can wake anybody (law 12).

use std::fmt::Write;

use super::Hub;
use crate::switch::control::{Control, Wait, alert};
use crate::switch::thread::say;

/// So many greenlets are named; of the others only the number is told.
const NAMED: usize = 50;

/// What is added where somebody waits in a destructor while it unwinds (law 10).
const UNWINDING: &str = "\n  a greenlet that is unwound waits in a destructor: whatever was to be raised in those that began to wait after it waits for that";

impl Hub {
    /// Nobody is ready, no timer is set, no descriptor is waited for, no other thread holds a way in: raises
    /// that in the main greenlet, whatever it waits for.
    #[cold]
    pub(super) fn everybody_waits(&self) {
        let report = self.who_waits();
        say(format_args!("{report}"));
        let main = &self.thread().main;
        if !self.can_interrupt(main) {
            let why = match main.shielded.get() {
                true => "which waits at the end of a scope",
                false => "which waits in a destructor, or began to wait while another greenlet did",
            };
            say(format_args!(
                "nothing can be raised in {main}, {why}; aborting"
            ));
            std::process::abort();
        }
        self.raise_at(main, Box::new(report));
    }

    fn who_waits(&self) -> String {
        let thread = self.thread();
        let mut report = String::from(
            "deadlock: every greenlet of this thread waits, and nothing can wake one of them",
        );
        line(&mut report, &thread.main);
        // The one that looks for the next may be one that ends, and waits for nothing.
        let ends =
            |control: &Control| control.is(thread.current()) && control.wait.get() == Wait::Switch;
        let waits = |control: &&Control| !ends(control);
        let mut others = thread.all().filter(waits);
        others
            .by_ref()
            .take(NAMED)
            .for_each(|control| line(&mut report, control));
        let unnamed = others.count();
        if unnamed > 0 {
            let _ = write!(report, "\n  and {unnamed} others");
        }
        if thread.all().chain([&thread.main]).any(Control::may_unwind) {
            report.push_str(UNWINDING);
        }
        report
    }
}

fn line(report: &mut String, control: &Control) {
    let does = if control.is_in_hub() {
        *control.purpose.get()
    } else {
        "waits for somebody to switch to it"
    };
    let _ = write!(report, "\n  {control} {does}");
    if control.may_unwind() {
        report.push_str(", in a destructor or since another greenlet waits in one");
    }
    if control.alert.get() & (alert::DEFERRED | alert::OVERDUE) != 0 {
        report.push_str(", with a kill, a deadline or a throw to come");
    }
    if !control.is_main() {
        let _ = write!(report, " (spawned at {})", control.site);
    }
}
