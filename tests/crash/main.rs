//! Child processes: what a crash, an exit or an end leaves on standard error, and the exit status.
//!
//! The scenarios are functions of `program.rs`, which cargo builds here, with the flags of this build, into
//! a folder of its own: once as usual and once with `panic = "abort"`.

#![cfg(unix)]

mod alone_tests;
mod circle_tests;
mod hub_tests;
mod knot_tests;

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// A scenario that takes so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a scenario left.
struct Outcome {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

fn run(scenario: &str) -> Outcome {
    run_by(program(), scenario)
}

/// The program, built as usual.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build("unwind"))
}

fn run_without_unwinding(scenario: &str) -> Outcome {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    run_by(PROGRAM.get_or_init(|| build("abort")), scenario)
}

/// Builds `program.rs` with the given panic strategy.
fn build(panic: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{panic}"));
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    let manifest = format!(
        r#"
[package]
name = "crash-{panic}"
version = "0.0.0"
edition = "2024"
[[bin]]
name = "program"
path = {:?}
[dependencies]
greenlet = {{ path = {root:?} }}
libc = "0.2"
[profile.{profile}]
panic = "{panic}"
[workspace]
"#,
        root.join("tests/crash/program.rs")
    );
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    // The same versions as everywhere.
    let _ = fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"));
    let target = folder.join("target");
    // As this crate was built for the other tests.
    let flags = std::env::var_os("GREENLET_PROGRAM_FLAGS");
    let built = Command::new(env!("CARGO"))
        .envs(flags.map(|flags| ("RUSTFLAGS", flags)))
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .args(["build", "--offline", "--quiet", "--profile", profile])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&built.stderr);
    assert!(
        built.status.success(),
        "the program does not build:\n{stderr}"
    );
    let profile = if profile == "dev" { "debug" } else { profile };
    target.join(profile).join("program")
}

fn run_by(program: &Path, scenario: &str) -> Outcome {
    let mut child = Command::new(program)
        .arg(scenario)
        .env_remove("GREENLET_STACK_SIZE")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (stdout, stderr) = (reader(stdout), reader(stderr));
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if since.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!(
                "{scenario} hangs:\n{}{}",
                stdout.join().unwrap(),
                stderr.join().unwrap()
            );
        }
        thread::sleep(Duration::from_millis(2));
    };
    Outcome {
        status,
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

fn reader(mut from: impl std::io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Outcome {
    #[track_caller]
    fn code(self, code: i32) -> Outcome {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self
    }

    #[track_caller]
    fn signal(self, signal: i32) -> Outcome {
        assert_eq!(self.status.signal(), Some(signal), "{self}");
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Outcome {
        assert!(self.stderr.contains(text), "no {text:?}\n{self}");
        self
    }

    #[track_caller]
    fn does_not_say(self, text: &str) -> Outcome {
        assert!(!self.stderr.contains(text), "{text:?}\n{self}");
        self
    }

    #[track_caller]
    fn prints(self, lines: &[&str]) -> Outcome {
        let printed: Vec<&str> = self.stdout.lines().collect();
        assert_eq!(printed, lines, "{self}");
        self
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome {
            status,
            stdout,
            stderr,
        } = self;
        write!(f, "{status}\n-- stdout\n{stdout}-- stderr\n{stderr}")
    }
}

/// With an OS thread for each greenlet, std tells about overflows, and a greenlet's stack is no native one.
fn on_own_stacks() -> bool {
    greenlet::BACKEND != "baton"
}

/// The message that the scenario expects, alone on standard error, and an abort.
#[track_caller]
fn overflows(scenario: &str) {
    if !on_own_stacks() {
        return;
    }
    let outcome = run(scenario).signal(libc::SIGABRT);
    let expected = outcome.stdout.clone();
    assert_eq!(outcome.stderr, format!("\n{expected}"), "{outcome}");
}

#[test]
fn overflow_by_small_frames() {
    overflows("overflow_small_frames");
}

#[test]
fn overflow_by_frames_of_a_page() {
    overflows("overflow_page_frames");
}

#[test]
fn overflow_by_one_huge_frame() {
    overflows("overflow_huge_frame");
}

#[test]
fn overflow_by_frames_without_probes() {
    overflows("overflow_unprobed");
}

#[test]
fn overflow_in_a_destructor_while_unwinding() {
    overflows("overflow_in_destructor");
}

#[test]
fn overflow_in_a_generator() {
    overflows("overflow_in_generator");
}

#[test]
fn overflow_of_the_inner_greenlet_names_the_inner_one() {
    overflows("overflow_nested");
}

#[test]
fn overflow_without_a_name() {
    overflows("overflow_unnamed");
}

#[test]
fn overflow_in_a_thread_of_c() {
    overflows("overflow_in_pthread");
}

#[test]
fn overflow_in_a_worker() {
    overflows("overflow_in_worker");
}

#[test]
fn overflow_is_explained_although_there_is_another_handler() {
    overflows("overflow_with_handler");
}

#[test]
fn overflow_of_a_thread_is_left_to_std() {
    let outcome = run("overflow_of_thread").signal(libc::SIGABRT);
    let outcome = outcome
        .says("thread 'plain'")
        .says("has overflowed its stack");
    outcome.does_not_say("greenlet");
}

#[test]
fn overflow_of_main_is_left_to_std() {
    let outcome = run("overflow_of_main").signal(libc::SIGABRT);
    let outcome = outcome
        .says("thread 'main'")
        .says("has overflowed its stack");
    outcome.does_not_say("greenlet");
}

#[test]
fn other_faults_stay_what_they_are() {
    for scenario in ["fault_inside", "fault_outside"] {
        let outcome = run(scenario).signal(libc::SIGSEGV);
        outcome.does_not_say("overflowed");
    }
}

#[test]
fn other_faults_reach_the_handler_before_ours() {
    for scenario in ["fault_inside_with_handler", "fault_outside_with_handler"] {
        run(scenario).code(42).prints(&["handler: 8"]);
    }
}

#[test]
fn exit_in_main_keeps_its_code() {
    let outcome = run("exit_from_main").code(3);
    outcome.prints(&["2 is gone", "1 is gone", "0 is gone"]);
}

#[test]
fn exit_in_a_greenlet_runs_no_destructor() {
    run("exit_from_greenlet").code(4).prints(&[]);
}

/// The lines of greenlets that are ended, the newest first.
fn gone(count: u32) -> Vec<String> {
    (0..count).rev().map(|n| format!("{n} is gone")).collect()
}

#[test]
fn main_returns_with_suspended_greenlets() {
    for (scenario, count) in [("return_with_one", 1), ("return_with_many", 50)] {
        let gone = gone(count);
        let mut lines: Vec<&str> = vec!["main returns"];
        lines.extend(gone.iter().map(String::as_str));
        run(scenario).code(0).prints(&lines).does_not_say("leaked");
    }
}

#[test]
fn main_returns_with_nested_greenlets() {
    let gone = gone(6);
    let mut lines: Vec<&str> = vec!["main returns"];
    lines.extend(gone.iter().rev().map(String::as_str));
    run("return_with_nested").code(0).prints(&lines);
}

#[test]
fn main_returns_with_a_greenlet_deep_in_calls() {
    let depths: Vec<String> = (0..=10).map(|n| format!("{} is gone", n * 100)).collect();
    let mut lines: Vec<&str> = vec!["main returns"];
    lines.extend(depths.iter().map(String::as_str));
    run("return_with_deep").code(0).prints(&lines);
}

#[test]
fn main_returns_with_a_pending_greenlet() {
    let lines = ["main returns", "the body is gone"];
    run("return_with_pending").code(0).prints(&lines);
}

#[test]
fn main_returns_while_workers_have_greenlets() {
    let outcome = run("return_with_workers").code(0).prints(&["main returns"]);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn threads_end_with_suspended_greenlets() {
    for scenario in ["worker_ends", "pthread_ends"] {
        let lines = ["2 is gone", "1 is gone", "0 is gone", "main returns"];
        run(scenario).code(0).prints(&lines);
    }
}

const DESTROYED: &str =
    "the thread-locals of this thread have been destroyed, it has no greenlets any more";

#[test]
fn an_atexit_handler_has_no_greenlets() {
    let lines = [
        "main returns",
        "0 is gone",
        &format!("current: greenlet: {DESTROYED}"),
        &format!("new: greenlet: {DESTROYED}"),
    ];
    run("atexit").code(0).prints(&lines);
}

#[test]
fn a_late_destructor_of_a_thread_local_has_no_greenlets() {
    let lines = [
        "0 is gone",
        &format!("current: greenlet: {DESTROYED}"),
        &format!("new: greenlet: {DESTROYED}"),
        &format!("switch: switch refused: {DESTROYED}"),
        &format!("try_switch: {DESTROYED}"),
        "is_dead: true",
    ];
    let of_main: Vec<&str> = ["main returns"].into_iter().chain(lines).collect();
    run("late_local_of_main").code(0).prints(&of_main);
    let of_thread: Vec<&str> = lines.into_iter().chain(["main returns"]).collect();
    run("late_local_of_thread").code(0).prints(&of_thread);
}

#[test]
fn destructors_may_switch_while_a_thread_ends() {
    let lines = ["asks for help", "helps", "was helped", "main returns"];
    run("cleanup_switches").code(0).prints(&lines);
}

#[test]
fn what_greenlets_die_of_while_a_thread_ends_is_reported() {
    let mut outcome = run("cleanup_panics").code(0);
    for number in 0..3 {
        outcome = outcome.says(&format!("the last words of {number}"));
    }
    let lines = ["2 is gone", "1 is gone", "0 is gone", "main returns"];
    outcome.prints(&lines);
}

#[test]
fn one_that_catches_every_exit_is_leaked() {
    let outcome = run("stubborn").code(0);
    let outcome = outcome.says("greenlet 'mule' (#");
    let outcome =
        outcome.says("is leaked at the end of its thread: it catches every GreenletExit\n");
    assert_eq!(outcome.stderr.matches("leaked").count(), 1, "{outcome}");
    assert!(
        outcome.stdout.starts_with("0 is gone\nno\nno\n"),
        "{outcome}"
    );
    assert!(outcome.stdout.ends_with("main returns\n"), "{outcome}");
}

#[test]
fn a_foreign_exception_out_of_a_greenlet_aborts() {
    let outcome = run("foreign_exception").signal(libc::SIGABRT);
    outcome
        .says("Rust cannot catch foreign exceptions")
        .prints(&[]);
}

#[test]
fn a_panic_in_a_destructor_during_a_kill_aborts() {
    let outcome = run("panic_in_destructor").signal(libc::SIGABRT);
    outcome
        .says("panic in a destructor during cleanup")
        .prints(&[]);
}

#[test]
fn without_unwinding_greenlets_switch_and_are_leaked() {
    let outcome = run_without_unwinding("without_unwinding").code(0);
    let outcome = outcome.prints(&[
        "switches: 8 42",
        "kill: false",
        "still there: 10",
        "kill a pending one: true",
        "squares: [1, 4, 9]",
        "main returns",
    ]);
    let cannot = "cannot be ended: this program is built with panic = \"abort\"";
    assert_eq!(outcome.stderr.matches(cannot).count(), 3, "{outcome}");
    for name in ["greenlet 'doubler' (#", "greenlet 'dropped' (#"] {
        let leaked = |line: &&str| {
            line.contains(name)
                && line.contains("is leaked at the end of its thread: panic = \"abort\"")
        };
        let lines = outcome.stderr.lines();
        assert_eq!(lines.filter(leaked).count(), 1, "{outcome}");
    }
}
