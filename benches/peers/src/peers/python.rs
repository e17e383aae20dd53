//! Python's greenlet: a ring by direct switch, in the child program `external/handoff.py`.
//!
//! One hand-off is one stack switch, and copies the parts of the C stack that overlap. Needs
//! Python with `venv`; greenlet itself is installed into an environment of its own.

use std::process::Command;

use anyhow::Result;

use crate::external::{Child, output, place, source, tool};

pub fn handoff() -> Result<Child> {
    let home = place("python")?;
    let python = home.join("bin").join("python");
    let script = source("handoff.py");
    Child::new(python.clone(), vec![script.clone()]).or_else(|_| {
        output(tool("PYTHON", "python3").args(["-m", "venv"]).arg(&home))?;
        output(Command::new(&python).args(["-m", "pip", "install", "--quiet", "greenlet"]))?;
        Child::new(python, vec![script])
    })
}
