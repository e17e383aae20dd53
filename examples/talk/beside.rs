//! What some programs need beside them: a server, which is there as long as they run.

use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use greenlet::process::{ChildStdout, Command, Stdio};

use crate::running::{End, beside_this};
use crate::stage::{Process, Stage};

/// What a program needs.
#[derive(Clone, Copy)]
pub(crate) enum Beside {
    Nothing,
    Redis,
    EchoServer,
}

/// A server, and what a program is told of where it listens.
pub(crate) struct Server {
    pub(crate) address: String,
    /// It goes with this; its pipe stays open, as it may have more to say.
    _process: Option<(Process, BufReader<ChildStdout>)>,
}

impl Beside {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(self, stage: &Stage) -> Result<Server, End> {
        match self {
            Beside::Nothing => Ok(Server {
                address: String::new(),
                _process: None,
            }),
            Beside::Redis => redis(&stage.folder).map_err(|error| match error.kind() {
                ErrorKind::NotFound => End::NotRun("there is no redis-server here".into()),
                _ => End::Failed(format!("redis-server: {error}")),
            }),
            Beside::EchoServer => {
                echo_server().map_err(|error| End::Failed(format!("echo_server: {error}")))
            }
        }
    }
}

fn redis(folder: &Path) -> io::Result<Server> {
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = any.local_addr()?.port().to_string();
    drop(any); // Redis takes no port 0, and this one is hardly taken by another meanwhile
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]);
    let (_, process) = ready(command.arg(folder), "eady to accept connections")?;
    Ok(Server {
        address: format!("redis://127.0.0.1:{port}"),
        _process: Some(process),
    })
}

fn echo_server() -> io::Result<Server> {
    let mut command = Command::new(beside_this("echo_server")?);
    let (address, process) = ready(command.args(["--listen", "127.0.0.1:0"]), "listening on ")?;
    Ok(Server {
        address,
        _process: Some(process),
    })
}

/// Starts a server, and waits for the line with these words; what stands behind them.
fn ready(
    command: &mut Command,
    words: &str,
) -> io::Result<(String, (Process, BufReader<ChildStdout>))> {
    let command = command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut process = Process(command.stdout(Stdio::piped()).spawn()?);
    let stdout = process.0.stdout.take();
    let mut said = BufReader::new(stdout.ok_or(ErrorKind::BrokenPipe)?);
    let mut line = String::new();
    while said.read_line(&mut line)? > 0 {
        if let Some((_, rest)) = line.split_once(words) {
            return Ok((rest.trim().into(), (process, said)));
        }
        line.clear();
    }
    let words = format!("ended before it was ready, with {}", process.0.wait()?);
    Err(io::Error::other(words))
}
