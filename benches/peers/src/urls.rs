//! What does a URL cost? The talk's client of 35 URLs, of Go, of gevent, of threads and of ours.
//!
//! The server takes 20 ms for each answer, so a round of 35 cannot take less. The yardstick is ours, which has
//! all columns.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio};

use anyhow::{Context, Result};
use clap::Args;

use crate::cores::{self, Cores};
use crate::external::{self, Child, output};
use crate::peers::{go, python};
use crate::rounds::{self, Contender, Question};

/// What the command line can say.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    common: rounds::Options,
    /// The folder with the examples of the crate, built beforehand: `slow_server`, `urlclient`, `futures_urlclient`.
    #[arg(long, value_name = "FOLDER", default_value = "target/release/examples")]
    ours: PathBuf,
}

const URLS: u32 = 35;

/// A round of time or a fetch of CPU time, over new connections or over the same ones.
const COLUMNS: [(&str, &str, bool); 4] = [
    ("a round, time", "wall", false),
    ("a fetch, CPU", "cpu", false),
    ("keep-alive: a round", "wall", true),
    ("a fetch, CPU", "cpu", true),
];

/// Measures all peers and prints the table.
pub fn answer(options: &Options) -> Result<()> {
    let rounds: u32 = if options.common.quick { 3 } else { 50 };
    // The server stands for another machine.
    let cores = Cores::choose();
    cores::pin(cores.measurer);
    let awake = cores.measurer != cores.measured;
    let server = Server::start(&options.ours.join("slow_server"), awake)?;
    cores::pin(cores.measured);
    let columns: Vec<String> = COLUMNS.iter().map(|column| column.0.to_owned()).collect();
    let question = Question {
        title: "What does a URL cost? (ns; 35 URLs of a server that takes 20 ms for each)",
        columns: &columns,
        how: "who fetches",
    };
    let external = |name, how, prepare: fn() -> Result<Child>| {
        let address = server.address.clone();
        external::contender(name, how, prepare, move |child, column| {
            let (_, what, keep) = COLUMNS[column];
            child.figure(&[&what, &address, &URLS, &rounds, &i32::from(keep)])
        })
    };
    let example = |file, name, how| ours(&server, options.ours.join(file), name, how, rounds);
    let contenders: Vec<Contender> = vec![
        example("urlclient", "greenlet (ours)", "a greenlet for each URL"),
        example("futures_urlclient", "threads", "a pool of 35 threads"),
        external("Go", "a goroutine for each URL, GOMAXPROCS=1", go::urls),
        external("gevent", "a greenlet for each URL", python::urls),
    ];
    rounds::answer(&question, contenders, &options.common)
}

/// An example, which prints a line of JSON. The threads have no keep-alive.
fn ours(
    server: &Server,
    program: PathBuf,
    name: &'static str,
    how: &str,
    rounds: u32,
) -> Contender {
    let address = server.address.clone();
    Contender::new(name, how.to_owned(), move |column| {
        let (_, what, keep) = COLUMNS[column];
        let mut command = Command::new(&program);
        command.args([
            "--json",
            "--server",
            &address,
            "--rounds",
            &rounds.to_string(),
        ]);
        match (keep, name) {
            (true, "threads") => return Ok(None),
            (true, _) => _ = command.arg("--keep-alive"),
            (false, _) => {}
        }
        let line: serde_json::Value = serde_json::from_str(&output(&mut command)?)?;
        let (key, unit) = if what == "wall" {
            ("value", 1e6)
        } else {
            ("cpu_us", 1e3)
        };
        let figure = line[key]
            .as_f64()
            .with_context(|| format!("no {key} in {line}"))?;
        Ok(Some(figure * unit))
    })
}

/// The server that all ask; it ends with this.
struct Server {
    process: Process,
    address: String,
}

impl Server {
    /// With a core for itself it stays `awake` while requests come: another machine need not be woken by who asks it.
    fn start(program: &Path, awake: bool) -> Result<Server> {
        let mut command = Command::new(program);
        command
            .args(["--listen", "127.0.0.1:0", "--delay", "20"])
            .args(["--awake", if awake { "1" } else { "0" }])
            .stdout(Stdio::piped());
        let build = "build it: `cargo build --release --examples`";
        let mut process = command
            .spawn()
            .with_context(|| format!("{}: {build}", program.display()))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .context("it does not listen")?
            .to_owned();
        Ok(Server { process, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
