//! Which namespaces get a copy, and when.

use super::*;

#[test]
fn a_wanted_namespace_gets_exactly_one_write() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    assert_eq!(fixture.write_all(), ["team-a"]);
    fixture.namespace("team-a");
    assert!(fixture.write_all().is_empty());
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn nothing_is_written_before_the_copies_were_listed() {
    let mut fixture = Fixture::new(TEAMS);
    fixture.token("one", LIFE);
    fixture.list_namespaces(&["team-a"]);
    fixture.copy_event(Watched::ListBegun);
    assert!(fixture.writes().is_empty());
    fixture.copy_event(Watched::ListEnded);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn nothing_is_written_before_there_is_a_token() {
    let mut fixture = Fixture::new(TEAMS);
    fixture.list_namespaces(&["team-a"]);
    fixture.list_copies(&[]);
    assert!(fixture.writes().is_empty());
    fixture.token("one", LIFE);
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn the_order_in_which_the_lists_come_does_not_matter() {
    let mut fixture = Fixture::new(TEAMS);
    let copy = fixture.token("one", LIFE);
    fixture.list_copies(&[("team-a", copy), ("team-b", Ownership::Foreign)]);
    fixture.list_namespaces(&["team-a", "team-b", "team-c"]);
    assert_eq!(fixture.write_all(), ["team-c"]);
}

#[test]
fn a_namespace_outside_the_allow_list_gets_no_copy() {
    let mut fixture = Fixture::ready();
    fixture.namespace("other");
    fixture.namespace("my-team-a");
    assert!(fixture.writes().is_empty());
}

#[test]
fn each_pull_secret_has_a_list_of_its_own() {
    let mut fixture = Fixture::new(&[("ecr-pull", &["team-*"]), ("hub-pull", &["*-a"])]);
    fixture.list_namespaces(&["team-a", "team-b", "x-a"]);
    fixture.token("one", LIFE);
    fixture.list_copies(&[]);
    let mut first = fixture.writes();
    let change = Watched::ListBegun;
    fixture.apply(Event::Copy { secret: SecretSlot::new(1), change });
    let change = Watched::ListEnded;
    fixture.apply(Event::Copy { secret: SecretSlot::new(1), change });
    let second = fixture.writes();
    first.sort_by_key(|write| Arc::clone(&write.namespace));
    assert_eq!(names_of(&first), ["team-a", "team-b"]);
    assert!(first.iter().all(|write| &*write.job.name == "ecr-pull"));
    assert_eq!(names_of(&second), ["team-a", "x-a"]);
    assert!(second.iter().all(|write| &*write.job.name == "hub-pull"));
}

#[test]
fn a_label_decides_as_it_comes_and_goes() {
    let mut fixture = Fixture::selecting(TEAMS, &tier_is_prod());
    fixture.list_copies(&[]);
    fixture.token("one", LIFE);
    fixture.namespace("team-a");
    assert!(fixture.writes().is_empty());

    fixture.labelled_namespace("team-a", "prod");
    assert_eq!(fixture.write_all(), ["team-a"]);

    fixture.labelled_namespace("team-a", "dev");
    fixture.token("two", LIFE);
    assert_eq!(fixture.index.next(), None);

    fixture.labelled_namespace("team-a", "prod");
    fixture.pass(SPREAD.cast_signed());
    assert_eq!(fixture.write_all(), ["team-a~"]);
}

#[test]
fn a_namespace_that_loses_its_label_in_time_gets_no_copy() {
    let mut fixture = Fixture::selecting(TEAMS, &tier_is_prod());
    fixture.list_copies(&[]);
    fixture.token("one", LIFE);
    fixture.labelled_namespace("team-a", "prod");
    fixture.labelled_namespace("team-a", "dev");
    assert!(fixture.writes().is_empty());
}

#[test]
fn a_namespace_that_is_made_again_gets_a_copy_again() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.terminating_namespace("team-a");
    fixture.copy_gone("team-a");
    fixture.namespace_gone("team-a");
    assert!(fixture.writes().is_empty());
    fixture.namespace("team-a");
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_recreated_namespace_gets_a_copy_though_the_deletion_arrives_late() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.namespace_gone("team-a");
    fixture.namespace("team-a");
    assert!(fixture.writes().is_empty());
    fixture.copy_gone("team-a");
    assert_eq!(fixture.write_all(), ["team-a"]);
}

#[test]
fn a_namespace_that_is_terminating_is_left_alone() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    fixture.terminating_namespace("team-a");
    fixture.terminating_namespace("team-b");
    assert!(fixture.writes().is_empty());
    fixture.token("two", LIFE);
    assert_eq!(fixture.index.next(), None);
}

#[test]
fn a_namespace_that_a_new_list_does_not_show_is_gone() {
    let mut fixture = Fixture::with_copies(&["team-a", "team-b"]);
    fixture.list_namespaces(&["team-b", "team-c"]);
    fixture.token("two", LIFE);
    let names: Vec<_> = fixture.write_as_due().into_iter().map(|due| due.0).collect();
    assert_eq!(names, ["team-c", "team-b~"]);
}

#[test]
fn the_first_copy_has_the_waiting_time_of_its_namespace() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let first = fixture.write();
    fixture.pass(2);
    let ended = fixture.finish(first);
    assert_eq!(ended.waited, Some(Duration::from_secs(2)));

    fixture.copy_gone("team-a");
    let second = fixture.write();
    assert_eq!(fixture.finish(second).waited, None);
}
