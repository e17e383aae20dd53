//! What becomes of programs whose greenlets wait; the scenarios are in `hub.rs`.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::{run, run_without_unwinding};

const DEADLOCK: &str =
    "greenlet: deadlock: every greenlet of this thread waits, and nothing can wake one of them\n";

#[test]
fn greenlets_that_join_each_other_are_named() {
    let outcome = run("hub_join_cycle").code(101).says(DEADLOCK).prints(&[]);
    let outcome = outcome.says("the main greenlet (#1) joins another greenlet\n");
    for name in ["first", "second"] {
        let line = |line: &&str| {
            line.contains(&format!("greenlet '{name}' (#"))
                && line.contains("joins another greenlet (spawned at ")
                && line.contains("hub.rs:")
        };
        assert_eq!(outcome.stderr.lines().filter(line).count(), 1, "{outcome}");
    }
}

#[test]
fn two_that_join_each_other_hinder_nobody_else() {
    run("hub_nobody_switches")
        .code(0)
        .does_not_say("deadlock")
        .prints(&["got 1", "main goes on", "main returns"]);
}

#[test]
fn a_deadlock_can_be_caught_and_the_hub_runs_on() {
    run("hub_deadlock_is_caught").code(0).prints(&[
        "deadlock: every greenlet of this thread waits, and nothing can wake one of them",
        "main returns",
    ]);
}

#[test]
fn a_deadlock_of_a_thread_is_raised_there() {
    run("hub_deadlock_of_thread")
        .code(0)
        .says(DEADLOCK)
        .prints(&["text: true", "main returns"]);
}

#[test]
fn a_timeout_of_for_ever_hides_no_deadlock() {
    run("hub_deadlock_with_endless_timeout")
        .code(101)
        .says(DEADLOCK);
}

#[test]
fn a_deadlock_at_the_end_of_a_scope_aborts() {
    run("hub_deadlock_in_scope")
        .signal(libc::SIGABRT)
        .says("waits for the greenlets of a scope")
        .says("the end of a scope; aborting");
}

#[test]
fn a_deadlock_behind_a_destructor_says_what_waits_for_what() {
    let outcome = run("hub_deadlock_behind_a_destructor").signal(libc::SIGABRT);
    let outcome = outcome
        .says(DEADLOCK)
        .says("a greenlet that is unwound waits in a destructor: nothing is raised in it");
    let line = |name: &str| {
        let named = |line: &&str| line.starts_with(&format!("  greenlet '{name}' (#"));
        let line = outcome.stderr.lines().find(named);
        line.unwrap_or_else(|| panic!("{outcome}"))
    };
    let waits = "in a destructor while it unwinds";
    let told = "with a kill, a deadline or a throw to come";
    assert!(line("stuck").contains(waits) && line("stuck").contains(told));
    assert!(!line("parks").contains(waits) && !line("parks").contains(told));
    outcome.says(
        "nothing can be raised in the main greenlet (#1), which waits in a destructor while it unwinds; aborting",
    );
}

#[test]
fn returning_from_main_ends_what_still_runs() {
    run("hub_return").code(0).prints(&[
        "leaves",
        "main returns",
        "pending is gone",
        "ready is gone",
        "parked is gone",
    ]);
}

#[test]
fn the_end_of_a_thread_ends_what_still_runs() {
    run("hub_thread_ends").code(0).prints(&[
        "leaves",
        "pending is gone",
        "ready is gone",
        "parked is gone",
        "main returns",
    ]);
}

#[test]
fn a_destructor_that_waits_at_the_end_is_given_up() {
    run("hub_return_waiting_destructor")
        .code(0)
        .says("greenlet 'polite' (#")
        .says("is leaked at the end of its thread: it waits in a destructor that runs while it unwinds")
        .prints(&["main returns", "goodbye?"]);
}

#[test]
fn shutdown_lets_destructors_wait() {
    let outcome = run("hub_shutdown").code(0);
    let outcome = outcome.prints(&["goodbye?", "goodbye!", "shut down", "main returns"]);
    assert_eq!(outcome.stderr, "", "{outcome}");
}

#[test]
fn shutdown_gives_up_one_that_catches_every_exit() {
    let outcome = run("hub_shutdown_stubborn").code(0);
    let outcome = outcome.prints(&["cleaned up", "shut down", "main returns"]);
    outcome
        .says("greenlet 'stubborn' (#")
        .says("is leaked by `shutdown`: it catches every GreenletExit");
}

#[test]
fn a_greenlet_may_exit_the_process() {
    run("hub_exit_from_greenlet").code(7).prints(&[]);
}

#[test]
fn a_panic_that_nobody_joins_is_told() {
    let outcome = run("hub_nobody_joins").code(0);
    for (name, panic) in [("unlucky", "out of luck"), ("late", "too late")] {
        let line = |line: &&str| {
            line.starts_with(&format!("greenlet: greenlet '{name}' (#"))
                && line.contains("spawned at ")
                && line.ends_with(&format!("died of a panic, and nobody joined it: {panic}"))
        };
        assert_eq!(outcome.stderr.lines().filter(line).count(), 1, "{outcome}");
    }
    assert!(
        !outcome.stderr.contains("nobody joined it: joined"),
        "{outcome}"
    );
}

#[test]
fn waiting_in_a_thread_local_destructor_is_refused() {
    for scenario in [
        "hub_wait_in_thread_local",
        "hub_io_in_thread_local",
        "hub_spawn_in_thread_local",
    ] {
        run(scenario)
            .code(0)
            .prints(&["refused: true", "main returns"]);
    }
}

#[test]
fn joining_what_has_ended_is_possible_to_the_last() {
    let outcome = run("hub_join_ended_in_thread_local").code(0);
    outcome.prints(&["joined: 5", "killed: true", "main returns"]);
}

#[test]
fn a_poller_closed_behind_the_back_of_its_hub_is_named() {
    for scenario in [
        "hub_poller_closed",
        "hub_poller_closed_before_a_wait",
        "hub_bell_closed",
    ] {
        run(scenario)
            .signal(libc::SIGABRT)
            .says("greenlet: somebody has closed a descriptor that belongs to a hub (")
            .says("); aborting\n")
            .prints(&[]);
    }
}

#[test]
fn without_unwinding_nothing_is_killed_and_scopes_join() {
    run_without_unwinding("hub_without_unwinding")
        .code(0)
        .says("greenlet 'survivor' (#")
        .says("cannot be killed: this program is built with panic = \"abort\"")
        .prints(&[
            "kill: false",
            "kill a pending one: true",
            "scope: 2",
            "read: WouldBlock true",
            "main returns",
        ]);
}

#[test]
fn without_unwinding_a_timeout_refuses_before_it_begins() {
    run_without_unwinding("hub_timeout_without_unwinding")
        .signal(libc::SIGABRT)
        .says("a timeout unwinds, and this program is built with panic = \"abort\"")
        .prints(&[]);
}

#[test]
fn without_unwinding_a_panic_hook_may_wait() {
    run_without_unwinding("hub_hook_waits_without_unwinding")
        .signal(libc::SIGABRT)
        .prints(&["another one runs", "the hook has waited"]);
}

/// Whether stacks that do not run can be walked in this build.
fn walks() -> bool {
    greenlet::BACKEND == "direct" && cfg!(target_os = "linux")
}

#[test]
fn a_deadlock_of_two_locks_is_told_as_a_circle() {
    let outcome = run("hub_deadlock_of_two_locks").code(101).says(DEADLOCK);
    let circle = outcome
        .stderr
        .lines()
        .find(|line| line.contains("in a circle:"));
    let circle = circle.unwrap_or_else(|| panic!("{outcome}"));
    assert!(circle.contains("greenlet 'first' (#"), "{outcome}");
    assert!(circle.contains("greenlet 'second' (#"), "{outcome}");
    assert_eq!(
        circle.matches(" waits for a mutex, made at ").count(),
        2,
        "{outcome}"
    );
    let line = |line: &str| outcome.stderr.lines().any(|it| it.contains(line));
    assert!(line("until greenlet 'second' (#"), "{outcome}");
    assert!(line("until greenlet 'first' (#"), "{outcome}");
    // Elsewhere those of the one that ran last may be told.
    assert!(!walks() || line("locks_both"), "{outcome}");
}

#[test]
fn in_a_crowd_those_of_a_circle_are_named_first() {
    let outcome = run("hub_deadlock_in_a_crowd").code(101).says(DEADLOCK);
    for name in ["first", "second"] {
        let begin = format!("  greenlet '{name}' (#");
        let told = |line: &str| line.starts_with(&begin) && line.contains(" (spawned at ");
        assert!(outcome.stderr.lines().any(told), "{outcome}");
    }
    outcome.says(" others\n");
}

#[test]
fn a_cycle_of_joins_is_told_as_a_circle() {
    let outcome = run("hub_join_cycle").code(101).says("in a circle:");
    outcome
        .says("joins another greenlet →")
        .says(", spawned by #1");
}

#[test]
fn a_channel_or_semaphore_that_nobody_serves_is_a_deadlock() {
    for scenario in [
        "hub_deadlock_in_rendezvous",
        "hub_deadlock_of_full_channel",
        "hub_deadlock_of_semaphore",
    ] {
        let outcome = run(scenario).code(101).says(DEADLOCK);
        outcome.does_not_say("in a circle");
    }
}

#[test]
fn who_can_be_woken_by_another_thread_is_in_no_deadlock() {
    run("hub_no_deadlock_while_another_thread_can_send")
        .does_not_say("deadlock")
        .code(0)
        .prints(&["received 1", "cycles: 1", "main returns"]);
}

#[test]
fn a_signal_prints_what_a_stuck_program_does() {
    if greenlet::BACKEND == "baton" || !cfg!(target_os = "linux") {
        return;
    }
    let outcome = run("hub_dump_on_signal").code(0);
    let outcome = outcome.prints(&["goes on", "main returns"]);
    let dumps = outcome.stderr.matches("greenlet: 2 threads with greenlets");
    assert!((1..=3).contains(&dumps.count()), "{outcome}");
    let outcome = outcome.says("thread 'main' (").says("thread 'waits' (");
    let outcome = outcome.says("greenlet 'hog' (#").says("runs (spawned at ");
    let outcome = outcome
        .says("greenlet 'sleeper' (#")
        .says("joins another greenlet\n");
    if walks() {
        outcome.says("keeps_the_thread");
    }
}

#[test]
fn signals_that_come_while_dumps_are_made_are_answered() {
    if greenlet::BACKEND == "baton" || !cfg!(target_os = "linux") {
        return;
    }
    let outcome = run("hub_dumps_in_dumps").code(0);
    let outcome = outcome.prints(&["seen: 51", "main returns"]);
    outcome.says("greenlet 'sleeper' (#");
}

/// Unwind information may be wrong where a signal has interrupted the code.
#[test]
fn a_dump_that_strays_harms_nobody() {
    // There the thread of a greenlet is another one.
    if greenlet::BACKEND == "baton" {
        return;
    }
    let outcome = run("hub_dump_of_code_that_lies").code(0);
    outcome.prints(&["main returns"]);
}

#[test]
fn a_watch_prints_who_keeps_the_thread() {
    if greenlet::BACKEND == "baton" || !cfg!(target_os = "linux") {
        return;
    }
    let outcome = run("hub_watch_prints").code(0);
    let outcome = outcome.says("greenlet: the main greenlet (#1) has kept thread 'main' for ");
    if walks() {
        outcome.says("keeps_the_thread");
    }
}

const NO_DEBUGGER: &str = "not run: there is no gdb that may look at another process";

/// A debugger that is told to do these commands, and then `arguments`. None: there is none.
fn gdb(commands: &[&str], arguments: &[&OsStr]) -> Option<String> {
    let mut gdb = Command::new("gdb");
    gdb.args(["-batch", "-nx", "-ex", "set debuginfod enabled off"]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    let output = gdb.args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

const SCRIPT: &str = concat!(
    "source ",
    env!("CARGO_MANIFEST_DIR"),
    "/src/inspect/greenlets.py"
);

/// What a debugger that stops at `place` prints when it is told to do `commands`. None: there is no debugger, or it
/// may not look at other processes.
fn debug(scenario: &str, place: &str, commands: &[&str]) -> Option<String> {
    // With debug information gdb finds the path, and may not find what it has found by a pattern; without, the
    // other way round.
    let stops = [
        format!("break program::hub::{place}"),
        format!("rbreak {place}"),
    ];
    let commands = [&[&stops[0], &stops[1], "run", SCRIPT], commands].concat();
    let program = super::program().as_os_str();
    let text = gdb(&commands, &["--args".as_ref(), program, scenario.as_ref()])?;
    // One that may not look does not run it.
    assert!(!text.contains("exited normally"), "it did not stop\n{text}");
    text.contains("hit Breakpoint").then_some(text)
}

/// What a debugger prints of a core, without the process.
fn debug_core(core: &Path, commands: &[&str]) -> Option<String> {
    let commands = [&[SCRIPT], commands].concat();
    gdb(&commands, &[super::program().as_os_str(), core.as_os_str()])
}

/// The lines about threads and greenlets.
fn listed(text: &str) -> Vec<&str> {
    let about = |line: &&str| {
        let line = line.trim_start();
        let starts = ["thread at 0x", "greenlet ", "main greenlet ", "and "];
        starts.iter().any(|start| line.starts_with(start))
    };
    text.lines().filter(about).collect()
}

#[test]
fn a_debugger_lists_greenlets_and_shows_their_stacks() {
    if !walks() {
        return;
    }
    let commands = ["greenlets", "greenlet 2", "greenlet 1", "greenlet 99"];
    let Some(text) = debug("hub_watch_prints", "keeps_the_thread", &commands) else {
        return eprintln!("{NO_DEBUGGER}");
    };
    let has = |part: &str| assert!(text.contains(part), "no {part:?} in\n{text}");
    has("greenlet 'parked' #2: is parked; turns 1; spawned by #1 at ");
    has("main greenlet #1: runs");
    has("greenlet_first_frame");
    has("it has no stack at rest");
    let below = text.split("#0 ").last().unwrap();
    assert!(below.contains("park"), "{text}");
}

/// A debugger writes the core, as the kernel does not everywhere. What it leaves out of it is no part of the list.
#[test]
fn a_debugger_lists_the_same_greenlets_from_a_core() {
    if !walks() {
        return;
    }
    let core = Path::new(env!("CARGO_TARGET_TMPDIR")).join("waits_in_many_ways.core");
    let write = format!("generate-core-file {}", core.display());
    let commands = ["greenlets", &write];
    let Some(live) = debug("hub_waits_in_many_ways", "keeps_the_thread", &commands) else {
        return eprintln!("{NO_DEBUGGER}");
    };
    if !core.exists() {
        return eprintln!("not run: this gdb writes no core\n{live}");
    }
    let text = debug_core(&core, &["greenlets", "greenlet 99"]).expect("it was there");
    std::fs::remove_file(&core).unwrap();
    let list = listed(&text);
    assert_eq!(list, listed(&live), "{text}");
    let count = |part: &str| list.iter().filter(|line| line.contains(part)).count();
    assert_eq!(count("thread at 0x"), 2, "{text}");
    assert_eq!(count("main greenlet #"), 2, "{text}");
    assert_eq!(count("and 1 that have not had a turn"), 1, "{text}");
    for line in [
        "greenlet 'sleeper' #",
        "greenlet 'parked' #",
        "greenlet 'receives' #",
        "greenlet 'joins' #",
        ": is parked; turns 1; spawned by #",
        ": receives from a channel that is empty, made at ",
        ": joins another greenlet, only #",
    ] {
        assert_eq!(count(line), 1, "{line}: {text}");
    }
    let has = |parts: [&str; 2]| {
        let found = list
            .iter()
            .any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "{parts:?}: {text}");
    };
    // Members have the numbers that follow each other.
    let number = |name: &str| {
        let line = list.iter().find(|line| line.contains(name)).unwrap();
        let number = line.split('#').nth(1).unwrap().split(':').next().unwrap();
        number.parse::<u64>().unwrap()
    };
    let any = number("'any'");
    let [first, second] = [any - 2, any - 1];
    has([
        "'any'",
        &format!("to end, #{second} or #{first} can end that"),
    ]);
    let all = format!(", only #{first} and #{second} can end that");
    has([" waits for a group of greenlets, made at ", &all]);
}
