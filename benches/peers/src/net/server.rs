//! A server in a process of its own.
//!
//! The protocol: called with `--listen 127.0.0.1:0` (or, inside this program, with `serve QUESTION
//! NAME`), the server binds to a port of its choice, prints `listening on ADDRESS:PORT` once it
//! accepts connections, and serves until it is killed.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{clock, cores};

/// A program that can be started as a server, again and again.
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// This very program as the server `name` of `question`.
    pub fn inside(question: &str, name: &str) -> Result<Program> {
        Ok(Program {
            path: env::current_exe()?,
            arguments: ["serve", question, name].map(OsString::from).to_vec(),
        })
    }

    /// Another program, whose command line starts with the paths in `first`.
    pub fn outside(path: &Path, first: &[PathBuf]) -> Program {
        let first = first.iter().map(OsString::from);
        let listen = ["--listen", "127.0.0.1:0"].map(OsString::from);
        Program {
            path: path.to_owned(),
            arguments: first.chain(listen).collect(),
        }
    }

    /// A new process of this program on `core`, which accepts connections.
    pub fn start(&self, core: usize) -> Result<Server> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // SAFETY: between fork and exec, nothing but two system calls is made.
        unsafe {
            command.pre_exec(move || {
                cores::pin(core);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut process = command.spawn().context("it could not be started")?;
        let output = process.stdout.take().expect("the output is a pipe");
        let mut server = Server {
            process,
            output: BufReader::new(output),
            address: ([127, 0, 0, 1], 0).into(),
        };
        server.address = server.read_address()?;
        Ok(server)
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

const PATIENCE_MS: i32 = 10_000;

impl Server {
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// CPU time that all threads of the server have used so far, those that have ended included.
    ///
    /// Unlike the figures in `/proc`, this clock does not lag behind a thread that is running.
    pub fn cpu_ns(&self) -> Result<u64> {
        let mut clock = 0;
        // SAFETY: `clock` is a valid place for the answer.
        match unsafe { libc::clock_getcpuclockid(self.id() as i32, &mut clock) } {
            0 => clock::read(clock).context("the server has no clock any more"),
            _ => bail!("the server is gone"),
        }
    }

    fn read_address(&mut self) -> Result<SocketAddr> {
        let mut output = libc::pollfd {
            fd: self.output.get_ref().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one valid descriptor to wait for.
        if unsafe { libc::poll(&mut output, 1, PATIENCE_MS) } != 1 {
            bail!("it does not say where it listens");
        }
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        address
            .and_then(|address| address.parse().ok())
            .with_context(|| format!("it should say where it listens, not {:?}", line.trim()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended by itself is gone all the same.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
