//! The watch, the writes and the lists overtake each other.

use super::*;

#[test]
fn the_echo_of_a_write_changes_nothing() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let observed = fixture.observed(copy_of(&write.manifest));
    fixture.answer(write, observed.clone());
    fixture.copy_event(Watched::Changed("team-a".to_owned(), observed));
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn an_echo_that_comes_before_the_answer_changes_nothing() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let observed = fixture.observed(copy_of(&write.manifest));
    fixture.copy_event(Watched::Changed("team-a".to_owned(), observed.clone()));
    assert!(fixture.writes().is_empty());
    fixture.answer(write, observed);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn events_that_are_older_than_a_write_change_nothing() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.copy("team-a", edited(copy.clone()));
    let write = fixture.write();
    let foreign = fixture.observed(Ownership::Foreign);
    let damaged = fixture.observed(edited(copy));
    fixture.finish(write);
    fixture.copy_event(Watched::Changed("team-a".to_owned(), foreign.clone()));
    fixture.copy_event(Watched::Gone("team-a".to_owned(), foreign));
    fixture.copy_event(Watched::Changed("team-a".to_owned(), damaged));
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn an_answer_older_than_the_watch_changes_nothing() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let written = fixture.observed(copy_of(&write.manifest));
    let copy = copy_of(&write.manifest);
    fixture.copy("team-a", edited(copy));
    fixture.answer(write, written);
    assert_eq!(fixture.write_all(), ["team-a!"]);
}

#[test]
fn a_copy_that_is_deleted_before_the_answer_to_its_write_is_missing() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let written = fixture.observed(copy_of(&write.manifest));
    fixture.copy_event(Watched::Changed("team-a".to_owned(), written.clone()));
    fixture.copy_gone("team-a");
    fixture.answer(write, written);
    assert_eq!(fixture.state("team-a"), CopyState::Missing);
    assert_eq!(fixture.write_all(), ["team-a"]);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_copy_that_is_written_after_its_end_is_not_missing() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    let write = fixture.write();
    fixture.copy_gone("team-a");
    fixture.finish(write);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn a_list_that_shows_a_copy_as_it_was_before_its_write_does_not_undo_it() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    let before = fixture.observed(edited(copy.clone()));
    fixture.copy("team-a", edited(copy));
    let write = fixture.write();
    fixture.copy_event(Watched::ListBegun);
    fixture.finish(write);
    fixture.copy_event(Watched::Listed("team-a".to_owned(), before));
    fixture.copy_event(Watched::ListEnded);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn a_list_that_does_not_show_a_copy_leads_to_one_more_write_of_it() {
    for is_answered_first in [true, false] {
        let mut fixture = Fixture::ready();
        fixture.namespace("team-a");
        let write = fixture.write();
        fixture.copy_event(Watched::ListBegun);
        // Another client may have deleted it before the list was made.
        if is_answered_first {
            fixture.finish(write);
            assert_eq!(fixture.index.next(), None, "it counts until then");
            fixture.copy_event(Watched::ListEnded);
        } else {
            fixture.copy_event(Watched::ListEnded);
            assert!(fixture.writes().is_empty());
            fixture.finish(write);
        }
        assert_eq!(fixture.state("team-a"), CopyState::Missing);
        assert_eq!(fixture.write_all(), ["team-a"], "once, and not forced");
        assert_eq!(fixture.index.next(), None);
        assert_eq!(fixture.state("team-a"), CopyState::Fresh);
    }
}

#[test]
fn a_write_that_begins_after_a_list_is_not_undone_by_it() {
    let mut fixture = Fixture::ready();
    fixture.list_copies(&[]);
    fixture.namespace("team-a");
    assert_eq!(fixture.write_all(), ["team-a"]);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_token_that_comes_during_a_write_leads_to_exactly_one_more() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let last = fixture.token("two", LIFE);
    assert!(fixture.writes().is_empty());
    fixture.finish(write);
    fixture.pass(SPREAD.cast_signed());
    let write = fixture.write();
    assert_eq!(copy_of(&write.manifest), last);
    fixture.finish(write);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_copy_has_one_write_under_way_at_the_most() {
    let mut fixture = Fixture::ready();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.namespace("team-a");
    fixture.copy("team-a", edited(copy));
    fixture.token("two", LIFE);
    fixture.copy_gone("team-a");
    fixture.namespace_gone("team-a");
    fixture.namespace("team-a");
    fixture.list_namespaces(&["team-a"]);
    fixture.list_copies(&[]);
    fixture.pass(LIFE);
    assert!(fixture.writes().is_empty());
    fixture.fail(write, WriteReason::Timeout);
    fixture.pass(1);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_namespace_that_goes_during_a_write_is_not_written_again() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.namespace_gone("team-a");
    fixture.fail(write, WriteReason::NamespaceGone);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.entries(), 0);
}

#[test]
fn a_namespace_that_is_made_again_during_a_write_gets_its_copy() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let written = fixture.observed(copy_of(&write.manifest));
    fixture.copy_gone("team-a");
    fixture.namespace_gone("team-a");
    fixture.namespace("team-a");
    assert!(fixture.writes().is_empty());
    fixture.answer(write, written);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_list_that_breaks_off_ends_nothing() {
    let mut fixture = Fixture::with_copies(&["team-a", "team-b"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.namespace_event(Watched::ListBegun);
    fixture.copy_event(Watched::ListBegun);
    fixture.list_namespaces(&["team-a", "team-b"]);
    fixture.list_copies(&[("team-a", copy.clone()), ("team-b", copy)]);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.entries(), 2);
}

#[test]
fn an_echo_that_comes_before_the_answer_does_not_hide_how_long_the_namespace_waited() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.pass(2);
    let observed = fixture.observed(copy_of(&write.manifest));
    fixture.copy_event(Watched::Changed("team-a".to_owned(), observed.clone()));
    let ended = fixture.answer(write, observed);
    assert_eq!(ended.waited, Some(Duration::from_secs(2)));
}

#[test]
fn a_namespace_waits_no_longer_when_its_copy_is_there_though_the_answer_was_lost() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.copy("team-a", copy_of(&write.manifest));
    fixture.fail(write, WriteReason::Timeout);
    fixture.pass(LIFE / 2);
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    let refresh = fixture.write();
    assert_eq!(fixture.finish(refresh).waited, None);
}

#[test]
fn a_list_counts_though_versions_have_gone_back() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.version = 5;
    fixture.list_copies(&[("team-a", edited(copy))]);
    assert_eq!(fixture.write_all(), ["team-a!"]);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn a_write_counts_though_versions_have_gone_back() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.copy_gone("team-a");
    fixture.version = 5;
    fixture.list_copies(&[]);
    let write = fixture.write();
    fixture.finish(write);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_namespace_that_is_made_again_during_a_write_waits_since_then() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.namespace_gone("team-a");
    fixture.pass(10);
    fixture.namespace("team-a");
    fixture.fail(write, WriteReason::NamespaceGone);
    fixture.pass(1);
    let write = fixture.write();
    assert_eq!(fixture.finish(write).waited, Some(Duration::from_secs(1)));
}

#[test]
fn a_write_that_fails_after_the_end_of_its_namespace_does_not_hold_up_the_next_one() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    let write = fixture.write();
    fixture.namespace_gone("team-a");
    fixture.fail_until(write, WriteReason::NamespaceGone, Some(300));
    fixture.namespace("team-a");
    fixture.copy_gone("team-a");
    assert_eq!(fixture.write_all(), ["team-a"]);
}
