//! One HTTP request, over whatever stream: the same code for threads and for greenlets.

use std::error::Error;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::cores;
use super::report::{Line, digits, median};

/// How long a connection may take to be made, and then an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for `path`, and reads the answer; how long its body is.
///
/// # Errors
/// What the stream says, and `InvalidData` for an answer that is none, or not 200.
pub(crate) fn fetch(stream: &mut (impl Read + Write), path: &str, last: bool) -> io::Result<usize> {
    ask(stream, path, last)?;
    hear(stream)
}

/// Asks for `path`.
///
/// # Errors
/// What the stream says.
pub(crate) fn ask(stream: &mut impl Write, path: &str, last: bool) -> io::Result<()> {
    let connection = if last { "close" } else { "keep-alive" };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes())
}

/// Reads the answer; how long its body is.
///
/// # Errors
/// As [`fetch`].
pub(crate) fn hear(stream: &mut impl Read) -> io::Result<usize> {
    let begin = Instant::now();
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).map_err(too_late)?;
        if begin.elapsed() > PATIENCE {
            return Err(too_late(ErrorKind::TimedOut.into()));
        }
        if count == 0 {
            return Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the server has hung up",
            ));
        }
        filled += count;
        if let Some(length) = answer(&buffer[..filled])? {
            return Ok(length);
        }
        if filled == buffer.len() {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "an answer that is too long",
            ));
        }
    }
}

fn too_late(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => io::Error::new(
            ErrorKind::TimedOut,
            format!("no answer within {PATIENCE:?}"),
        ),
        _ => error,
    }
}

/// The length of the body, when all of it is there.
fn answer(bytes: &[u8]) -> io::Result<Option<usize>> {
    let invalid = |what: String| io::Error::new(ErrorKind::InvalidData, what);
    let mut headers = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .map_err(|error| invalid(format!("no HTTP: {error}")))?;
    let httparse::Status::Complete(head) = parsed else {
        return Ok(None);
    };
    if response.code != Some(200) {
        let code = response.code.unwrap_or(0);
        return Err(invalid(format!("the server answers {code}")));
    }
    let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
    let length = response
        .headers
        .iter()
        .find(|header| is_length(header.name));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let length: usize = length.ok_or_else(|| invalid("an answer without a length".into()))?;
    let whole = head.checked_add(length);
    let whole = whole.ok_or_else(|| invalid("an answer that is too long".into()))?;
    Ok((bytes.len() >= whole).then_some(length))
}

/// The server that the clients ask; if it was started here, a process that ends with this.
pub(crate) struct Server {
    process: Option<Child>,
    pub(crate) address: SocketAddr,
}

/// Whom to ask, how much.
#[derive(clap::Args)]
pub(crate) struct Task {
    /// How many URLs.
    #[arg(long, default_value_t = 35, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) urls: u16,
    /// How often.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long an answer takes, in milliseconds, of a server that is started.
    #[arg(long, default_value_t = 20)]
    pub(crate) delay: u64,
    /// A server that runs already.
    #[arg(long, value_name = "ADDR:PORT")]
    server: Option<String>,
    /// Print a line of JSON.
    #[arg(long)]
    json: bool,
}

impl Task {
    /// The server to ask.
    pub(crate) fn server(&self) -> Result<Server, Box<dyn Error>> {
        match &self.server {
            Some(address) => Ok(Server {
                process: None,
                address: resolved(address)?,
            }),
            None => Server::start(self.delay),
        }
    }

    /// Says how long the rounds took, in ms, and what each fetch cost, in µs.
    pub(crate) fn tell(
        &self,
        program: &str,
        how: &str,
        rounds: Vec<f64>,
        cpu: f64,
    ) -> io::Result<()> {
        let fetches = f64::from(self.rounds) * f64::from(self.urls);
        let (wall, each) = (median(rounds), cpu / fetches * 1e6);
        if self.json {
            return Line::new(program, how, wall, "ms")
                .with("cpu_us", each)
                .print();
        }
        let (urls, rounds) = (self.urls, self.rounds);
        let (wall, each) = (digits(wall), digits(each));
        let takes = match &self.server {
            None => format!("{} ms each", self.delay),
            Some(server) => format!("from {server}"),
        };
        let what = format!("{urls} URLs, {takes}, {rounds} rounds, {how}:");
        let took = format!("{wall} ms a round, {each} µs of CPU for each fetch");
        writeln!(io::stdout(), "{what}\n{took}")
    }
}

/// The first address of these words.
fn resolved(address: &str) -> Result<SocketAddr, String> {
    let all = address.to_socket_addrs();
    let first = all.and_then(|mut all| all.next().ok_or(ErrorKind::NotFound.into()));
    first.map_err(|error| format!("{address}: {error}"))
}

impl Server {
    /// Starts the example `slow_server`, which lies beside this program. It stands for another machine: where there are
    /// two cores, it has the last one for itself, and need not be woken for each request; this thread, with what it
    /// starts, has the others.
    fn start(delay_ms: u64) -> Result<Server, Box<dyn Error>> {
        let all = cores::allowed();
        let (others, last) = all.split_at(all.len().saturating_sub(1));
        if others.is_empty() {
            return Server::start_here(delay_ms, 0);
        }
        cores::keep_to(last);
        let server = Server::start_here(delay_ms, 1);
        cores::keep_to(others);
        server
    }

    fn start_here(delay_ms: u64, awake_ms: u64) -> Result<Server, Box<dyn Error>> {
        let file = std::env::current_exe()?.with_file_name("slow_server");
        let mut command = Command::new(&file);
        command.args(["--listen", "127.0.0.1:0"]);
        command.args(["--delay", &delay_ms.to_string()]);
        command.args(["--awake", &awake_ms.to_string()]);
        // Its input ends with this process, however that ends.
        command.arg("--until-stdin-ends");
        let started = command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn();
        let mut process = started.map_err(|error| {
            format!("slow_server: {error}; `cargo build --release --examples` builds it")
        })?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .ok_or("slow_server did not start")?;
        Ok(Server {
            process: Some(process),
            address: resolved(address)?,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
