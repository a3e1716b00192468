//! The observed Secret decides on the write.

use super::*;

#[test]
fn a_fresh_copy_costs_nothing_after_a_restart() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.restart();
    fixture.list_namespaces(&["team-a"]);
    fixture.list_copies(&[("team-a", copy)]);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn a_fresh_copy_costs_nothing_when_it_is_listed_again() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    for _ in 0..300 {
        fixture.list_namespaces(&["team-a"]);
        fixture.list_copies(&[("team-a", copy.clone())]);
        assert_eq!(fixture.index.next(), None);
    }
}

#[test]
fn a_copy_that_was_deleted_is_written_once_and_not_forced() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.copy_gone("team-a");
    assert_eq!(fixture.write_all(), ["team-a"]);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_copy_that_a_new_list_does_not_show_is_written_once_and_not_forced() {
    let mut fixture = Fixture::with_copies(&["team-a", "team-b"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.list_copies(&[("team-b", copy)]);
    assert_eq!(fixture.write_all(), ["team-a"]);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_copy_that_was_edited_is_written_once_and_forced() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.copy("team-a", edited(copy));
    assert_eq!(fixture.write_all(), ["team-a!"]);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn so_is_one_of_which_as_many_fields_are_left_as_new_content_has() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.copy("team-a", edited(copy));
    let fewer = FIELDS - 1;
    let two = Manifest {
        content: ContentHash::new(2 << 8, fewer),
        owned_fields: fewer,
        ..manifest("two", fixture.now.wall, LIFE)
    };
    fixture.manifest(first(), Arc::new(two));
    assert_eq!(fixture.write_all(), ["team-a!"]);
}

#[test]
fn a_copy_without_label_and_annotations_is_still_ours() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let stripped =
        Ownership::Ours { content: None, expires_at: None, owned_fields: Some(FIELDS - 3) };
    fixture.copy("team-a", stripped);
    assert_eq!(fixture.write_all(), ["team-a!"]);
}

#[test]
fn a_foreign_secret_is_not_written() {
    let mut fixture = Fixture::ready();
    fixture.copy("team-a", Ownership::Foreign);
    fixture.namespace("team-a");
    fixture.copy("team-a", Ownership::Foreign);
    fixture.token("two", LIFE);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Conflict);
}

#[test]
fn the_copy_is_written_when_the_foreign_secret_is_gone() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    fixture.copy("team-a", Ownership::Foreign);
    fixture.copy_gone("team-a");
    assert_eq!(fixture.write_all(), ["team-a"]);

    fixture.copy("team-a", Ownership::Foreign);
    assert!(fixture.writes().is_empty());
    fixture.list_copies(&[]);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_secret_that_turns_foreign_before_its_write_is_not_written() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.copy_gone("team-a");
    fixture.copy("team-a", Ownership::Foreign);
    assert!(fixture.writes().is_empty());
}

#[test]
fn a_copy_in_a_namespace_that_is_not_on_the_list_is_left_alone() {
    let mut fixture = Fixture::ready();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.namespace("other");
    fixture.copy("other", edited(copy));
    fixture.copy_gone("other");
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn an_adopted_secret_is_applied_by_force() {
    let mut fixture = Fixture::ready();
    let mut settings = settings(TEAMS, &Selector::default());
    settings.secrets[0].on_conflict = OnConflict::Adopt;
    fixture.configure_all(settings);
    fixture.copy("team-a", Ownership::Foreign);
    fixture.namespace("team-a");
    assert_eq!(fixture.state("team-a"), CopyState::Conflict);
    assert_eq!(fixture.write_all(), ["team-a!"]);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn repairs_of_a_contested_copy_slow_down_and_are_reported() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let mut delays = Vec::new();
    let mut contested = Vec::new();
    for _ in 0..7 {
        let copy = copy_of(fixture.manifest.as_deref().unwrap());
        fixture.copy("team-a", edited(copy));
        let due = fixture.index.next().unwrap();
        delays.push(due.saturating_sub(fixture.now.uptime).as_secs());
        fixture.pass_until(due);
        let write = fixture.write();
        contested.extend(fixture.finish(write).contest.map(|contest| contest.repairs));
    }
    // Two are at once.
    assert_eq!(delays, [0, 0, 1, 2, 4, 8, 16]);
    assert_eq!(contested, [2, 3, 4, 5, 6, 7]);
}

#[test]
fn new_content_is_never_a_repair_not_even_where_one_registry_has_expired_for_good() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.pass(LIFE);
    for number in 0..50 {
        // The other registries go on: the content changes, and the expiry stays in the past.
        fixture.token(&format!("{number}"), -60);
        assert!(fixture.index.next() <= Some(fixture.now.uptime), "it does not wait");
        let write = fixture.write();
        assert!(!is_repair(&write));
        assert_eq!(fixture.finish(write).contest, None);
        assert_eq!(fixture.index.next(), None);
        assert_eq!(fixture.state("team-a"), CopyState::Expired);
        fixture.pass(1);
    }
}

#[test]
fn new_content_does_not_wait_where_repairs_are_slowed_down() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    for _ in 0..8 {
        let copy = copy_of(fixture.manifest.as_deref().unwrap());
        fixture.copy("team-a", edited(copy));
        fixture.pass_until(fixture.index.next().unwrap());
        assert_eq!(fixture.write_all(), ["team-a!"]);
    }
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.copy("team-a", edited(copy));
    assert!(fixture.writes().is_empty());
    fixture.token("two", LIFE);
    let write = fixture.write();
    assert!(!is_repair(&write));
    assert_eq!(fixture.finish(write).contest, None);
}

#[test]
fn a_forced_write_names_the_observed_secret() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    let other = Uid::parse("0a1b2c3d-0000-4e5f-8a9b-000000000001");
    let observed = ObservedCopy { uid: other, ..fixture.observed(edited(copy)) };
    fixture.copy_event(Watched::Changed("team-a".to_owned(), observed.clone()));
    let version = Some(observed.resource_version);
    let replaced = Replaced { uid: other.unwrap(), version };
    assert_eq!(fixture.write().replaces, Some(replaced));
}

#[test]
fn without_an_observed_secret_no_write_is_forced_not_even_to_adopt() {
    let mut fixture = Fixture::ready();
    let mut adopting = fixture.settings.clone();
    adopting.secrets[0].on_conflict = OnConflict::Adopt;
    fixture.configure_all(adopting);
    fixture.namespace("team-a");
    let write = fixture.write();
    assert_eq!(write.replaces, None);
    // A Secret was made meanwhile: it is taken over once it is seen, and not before.
    fixture.fail(write, WriteReason::Owned);
    assert!(fixture.writes().is_empty());
    fixture.pass(1);
    let observed = fixture.copy("team-a", Ownership::Foreign);
    let replaced = Replaced { uid: uid(), version: Some(observed.resource_version) };
    assert_eq!(fixture.write().replaces, Some(replaced));
}

#[test]
fn a_copy_that_was_left_in_peace_for_a_while_is_made_right_at_once() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    for _ in 0..20 {
        fixture.pass(11 * 60);
        let copy = copy_of(fixture.manifest.as_deref().unwrap());
        fixture.copy("team-a", edited(copy));
        assert_eq!(fixture.write_all(), ["team-a!"]);
    }
}

#[test]
fn a_foreign_secret_is_reported_once_until_it_is_deleted() {
    let mut fixture = Fixture::ready();
    fixture.copy("team-a", Ownership::Foreign);
    fixture.copy("other", Ownership::Foreign);
    assert_eq!(fixture.index.take_conflicts(), [], "before its namespace is known");
    fixture.namespace("team-a");
    fixture.namespace("other");
    let conflict = [conflict("team-a", None)];
    assert_eq!(fixture.index.take_conflicts(), conflict);
    fixture.copy("team-a", Ownership::Foreign);
    fixture.token("two", LIFE);
    assert_eq!(fixture.index.take_conflicts(), []);
    fixture.copy_gone("team-a");
    fixture.copy("team-a", Ownership::Foreign);
    assert_eq!(fixture.index.take_conflicts(), conflict);
    fixture.copy_gone("team-a");
    let [over] = conflict.map(|conflict| Conflict { is_over: true, ..conflict });
    assert_eq!(fixture.index.take_conflicts(), [over]);
}

fn conflict(namespace: &str, release: Option<&str>) -> Conflict {
    let release = release.map(|id| Arc::new(id.to_owned()));
    Conflict { secret: "ecr-pull".into(), namespace: namespace.into(), release, is_over: false }
}

fn of_another_release(expires_at: Option<Timestamp>) -> Ownership {
    let release = Arc::new("other/refresher".to_owned());
    Ownership::AnotherRelease { release, expires_at: expires_at.map(Into::into) }
}

#[test]
fn a_copy_of_another_release_is_neither_written_nor_deleted_and_the_release_is_named() {
    let mut fixture = Fixture::ready();
    let mut adopting = fixture.settings.clone();
    adopting.secrets[0].on_conflict = OnConflict::Adopt;
    fixture.configure_all(adopting);
    fixture.namespace("team-a");
    fixture.namespace("other");
    fixture.copy("team-a", of_another_release(None));
    fixture.copy("other", of_another_release(None));
    assert_eq!(fixture.index.take_conflicts(), [conflict("team-a", Some("other/refresher"))]);
    assert_eq!(fixture.state("team-a"), CopyState::Conflict);
    let report = fixture.report();
    let release = Some(Arc::new("other/refresher".to_owned()));
    assert_eq!(report.secrets[0].conflicts, [(release.clone(), 1)].into());
    assert_eq!(report.secrets[0].copies[0].release, release);
    fixture.pass(2 * GRACE.cast_signed());
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_copy_is_taken_over_from_a_named_release_by_force_once_all_entries_are_there() {
    let mut fixture = Fixture::ready();
    let mut taking = fixture.settings.clone();
    taking.secrets[0].take_over = vec![Release::new("other", "refresher")];
    fixture.configure_all(taking);
    fixture.namespace("team-a");
    let incomplete = Manifest { is_complete: false, ..manifest("half", fixture.now.wall, 3_600) };
    fixture.manifest(first(), Arc::new(incomplete));
    fixture.copy("team-a", of_another_release(Some(at(3_600))));
    assert_eq!(fixture.index.take_conflicts(), []);
    assert!(fixture.writes().is_empty(), "the other release keeps it up to date");
    fixture.token("whole", LIFE);
    assert_eq!(fixture.write_all(), ["team-a!"]);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn a_refresh_is_not_forced_so_that_the_api_server_refuses_it_where_another_release_was_faster() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    let write = fixture.write();
    assert_eq!(write.replaces, Some(Replaced { uid: uid(), version: None }));
    fixture.fail(write, WriteReason::Owned);
    fixture.copy("team-a", of_another_release(None));
    fixture.pass(3_600);
    assert!(fixture.writes().is_empty());
}

#[test]
fn a_refused_refresh_of_a_copy_that_is_still_ours_is_forced_for_its_version() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    let write = fixture.write();
    fixture.fail(write, WriteReason::Owned);
    fixture.pass(3_600);
    let replaced = fixture.write().replaces.unwrap();
    assert!(replaced.version.is_some(), "another manager owns a field of the same value");
}

#[test]
fn a_copy_without_our_apply_is_repaired_in_place_and_by_force() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let Ownership::Ours { content, expires_at, .. } = copy_of(fixture.manifest.as_deref().unwrap())
    else {
        unreachable!()
    };
    // As after a restore from a backup.
    fixture.copy("team-a", Ownership::Ours { content, expires_at, owned_fields: None });
    assert_eq!(fixture.write_all(), ["team-a!"]);
}
