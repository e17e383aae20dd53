//! What is said of greenlets that wait for each other while others go on; the scenarios are in `circle.rs`.

use super::{Outcome, run};

const DEADLOCK: &str = "deadlock: greenlets of this thread wait for each other, and so for ever";

impl Outcome {
    /// How many circles it tells of.
    pub(crate) fn circles(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines
            .filter(|line| line.contains("in a circle: "))
            .collect()
    }
}

#[test]
fn a_circle_with_main_is_told_though_another_thread_could_call_somebody() {
    let outcome = run("circle_with_main").code(7).prints(&[]);
    let outcome = outcome.says(&format!("greenlet: {DEADLOCK}\n"));
    let outcome = outcome.says("  others of this thread may go on, a timer is set, other threads may wake 1; none of them can end this, unless it kills one of these or was given a guard of theirs\n");
    let circle = outcome.circles();
    assert_eq!(circle.len(), 1, "{outcome}");
    let has = |part: &str| assert!(circle[0].contains(part), "{outcome}");
    has("the main greenlet (#1) waits for a mutex, made at ");
    has(" → greenlet 'second' (#");
    has(") waits for a mutex, made at ");
    has(" → the main greenlet (#1)");
    outcome.does_not_say("'patient'").does_not_say("aborting");
}

#[test]
fn who_waits_for_a_circle_is_told_of_with_it() {
    let outcome = run("circle_that_main_waits_for").code(0);
    let outcome = outcome.prints(&["patience: 1", "main returns"]);
    assert_eq!(outcome.circles().len(), 1, "{outcome}");
    outcome
        .says("greenlet 'joins' (#")
        .says("joins another greenlet (spawned at ")
        .says("the main greenlet (#1)");
}

#[test]
fn a_circle_that_is_none_disturbs_nobody() {
    let outcome = run("circle_with_a_guard_in_other_hands").code(0);
    let outcome = outcome.prints(&["patience: 1", "main returns"]);
    outcome.says("or was given a guard of theirs");
}

#[test]
fn a_circle_without_main_is_told_once_and_others_go_on() {
    let outcome = run("circle_without_main").code(0);
    let outcome = outcome.prints(&["patience: 1", "main returns"]);
    assert_eq!(outcome.circles().len(), 2, "{outcome}");
    outcome
        .says("may go on, a timer is set, other threads may wake 1;")
        .does_not_say("the main greenlet");
}

#[test]
fn a_circle_on_a_thread_that_never_rests_long_is_told_once() {
    let outcome = run("circle_on_a_busy_thread").code(0);
    let outcome = outcome.prints(&["main returns"]);
    assert_eq!(outcome.circles().len(), 1, "{outcome}");
}

#[test]
fn who_writes_is_in_a_circle() {
    let outcome = run("circle_with_writer").code(0);
    let outcome = outcome.prints(&["patience: 1", "main returns"]);
    let outcome = outcome.says(" waits to read what is locked, made at ");
    assert_eq!(outcome.circles().len(), 1, "{outcome}");
}

#[test]
fn a_circle_behind_the_end_of_a_scope_is_told_and_others_go_on() {
    let outcome = run("circle_at_end_of_scope").code(7).prints(&[]);
    assert_eq!(outcome.circles().len(), 1, "{outcome}");
}

#[test]
fn who_waits_for_what_may_come_is_in_no_circle() {
    for (scenario, lines) in [
        ("circle_of_nobody", &["patience: 1"][..]),
        ("circle_with_deadline", &["late: true", "patience: 1"]),
        ("circle_killed_in_time", &["killed: true", "patience: 1"]),
    ] {
        let outcome = run(scenario).code(0);
        let outcome = outcome.prints(&[lines, &["main returns"]].concat());
        assert_eq!(outcome.stderr, "", "{outcome}");
    }
}

#[test]
fn main_under_a_deadline_goes_on() {
    let outcome = run("circle_that_main_waits_for_a_while").code(0);
    let outcome = outcome.prints(&["late: true", "patience: 1", "main returns"]);
    assert_eq!(outcome.circles().len(), 1, "{outcome}");
}
