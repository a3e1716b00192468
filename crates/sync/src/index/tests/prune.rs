//! Copies that are no longer wanted.

use super::*;

fn deletions(fixture: &mut Fixture) -> Vec<Deletion> {
    std::iter::from_fn(|| fixture.index.next_deletion(fixture.now)).collect()
}

fn grace() -> i64 {
    i64::try_from(GRACE).unwrap()
}

#[test]
fn an_unwanted_copy_is_deleted_after_the_grace_period() {
    let mut fixture = Fixture::unwanted();
    fixture.pass(grace() - 1);
    assert!(deletions(&mut fixture).is_empty());
    fixture.pass(1);
    assert_eq!(fixture.index.next(), Some(fixture.now.uptime));
    let deletion = deletions(&mut fixture).remove(0);
    assert_eq!((&*deletion.namespace, deletion.resource_version), ("team-a", fixture.version));
    fixture.done(&deletion.job, Ok(Written::Deleted));
    assert_eq!((deletions(&mut fixture).len(), fixture.writes().len()), (0, 0));
}

#[test]
fn an_edit_undone_in_time_costs_nothing() {
    let mut fixture = Fixture::unwanted();
    fixture.pass(grace() - 1);
    fixture.labelled_namespace("team-a", "prod");
    fixture.pass(grace());
    assert_eq!((deletions(&mut fixture).len(), fixture.writes().len()), (0, 0));
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn after_a_restart_the_grace_begins_anew() {
    let mut fixture = Fixture::unwanted();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.pass(grace() - 1);
    fixture.restart();
    fixture.list_copies(&[("team-a", copy)]);
    fixture.list_namespaces(&["team-a"]);
    fixture.pass(grace() - 1);
    assert!(deletions(&mut fixture).is_empty());
    fixture.pass(1);
    assert_eq!(deletions(&mut fixture).len(), 1);
}

#[test]
fn nothing_is_deleted_before_all_namespaces_are_known() {
    let mut fixture = Fixture::unwanted();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.restart();
    fixture.list_copies(&[("team-a", copy)]);
    fixture.namespace("team-a");
    fixture.pass(2 * grace());
    assert!(deletions(&mut fixture).is_empty());
}

#[test]
fn a_secret_that_is_not_ours_or_has_lost_our_label_stays() {
    for ownership in [
        Ownership::Foreign,
        Ownership::Ours { content: None, expires_at: None, owned_fields: None },
    ] {
        let mut fixture = Fixture::unwanted();
        fixture.copy("team-a", ownership);
        fixture.pass(2 * grace());
        assert!(deletions(&mut fixture).is_empty());
    }
}

#[test]
fn a_namespace_on_its_way_out_is_left_alone() {
    let mut fixture = Fixture::unwanted();
    fixture.terminating_namespace("team-a");
    fixture.pass(2 * grace());
    assert!(deletions(&mut fixture).is_empty());
}

#[test]
fn a_deletion_that_fails_waits_and_is_tried_again() {
    let mut fixture = Fixture::unwanted();
    fixture.pass(grace());
    let deletion = deletions(&mut fixture).remove(0);
    let failure = WriteFailure {
        reason: WriteReason::Owned,
        message: "it has changed".to_owned(),
        retry_after: None,
    };
    fixture.done(&deletion.job, Err(failure));
    assert!(deletions(&mut fixture).is_empty());
    fixture.pass(1);
    assert_eq!(deletions(&mut fixture).len(), 1);
}

#[test]
fn a_namespace_wanted_again_during_the_deletion_gets_its_copy_back() {
    let mut fixture = Fixture::unwanted();
    fixture.pass(grace());
    let deletion = deletions(&mut fixture).remove(0);
    fixture.labelled_namespace("team-a", "prod");
    assert_eq!(fixture.writes().len(), 0);
    fixture.done(&deletion.job, Ok(Written::Deleted));
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_config_whose_labels_are_not_known_yet_deletes_nothing() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let mut settings = settings(TEAMS, &tier_is_prod());
    settings.prune_after = Some(Duration::ZERO);
    let labels_are_missing = fixture.configure_all(settings);
    assert!(labels_are_missing);
    assert!(deletions(&mut fixture).is_empty());
    fixture.namespace_event(Watched::ListBegun);
    fixture.namespace_event(Watched::Listed("team-a".to_owned(), namespace(Some("prod"))));
    fixture.namespace_event(Watched::ListEnded);
    assert!(deletions(&mut fixture).is_empty());
}

#[test]
fn without_prune_everything_stays() {
    let mut fixture = Fixture::unwanted();
    let mut settings = settings(TEAMS, &tier_is_prod());
    settings.prune_after = None;
    fixture.configure_all(settings);
    fixture.pass(2 * grace());
    assert!(deletions(&mut fixture).is_empty());
}

#[test]
fn a_late_event_does_not_bring_back_a_deleted_copy() {
    let mut fixture = Fixture::unwanted();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.pass(grace());
    fixture.copy_event(Watched::ListBegun);
    let before = fixture.observed(copy.clone());
    let last = fixture.observed(copy);
    fixture.copy_event(Watched::Changed("team-a".to_owned(), last.clone()));
    let deletion = deletions(&mut fixture).remove(0);
    fixture.done(&deletion.job, Ok(Written::Deleted));
    fixture.copy_event(Watched::Listed("team-a".to_owned(), before));
    fixture.copy_event(Watched::ListEnded);
    fixture.copy_event(Watched::Changed("team-a".to_owned(), last));
    assert!(deletions(&mut fixture).is_empty());
    fixture.labelled_namespace("team-a", "prod");
    assert_eq!(fixture.write_all(), ["team-a"], "nothing is there, so it is not forced");
}

#[test]
fn a_secret_created_after_a_deletion_is_noticed_though_versions_have_gone_back() {
    let mut fixture = Fixture::unwanted();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.pass(grace());
    let deletion = deletions(&mut fixture).remove(0);
    fixture.done(&deletion.job, Ok(Written::Deleted));
    fixture.version = 5;
    fixture.list_copies(&[]);
    fixture.copy("team-a", copy);
    assert_eq!(deletions(&mut fixture).len(), 1);
}
