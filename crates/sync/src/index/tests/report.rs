//! The report of the index, and its size.

use strum::VariantArray;

use super::*;

#[test]
fn every_copy_is_counted_in_its_state() {
    let mut fixture = Fixture::with_copies(&["team-fresh"]);
    let old = copy_of(&manifest("old", fixture.now.wall, 3600));
    let expired = copy_of(&manifest("expired", fixture.now.wall, 0));
    for (name, copy) in
        [("team-stale", old), ("team-expired", expired), ("team-foreign", Ownership::Foreign)]
    {
        fixture.copy(name, copy);
        fixture.namespace(name);
    }
    fixture.namespace("team-failed");
    fixture.namespace("team-refused");
    for write in fixture.writes() {
        match &*write.namespace {
            "team-failed" => fixture.fail(write, WriteReason::QuotaExceeded),
            "team-refused" => fixture.fail(write, WriteReason::Invalid),
            _ => continue,
        };
    }
    fixture.namespace("team-missing");
    fixture.namespace("other");
    fixture.terminating_namespace("team-terminating");

    let report = fixture.report();
    let count = |&state: &CopyState| (state.as_str(), report.secrets[0].counts[state as usize]);
    let states: Vec<_> = CopyState::VARIANTS.iter().map(count).collect();
    assert_eq!(
        states,
        [
            ("fresh", 1),
            ("stale", 1),
            ("expired", 1),
            ("missing", 1),
            ("conflict", 2),
            ("failed", 1)
        ]
    );
    for copy in &report.secrets[0].copies {
        let expected = match copy.namespace.trim_start_matches("team-") {
            "foreign" | "refused" => "conflict",
            state => state,
        };
        assert_eq!(copy.state.as_str(), expected);
    }
    let earliest = report.secrets[0].earliest_expiration;
    assert_eq!(earliest, Some(fixture.now.wall));
}

#[test]
fn single_copies_are_reported_only_on_request() {
    let fixture = Fixture::with_copies(&["team-a", "team-b"]);
    assert_eq!(fixture.report().secrets[0].copies.len(), 2);
    let brief = fixture.index.report(fixture.now, PerNamespace::Off);
    assert!(brief.secrets[0].copies.is_empty());
    assert_eq!(brief.secrets[0].counts[CopyState::Fresh as usize], 2);
}

#[test]
fn an_edited_copy_is_stale_until_it_is_repaired() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.copy("team-a", edited(copy));
    assert_eq!(fixture.state("team-a"), CopyState::Stale);
    fixture.write_all();
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn the_earliest_expiration_is_that_of_the_copies_that_are_wanted() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let expiry = |fixture: &Fixture| fixture.report().secrets[0].earliest_expiration;
    assert_eq!(expiry(&fixture), Some(at(LIFE)));
    let old = copy_of(&manifest("old", fixture.now.wall, 60));
    fixture.copy("other", old.clone());
    fixture.namespace("other");
    assert_eq!(expiry(&fixture), Some(at(LIFE)));
    fixture.copy("team-b", old);
    fixture.namespace("team-b");
    assert_eq!(expiry(&fixture), Some(at(60)));
}

#[test]
fn patterns_count_the_namespaces_that_they_match() {
    let mut fixture = Fixture::new(&[("ecr-pull", &["team-*", "*-a", "team-b", "nowhere"])]);
    let patterns = |fixture: &Fixture| {
        let patterns = fixture.report().secrets[0].patterns.clone();
        patterns.into_iter().map(|(_, count)| count).collect::<Vec<_>>()
    };
    fixture.copy("team-c", Ownership::Foreign);
    assert_eq!(patterns(&fixture), [0, 0, 0, 0]);
    fixture.list_namespaces(&["team-a", "team-b", "x-a"]);
    assert_eq!(patterns(&fixture), [2, 2, 1, 0]);
    fixture.namespace("team-a");
    fixture.terminating_namespace("team-a");
    assert_eq!(patterns(&fixture), [2, 2, 1, 0]);
    fixture.namespace_gone("team-a");
    assert_eq!(patterns(&fixture), [1, 1, 1, 0]);
    fixture.list_namespaces(&["team-a"]);
    assert_eq!(patterns(&fixture), [1, 1, 0, 0]);
}

#[test]
fn it_is_synced_when_all_is_listed_and_all_that_was_missing_was_tried() {
    let mut fixture = Fixture::new(TEAMS);
    assert!(!fixture.is_synced());
    fixture.list_namespaces(&["team-a", "team-b", "other"]);
    assert!(!fixture.is_synced());
    fixture.list_copies(&[]);
    assert!(!fixture.is_synced(), "there is no token");
    fixture.token("one", LIFE);
    let mut writes = fixture.writes();
    let (one, other) = (writes.remove(0), writes.remove(0));
    assert!(!fixture.is_synced());
    fixture.finish(one);
    assert!(!fixture.is_synced());
    fixture.fail(other, WriteReason::QuotaExceeded);
    assert!(fixture.is_synced(), "a failure was a try");
}

#[test]
fn an_empty_cluster_is_synced_at_once() {
    assert!(Fixture::ready().is_synced());
}

#[test]
fn it_is_not_synced_before_each_pull_secret_has_its_list_and_its_token() {
    let mut fixture = Fixture::new(&[("ecr-pull", &["*"]), ("hub-pull", &["*"])]);
    fixture.list_namespaces(&[]);
    fixture.list_copies(&[]);
    fixture.token("one", LIFE);
    assert!(!fixture.is_synced());
    let change = Watched::ListEnded;
    fixture.apply(Event::Copy { secret: SecretSlot::new(1), change });
    assert!(fixture.is_synced());
}

#[test]
fn deleted_objects_are_forgotten() {
    let names: Vec<_> = (0..50).map(|number| format!("team-{number}")).collect();
    let mut fixture = Fixture::ready();
    for _ in 0..3 {
        for name in &names {
            fixture.namespace(name);
        }
        fixture.write_all();
        assert_eq!(fixture.entries(), 50);
        for (number, name) in names.iter().enumerate() {
            if number % 2 == 0 {
                fixture.copy_gone(name);
                fixture.namespace_gone(name);
            } else {
                fixture.namespace_gone(name);
                fixture.copy_gone(name);
            }
        }
        assert_eq!(fixture.entries(), 0);
        assert_eq!(fixture.index.next(), None);
    }
}

#[test]
fn objects_that_new_lists_do_not_show_are_forgotten() {
    let mut fixture = Fixture::with_copies(&["team-a", "team-b"]);
    fixture.copy("other", Ownership::Foreign);
    assert_eq!(fixture.entries(), 3);
    fixture.list_namespaces(&[]);
    fixture.list_copies(&[]);
    assert_eq!(fixture.entries(), 0);
    fixture.copy_gone("unheard-of");
    assert_eq!(fixture.entries(), 0);
}
