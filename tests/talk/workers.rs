//! Workers of a search through Redis.

use std::path::Path;
use std::process::Stdio;

use super::{Folder, as_the_header_says, bad, good, results, runner, text};

/// A Redis of this test; None where there is none.
struct Redis(std::process::Child, String);

impl Redis {
    fn start() -> Option<Redis> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|any| any.local_addr());
        let port = port.expect("a port").port().to_string();
        let mut command = std::process::Command::new("redis-server");
        command.args(["--port", &port, "--save", "", "--daemonize", "no"]);
        let process = command.stdout(Stdio::null()).spawn().ok()?;
        let redis = Redis(process, format!("redis://127.0.0.1:{port}"));
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port.parse().expect("a port"))).is_ok() {
                return Some(redis);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("redis-server did not start");
    }

    /// Sends a command, and returns the first of what comes back.
    fn ask(&self, command: &str) -> String {
        use std::io::{Read, Write};
        let address = self.1.strip_prefix("redis://").expect("a URL");
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        write!(stream, "{command}\r\n").expect("it reads");
        let mut answer = [0; 100];
        let count = stream.read(&mut answer).expect("it answers");
        text(&answer[..count]).into()
    }

    fn signal(&self, which: &str) {
        let mut kill = std::process::Command::new("kill");
        let sent = kill.args([which, &self.0.id().to_string()]).status();
        assert!(sent.expect("it runs").success());
    }

    fn stop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A process of `bigfile_workers` in the background.
fn workers(arguments: &[&str]) -> std::process::Child {
    let test = std::env::current_exe().expect("a path");
    let profile = test.parent().and_then(Path::parent).expect("a folder");
    let mut command = runner::command(&profile.join("examples/bigfile_workers"));
    let piped = command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    piped.spawn().expect("`cargo test` builds the examples")
}

/// A worker that is killed with a chunk in its hands, and a Redis that goes away.
#[test]
fn workers_of_a_search_may_be_killed_and_lose_nothing() {
    let Some(mut redis) = Redis::start() else {
        return eprintln!("not run: there is no redis-server");
    };
    let folder = Folder::new("workers");
    let log = folder.path("big.log");
    good("bigfile_generate", &["--size", "3MiB", &log]);
    let plain = &results("bigfile_brute", &[&log])[0];
    let url = redis.1.clone();
    let search = |name, workers, url| {
        let of = [
            "--name",
            name,
            "--workers",
            workers,
            "--redis",
            url,
            "--chunk",
            "100000",
        ];
        [&["search", log.as_str()], &of[..]].concat()
    };

    let coordinator = workers(&search("killed", "0", &url));
    let mut doomed = workers(&["work", "killed", "--redis", &url, "--linger", "60000"]);
    let has_a_chunk = || {
        let pending = redis.ask("XPENDING killed:chunks searchers");
        pending.contains("*4\r\n:1\r\n")
    };
    while !has_a_chunk() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    doomed.kill().expect("it runs");
    doomed.wait().expect("it was killed");
    let heir = workers(&["work", "killed", "--redis", &url, "--patience", "300"]);
    let found = coordinator.wait_with_output().expect("it ends");
    let told = (text(&found.stdout), text(&found.stderr));
    let wanted = format!(
        "{} records of jim in {} lines",
        plain["records"], plain["lines"]
    );
    assert!(
        found.status.success() && told.0.contains(&wanted),
        "{wanted}: {told:?}"
    );
    let heir = heir.wait_with_output().expect("it ends");
    assert!(heir.status.success(), "{}", text(&heir.stderr));

    as_the_header_says(
        "bigfile_workers",
        &good("bigfile_workers", &search("two", "2", &url)),
    );
    // A worker may come before its search; one whose search does not come says so.
    let early = workers(&["work", "later", "--redis", &url]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    good("bigfile_workers", &search("later", "0", &url));
    assert!(early.wait_with_output().expect("it ends").status.success());
    let nobody = ["work", "nobody's", "--redis", &url, "--wait", "0"];
    assert!(bad("bigfile_workers", &nobody, b"").contains("there is no search \"nobody's\""));

    // One whose name is taken.
    redis.ask("XGROUP CREATE taken:chunks somebody 0 MKSTREAM");
    redis.ask("XGROUP CREATE taken:chunks searchers 0");
    let taken = bad("bigfile_workers", &search("taken", "0", &url), b"");
    assert!(taken.contains("a search of this name already"), "{taken}");
    redis.ask("DEL taken:chunks");

    // A Redis that loses the search, and one that does not answer any more.
    let coordinator = workers(&search("lost", "0", &url));
    std::thread::sleep(std::time::Duration::from_millis(300));
    redis.ask("FLUSHALL");
    let lost = coordinator.wait_with_output().expect("it ends");
    assert_eq!(lost.status.code(), Some(1));
    assert!(text(&lost.stderr).contains("Redis has lost the search"));
    assert!(redis.ask("DBSIZE").contains(":0"), "nothing is left behind");
    let coordinator = workers(&search("hangs", "0", &url));
    std::thread::sleep(std::time::Duration::from_millis(300));
    redis.signal("-STOP");
    let hangs = coordinator.wait_with_output().expect("it ends");
    redis.signal("-CONT");
    assert_eq!(hangs.status.code(), Some(1));
    let told = text(&hangs.stderr);
    assert!(told.contains("does not answer within 5s"), "{told}");

    let coordinator = workers(&search("gone", "0", &url));
    std::thread::sleep(std::time::Duration::from_millis(300));
    redis.stop();
    let gone = coordinator.wait_with_output().expect("it ends");
    assert_eq!(gone.status.code(), Some(1));
    assert!(!gone.stderr.is_empty());
    assert!(bad("bigfile_workers", &search("none", "2", &url), b"").contains("refused"));
    assert!(bad("bigfile_workers", &["search", "no-such.log"], b"").contains("no-such.log"));
}

/// What would make the answer wrong: results of an earlier search of the same name, a log that gets shorter, results
/// that Redis has lost.
#[test]
fn a_search_counts_what_is_its_own_and_misses_nothing() {
    let Some(redis) = Redis::start() else {
        return eprintln!("not run: there is no redis-server");
    };
    let folder = Folder::new("own");
    let log = folder.path("big.log");
    good("bigfile_generate", &["--size", "1MiB", &log]);
    let plain = &results("bigfile_brute", &[&log])[0];
    let wanted = format!("{} records of jim", plain["records"]);
    let in_chunks = |name, chunk| {
        let more = ["--redis", redis.1.as_str(), "--chunk", chunk];
        let search = ["search", log.as_str(), "--name", name, "--workers"];
        [&search[..], &["0"], &more].concat()
    };
    let of = |name| in_chunks(name, "100000");
    let work = |name, more: &[&str]| {
        let worker = workers(&[&["work", name, "--redis", &redis.1], more].concat());
        worker.wait_with_output().expect("it ends")
    };

    redis.ask("HSET again:results 1-1 \"1000 1000 1000 1000\"");
    let coordinator = workers(&of("again"));
    work("again", &[]);
    let found = coordinator.wait_with_output().expect("it ends");
    let told = text(&found.stdout);
    assert!(found.status.success() && told.contains(&wanted), "{told}");

    let failure = |coordinator: std::process::Child| {
        let failed = coordinator.wait_with_output().expect("it ends");
        assert_eq!(failed.status.code(), Some(1), "{}", text(&failed.stdout));
        text(&failed.stderr).to_owned()
    };
    let coordinator = workers(&of("loses"));
    let results_go = || {
        while !redis.ask("DEL loses:results").contains(":1") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(results_go);
        work("loses", &["--linger", "50"]);
    });
    assert!(failure(coordinator).contains("Redis has lost the search"));

    // Lost while its chunks are still handed out: there are 10,000 of them.
    let coordinator = workers(&in_chunks("early", "100"));
    while redis.ask("XLEN early:chunks").contains(":0") {
        std::thread::yield_now();
    }
    let lease = redis.ask("PTTL early:chunks");
    assert!(!lease.contains("-1"), "a search that nobody ends: {lease}");
    while !redis.ask("DEL early:chunks").contains(":1") {
        std::thread::yield_now();
    }
    assert!(failure(coordinator).contains("Redis has lost the search"));
    assert!(redis.ask("DBSIZE").contains(":0"), "nothing is left behind");

    let coordinator = workers(&of("shorter"));
    while !redis.ask("EXISTS shorter:chunks").contains(":1") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let file = std::fs::File::options().write(true).open(&log);
    file.and_then(|file| file.set_len(500_000))
        .expect("it can be shortened");
    work("shorter", &[]);
    let told = failure(coordinator);
    assert!(told.contains("it is shorter than when"), "{told}");
}
