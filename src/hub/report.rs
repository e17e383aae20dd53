//! What is said when everybody waits and nothing can wake anybody (law 12).

use super::Hub;
use super::seen::Wish;
use crate::switch::control::{Control, Wait};
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
