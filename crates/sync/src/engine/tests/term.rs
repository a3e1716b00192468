//! Terms of leadership: when jobs may start, and when they end.

use super::*;

#[test]
fn without_a_term_no_job_starts() {
    let mut fixture = Fixture::new();
    fixture.list_namespaces(&["team-a"]);
    fixture.list_copies(&[]);
    fixture.tokens.begin_term(1, &CacheDocument::default(), fixture.now);
    fixture.fetch(|_| true);
    fixture.step(Input::Wake);
    assert!(fixture.running.is_empty());
}

#[test]
fn a_new_term_lists_everything_again_and_waits_for_its_own_tokens() {
    let mut fixture = Fixture::new();
    fixture.list_namespaces(&["team-a"]);
    fixture.list_copies(&[]);
    fixture.term = Some(1);
    assert!(matches!(fixture.step(Input::Wake)[..], [Effect::ListOutdated]));
    assert!(fixture.running.is_empty(), "the token store is still in no term");
    fixture.lead(1);
    fixture.fetch(|_| true);
    assert!(fixture.step(Input::Wake).is_empty());
    assert_eq!(fixture.jobs(), [(JobClass::Apply, "team-a")]);
}

#[test]
fn the_end_of_a_term_cancels_its_jobs_and_the_next_term_starts_them_again() {
    let mut fixture = Fixture::leading(&["team-a", "team-b"]);
    assert_eq!(fixture.running.len(), 2);
    fixture.term = None;
    assert!(matches!(fixture.step(Input::Wake)[..], [Effect::CancelJobs]));
    assert!(fixture.running.is_empty());
    fixture.lead(2);
    fixture.fetch(|_| true);
    fixture.step(Input::Wake);
    assert_eq!(fixture.running.len(), 2);
}

#[test]
fn one_term_right_after_another_cancels_the_jobs_too() {
    let mut fixture = Fixture::leading(&["team-a"]);
    fixture.lead(2);
    assert!(matches!(fixture.step(Input::Wake)[..], [Effect::CancelJobs, Effect::ListOutdated]));
}

/// An engine in its first term, with a copy whose namespace has just left the allow-list.
fn unwanted() -> Fixture {
    let mut fixture = Fixture::leading(&["team-a"]);
    fixture.finish_all();
    fixture.step(Input::Configure(Box::new(settings(&["main", "hub"], "other"))));
    fixture.pass(GRACE);
    fixture
}

#[test]
fn an_unwanted_copy_is_deleted_after_the_grace_period() {
    let mut fixture = unwanted();
    fixture.step(Input::Wake);
    assert_eq!(fixture.jobs(), [(JobClass::Delete, "team-a")]);
}

#[test]
fn no_copy_is_deleted_while_the_namespaces_are_not_current() {
    let mut fixture = unwanted();
    fixture.are_namespaces_current = false;
    fixture.step(Input::Wake);
    assert!(fixture.running.is_empty());
    fixture.are_namespaces_current = true;
    fixture.step(Input::Wake);
    assert_eq!(fixture.running.len(), 1);
}

#[test]
fn the_step_that_begins_a_term_deletes_no_copy() {
    let mut fixture = unwanted();
    fixture.lead(2);
    fixture.step(Input::Wake);
    assert!(fixture.running.is_empty(), "the lists are those of the term before");
    fixture.step(Input::Wake);
    assert_eq!(fixture.running.len(), 1);
}

#[test]
fn no_job_starts_once_the_process_stops() {
    let mut fixture = Fixture::leading(&["team-a"]);
    fixture.step(Input::Stop);
    fixture.finish_all();
    let created = Watched::Changed("team-b".to_owned(), active());
    fixture.step(Input::Observed(Event::Namespace(created)));
    assert!(fixture.running.is_empty());
}
