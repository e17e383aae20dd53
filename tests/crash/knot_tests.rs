//! What is said of who waits for several; the scenarios are in `knot.rs`.

use super::{Outcome, run};

/// It tells of one circle, in which the holder has this to do, and others of theirs.
fn ties(scenario: &str, holder: &str, others: &str) -> Outcome {
    let outcome = run(scenario).code(0);
    let outcome = outcome.prints(&["patience: 1", "main returns"]);
    let circles = outcome.circles();
    assert_eq!(circles.len(), 1, "{outcome}");
    assert!(circles[0].contains(holder), "{outcome}");
    assert!(circles[0].contains(others), "{outcome}");
    outcome.does_not_say("'patient'")
}

#[test]
fn who_selects_among_joins_is_in_a_circle_if_none_can_end() {
    let does = "waits for one of several things → greenlet '";
    let outcome = ties("knot_of_joins", does, "waits for a mutex, made at ");
    outcome.says(", until greenlet 'second' (#5) or greenlet 'first' (#4) ends that");
}

#[test]
fn who_waits_for_any_of_several_is_in_a_circle_if_none_can_end() {
    let does = "waits for one of several greenlets to end → greenlet '";
    ties("knot_of_any", does, "waits for a mutex, made at ").says("greenlet 'second' (#");
}

#[test]
fn who_waits_for_one_that_can_come_is_in_no_circle() {
    for scenario in ["knot_untied", "knot_with_a_channel"] {
        let outcome = run(scenario).code(0);
        let outcome = outcome.prints(&["patience: 1", "main returns"]);
        outcome.does_not_say("deadlock");
    }
}

#[test]
fn one_member_of_a_group_is_enough_for_a_circle() {
    let does = "greenlet 'holder' (#";
    ties("knot_of_a_group", does, "waits for a mutex, made at ")
        .says(" waits for a group of greenlets, made at ")
        .says(" end that");
}

#[test]
fn members_that_come_and_go_hide_nothing() {
    let does = " waits for a group of greenlets, made at ";
    ties("knot_of_a_busy_group", does, "waits for a mutex, made at ");
}

#[test]
fn a_full_pool_is_in_a_circle_if_no_member_can_end() {
    let does = " waits for a place in a pool, made at ";
    let outcome = run("knot_of_a_pool").code(0);
    let outcome = outcome.prints(&["patience: 1", "main returns"]);
    // The first thing of whoever waits for a place is one of the members; it may be itself.
    let circles = outcome.circles();
    assert_eq!(circles.len(), 1, "{outcome}");
    assert!(circles[0].contains(does), "{outcome}");
    outcome.says(" waits for a mutex, made at ");
}

#[test]
fn a_writer_that_gives_up_hides_none_behind_it() {
    let does = "joins another greenlet → greenlet 'reads' (#";
    ties(
        "knot_behind_two_writers",
        does,
        "waits to read what is locked",
    );
}

#[test]
fn one_child_of_a_scope_is_enough_for_a_circle() {
    let does = "waits for the greenlets of a scope, made at ";
    ties("knot_of_a_scope", does, "waits for a mutex, made at ");
}

#[test]
fn one_of_several_readers_is_enough_for_a_circle() {
    let does = "joins another greenlet → greenlet 'first' (#";
    ties("knot_of_readers", does, "waits to write what is locked");
}

#[test]
fn who_reads_twice_is_in_a_circle_with_who_is_to_write_in_between() {
    let does = "waits to read what is locked";
    ties(
        "knot_of_reading_twice",
        does,
        "waits to write what is locked",
    );
}

#[test]
fn who_waits_for_itself_is_a_circle() {
    let does = "joins another greenlet → greenlet 'holder' (#";
    ties("knot_of_oneself", does, "");
}
