//! Child processes and signals.

use std::cell::RefCell;
use std::process::Stdio;

use greenlet::process::{Child, ChildStdin, Command};
use greenlet::signal::{SIGUSR1, Signals};

use super::{Call, contract};

/// A program that ends when its input does.
struct Program {
    child: RefCell<Option<Child>>,
    input: RefCell<Option<ChildStdin>>,
}

fn program(output: Stdio) -> Program {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(output)
        .spawn()
        .expect("cat");
    let input = RefCell::new(child.stdin.take());
    Program {
        child: RefCell::new(Some(child)),
        input,
    }
}

impl Program {
    fn end(&self) {
        drop(self.input.take());
    }
}

/// Nobody has waited for it: it is not left behind.
impl Drop for Program {
    fn drop(&mut self) {
        self.end();
        if let Some(child) = self.child.take() {
            let mut child = std::process::Child::from(child);
            child.wait().expect("its status");
        }
    }
}

contract!(
    child_wait,
    Call::new(
        || program(Stdio::null()),
        |program| {
            let mut child = program.child.borrow_mut();
            let status = child.as_mut().expect("it is there").wait()?;
            Ok(u8::from(status.success()))
        },
        Program::end,
    )
    .alone()
    .stays()
    .at_once()
);

impl Program {
    /// Waits for it to the end. Whoever is cut short has taken the child along: then it is another one.
    fn output(&self) -> std::io::Result<std::process::Output> {
        if self.child.borrow().is_none() {
            let other = program(Stdio::piped());
            self.input.replace(other.input.take());
            self.child.replace(other.child.take());
        }
        let child = self.child.take().expect("it is there");
        child.wait_with_output()
    }
}

contract!(
    child_output,
    Call::new(
        || program(Stdio::piped()),
        |program| Ok(u8::from(program.output()?.status.success())),
        Program::end,
    )
    .alone()
    .lossy()
    .stays()
    .allocates()
);

contract!(
    signals,
    Call::new(
        || Signals::new([SIGUSR1]).expect("it can be watched"),
        |mut signals| Ok(u8::from(signals.next() == Some(SIGUSR1))),
        |_| {
            // To this thread, which has handled it when this returns.
            // SAFETY: a signal that is watched.
            assert_eq!(unsafe { libc::raise(SIGUSR1) }, 0);
        },
    )
    .in_a_process("contract::processes::signals")
);
