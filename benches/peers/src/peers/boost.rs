//! Boost.Context's `fcontext`: direct transfer, in the child program `external/handoff.cpp`.
//!
//! One hand-off is one stack switch. Needs a C++ compiler and libboost-context.

use anyhow::Result;

use crate::external::{Child, output, place, source, tool};

pub fn handoff() -> Result<Child> {
    let program = place("handoff-boost")?;
    let mut compiler = tool("CXX", "c++");
    compiler.args(["-std=c++17", "-O2", "-o"]).arg(&program);
    compiler
        .arg(source("handoff.cpp"))
        .args(["-Wl,-Bstatic", "-lboost_context", "-Wl,-Bdynamic"]);
    output(&mut compiler)?;
    Child::new(program, vec![])
}
