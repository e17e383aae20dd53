//! Python's greenlet, a ring by direct switch in the child program `external/handoff.py`, and gevent.
//!
//! One hand-off is one stack switch, and copies the parts of the C stack that overlap. Needs
//! Python with `venv`; greenlet itself is installed into an environment of its own.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::external::{Child, output, place, source, tool};

pub fn handoff() -> Result<Child> {
    script("handoff.py", "greenlet")
}

/// gevent: the client of 35 URLs.
pub fn urls() -> Result<Child> {
    script("urls.py", "gevent")
}

/// gevent: an echo server.
#[cfg(target_os = "linux")]
pub fn echo() -> Result<Child> {
    script("echo.py", "gevent")
}

/// A script of the `external` folder, by a Python that has `package`: the system's, or one of our own.
fn script(name: &str, package: &str) -> Result<Child> {
    let home = place("python")?;
    let own = home.join("bin").join("python");
    let script = source(name);
    for python in [&own, Path::new("/usr/bin/python3")] {
        if let Ok(child) = Child::new(python.to_owned(), vec![script.clone()]) {
            return Ok(child);
        }
    }
    output(tool("PYTHON", "python3").args(["-m", "venv"]).arg(&home))?;
    output(Command::new(&own).args(["-m", "pip", "install", "--quiet", package]))?;
    Child::new(own, vec![script])
}
