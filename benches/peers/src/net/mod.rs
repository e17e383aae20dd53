//! The questions about servers, on Linux.
//!
//! A server runs in a process of its own (`server`) on one core; this process is the client
//! (`load`) on the other. What the server has spent is read from outside, in CPU time of all its
//! threads; the kernel's work for its system calls is in it, on loopback even the receiving half
//! of what it sends.
//!
//! The servers that are crates are in this very program, which starts itself once more with
//! `serve QUESTION NAME`.

pub mod echo;
pub mod epoll;
pub mod http;
mod load;
mod server;
mod syscalls;

use anyhow::{Context, Result, bail};

use crate::cores::{self, Cores};
use crate::external::Child;
use server::Program;

/// A server inside this very program.
struct Inside {
    name: &'static str,
    how: &'static str,
    serve: fn() -> Result<()>,
}

/// A server that is asked a question, or the reason why it cannot.
struct Candidate {
    name: &'static str,
    how: String,
    program: Result<Program>,
}

impl Candidate {
    fn inside(question: &str, server: &Inside) -> Candidate {
        Candidate {
            name: server.name,
            how: server.how.to_owned(),
            program: Program::inside(question, server.name),
        }
    }

    fn outside(
        name: &'static str,
        how: &str,
        prepare: impl FnOnce() -> Result<Child>,
    ) -> Candidate {
        eprintln!("preparing {name}");
        match prepare() {
            Ok(child) => Candidate {
                name,
                how: child.how(how),
                program: Ok(Program::outside(&child.program, &child.first)),
            },
            Err(reason) => Candidate {
                name,
                how: how.to_owned(),
                program: Err(reason),
            },
        }
    }
}

/// Runs the server `name` of `question` for ever.
pub fn serve(question: &str, name: &str) -> Result<()> {
    let servers = match question {
        "echo" => echo::INSIDE,
        "http" => http::INSIDE,
        _ => bail!("no servers for {question}"),
    };
    let server = servers.iter().find(|server| server.name == name);
    let server = server.with_context(|| format!("no server {name}"))?;
    raise_descriptor_limit();
    (server.serve)()
}

/// Makes this process the client: on its core, with as many descriptors as it may have.
fn become_client() -> Cores {
    raise_descriptor_limit();
    let cores = Cores::choose();
    cores::pin(cores.measurer);
    cores
}

/// Raises the soft limit of open descriptors to the hard one; if that fails, connecting says so.
fn raise_descriptor_limit() {
    // SAFETY: `limit` is a valid place for the answer, and only its soft part is changed.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
