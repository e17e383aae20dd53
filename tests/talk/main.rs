//! The programs of the talk: each runs on small input, and what it answers is compared with what is known.
//!
//! The headers say what is printed, with `<n>` for what differs from run to run: a number, or a time with its unit.
//! How far columns lie apart does not matter. Bad input must give a message, and an end that the shell can see.

#![cfg(target_os = "linux")]

mod page;
#[path = "../runner/mod.rs"]
mod runner;
mod workers;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// All that search a log.
const SEARCHES: [&str; 8] = [
    "brute",
    "regex",
    "threads",
    "mp",
    "pipeline_1",
    "pipeline_2",
    "greenlets",
    "limit",
];

/// Examples lie beside the folder of the test programs.
fn command(name: &str, arguments: &[&str]) -> Command {
    let test = std::env::current_exe().expect("a path");
    let profile = test.parent().and_then(Path::parent);
    let profile = profile.expect("target/PROFILE/deps/NAME");
    let mut command = runner::command(&profile.join("examples").join(name));
    command.args(arguments);
    command
}

/// Runs a program with arguments and an input.
fn run(name: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(name, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}; `cargo test` builds the examples"));
    let mut stdin = child.stdin.take().expect("piped");
    // It need not read all of it.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// What it prints, if it ends well and says nothing else.
fn good(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments, b"");
    let told = text(&output.stderr);
    assert!(
        output.status.success() && told.is_empty(),
        "{name} {arguments:?}: {told}"
    );
    text(&output.stdout).into()
}

/// What it says of bad input.
fn bad(name: &str, arguments: &[&str], input: &[u8]) -> String {
    let output = run(name, arguments, input);
    let told = text(&output.stderr);
    // An end of its own: not by a signal, and not a panic.
    let code = output.status.code().expect("no signal");
    assert!(
        code != 0 && code != 101,
        "{name} {arguments:?}: {code}, {told}"
    );
    assert!(!told.is_empty(), "{name} {arguments:?}: no message");
    told.into()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The lines of JSON of a program; each has what all have.
fn results(name: &str, arguments: &[&str]) -> Vec<Value> {
    let printed = good(name, &[&["--json"], arguments].concat());
    let lines: Vec<Value> = printed.lines().map(json).collect();
    for line in &lines {
        assert_eq!(line["program"], name);
        assert!(
            line["case"].is_string() && line["unit"].is_string(),
            "{line}"
        );
        assert!(
            line["value"].as_f64().is_some_and(|value| value >= 0.0),
            "{line}"
        );
    }
    lines
}

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("greenlet-talk-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        Folder(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("text").into()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.0.join(name), content).expect("it is written");
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The header of an example: what stands under `Expected output`.
fn expected(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let file = folder.join(format!("{name}.rs"));
    let text =
        fs::read_to_string(file).or_else(|_| fs::read_to_string(folder.join(name).join("main.rs")));
    let text = text.expect("readable");
    assert!(
        text.lines().count() <= 120,
        "{name} has more than 120 lines"
    );
    let header = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines = header
        .skip_while(|line| !line.starts_with(" Expected output"))
        .skip(2);
    let block: Vec<&str> = lines.take_while(|line| *line != " ```").collect();
    assert!(
        !block.is_empty(),
        "{name}: no expected output in its header"
    );
    block.join("\n")
}

/// Compares word by word; `<n>` is a number with whatever unit follows it.
#[track_caller]
fn as_the_header_says(name: &str, printed: &str) {
    let expected = expected(name);
    let (lines, wanted): (Vec<&str>, Vec<&str>) =
        (printed.lines().collect(), expected.lines().collect());
    assert_eq!(lines.len(), wanted.len(), "{name}: {printed}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(
            is_like(line, wanted),
            "{name} prints\n{line}\nwhere its header says\n{wanted}"
        );
    }
}

fn is_like(line: &str, wanted: &str) -> bool {
    let mut words = line.split_whitespace().filter(|word| !is_a_unit(word));
    let mut wanted = wanted.split_whitespace().filter(|word| !is_a_unit(word));
    let like = |word: &str, wanted: &str| match wanted.split_once("<n>") {
        Some((before, after)) => {
            let middle = word
                .strip_prefix(before)
                .and_then(|word| word.strip_suffix(after));
            middle.is_some_and(|number| number.parse::<f64>().is_ok())
        }
        None => word == wanted,
    };
    let all = words
        .by_ref()
        .zip(wanted.by_ref())
        .all(|(word, wanted)| like(word, wanted));
    all && words.next().is_none() && wanted.next().is_none()
}

fn is_a_unit(word: &str) -> bool {
    let word = word.trim_end_matches([',', ')']);
    ["s", "ms", "µs", "ns", "GB/s"].contains(&word)
}

/// The searches of `log` find this, each of them: records, lines, broken ones.
#[track_caller]
fn all_find(log: &str, user: &str, answer: [u64; 3]) {
    for search in SEARCHES {
        let output = run(
            &format!("bigfile_{search}"),
            &["--json", &format!("--user={user}"), log],
            b"",
        );
        let told = text(&output.stderr);
        assert!(output.status.success(), "{search}: {told}");
        let found = json(text(&output.stdout));
        let found = ["records", "lines", "broken"].map(|key| found[key].as_u64().expect("a count"));
        assert_eq!(found, answer, "{search} of {log}");
        assert_eq!(
            told.contains("are no records"),
            answer[2] > 0,
            "{search}: {told}"
        );
    }
}

/// Makes a log, and returns the right answer.
fn generate(log: &str, arguments: &[&str]) -> [u64; 3] {
    let made = &results("bigfile_generate", &[&[log], arguments].concat())[0];
    assert_eq!(made["bytes"], fs::metadata(log).expect("it is there").len());
    ["records", "lines", "broken"].map(|key| made[key].as_u64().expect("a count"))
}

#[test]
fn all_searches_find_what_was_put_in() {
    let folder = Folder::new("found");
    for (seed, broken) in [("1", "0"), ("2", "40"), ("3", "7")] {
        let log = folder.path(seed);
        let answer = generate(
            &log,
            &[
                "--size",
                "5MB",
                "--seed",
                seed,
                "--broken-in",
                broken,
                "--one-in",
                "50",
            ],
        );
        assert!(answer[0] > 100 && answer[1] > 10_000 && (answer[2] > 0) == (broken != "0"));
        all_find(&log, "jim", answer);
        all_find(&log, "nobody", [0, answer[1], answer[2]]);
    }
}

#[test]
fn the_same_seed_makes_the_same_log_of_the_size_that_was_asked_for() {
    let folder = Folder::new("seeds");
    let [one, same, other] = ["one", "same", "other"].map(|name| folder.path(name));
    generate(&one, &["--size", "3MiB"]);
    generate(&same, &["--size", "3MiB"]);
    generate(&other, &["--size", "3MiB", "--seed", "2"]);
    let [one, same, other] = [one, same, other].map(|log| fs::read(log).expect("readable"));
    assert!(one == same && one != other);
    assert!(one.len() <= 3 << 20 && one.len() > (3 << 20) - 1000 && one.ends_with(b"\n"));
    let piped = run("bigfile_generate", &["--size", "3MiB", "-"], b"");
    assert!(piped.stdout == one && text(&piped.stderr).contains("records of jim"));
}

#[test]
fn odd_lines_are_counted_and_cost_no_memory() {
    let folder = Folder::new("odd");
    let record = "10.0.0.1 - jim [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"";
    let other = record.replace("jim", "ann");
    all_find(&folder.file("none", b""), "jim", [0, 0, 0]);
    all_find(&folder.file("no end", record.as_bytes()), "jim", [1, 1, 0]);
    let dos = format!("{record}\r\n{other}\r\n\r\n");
    all_find(&folder.file("dos", dos.as_bytes()), "jim", [1, 3, 1]);
    let cut = format!(
        "{}\n{record}\n{}\n jim\n",
        &record[..record.len() - 1],
        &record[..30]
    );
    all_find(&folder.file("cut", cut.as_bytes()), "jim", [1, 4, 3]);
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let ends = binary.iter().filter(|byte| **byte == b'\n').count() as u64;
    all_find(
        &folder.file("binary", &binary),
        "jim",
        [0, ends + 1, ends + 1],
    );
    // At the limit, and over it: the agent is so long.
    for (length, found) in [((256 << 10) - 1, 1), (256 << 10, 0), ((256 << 10) + 1, 0)] {
        let agent = "a".repeat(length - record.len() + 1);
        let log = format!(
            "{record}\n{}\n{record}\n",
            record.replace("\"x\"", &format!("\"{agent}\""))
        );
        let log = folder.file("long", log.as_bytes());
        all_find(&log, "jim", [2 + found, 3, 1 - found]);
    }
    // The last one has half an end: with a whole one it would be too long.
    let agent = "a".repeat((256 << 10) - record.len());
    let long = record.replace("\"x\"", &format!("\"{agent}\"\r"));
    assert_eq!(long.len(), 256 << 10);
    all_find(&folder.file("half", long.as_bytes()), "jim", [0, 1, 1]);
    let dashed = format!("{record}\n{}\n", record.replace("jim", "-x"));
    all_find(&folder.file("dashed", dashed.as_bytes()), "-x", [1, 2, 0]);
}

/// A line of a gibibyte takes no disk: it is a hole.
#[test]
fn a_line_of_a_gibibyte_takes_no_memory() {
    let folder = Folder::new("hole");
    let record =
        "10.0.0.1 - jim [10/Oct/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"\n";
    let log = folder.path("hole");
    let mut file = fs::File::create(&log).expect("it is made");
    file.write_all(record.as_bytes()).expect("it is written");
    file.set_len(1 << 30).expect("a hole");
    std::os::unix::fs::FileExt::write_all_at(&file, format!("\n{record}").as_bytes(), 1 << 30)
        .expect("written");
    for search in [
        "brute",
        "regex",
        "threads",
        "mp",
        "pipeline_1",
        "pipeline_2",
    ] {
        let output = run(&format!("bigfile_{search}"), &["--json", &log], b"");
        let found = json(text(&output.stdout));
        assert_eq!(
            [&found["records"], &found["lines"], &found["broken"]],
            [2, 3, 1],
            "{search}"
        );
        assert!(
            found["memory"].as_u64().expect("bytes") < 64 << 20,
            "{search}: {found}"
        );
    }
    // What these map counts as memory.
    for search in ["greenlets", "limit"] {
        let output = run(&format!("bigfile_{search}"), &["--json", &log], b"");
        let found = json(text(&output.stdout));
        let counts = ["records", "lines", "broken"].map(|key| &found[key]);
        assert_eq!(counts, [2, 3, 1], "{search}");
    }
}

#[test]
fn what_is_no_log_is_told() {
    let folder = Folder::new("bad");
    let (missing, log) = (folder.path("missing"), folder.file("log", b""));
    let (here, pipe) = (folder.path("."), folder.path("pipe"));
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("it runs").success());
    for search in SEARCHES {
        let name = format!("bigfile_{search}");
        let told = bad(&name, &[&missing], b"");
        assert!(
            told.contains("No such file") && told.contains(&missing),
            "{told}"
        );
        assert!(bad(&name, &[&here], b"").contains("not a regular file"));
        assert!(bad(&name, &["/dev/null"], b"").contains("not a regular file"));
        assert!(bad(&name, &[&pipe], b"").contains("not a regular file"));
        assert!(bad(&name, &["--no-such-option", &log], b"").contains("--no-such-option"));
        assert!(bad(&name, &[], b"").contains("FILE"));
        assert!(bad(&name, &["--user", "a b", &log], b"").contains("no user of a log"));
    }
    assert!(bad("bigfile_generate", &[&log], b"").contains("--force"));
    assert!(bad("bigfile_generate", &["--size", "3 bananas", &missing], b"").contains("bananas"));
    assert!(bad("bigfile_generate", &["/dev/full", "--force"], b"").contains("No space left"));
    assert!(!Path::new(&missing).exists());
    assert!(bad("bigfile_all", &[&missing], b"").contains("No such file"));
}

/// It is a mebibyte of nothing for each of a thousand parts, which takes long enough.
#[test]
fn a_log_that_is_shortened_while_it_is_mapped_is_told() {
    let folder = Folder::new("short");
    let log = folder.file("log", b"");
    for name in ["bigfile_limit", "bigfile_greenlets"] {
        let file = fs::File::options().write(true).open(&log);
        let file = file.expect("it is there");
        file.set_len(1 << 30).expect("there is room");
        let mut child = command(name, &[&log])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let maps = format!("/proc/{}/maps", child.id());
        let is_mapped = || fs::read_to_string(&maps).is_ok_and(|maps| maps.contains(&log));
        while !is_mapped() && child.try_wait().expect("it can be asked").is_none() {
            std::thread::yield_now();
        }
        file.set_len(0).expect("it can");
        let output = child.wait_with_output().expect("it ends");
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {told}");
        assert!(told.contains("has become shorter"), "{name}: {told}");
    }
}

#[test]
fn searches_print_what_their_headers_say() {
    let folder = Folder::new("headers");
    let log = folder.path("log");
    let made = good("bigfile_generate", &["--size", "1MB", &log]);
    as_the_header_says("bigfile_generate", &made);
    for search in SEARCHES {
        let name = format!("bigfile_{search}");
        as_the_header_says(&name, &good(&name, &[&log]));
    }
    let chart = folder.path("all.svg");
    as_the_header_says(
        "bigfile_all",
        &good("bigfile_all", &[&log, "--times", "1", "--svg", &chart]),
    );
    let chart = fs::read_to_string(chart).expect("a chart");
    assert!(chart.starts_with("<svg") && chart.contains("bigfile_pipeline_2"));
    let cold = good("bigfile_greenlets", &["--cold", "--json", &log]);
    assert!(json(&cold)["reading alone"].is_number());
}

#[test]
fn costs_are_measured() {
    let folder = Folder::new("costs");
    let chart = folder.path("costs.svg");
    let output = run(
        "costs",
        &["--quick", "--folder", &folder.path("."), "--svg", &chart],
        b"",
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    as_the_header_says("costs", text(&output.stdout));
    let chart = fs::read_to_string(chart).expect("a chart");
    assert!(chart.starts_with("<svg") && chart.contains("switch of greenlets"));
    assert_eq!(
        fs::read_dir(&folder.0).expect("a folder").count(),
        1,
        "something is left"
    );
    let missing = folder.path("missing");
    assert!(bad("costs", &["--folder", &missing], b"").contains("No such file"));
    assert!(bad("costs", &["--slow"], b"").contains("--slow"));
    assert!(
        bad("costs", &["--quick", "--svg", &folder.path("no/such")], b"").contains("No such file")
    );
}

#[test]
fn a_fan_in_is_read_four_ways() {
    let few = [
        "--descriptors",
        "10,200",
        "--active",
        "20",
        "--rounds",
        "50",
    ];
    let lines = results("readiness", &few);
    let ways: Vec<&str> = lines
        .iter()
        .map(|line| line["case"].as_str().expect("a way"))
        .collect();
    assert_eq!(ways, ["select", "poll", "epoll", "greenlets"].repeat(2));
    for line in &lines {
        let active = line["active"].as_f64().expect("a count");
        assert_eq!(line["active"], line["x"].as_u64().expect("a count").min(20));
        // A read for each of them, and a wait.
        assert_eq!(line["calls"].as_f64(), Some(active + 1.0), "{line}");
        assert!(line["code"].as_u64().expect("lines") > 10);
    }
    assert!(bad("readiness", &["--descriptors", "900000000"], b"").contains("900000000"));
    assert!(bad("readiness", &["--descriptors", "900000"], b"").contains("ulimit"));
    assert!(
        bad(
            "readiness",
            &["--svg", "/no/such.svg", "--descriptors", "10"],
            b""
        )
        .contains("/no/such.svg")
    );
    // What was measured before is told.
    let output = run(
        "readiness",
        &["--descriptors", "10,900000", "--rounds", "20"],
        b"",
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("greenlets"));
}

/// Many stacks, and many descriptors: not where each greenlet is an OS thread.
#[test]
fn readiness_prints_what_its_header_says() {
    if greenlet::BACKEND == "baton" {
        return;
    }
    let folder = Folder::new("readiness");
    let chart = folder.path("chart.svg");
    as_the_header_says(
        "readiness",
        &good("readiness", &["--rounds", "20", "--svg", &chart]),
    );
    let chart = fs::read_to_string(chart).expect("a chart");
    assert!(chart.starts_with("<svg") && chart.contains("greenlets"));
}

#[test]
fn consoles_answer_line_by_line() {
    for name in ["blocking_io_1", "non_blocking_io_1", "non_blocking_io_2"] {
        let output = run(name, &[], b"one\nfour\n\nquit\nmore\n");
        let said = "-> You said, 'one'\n-> You said, 'four'\n-> You said, ''\n-> He's dead, Jim!\n";
        assert!(
            output.status.success() && text(&output.stdout) == said,
            "{name}"
        );
        let told = text(&output.stderr);
        assert!(
            told.contains(" reads, ") && told.starts_with(name),
            "{told}"
        );
        assert_eq!(told.contains("wasted"), name.starts_with("non"), "{told}");
        // The end of input is an end, and what stands before it is a line.
        let output = run(name, &[], b"the last");
        let said = "-> You said, 'the last'\n-> \nHe's dead, Jim!\n";
        assert!(
            output.status.success() && text(&output.stdout) == said,
            "{name}"
        );
        let odd = [&[0, 255, b'\'', 200][..], b"\n"].concat();
        let said = [b"-> You said, '", &odd[..4], b"'\n-> \nHe's dead, Jim!\n"].concat();
        assert_eq!(run(name, &[], &odd).stdout, said);
        assert!(bad(name, &[], &[b'x'; 100_000]).contains("longer than 65536"));
    }
}

/// Programs that need no input, and whose output differs from run to run in its numbers only.
#[test]
fn programs_of_scheduling_and_channels_print_what_their_headers_say() {
    for name in [
        "coarse_lock",
        "cpu_bound_toast",
        "csp",
        "futures_promises",
        "missed_event",
        "pool_or_each",
        "queues_as_channels",
        "starvation",
        "event_bench",
        "urlclient",
        "futures_urlclient",
    ] {
        as_the_header_says(name, &good(name, &[]));
    }
    let limited = good("event_bench", &["--rounds", "2", "--timeouts"]);
    as_the_header_says("event_bench", &limited);
    assert!(bad("event_bench", &["--active", "0"], b"").contains("--active"));
    // It says on standard error how long it took, and nothing else.
    let herd = run("thundering_herd", &[], b"");
    let told = text(&herd.stderr);
    let is_a_time = told.lines().count() == 1 && told.ends_with("s\n");
    assert!(herd.status.success() && is_a_time, "{told}");
    as_the_header_says("thundering_herd", text(&herd.stdout));
}

/// The numbers of a line that begins with these words.
#[track_caller]
fn numbers(printed: &str, begin: &str) -> Vec<f64> {
    let line = printed.lines().find_map(|line| line.strip_prefix(begin));
    let line = line.unwrap_or_else(|| panic!("no {begin:?} in {printed}"));
    line.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// What the numbers of a program say is what the talk says. They are times of a machine that may be busy, so it has
/// some attempts.
#[track_caller]
fn it_shows(name: &str, claim: fn(&str) -> bool) {
    let mut printed = String::new();
    let shown = (0..10).any(|_| {
        printed = text(&run(name, &[], b"").stdout).to_owned();
        claim(&printed)
    });
    assert!(
        shown,
        "{name} does not show what it is there for: {printed}"
    );
}

#[test]
fn programs_of_scheduling_show_what_the_talk_says() {
    it_shows("cpu_bound_toast", |printed| {
        let late = |how| numbers(printed, how)[0];
        let cures = ["alone:", "offload:", "per_core:", "yield_now:"];
        cures.iter().all(|how| late(how) < late("one hog:") / 2.0)
    });
    it_shows("coarse_lock", |printed| {
        numbers(printed, "one coarse lock:")[0] > 2.0 * numbers(printed, "a lock each, ordered:")[0]
    });
    it_shows("starvation", |printed| {
        let after = |how| numbers(printed, how)[0];
        after("taking turns:") < 10.0 && after("readers first:") == 400.0
    });
    it_shows("futures_promises", |printed| {
        // Three of 300, 200 and 100 ms would take 600 one after the other.
        let [longest, all] = numbers(printed, "the longest took")[..] else {
            return false;
        };
        longest == 300.0 && all < 500.0
    });
    it_shows("thundering_herd", |printed| {
        let wakes = |how| numbers(printed, how)[0];
        let few = [
            "shared, EPOLLEXCLUSIVE",
            "SO_REUSEPORT",
            "greenlets of one hub",
        ];
        let few = few.map(wakes);
        few.iter().all(|wakes| (0.5..4.0).contains(wakes)) && wakes("shared, level-triggered") > 4.0
    });
}

/// A soft limit of descriptors is raised; what a hard one leaves is shown before it is said what is missing.
#[test]
fn event_bench_gets_as_far_as_descriptors_reach() {
    let limited = |limit: &str| {
        let program = command("event_bench", &[]);
        let program = program.get_program().to_str().expect("text");
        let script = format!("ulimit {limit}; exec {program} --rounds 1 --pairs 100,600");
        let output = Command::new("sh").args(["-c", &script]).output();
        let output = output.expect("there is a shell");
        let said = [output.stdout, output.stderr].map(|said| text(&said).to_owned());
        (output.status.success(), said)
    };
    let (good, [table, told]) = limited("-Sn 1024");
    assert!(good && told.is_empty(), "{told}");
    assert!(table.contains("\n600 pairs"), "{table}");
    let (good, [table, told]) = limited("-n 1024");
    assert!(!good && table.contains("\n100 pairs"), "{table}");
    assert!(
        told.contains("600 socket pairs: 1232 descriptors"),
        "{told}"
    );
}

/// The server that a client has started ends with it, also if somebody kills it.
#[test]
fn a_client_that_is_killed_leaves_no_server() {
    use std::io::Read;
    for client in ["urlclient", "futures_urlclient"] {
        let mut command = command(client, &["--rounds", "1000000"]);
        let started = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = started.expect("it starts");
        std::thread::sleep(std::time::Duration::from_millis(300));
        process.kill().expect("it runs");
        process.wait().expect("it was killed");
        // The server has the same standard error, and this waits for it as well.
        let mut told = String::new();
        let mut stderr = process.stderr.take().expect("piped");
        stderr.read_to_string(&mut told).expect("text");
        assert_eq!(told, "", "{client}");
    }
}

#[test]
fn a_chart_that_cannot_be_written_is_no_chart() {
    for name in ["optimizations", "fibonacci"] {
        let told = bad(name, &["--svg", "/dev/full"], b"");
        assert!(told.contains("/dev/full: No space left"), "{told}");
    }
    let few = ["--rounds", "1", "--pairs", "10", "--svg", "/dev/full"];
    assert!(bad("event_bench", &few, b"").contains("/dev/full: No space left"));
}

/// What says that it is empty, and is not, would be searched in vain.
#[test]
fn a_file_without_a_size_is_no_log() {
    for search in SEARCHES {
        let told = bad(&format!("bigfile_{search}"), &["/proc/cpuinfo"], b"");
        assert!(
            told.contains("/proc/cpuinfo: not a file of a known size"),
            "{told}"
        );
    }
}

/// A server that is not there, one that never answers, one that answers nonsense.
#[test]
fn clients_say_what_is_wrong_with_their_server() {
    use std::net::TcpListener;
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_at = silent.local_addr().expect("an address").to_string();
    let rude_at = serve(|mut stream| _ = stream.write_all(b"go away\r\n\r\n"));
    let endless_at = serve(|mut stream| {
        let length = usize::MAX;
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nab"
        );
    });
    // A byte a second: each comes in time, the answer does not.
    let slow_at = serve(|mut stream| {
        let head = b"HTTP/1.1 200 OK\r\n".iter();
        for byte in head.chain(std::iter::repeat(&b'a')) {
            let second = std::time::Duration::from_secs(1);
            match stream.write_all(&[*byte]) {
                Ok(()) => std::thread::sleep(second),
                Err(_) => return,
            }
        }
    });
    let few = ["--rounds", "1", "--urls", "3"];
    for client in ["urlclient", "futures_urlclient"] {
        for (server, words) in [
            ("127.0.0.1:1", "127.0.0.1:1: Connection refused"),
            (&silent_at, "no answer within 5s"),
            (&rude_at, "no HTTP"),
            (&endless_at, "too long"),
            (&slow_at, "no answer within 5s"),
            ("no such place", "no such place"),
        ] {
            let told = bad(client, &[&["--server", server], &few[..]].concat(), b"");
            assert!(told.contains(words), "{client} {server}: {told}");
        }
        assert!(bad(client, &["--rounds", "0"], b"").contains("--rounds"));
        assert!(bad(client, &["--urls", "18446744073709551615"], b"").contains("--urls"));
    }
}

/// A server that does this with each connection; where it listens.
fn serve(talk: fn(std::net::TcpStream)) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || talk(stream));
        }
    });
    address
}

#[test]
fn without_descriptors_a_herd_is_none() {
    let herd = command("thundering_herd", &[]);
    let mut few = Command::new("sh");
    few.args(["-c", "ulimit -n 12; exec \"$0\" \"$@\""]);
    few.arg(herd.get_program()).args(herd.get_args());
    let output = few.output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("Too many open files"));
}

#[test]
fn a_chain_has_a_length() {
    for length in ["0", "-5", "--help", "many"] {
        assert!(bad("chain", &[length], b"").contains(length));
    }
}

#[test]
fn memoising_caching_and_optimizing_do_not_change_the_answers() {
    let folder = Folder::new("answers");
    for name in ["fibonacci", "optimizations"] {
        let chart = folder.path(name);
        as_the_header_says(name, &good(name, &["--svg", &chart]));
        assert!(
            fs::read_to_string(chart)
                .expect("a chart")
                .starts_with("<svg")
        );
        assert!(results(name, &[]).len() >= 9);
        assert!(bad(name, &["--unknown"], b"").contains("--unknown"));
        assert!(bad(name, &["--svg", &folder.path("no/such")], b"").contains("no/such"));
    }
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let folder = Folder::new("full");
    let log = folder.file("log", b"");
    for (name, argument) in [
        ("bigfile_brute", log.as_str()),
        ("fibonacci", "--json"),
        ("talk", "3"),
        ("talk", "--quick"),
    ] {
        let full = fs::File::create("/dev/full").expect("it is there");
        let output = command(name, &[argument])
            .stdout(full)
            .output()
            .expect("it ends");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("No space left"));
    }
}
