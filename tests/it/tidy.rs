//! The floors of the house, read from the sources: who imports whom, who may be unsafe.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules each floor may import. A file belongs to the first floor whose prefix its path has.
const FLOORS: &[(&str, &[&str])] = &[
    ("src/data/", &["data", "sys"]),
    ("src/sys/", &["data", "sys"]),
    ("src/switch/", &["data", "sys", "switch"]),
    ("src/generator.rs", &["data", "sys", "switch"]),
    ("src/hub/", &["data", "sys", "switch", "hub"]),
    ("src/spawn/", WAITING),
    ("src/time.rs", WAITING),
    ("src/cores.rs", WAITING),
    ("src/offload/", WAITING),
    ("src/sync/", WAITING),
    ("src/group.rs", WAITING),
    ("src/net/", STD_AGAIN),
    ("src/io/", STD_AGAIN),
    ("src/fs/", STD_AGAIN),
    ("src/os/", STD_AGAIN),
    ("src/process/", STD_AGAIN),
    ("src/signal/", STD_AGAIN),
    ("src/thread/", STD_AGAIN),
    ("src/future.rs", EDGES),
    ("src/inspect/", EDGES),
    ("src/spans.rs", EDGES),
    ("src/monitor.rs", EDGES),
];

/// Floor 3, what programs wait on.
const WAITING: &[&str] = &[
    "data", "sys", "switch", "hub", "spawn", "time", "offload", "sync", "group",
];

/// Floor 4, std again.
const STD_AGAIN: &[&str] = &[
    "data", "sys", "switch", "hub", "spawn", "time", "offload", "sync", "net", "io", "fs", "os",
    "process", "signal", "thread",
];

/// Floor 5, the edges.
const EDGES: &[&str] = &[
    "data", "sys", "switch", "hub", "spawn", "time", "offload", "sync", "group", "net", "io", "fs",
    "os", "process", "signal", "thread", "future", "inspect", "monitor",
];

/// The only files that may name an external crate.
const EXTERNAL: &[(&str, &[&str])] = &[
    ("corosensei", &["src/sys/context/", "src/sys/stack/"]),
    ("crossbeam_queue", &["src/hub/remote.rs"]),
    ("loom", &["src/sys/sync.rs"]),
    ("polling", &["src/sys/poller/"]),
    ("signal_hook", &["src/signal/", "src/inspect/signal.rs"]),
    ("tracing", &["src/spans.rs"]),
    ("socket2", &["src/sys/fd.rs"]),
];

/// The modules that may be unsafe: an `allow` stands on the `mod` line.
const UNSAFE: &[&str] = &[
    "src/data/mod.rs: crowd",
    "src/data/mod.rs: ring",
    "src/data/mod.rs: slab",
    "src/hub/dump/mod.rs: asked",
    "src/hub/io/mod.rs: source",
    "src/hub/io/mod.rs: state",
    "src/hub/io/mod.rs: table",
    "src/hub/mod.rs: ahead",
    "src/hub/mod.rs: deadline",
    "src/hub/mod.rs: desk",
    "src/hub/mod.rs: here",
    "src/hub/mod.rs: launch",
    "src/hub/mod.rs: park",
    "src/hub/mod.rs: roll",
    "src/hub/mod.rs: seed",
    "src/hub/mod.rs: seen",
    "src/hub/mod.rs: upstairs",
    "src/hub/mod.rs: wait",
    "src/lib.rs: generator",
    "src/spawn/mod.rs: builder",
    "src/spawn/mod.rs: job",
    "src/spawn/mod.rs: scope",
    "src/spawn/mod.rs: slot",
    "src/switch/mod.rs: body",
    "src/switch/mod.rs: control",
    "src/switch/mod.rs: exit",
    "src/switch/mod.rs: family",
    "src/switch/mod.rs: greenlet",
    "src/switch/mod.rs: subject",
    "src/switch/mod.rs: thread",
    "src/switch/mod.rs: transfer",
    "src/switch/mod.rs: waiting",
    "src/sync/mod.rs: mutex",
    "src/sys/mod.rs: child",
    "src/sys/mod.rs: context",
    "src/sys/mod.rs: fd",
    "src/sys/mod.rs: fork",
    "src/sys/mod.rs: frames",
    "src/sys/mod.rs: memory",
    "src/sys/mod.rs: overflow",
    "src/sys/mod.rs: panics",
    "src/sys/mod.rs: poller",
    "src/sys/mod.rs: signals",
    "src/sys/mod.rs: stack",
    "src/sys/mod.rs: tasks",
];

/// The only file that may ask for the time: seam 3.
const CLOCK: &str = "src/sys/clock.rs";

/// A source file: its path from the root of the crate, and its lines.
struct Source {
    path: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut found: Vec<PathBuf> = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    let source = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/"),
    };
    found.into_iter().map(source).collect()
}

/// The code of a file: without comments, and without its unit tests.
fn code(source: &Source) -> impl Iterator<Item = &str> {
    let lines = source.text.lines().map(str::trim);
    lines
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.starts_with("//"))
}

/// The modules named in `use crate::…` lines and in paths that begin with `crate::`.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    let paths = line
        .match_indices("crate::")
        .filter(|&(at, _)| !line[..at].ends_with(['$', '_']));
    paths.map(|(at, word)| {
        let rest = &line[at + word.len()..];
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

/// What one file imports against the table.
fn breaches(source: &Source) -> Vec<String> {
    let mut found = vec![];
    let floor = FLOORS
        .iter()
        .find(|(prefix, _)| source.path.starts_with(prefix));
    for line in code(source) {
        if let Some((_, allowed)) = floor {
            for module in imports(line) {
                let is_module = module.starts_with(|c: char| c.is_ascii_lowercase());
                if is_module && !allowed.contains(&module) {
                    found.push(format!("{} imports `{module}`: {line}", source.path));
                }
            }
            if line.starts_with("use crate::{") {
                found.push(format!(
                    "{}: name each module on a line of its own: {line}",
                    source.path
                ));
            }
        }
        if line.contains("Instant::now") && source.path != CLOCK {
            found.push(format!("{} asks for the time: {line}", source.path));
        }
        for (krate, folders) in EXTERNAL {
            let named = line.contains(&format!("{krate}::"));
            let allowed = folders.iter().any(|folder| source.path.starts_with(folder));
            // A module of our own may carry the name of what it wraps.
            let own = line.contains(&format!("self::{krate}::"));
            if named && !allowed && !own {
                found.push(format!("{} names the crate `{krate}`: {line}", source.path));
            }
        }
    }
    found
}

fn canary(path: &str, text: &str) -> Source {
    Source {
        path: path.into(),
        text: text.into(),
    }
}

#[test]
fn every_file_imports_from_its_own_floor_or_a_lower_one() {
    let all: Vec<_> = sources().iter().flat_map(breaches).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn every_file_stands_on_a_floor() {
    let homeless = |source: &Source| {
        source.path != "src/lib.rs"
            && !FLOORS
                .iter()
                .any(|(prefix, _)| source.path.starts_with(prefix))
    };
    let all: Vec<_> = sources()
        .into_iter()
        .filter(homeless)
        .map(|source| source.path)
        .collect();
    assert!(all.is_empty(), "no floor for {all:?}");
    assert!(sources().len() > 10, "the sources were not found");
}

#[test]
fn unsafe_code_is_allowed_where_the_list_says_and_nowhere_else() {
    let mut found = vec![];
    for source in sources() {
        let lines: Vec<_> = code(&source).collect();
        for (number, line) in lines.iter().enumerate() {
            if line.contains("allow(unsafe_code)") {
                let next = lines[number + 1].trim_end_matches(';');
                let module = next.split_whitespace().last().unwrap();
                found.push(format!("{}: {module}", source.path));
            }
        }
    }
    found.sort();
    assert_eq!(found, UNSAFE);
}

#[test]
fn the_crate_denies_unsafe_code_elsewhere() {
    let sources = sources();
    let root = sources
        .iter()
        .find(|source| source.path == "src/lib.rs")
        .unwrap();
    assert!(root.text.contains("#![deny(unsafe_code)]"));
}

/// The tests that a text names: `module::name` in back quotes, also `module::inner::name`.
fn tests_named_in(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|words| {
            words.contains("::")
                && !words.contains([' ', '('])
                && !words.starts_with(char::is_uppercase)
        })
        .collect()
}

/// What a text names and no test file has.
fn missing(text: &str) -> Vec<&str> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let exists = |named: &&str| {
        let mut parts = named.split("::");
        let module = parts.next().unwrap();
        let file = match module {
            "crash" => root.join("crash/main.rs"),
            "alloc" => root.join("alloc.rs"),
            _ => root.join(format!("it/{module}.rs")),
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        let function = named.split("::").last().unwrap();
        text.contains(&format!("fn {function}("))
    };
    tests_named_in(text)
        .into_iter()
        .filter(|named| !exists(named))
        .collect()
}

#[test]
fn every_test_that_the_table_of_rules_names_exists() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual/rules.md");
    let text = fs::read_to_string(table).unwrap();
    assert!(tests_named_in(&text).len() > 100);
    assert_eq!(missing(&text), Vec::<&str>::new());
}

#[test]
fn canary_a_test_that_does_not_exist_is_detected() {
    assert_eq!(missing("`tidy::no_such_test`"), ["tidy::no_such_test"]);
    assert_eq!(
        missing("`tidy::canary_a_test_that_does_not_exist_is_detected`"),
        Vec::<&str>::new()
    );
}

#[test]
fn canary_a_breach_of_the_floors_is_detected() {
    for (path, line) in [
        ("src/sys/clock.rs", "use crate::switch::thread::Thread;"),
        (
            "src/data/slab.rs",
            "    let here = crate::switch::thread::Thread::here();",
        ),
        (
            "src/switch/exit.rs",
            "pub(crate) use crate::generator::Generator;",
        ),
        ("src/switch/exit.rs", "use corosensei::Coroutine;"),
        ("src/generator.rs", "use crate::{hub::park, switch::exit};"),
        ("src/sys/clock.rs", "use polling::Poller;"),
        ("src/hub/door.rs", "use crossbeam_queue::SegQueue;"),
        ("src/hub/door.rs", "use loom::sync::Mutex;"),
        ("src/hub/door.rs", "use crate::spawn::JoinHandle;"),
        ("src/hub/park.rs", "let begin = Instant::now();"),
    ] {
        assert!(!breaches(&canary(path, line)).is_empty(), "{path}: {line}");
    }
}

#[test]
fn canary_what_is_allowed_is_not_reported() {
    for (path, line) in [
        ("src/switch/exit.rs", "use crate::sys::stack::Stack;"),
        ("src/switch/exit.rs", "// use crate::hub::Hub;"),
        ("src/sys/context/x.rs", "use corosensei::Coroutine;"),
        ("src/hub/remote.rs", "use crossbeam_queue::SegQueue;"),
        (
            "src/switch/error.rs",
            "} else if payload.is::<crate::GreenletExit>() {",
        ),
    ] {
        assert_eq!(breaches(&canary(path, line)), Vec::<String>::new());
    }
}
