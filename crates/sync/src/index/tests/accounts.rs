//! ServiceAccounts whose Pods pull with a pull Secret.

use super::*;
use crate::{index::accounts::Link, observed::account::ObservedAccount};

/// A fixture whose pull Secret names the ServiceAccount `default`, with an empty cluster.
fn naming_default() -> Fixture {
    let mut settings = settings(TEAMS, &tier_is_prod());
    settings.secrets[0].service_accounts = vec!["default".to_owned()];
    let index = Index::new(&settings, 7);
    let mut fixture = Fixture { settings, index, now: moment(0), version: 100, manifest: None };
    fixture.list_namespaces(&[]);
    fixture.list_copies(&[]);
    list_accounts(&mut fixture, &[]);
    fixture.token("one", LIFE);
    fixture
}

/// The same with the copy of a namespace, of which no ServiceAccount has been seen.
fn with_copy() -> Fixture {
    let mut fixture = naming_default();
    fixture.labelled_namespace("team-a", "prod");
    assert_eq!(fixture.write_all(), ["team-a"]);
    fixture
}

/// The same with a ServiceAccount that has been linked.
fn linked() -> Fixture {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &["theirs"]);
    let link = links(&mut fixture).remove(0);
    finish(&mut fixture, link, &["theirs", "ecr-pull"]);
    fixture
}

fn observed(fixture: &mut Fixture, names: &[&str]) -> ObservedAccount {
    fixture.version += 1;
    ObservedAccount {
        resource_version: fixture.version,
        pull_secrets: names.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn account_event(fixture: &mut Fixture, change: Watched<ObservedAccount>) {
    fixture.apply(Event::Account { account: 0, change });
}

/// The watch shows a ServiceAccount, changed just now.
fn account(fixture: &mut Fixture, namespace: &str, names: &[&str]) {
    let observed = observed(fixture, names);
    account_event(fixture, Watched::Changed(namespace.to_owned(), observed));
}

fn list_accounts(fixture: &mut Fixture, namespaces: &[&str]) {
    account_event(fixture, Watched::ListBegun);
    for &namespace in namespaces {
        let observed = observed(fixture, &[]);
        account_event(fixture, Watched::Listed(namespace.to_owned(), observed));
    }
    account_event(fixture, Watched::ListEnded);
}

fn links(fixture: &mut Fixture) -> Vec<Link> {
    std::iter::from_fn(|| fixture.index.next_link(fixture.now)).collect()
}

fn finish(fixture: &mut Fixture, link: Link, names: &[&str]) {
    let outcome = Ok(observed(fixture, names));
    fixture.apply(Event::Linked { link, outcome });
}

fn fail(fixture: &mut Fixture, link: Link, reason: WriteReason) {
    let failure = WriteFailure { reason, message: "no".to_owned(), retry_after: None };
    fixture.apply(Event::Linked { link, outcome: Err(failure) });
}

fn deletions(fixture: &mut Fixture) -> Vec<Deletion> {
    std::iter::from_fn(|| fixture.index.next_deletion(fixture.now)).collect()
}

/// The namespace is wanted no more, and the grace is over.
fn unwanted(fixture: &mut Fixture) {
    fixture.labelled_namespace("team-a", "dev");
    fixture.pass(i64::try_from(GRACE).unwrap());
}

#[test]
fn a_service_account_gets_our_name_beside_those_of_others() {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &["theirs"]);
    let link = links(&mut fixture).remove(0);
    assert_eq!((&*link.namespace, link.account.as_str()), ("team-a", "default"));
    assert_eq!((link.added, link.removed), (vec!["ecr-pull".to_owned()], vec![]));
    assert!(link.has_list && link.resource_version == fixture.version);
}

#[test]
fn one_that_appears_after_its_namespace_gets_it_too_and_once() {
    let mut fixture = with_copy();
    assert_eq!(links(&mut fixture), []);
    account(&mut fixture, "team-a", &[]);
    let link = links(&mut fixture).remove(0);
    assert!(!link.has_list);
    // Seen again while the change is under way, and after it.
    account(&mut fixture, "team-a", &[]);
    assert_eq!(links(&mut fixture), []);
    finish(&mut fixture, link, &["ecr-pull"]);
    assert_eq!(links(&mut fixture), []);
}

#[test]
fn it_is_not_linked_to_a_secret_that_is_missing_or_foreign() {
    let mut fixture = naming_default();
    fixture.labelled_namespace("team-a", "prod");
    account(&mut fixture, "team-a", &[]);
    assert_eq!(links(&mut fixture), []);
    fixture.copy("team-a", Ownership::Foreign);
    assert_eq!(links(&mut fixture), []);
    fixture.copy_gone("team-a");
    fixture.write_all();
    assert_eq!(links(&mut fixture).len(), 1);
}

#[test]
fn whoever_takes_our_name_out_sees_it_added_again() {
    let mut fixture = linked();
    account(&mut fixture, "team-a", &["theirs"]);
    assert_eq!(links(&mut fixture).len(), 1);
}

#[test]
fn our_name_goes_before_the_copy_and_no_other_does() {
    let mut fixture = linked();
    fixture.labelled_namespace("team-a", "dev");
    assert_eq!(links(&mut fixture), [], "not before the grace is over");
    fixture.labelled_namespace("team-a", "prod");
    unwanted(&mut fixture);
    assert_eq!(deletions(&mut fixture), []);
    let link = links(&mut fixture).remove(0);
    assert_eq!((link.added.len(), link.removed.as_slice()), (0, &[1][..]));
    assert_eq!(deletions(&mut fixture), [], "while it is under way");
    finish(&mut fixture, link, &["theirs"]);
    assert_eq!((links(&mut fixture), deletions(&mut fixture).len()), (vec![], 1));
}

#[test]
fn a_name_that_does_not_go_holds_up_no_deletion() {
    let mut fixture = linked();
    unwanted(&mut fixture);
    let link = links(&mut fixture).remove(0);
    fail(&mut fixture, link, WriteReason::Forbidden);
    assert_eq!(deletions(&mut fixture).len(), 1);
}

#[test]
fn where_there_is_no_copy_of_ours_a_name_like_ours_stays() {
    let mut fixture = naming_default();
    fixture.labelled_namespace("team-a", "dev");
    account(&mut fixture, "team-a", &["ecr-pull"]);
    fixture.copy("team-a", Ownership::Foreign);
    fixture.pass(2 * i64::try_from(GRACE).unwrap());
    assert_eq!(links(&mut fixture), []);
}

#[test]
fn after_a_restart_our_name_still_goes_with_the_copy() {
    let mut fixture = linked();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.index = Index::new(&fixture.settings, 8);
    fixture.list_namespaces(&[]);
    fixture.labelled_namespace("team-a", "dev");
    fixture.list_copies(&[("team-a", copy)]);
    account(&mut fixture, "team-a", &["theirs", "ecr-pull"]);
    fixture.pass(i64::try_from(GRACE).unwrap());
    assert_eq!((links(&mut fixture), deletions(&mut fixture)), (vec![], vec![]), "not listed yet");
    account_event(&mut fixture, Watched::ListBegun);
    let seen = observed(&mut fixture, &["theirs", "ecr-pull"]);
    account_event(&mut fixture, Watched::Listed("team-a".to_owned(), seen));
    account_event(&mut fixture, Watched::ListEnded);
    assert_eq!(links(&mut fixture).len(), 1);
}

#[test]
fn without_prune_nothing_is_taken_back() {
    let mut fixture = linked();
    fixture.settings.prune_after = None;
    let settings = fixture.settings.clone();
    fixture.index.reconfigure(&settings, fixture.now);
    unwanted(&mut fixture);
    assert_eq!(links(&mut fixture), []);
}

#[test]
fn a_change_that_came_too_late_is_tried_again_as_soon_as_the_watch_shows_why() {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &[]);
    let link = links(&mut fixture).remove(0);
    fail(&mut fixture, link, WriteReason::Changed);
    assert_eq!(links(&mut fixture), []);
    assert_eq!(fixture.report().accounts[0].failing.len(), 1);
    account(&mut fixture, "team-a", &["theirs"]);
    assert_eq!(links(&mut fixture).len(), 1);
}

#[test]
fn a_change_that_fails_waits_and_holds_up_no_other() {
    let mut fixture = with_copy();
    fixture.labelled_namespace("team-b", "prod");
    fixture.write_all();
    account(&mut fixture, "team-a", &[]);
    account(&mut fixture, "team-b", &[]);
    let both = links(&mut fixture);
    let [one, other] = both.try_into().unwrap();
    fail(&mut fixture, one, WriteReason::Forbidden);
    finish(&mut fixture, other, &["ecr-pull"]);
    assert_eq!(links(&mut fixture), []);
    fixture.pass(1);
    assert_eq!(links(&mut fixture).len(), 1);
}

#[test]
fn a_terminating_namespace_and_one_that_is_gone_are_left_alone() {
    let mut fixture = with_copy();
    fixture.terminating_namespace("team-a");
    account(&mut fixture, "team-a", &[]);
    assert_eq!(links(&mut fixture), []);
    let last = observed(&mut fixture, &[]);
    account_event(&mut fixture, Watched::Gone("team-a".to_owned(), last));
    fixture.copy_gone("team-a");
    fixture.namespace_gone("team-a");
    assert_eq!(fixture.entries(), 0, "nothing of it is kept");
}

#[test]
fn a_list_shows_who_is_gone() {
    let mut fixture = linked();
    list_accounts(&mut fixture, &[]);
    unwanted(&mut fixture);
    assert_eq!((links(&mut fixture), deletions(&mut fixture).len()), (vec![], 1));
}

#[test]
fn a_name_that_joins_the_config_is_watched_and_one_that_leaves_is_not() {
    let mut fixture = linked();
    fixture.settings.secrets[0].service_accounts = vec!["builder".to_owned()];
    let settings = fixture.settings.clone();
    let changes = fixture.index.reconfigure(&settings, fixture.now);
    assert_eq!((changes.accounts_added, changes.accounts_removed), (vec![0], vec![0]));
    let names: Vec<_> = fixture.index.accounts().map(|(_, name)| name.to_owned()).collect();
    assert_eq!(names, ["builder"]);
    account(&mut fixture, "team-a", &[]);
    assert_eq!(links(&mut fixture).remove(0).account, "builder");
}

#[test]
fn a_patch_that_ends_after_its_name_has_left_the_config_says_nothing_about_the_next_name() {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &[]);
    let late = links(&mut fixture).remove(0);
    assert_eq!(late.account, "default");
    fixture.settings.secrets[0].service_accounts = vec!["builder".to_owned()];
    let settings = fixture.settings.clone();
    let changes = fixture.index.reconfigure(&settings, fixture.now);
    assert_eq!((changes.accounts_added, changes.accounts_removed), (vec![1], vec![0]));

    let builder = observed(&mut fixture, &["theirs"]);
    let resource_version = builder.resource_version;
    let change = Watched::Changed("team-a".to_owned(), builder);
    fixture.apply(Event::Account { account: 1, change });
    let outcome = Ok(observed(&mut fixture, &["ecr-pull"]));
    assert_eq!(fixture.apply(Event::Linked { link: late, outcome }), None);
    let link = links(&mut fixture).remove(0);
    assert_eq!((link.account.as_str(), link.resource_version), ("builder", resource_version));
    assert!(link.has_list, "it is not taken for the ServiceAccount of the late answer");
    finish(&mut fixture, link, &["theirs", "ecr-pull"]);
    assert_eq!(links(&mut fixture), []);
    // Its slot is free now.
    fixture.settings.secrets[0].service_accounts.push("default".to_owned());
    let settings = fixture.settings.clone();
    let changes = fixture.index.reconfigure(&settings, fixture.now);
    assert_eq!(changes.accounts_added, [0]);
    account(&mut fixture, "team-a", &[]);
    assert_eq!(links(&mut fixture).remove(0).account, "default");
}

#[test]
fn a_patch_that_fails_after_its_name_has_left_the_config_says_nothing_about_the_next_name() {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &[]);
    let late = links(&mut fixture).remove(0);
    fixture.settings.secrets[0].service_accounts = vec!["builder".to_owned()];
    let settings = fixture.settings.clone();
    fixture.index.reconfigure(&settings, fixture.now);
    let change = Watched::Changed("team-a".to_owned(), observed(&mut fixture, &[]));
    fixture.apply(Event::Account { account: 1, change });
    fail(&mut fixture, late, WriteReason::Forbidden);
    assert!(fixture.report().accounts.iter().all(|account| account.failing.is_empty()));
    assert_eq!(links(&mut fixture).remove(0).account, "builder");
}
