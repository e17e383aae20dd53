//! Goroutines that yield with `runtime.Gosched`, in the child program `external/handoff.go`.
//!
//! One hand-off is two stack switches (goroutine to the scheduler's stack and from there to the
//! next goroutine) and a trip through the run queue. The scheduler does not keep strictly to the
//! order of the ring; every turn that goes to another goroutine counts. Needs the Go tool chain.

use anyhow::Result;

use crate::external::{Child, output, place, source, tool};

pub fn handoff() -> Result<Child> {
    let program = place("handoff-go")?;
    let mut compiler = tool("GO", "go");
    compiler.env("GOCACHE", place("go-cache")?);
    compiler.args(["build", "-o"]).arg(&program);
    compiler.arg(source("handoff.go"));
    output(&mut compiler)?;
    Child::new(program, vec![])
}
