//! The examples that serve: each is started on a port of its own, and talked to by real clients.
//!
//! What is compared with a header is in `examples.rs`. Clients that are not on this machine (`curl`, `wrk`,
//! `socat`, `nc`) are told of on standard error: "not run".

#![cfg(unix)]

mod runner;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running example; it ends with this.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(name: &str, arguments: &[&str]) -> Server {
        let mut process = runner::command(&built(name))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}; `cargo test` builds the examples"));
        let mut line = String::new();
        let stdout = process.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it says where it listens");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .expect("it listens");
        let address = address.parse().expect("an address");
        Server { process, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Examples lie beside the folder of the test programs.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/PROFILE/deps/NAME");
    profile.join("examples").join(name)
}

/// What a client of this machine prints; none, and a word about it, if there is no such client.
fn client(program: &str, arguments: &[&str], input: &str) -> Option<Output> {
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut process = match started {
        Ok(process) => process,
        Err(_) => {
            eprintln!("not run: there is no {program} on this machine");
            return None;
        }
    };
    let mut stdin = process.stdin.take().expect("piped");
    // It may not want any.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Some(process.wait_with_output().expect("it ends"))
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything until the other side has said its last word.
fn rest(mut stream: &TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn echo_serves_many_at_once_and_half_closed() {
    let server = Server::start("echo_server", &[]);
    let streams: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for (n, mut stream) in streams.iter().enumerate() {
        write!(stream, "number {n}").expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it stays open");
    }
    for (n, stream) in streams.iter().enumerate() {
        assert_eq!(rest(stream), format!("number {n}"));
    }
}

#[test]
fn echo_carries_more_than_any_buffer() {
    let server = Server::start("echo_server", &[]);
    let sent: Vec<u8> = (0..8 << 20).map(|n: u32| (n / 7) as u8).collect();
    let (stream, mut received) = (server.connect(), vec![]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&sent).expect("it reads");
            stream.shutdown(Shutdown::Write).expect("it stays open");
        });
        (&stream).read_to_end(&mut received).expect("it answers");
    });
    assert!(
        sent == received,
        "{} bytes of {} came back",
        received.len(),
        sent.len()
    );
}

#[test]
fn echo_on_several_cores() {
    let server = Server::start("echo_server", &["--cores", "3"]);
    for n in 0..60 {
        let mut stream = server.connect();
        write!(stream, "{n}").expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it stays open");
        assert_eq!(rest(&stream), n.to_string());
    }
}

#[test]
fn echo_to_nc_and_socat() {
    let server = Server::start("echo_server", &[]);
    let (host, port) = (
        server.address.ip().to_string(),
        server.address.port().to_string(),
    );
    if let Some(output) = client(
        "socat",
        &["-t5", "-", &format!("TCP:{host}:{port}")],
        "by socat\n",
    ) {
        assert_eq!(printed(&output), "by socat\n");
    }
    if let Some(output) = client("nc", &["-N", "-w5", &host, &port], "by nc\n") {
        assert_eq!(printed(&output), "by nc\n");
    }
}

#[test]
fn the_load_generator_counts_what_it_sends() {
    let server = Server::start("echo_server", &[]);
    let output = runner::command(&built("echo_client"))
        .args(["--connect", &server.address.to_string()])
        .args(["--connections", "32", "--requests", "5000", "--size", "100"])
        .output()
        .expect("it runs");
    let text = printed(&output);
    assert!(text.starts_with("5000 requests in "), "{text}");
    assert!(
        text.contains("p50 ") && text.contains("p99 ") && text.contains("p999 "),
        "{text}"
    );
}

#[test]
fn the_load_generator_says_that_nobody_listens() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("it has one");
    let output = runner::command(&built("echo_client"))
        .args(["--connect", &nobody.to_string(), "--requests", "10"])
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("refused"),
        "{output:?}"
    );
}

#[test]
fn a_bad_address_to_listen_on_is_told_with_a_good_one() {
    let other = Server::start("echo_server", &[]);
    let taken = other.address.to_string();
    let servers: [&[&str]; 7] = [
        &["echo_server"],
        &["echo_server", "--cores", "2"],
        &["http_hello"],
        &["slow_server"],
        &["tcp_proxy", "--to", "127.0.0.1:1"],
        &["chat"],
        &["udp_echo"],
    ];
    for server in servers {
        for listen in [
            "nonsense",
            "127.0.0.1",
            "127.0.0.1:99999",
            "",
            "192.0.2.1:7777",
            &taken,
        ] {
            // A port may be taken twice: for a datagram, and by those who share it.
            if listen == taken && matches!(server, ["udp_echo"] | [_, "--cores", ..]) {
                continue;
            }
            let output = runner::command(&built(server[0]))
                .args(["--listen", listen])
                .args(&server[1..])
                .output()
                .expect("it runs");
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{server:?} {listen}: {text}");
            let [what, example] = text.lines().collect::<Vec<_>>()[..] else {
                panic!("{server:?} {listen}: {text}");
            };
            let given = format!("error: cannot listen on '{listen}': ");
            assert!(
                what.len() > given.len() && what.starts_with(&given),
                "{text}"
            );
            assert!(
                example.starts_with("say for example `--listen 127.0.0.1:"),
                "{text}"
            );
        }
    }
}

/// Sends `request`, and returns everything until the server closes.
fn http(server: &Server, request: &str) -> String {
    let stream = server.connect();
    (&stream).write_all(request.as_bytes()).expect("it reads");
    rest(&stream)
}

#[test]
fn http_keeps_alive_pipelines_and_closes() {
    let server = Server::start("http_hello", &[]);
    let one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answers = http(&server, &format!("{one}{one}{last}"));
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 3);
    assert_eq!(answers.matches("Hello, World!").count(), 3);
    assert!(http(&server, "GET / HTTP/1.0\r\n\r\n").ends_with("Hello, World!"));
}

#[test]
fn a_slow_server_answers_all_after_one_delay_and_each_by_its_name() {
    let server = Server::start("slow_server", &["--delay", "5"]);
    let ask = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n");
        let stream = server.connect();
        (&stream).write_all(request.as_bytes()).expect("it reads");
        stream
    };
    let asked: Vec<_> = (0..20).map(|n| ask(&format!("/{n}"))).collect();
    for (n, stream) in asked.iter().enumerate() {
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n/{n}")), "{answer}");
    }
    let again = "GET /again HTTP/1.1\r\n\r\n";
    let last = "GET /last HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answers = http(&server, &format!("{again}{last}"));
    assert!(
        answers.contains("/again") && answers.ends_with("/last"),
        "{answers}"
    );
}

#[test]
fn http_takes_a_request_in_small_pieces() {
    let server = Server::start("http_hello", &[]);
    let mut stream = server.connect();
    stream.set_nodelay(true).expect("it can");
    for piece in [
        "GET /",
        " HTTP/1.1\r",
        "\nHost: x\r\nConnec",
        "tion: close\r\n\r",
        "\n",
    ] {
        stream.write_all(piece.as_bytes()).expect("it reads");
        std::thread::sleep(Duration::from_millis(3));
    }
    assert!(rest(&stream).ends_with("Hello, World!"));
}

#[test]
fn http_answers_a_head_with_a_head() {
    let server = Server::start("http_hello", &[]);
    let end = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answers = http(&server, &format!("HEAD / HTTP/1.1\r\n\r\n{end}"));
    let mut answers = answers.split("HTTP/1.1 200 OK\r\n").skip(1);
    let [head, whole] = [(); 2].map(|()| answers.next().expect("two answers"));
    assert_eq!(format!("{head}Hello, World!"), whole);
}

#[test]
fn http_refuses_what_it_does_not_understand() {
    let server = Server::start("http_hello", &[]);
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(10_000));
    let body = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    for request in ["nonsense\r\n\r\n", body, &endless] {
        let stream = server.connect();
        // What it does not read may cost it the connection.
        let _ = (&stream).write_all(request.as_bytes());
        let mut answer = vec![];
        let _ = (&stream).read_to_end(&mut answer);
        assert!(
            answer.starts_with(b"HTTP/1.1 400 Bad Request\r\n") || answer.is_empty(),
            "{request:.20}"
        );
    }
    assert!(
        http(&server, "GET / HTTP/1.0\r\n\r\n").ends_with("Hello, World!"),
        "it goes on"
    );
}

#[test]
fn http_to_curl_and_wrk() {
    let server = Server::start("http_hello", &[]);
    let address = format!("http://{}/", server.address);
    if let Some(output) = client(
        "curl",
        &["--silent", "--max-time", "10", &address, &address],
        "",
    ) {
        assert_eq!(printed(&output), "Hello, World!Hello, World!");
    }
    if let Some(output) = client("wrk", &["-t1", "-c64", "-d1s", &address], "") {
        let text = printed(&output);
        assert!(
            text.contains("requests in") && !text.contains("Socket errors"),
            "{text}"
        );
        assert!(!text.contains("Non-2xx"), "{text}");
    }
}

#[test]
fn the_proxy_carries_both_directions_to_their_ends() {
    let behind = Server::start("echo_server", &[]);
    let proxy = Server::start("tcp_proxy", &["--to", &behind.address.to_string()]);
    let sent: Vec<u8> = (0..1 << 20).map(|n: u32| n as u8).collect();
    let (stream, mut received) = (proxy.connect(), vec![]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&sent).expect("it reads");
            stream.shutdown(Shutdown::Write).expect("it stays open");
        });
        (&stream).read_to_end(&mut received).expect("it answers");
    });
    assert!(sent == received);
}

#[test]
fn the_proxy_outlives_a_server_that_is_not_there() {
    let behind = Server::start("echo_server", &[]);
    let proxy = Server::start("tcp_proxy", &["--to", &behind.address.to_string()]);
    drop(behind);
    for _ in 0..3 {
        assert_eq!(proxy.connect().read(&mut [0]).expect("it closes"), 0);
    }
}

#[test]
fn guests_of_the_chat_hear_each_other() {
    let server = Server::start("chat", &[]);
    let join = |name: &str| {
        let mut stream = server.connect();
        writeln!(stream, "{name}").expect("it reads");
        (
            stream.try_clone().expect("a second handle"),
            BufReader::new(stream).lines(),
        )
    };
    let (_ann, mut ann_hears) = join("Ann");
    let mut next = || ann_hears.next().expect("a line").expect("text");
    // Whoever is told of a guest has been let in.
    let (mut bob, mut bob_hears) = join("Bob");
    assert_eq!(next(), "* Bob has come");
    writeln!(bob, "hello?").expect("it reads");
    assert_eq!(next(), "Bob: hello?");
    let (cid, _) = join("Cid");
    assert_eq!(next(), "* Cid has come");
    assert_eq!(
        bob_hears.next().expect("a line").expect("text"),
        "* Cid has come"
    );
    cid.shutdown(Shutdown::Both).expect("it was open");
    assert_eq!(next(), "* Cid has gone");
}

#[test]
fn datagrams_come_back_to_whom_they_came_from() {
    let server = Server::start("udp_echo", &[]);
    let ask = |text: &str| {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket
            .send_to(text.as_bytes(), server.address)
            .expect("sent");
        let mut buffer = [0; 64];
        let (count, from) = socket.recv_from(&mut buffer).expect("an answer");
        assert_eq!(from, server.address);
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    assert_eq!((ask("one"), ask("two")), ("one".into(), "two".into()));
}

/// What runs here is looked at from another process.
#[test]
fn top_shows_the_greenlets_of_another_process() {
    if greenlet::BACKEND == "baton" || !cfg!(target_os = "linux") {
        return;
    }
    let path = std::env::temp_dir().join(format!("greenlet-top-{}", std::process::id()));
    let served = greenlet::inspect::serve(&path).expect("a path");
    let builder = greenlet::thread::Builder::new().name("looked-at".into());
    let sleeper = builder.spawn(|| greenlet::sleep(3 * PATIENCE));
    let sleeper = sleeper.expect("a greenlet");
    greenlet::yield_now();
    for order in ["turns", "waiting", "stack"] {
        let top = runner::command(&built("top"))
            .args(["--once", "--sort", order])
            .arg(&path)
            .output()
            .expect("it runs");
        let table = String::from_utf8_lossy(&top.stdout);
        assert!(top.status.success(), "{top:?}");
        let mut lines = table.lines();
        assert!(
            lines.next().is_some_and(|line| line.starts_with("THREAD")),
            "{table}"
        );
        let line = lines.find(|line| line.contains("looked-at"));
        let line = line.unwrap_or_else(|| panic!("{table}"));
        assert!(line.contains("parked") && line.contains("sleeps"), "{line}");
    }
    drop(served);
    sleeper.kill();
    let gone = runner::command(&built("top"))
        .arg("--once")
        .arg(&path)
        .output();
    let gone = gone.expect("it runs");
    assert!(!gone.status.success());
    assert!(
        String::from_utf8_lossy(&gone.stderr).contains("cannot ask"),
        "{gone:?}"
    );
}
