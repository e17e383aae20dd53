//! Goroutines, in child programs. They need the Go tool chain; `GOMAXPROCS` is 1 everywhere.
//!
//! A hand-off (`external/handoff.go`) is `runtime.Gosched`: two stack switches (goroutine to the
//! scheduler's stack and from there to the next goroutine) and a trip through the run queue. The
//! scheduler does not keep strictly to the order of the ring; every turn that goes to another
//! goroutine counts. `external/tasks.go` yields, spawns and sleeps; `external/echo.go` and
//! `external/http.go` are servers.

use anyhow::Result;

use crate::external::{Child, output, place, source, tool};

pub fn handoff() -> Result<Child> {
    build("handoff")
}

/// The program that yields, spawns and sleeps: its first argument says which.
pub fn tasks() -> Result<Child> {
    build("tasks")
}

/// The client of 35 URLs.
pub fn urls() -> Result<Child> {
    build("urls")
}

#[cfg(target_os = "linux")]
pub fn echo() -> Result<Child> {
    build("echo")
}

#[cfg(target_os = "linux")]
pub fn http() -> Result<Child> {
    build("http")
}

/// Builds the source `NAME.go` of the `external` folder.
fn build(name: &str) -> Result<Child> {
    let program = place(&format!("{name}-go"))?;
    let mut compiler = tool("GO", "go");
    compiler.env("GOCACHE", place("go-cache")?);
    compiler.args(["build", "-o"]).arg(&program);
    compiler.arg(source(&format!("{name}.go")));
    output(&mut compiler)?;
    Child::new(program, vec![])
}
