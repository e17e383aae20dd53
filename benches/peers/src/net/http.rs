//! What does a request of HTTP cost a server?
//!
//! `wrk` is the client: one thread, 64 connections that are kept alive, `GET /`, answered with
//! `Hello, World!`. It counts the requests; the CPU time is the server's from before `wrk` starts
//! until it has ended.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::server::Program;
use super::{Candidate, Inside, become_client};
use crate::external::{output, tool};
use crate::peers::{examples, go, hyper, may, raw};
use crate::rounds::{self, Contender, Question};

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    common: rounds::Options,
    /// The crate's `http_hello` example, built beforehand.
    #[arg(long, value_name = "PATH")]
    ours_http: Option<PathBuf>,
}

pub(super) const INSIDE: &[Inside] = &[
    Inside {
        name: "raw-httparse",
        how: "the yardstick: `epoll` as in echo's raw-et, and the parser `httparse`",
        serve: raw::http,
    },
    Inside {
        name: "hyper",
        how: "a task for each connection, tokio's current_thread runtime",
        serve: hyper::http,
    },
    Inside {
        name: "may_minihttp",
        how: "a coroutine for each connection, one worker",
        serve: may::http,
    },
];

/// Measures all servers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let candidates = candidates(options);
    let core = become_client().measured;
    let quick = options.common.quick;
    let question = Question {
        title: "What does a request of HTTP cost a server? (ns of CPU time per request)",
        columns: &["64 connections".to_owned()],
        how: "how a server goes about it",
    };
    let contender = |candidate: Candidate| match candidate.program {
        Ok(program) => Contender::new(candidate.name, candidate.how, move |_| {
            cpu_ns(&program, core, quick).map(Some)
        }),
        Err(reason) => Contender::missing(candidate.name, candidate.how, reason),
    };
    let contenders = candidates.into_iter().map(contender).collect();
    rounds::answer(&question, contenders, &options.common)
}

const PATIENCE: Duration = Duration::from_secs(5);

/// All servers, the yardstick first.
fn candidates(options: &Options) -> Vec<Candidate> {
    let inside = INSIDE
        .iter()
        .map(|server| Candidate::inside("http", server));
    let mut candidates: Vec<_> = inside.collect();
    candidates.push(Candidate::outside(
        "Go",
        "`net/http`: a goroutine for each connection, GOMAXPROCS=1",
        go::http,
    ));
    candidates.push(Candidate::outside(
        "greenlet (ours)",
        "a greenlet for each connection",
        || examples::http(options.ours_http.as_deref()),
    ));
    candidates
}

/// CPU time of the server per request, in nanoseconds.
fn cpu_ns(program: &Program, core: usize, quick: bool) -> Result<f64> {
    let server = program.start(core)?;
    greet(server.address)?;
    let seconds = if quick {
        1
    } else {
        wrk(server.address, 1)?;
        2
    };
    let before = server.cpu_ns()?;
    let requests = wrk(server.address, seconds)?;
    let spent = server.cpu_ns()? - before;
    ensure!(requests > 0, "no requests were answered");
    Ok(spent as f64 / requests as f64)
}

/// Makes sure that the answer is the right one, which `wrk` does not.
fn greet(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    while !answer.ends_with("Hello, World!") {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).context("no answer")?;
        ensure!(count > 0, "not the right answer: {answer:?}");
        answer += std::str::from_utf8(&bytes[..count])?;
    }
    ensure!(
        answer.starts_with("HTTP/1.1 200 "),
        "no success: {answer:?}"
    );
    Ok(())
}

/// How many requests were answered in so many seconds.
fn wrk(address: SocketAddr, seconds: u32) -> Result<u64> {
    let mut command = tool("WRK", "wrk");
    command.args(["-t1", "-c64", &format!("-d{seconds}s")]);
    requests(&output(command.arg(format!("http://{address}/")))?)
}

/// The requests in `wrk`'s report, which must tell of no errors.
fn requests(report: &str) -> Result<u64> {
    let mut lines = report.lines().map(str::trim);
    if let Some(errors) = lines.clone().find(|line| is_complaint(line)) {
        bail!("`wrk`: {errors}");
    }
    let requests = lines.find_map(|line| line.split_once(" requests in "));
    let (requests, _) = requests.context("`wrk` does not say how many requests")?;
    Ok(requests.parse()?)
}

fn is_complaint(line: &str) -> bool {
    line.starts_with("Socket errors") || line.starts_with("Non-2xx")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_wrk() {
        let report = "Running 1s test\n  61234 requests in 1.10s, 9.00MB read\nRequests/sec: 9\n";
        assert_eq!(requests(report).unwrap(), 61234);
        let report = format!("{report}  Socket errors: connect 0, read 3, write 0, timeout 0\n");
        assert!(requests(&report).is_err());
    }
}
