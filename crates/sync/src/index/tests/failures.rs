//! Writes that fail, and what follows.

use super::*;
use crate::moment::Moment;

const OF_THE_SECRET: [WriteReason; 2] = [WriteReason::Owned, WriteReason::Invalid];

#[test]
fn a_copy_that_fails_waits_twice_as_long_each_time() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    for failures in 1..=10 {
        let write = fixture.write();
        let ended = fixture.fail(write, WriteReason::ServerError);
        let repeated = ended.failure.unwrap();
        assert_eq!(repeated.count, failures);
        let longest = 2_f64.powf(f64::from(failures) - 1.0).min(300.0);
        let delay = repeated.delay.as_secs_f64();
        assert!(delay >= longest / 2.0 && delay <= longest, "{delay}");

        let due = fixture.index.next().unwrap();
        // The queue knows whole microseconds.
        let expected = Moment::from(fixture.now.uptime + repeated.delay);
        assert_eq!(due, Duration::from(expected));
        fixture.pass_until(due.saturating_sub(Duration::from_millis(1)));
        assert!(fixture.writes().is_empty());
        fixture.pass_until(due);
    }
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_success_ends_the_row_of_failures() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    for _ in 0..4 {
        let write = fixture.write();
        fixture.fail(write, WriteReason::Network);
        fixture.pass(300);
    }
    assert_eq!(fixture.write_all(), ["team-a"]);
    fixture.copy_gone("team-a");
    let write = fixture.write();
    let ended = fixture.fail(write, WriteReason::Network);
    assert_eq!(ended.failure.unwrap().count, 1);
}

#[test]
fn one_pass_waits_for_temporary_failures_and_for_one_attempt_after_a_conflict() {
    for (reason, attempts) in
        [(WriteReason::Network, 5), (WriteReason::Owned, 2), (WriteReason::Forbidden, 1)]
    {
        let mut fixture = Fixture::with_copies(&["team-a"]);
        let copy = copy_of(fixture.manifest.as_deref().unwrap());
        fixture.copy("team-a", edited(copy));
        for attempt in 1..=attempts {
            assert!(fixture.index.is_busy(fixture.now, 5, JobClass::Delete), "{reason}: {attempt}");
            let write = fixture.write();
            fixture.fail(write, reason);
            fixture.pass(300);
        }
        assert!(!fixture.index.is_busy(fixture.now, 5, JobClass::Delete), "{reason}");
    }
}

#[test]
fn a_new_reason_is_marked_and_so_is_the_end_of_the_row() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let reasons = [WriteReason::Network, WriteReason::Network, WriteReason::QuotaExceeded];
    for (reason, is_new) in reasons.into_iter().zip([true, false, true]) {
        let write = fixture.write();
        assert_eq!(fixture.fail(write, reason).failure.unwrap().is_new, is_new);
        fixture.pass(300);
    }
    let write = fixture.write();
    let ended = fixture.finish(write).ended.unwrap();
    assert_eq!((ended.count, ended.failure.reason), (3, WriteReason::QuotaExceeded));
}

#[test]
fn a_namespace_that_fails_holds_up_no_other() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.fail(write, WriteReason::QuotaExceeded);
    fixture.namespace("team-b");
    assert_eq!(fixture.write_all(), ["team-b"]);
    assert_eq!(fixture.state("team-a"), CopyState::Failed);
    assert_eq!(fixture.state("team-b"), CopyState::Fresh);
}

#[test]
fn events_and_tokens_do_not_shorten_the_wait() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.fail(write, WriteReason::Forbidden);
    fixture.namespace("team-a");
    fixture.list_namespaces(&["team-a"]);
    fixture.list_copies(&[]);
    fixture.token("two", LIFE);
    assert!(fixture.writes().is_empty());
    fixture.pass(1);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_copy_that_was_too_large_is_tried_at_once_with_other_content_and_else_waits() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    for count in 1..=9 {
        let write = fixture.write();
        let repeated = fixture.fail(write, WriteReason::TooLarge).failure.unwrap();
        assert_eq!(repeated.count, count);
        assert!(fixture.writes().is_empty());
        assert_eq!(fixture.state("team-a"), CopyState::Failed);
        fixture.pass(301);
    }
    let write = fixture.write();
    let repeated = fixture.fail(write, WriteReason::TooLarge).failure.unwrap();
    assert!(repeated.delay.as_secs() >= 150, "{repeated:?}");
    fixture.token("two", LIFE);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_refresh_that_fails_is_tried_again() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    let write = fixture.write();
    fixture.fail(write, WriteReason::Timeout);
    assert!(fixture.writes().is_empty());
    fixture.pass(1);
    assert_eq!(fixture.write_all(), ["team-a~"]);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn the_delay_of_the_api_server_is_respected() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.fail_until(write, WriteReason::Throttled, Some(20));
    fixture.pass(19);
    assert!(fixture.writes().is_empty());
    fixture.pass(1);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_namespace_that_is_made_again_starts_afresh() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.fail_until(write, WriteReason::NamespaceGone, Some(300));
    fixture.namespace_gone("team-a");
    fixture.namespace("team-a");
    let write = fixture.write();
    let ended = fixture.fail(write, WriteReason::Timeout);
    assert_eq!(ended.failure.unwrap().count, 1);
}

#[test]
fn a_secret_in_the_way_is_a_conflict_and_tried_again_as_soon_as_it_is_gone() {
    for reason in OF_THE_SECRET {
        let mut fixture = Fixture::ready();
        fixture.namespace("team-a");
        let write = fixture.write();
        fixture.fail_until(write, reason, Some(300));
        assert_eq!(fixture.state("team-a"), CopyState::Conflict);
        fixture.copy("team-a", Ownership::Foreign);
        assert_eq!(fixture.state("team-a"), CopyState::Conflict);
        assert!(fixture.writes().is_empty());
        fixture.copy_gone("team-a");
        assert_eq!(fixture.write_all(), ["team-a"]);
        assert_eq!(fixture.state("team-a"), CopyState::Fresh);
    }
}

#[test]
fn a_secret_in_the_way_that_a_new_list_does_not_show_is_out_of_the_way() {
    for reason in OF_THE_SECRET {
        let mut fixture = Fixture::ready();
        fixture.namespace("team-a");
        let write = fixture.write();
        fixture.fail_until(write, reason, Some(300));
        fixture.copy("team-a", Ownership::Foreign);
        fixture.list_copies(&[]);
        assert_eq!(fixture.write_all(), ["team-a"]);
    }
}

#[test]
fn a_conflict_ends_when_the_secret_turns_out_to_be_ours() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let copy = copy_of(&write.manifest);
    fixture.fail_until(write, WriteReason::Owned, Some(300));
    fixture.copy("team-a", Ownership::Foreign);
    fixture.copy("team-a", edited(copy));
    assert_eq!(fixture.write_all(), ["team-a!"]);
}

#[test]
fn a_refusal_where_no_secret_is_waits_through_lists() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.fail_until(write, WriteReason::Invalid, Some(60));
    fixture.list_copies(&[]);
    assert!(fixture.writes().is_empty());
}

#[test]
fn what_was_altered_on_the_way_is_a_failure_that_waits() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    for count in 1..=5 {
        let write = fixture.write();
        let observed = fixture.observed(edited(copy_of(&write.manifest)));
        let repeated = fixture.answer(write, observed.clone()).failure.unwrap();
        assert_eq!(repeated.failure.reason, WriteReason::Altered);
        assert_eq!(repeated.count, count);
        fixture.copy_event(Watched::Changed("team-a".to_owned(), observed));
        assert!(fixture.writes().is_empty(), "the echo makes it no hot loop");
        assert_eq!(fixture.state("team-a"), CopyState::Failed);
        fixture.pass_until(fixture.index.next().unwrap());
    }
    assert_eq!(fixture.write_all(), ["team-a!"]);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn failing_copies_do_not_delay_a_new_namespace() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-full");
    let write = fixture.write();
    fixture.fail(write, WriteReason::QuotaExceeded);
    fixture.pass_until(fixture.index.next().unwrap());
    fixture.namespace("team-new");
    assert_eq!(fixture.write_all(), ["team-new", "team-full"]);
}

#[test]
fn a_write_with_a_lost_answer_stops_failing_when_its_effect_is_observed() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let copy = copy_of(&write.manifest);
    fixture.fail(write, WriteReason::Timeout);
    assert_eq!(fixture.state("team-a"), CopyState::Failed);
    fixture.copy("team-a", copy);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);

    fixture.copy_gone("team-a");
    let write = fixture.write();
    let repeated = fixture.fail(write, WriteReason::Timeout).failure.unwrap();
    assert_eq!(repeated.count, 1, "the first row of failures has ended");
}

#[test]
fn a_write_with_a_lost_answer_does_not_fail_if_its_effect_was_observed_before() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.copy("team-a", copy_of(&write.manifest));
    fixture.fail(write, WriteReason::Timeout);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}
