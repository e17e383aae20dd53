//! What is said where greenlets wait for other threads and nobody is left; the scenarios are in `alone.rs`.

use super::{Outcome, run};

const DEADLOCK: &str =
    "greenlet: deadlock: every greenlet of this thread waits, and nothing can wake one of them\n";
const CIRCLE: &str =
    "greenlet: deadlock: greenlets of this thread wait for each other, and so for ever\n";

/// Whether it can be known that no other thread will come: greenlets that are threads are such threads.
fn counts_threads() -> bool {
    greenlet::BACKEND != "baton" && cfg!(target_os = "linux")
}

/// Whether a thread can be asked for whom its greenlets wait.
fn asks() -> bool {
    let known = cfg!(any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", target_env = "gnu")
    ));
    counts_threads() && known
}

impl Outcome {
    fn has_line(&self, parts: &[&str]) {
        let has = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(self.stderr.lines().any(has), "no {parts:?}\n{self}");
    }
}

#[test]
fn an_idle_way_in_hides_no_deadlock() {
    if counts_threads() {
        run("alone_with_an_idle_way_in")
            .code(0)
            .says(DEADLOCK)
            .says("  some wait for other threads, and there is no other thread that could come\n")
            .says("greenlet 'patient' (#")
            .prints(&["a deadlock: true", "main returns"]);
    }
}

#[test]
fn who_has_both_ends_waits_for_ever() {
    if counts_threads() {
        run("alone_with_both_ends").code(101).says(DEADLOCK);
    }
}

#[test]
fn a_circle_of_locks_that_threads_share_is_told() {
    let outcome = run("alone_with_locks_of_threads").code(0).says(CIRCLE);
    let outcome = outcome.prints(&["main returns"]);
    outcome.has_line(&[
        "in a circle: ",
        "greenlet 'first' (#",
        " waits for a mutex that threads share, made at ",
        "greenlet 'second' (#",
    ]);
}

#[test]
fn who_does_what_is_done_once_is_known() {
    let outcome = run("alone_with_what_is_done_once").code(0).says(CIRCLE);
    outcome.has_line(&[
        "in a circle: ",
        "greenlet 'has the lock' (#",
        " waits for what is done once, made at ",
        "greenlet 'does it' (#",
    ]);
}

#[test]
fn a_future_that_has_kept_no_waker_is_waited_for_for_ever() {
    let outcome = run("alone_with_a_future").code(101).says(DEADLOCK);
    outcome.says("the main greenlet (#1) waits for a future that has kept no waker\n");
}

#[test]
fn a_future_whose_waker_somebody_has_is_waited_for() {
    let outcome = run("alone_with_a_future_that_is_woken").code(0);
    outcome
        .does_not_say("deadlock")
        .prints(&["Ok(1)", "main returns"]);
}

#[test]
fn threads_that_all_wait_for_each_other_are_told() {
    if !counts_threads() {
        return;
    }
    // Whoever is told first lets go of what it has, and the other one goes on.
    let outcome = run("alone_in_two_threads").says(DEADLOCK);
    let outcome = outcome.says("and the only other one waits like this one\n");
    outcome.has_line(&[
        "waits for a mutex that threads share, made at ",
        "alone.rs:",
    ]);
    if asks() {
        outcome.has_line(&["  in a circle: ", " of thread 'main' waits for "]);
    }
}

#[test]
fn cores_that_wait_for_each_other_are_told() {
    if counts_threads() {
        let outcome = run("alone_on_all_cores").code(0).says(DEADLOCK);
        let outcome = outcome.prints(&["a deadlock: true", "main returns"]);
        if asks() {
            outcome.has_line(&[
                "  in a circle: ",
                "the main greenlet (#",
                " of thread 'core 0' waits for a mutex that threads share, made at ",
                " of thread 'core 1' waits for a mutex that threads share, made at ",
            ]);
        }
    }
}

#[test]
fn a_circle_through_threads_is_told_while_others_go_on() {
    let outcome = run("circle_through_threads").code(0);
    let outcome = outcome.says(
        "greenlet: deadlock: greenlets of several threads wait for each other, and so for ever\n",
    );
    let names = ["greenlet 'helper' (#", "of thread 'one'", "of thread 'two'"];
    outcome.has_line(&[names[0], names[1], names[2], "in a circle: "]);
    outcome.has_line(&[
        " waits for a mutex that threads share, made at ",
        " joins another greenlet → ",
    ]);
    // Each thread tells of it once.
    let told = outcome.stderr.matches("in a circle: ").count();
    assert!((1..=2).contains(&told), "{outcome}");
}

#[test]
fn a_circle_through_threads_may_go_through_those_who_wait_for_several() {
    let outcome = run("knots_through_threads").code(0);
    outcome.has_line(&[
        "in a circle: ",
        " waits for one of several greenlets to end → ",
        "greenlet 'helper' (#",
        " waits for the greenlets of a scope, made at ",
    ]);
}

#[test]
fn who_has_a_time_limit_closes_no_circle_through_threads() {
    let outcome = run("no_circle_through_threads").code(0);
    let outcome = outcome.does_not_say("deadlock");
    outcome.prints(&[r#"["one", "two"]"#, "main returns"]);
}

#[test]
fn long_turns_close_no_circle_through_threads() {
    let outcome = run("no_circle_after_long_turns").code(0);
    let outcome = outcome.does_not_say("deadlock");
    outcome.prints(&["each had what it wanted", "main returns"]);
}

#[test]
fn a_thread_that_will_come_is_waited_for() {
    for scenario in [
        "not_alone_beside_a_timer",
        "not_alone_beside_a_plain_thread",
    ] {
        let outcome = run(scenario).code(0).does_not_say("deadlock");
        outcome.prints(&["received 1", "main returns"]);
    }
}

#[test]
fn it_is_asked_again_who_is_left() {
    if counts_threads() {
        run("alone_when_the_last_thread_has_gone")
            .code(101)
            .says(DEADLOCK);
    }
}

#[test]
fn threads_of_the_crate_hide_nothing() {
    if counts_threads() {
        run("alone_beside_threads_of_the_crate")
            .code(101)
            .says(DEADLOCK);
    }
}

#[test]
fn a_waker_that_is_dropped_wakes_nobody() {
    let outcome = run("alone_with_a_waker_that_is_dropped").code(101);
    outcome
        .says(DEADLOCK)
        .says("waits for a future that has kept no waker\n");
}

#[test]
fn nobody_is_taken_for_asleep_who_is_called() {
    let outcome = run("not_alone_in_a_crowd").code(0);
    outcome.does_not_say("deadlock");
}

#[test]
fn a_child_of_a_fork_counts_for_itself() {
    let outcome = run("not_alone_after_a_fork").code(0);
    outcome
        .does_not_say("deadlock")
        .prints(&["status 0", "main returns"]);
}

#[test]
fn who_may_know_of_what_is_waited_for_is_named() {
    let outcome = run("alone_with_a_channel_that_somebody_knows").code(101);
    let outcome = outcome.says(DEADLOCK);
    outcome.has_line(&[
        "(#1) receives from a channel that is empty, made at ",
        "alone.rs:",
    ]);
    outcome.has_line(&[
        "'wants a permit'",
        "waits for a permit, made at ",
        "alone.rs:",
    ]);
    if counts_threads() && greenlet::BACKEND == "direct" {
        let line = |begin: &str| {
            let mut lines = outcome
                .stderr
                .lines()
                .skip_while(|line| !line.contains(begin));
            lines.nth(1).unwrap_or_default()
        };
        let knows =
            |line: &str| line.contains("may be known to ") && line.contains("'has a permit'");
        assert!(knows(line("(#1) receives")), "{outcome}");
        assert!(knows(line("'wants a permit' (#")), "{outcome}");
    }
}
