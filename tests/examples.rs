//! Every example prints what its header says.
//!
//! The header of an example is its documentation and its test: what stands under `Expected output:` must be
//! its standard output, to the letter, given what stands under `Input:`. An example that serves prints where it
//! listens; `servers.rs` talks to those. One that measures prints what is not known; `talk.rs` runs those.

mod runner;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

#[test]
fn every_example_prints_what_its_header_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut ran = 0;
    for entry in fs::read_dir(folder).expect("examples") {
        let path = main_file(entry.expect("an entry").path());
        if path.exists() && can_run(&path) {
            check(&path);
            ran += 1;
        }
    }
    assert!(ran >= 12, "only {ran} examples ran");
}

/// An example is a file, or the `main.rs` of a folder; a folder without one is what examples have in common.
fn main_file(path: PathBuf) -> PathBuf {
    match path.is_dir() {
        true => path.join("main.rs"),
        false => path,
    }
}

/// What the other tests of this program talk to.
fn is_tested_as_a_server(name: &str) -> bool {
    include_str!("servers.rs").contains(&format!("\"{name}\""))
}

/// What differs from run to run, a time say, stands in the header as `<n>`: `talk.rs` runs those. What listens does not
/// end.
fn is_for_others(expected: &str) -> bool {
    expected.contains("<n>") || expected.starts_with("listening on ")
}

/// A hundred thousand are too many for the baton backend, which has an OS thread for each greenlet, and for
/// an emulator, which lacks the light guards: the others split mappings, of which there are fewer.
fn can_run(source: &Path) -> bool {
    let emulated = std::env::var_os("GREENLET_TEST_RUNNER").is_some();
    !source.ends_with("chain.rs") || !(emulated || greenlet::BACKEND == "baton")
}

fn check(source: &Path) {
    let file = match source.ends_with("main.rs") {
        true => source.parent().expect("a folder"),
        false => source,
    };
    let name = file
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let text = fs::read_to_string(source).expect("readable");
    assert!(
        text.lines().count() <= 120,
        "{name} has more than 120 lines"
    );
    let Some(expected) = block(&text, "Expected output") else {
        assert!(
            is_tested_as_a_server(&name),
            "{name}: no expected output in its header"
        );
        return;
    };
    if is_for_others(&expected) {
        return;
    }
    let input = block(&text, "Input:").unwrap_or_default();
    let (printed, ended_well) = run(&name, &input);
    assert_eq!(printed, expected, "{name} prints something else");
    assert!(ended_well, "{name} failed");
}

/// The fenced block after a heading of the `//!` header.
fn block(text: &str, heading: &str) -> Option<String> {
    let header = text.lines().map_while(|line| line.strip_prefix("//!"));
    let mut lines = header
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .skip_while(|line| !line.starts_with(heading))
        .skip(1);
    lines.next().filter(|line| line.starts_with("```"))?;
    Some(
        lines
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect(),
    )
}

fn run(name: &str, input: &str) -> (String, bool) {
    let mut child = runner::command(&built(name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{name}: {error}; `cargo test` builds the examples"));
    let mut stdin = child.stdin.take().expect("piped");
    // It need not read all of it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let printed = String::from_utf8(output.stdout).expect("text");
    (printed, output.status.success())
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
