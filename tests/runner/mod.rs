//! How tests start programs of the target that they are built for.

use std::path::Path;
use std::process::Command;

/// A command that runs `program`: with the emulator of its machine, if it has one.
pub(crate) fn command(program: &Path) -> Command {
    let runner = std::env::var("GREENLET_TEST_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(first) = words.next() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(words).arg(program);
    command
}
