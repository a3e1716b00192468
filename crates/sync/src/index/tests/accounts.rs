//! ServiceAccounts that name a pull Secret.

use super::*;
use crate::{job::AccountPatch, observed::account::ObservedAccount};

const HUB: &[(&str, &[&str])] = &[("hub-pull", &["team-b"])];

/// A fixture with the ServiceAccount `default` in its pull Secret, and an empty cluster.
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

/// The same with the copy of a namespace without a ServiceAccount.
fn with_copy() -> Fixture {
    let mut fixture = naming_default();
    fixture.labelled_namespace("team-a", "prod");
    assert_eq!(fixture.write_all(), ["team-a"]);
    fixture
}

/// The same with a ServiceAccount that names the pull Secret.
fn linked() -> Fixture {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &["theirs"]);
    let patch = patch(&mut fixture);
    finish(&mut fixture, patch, &["theirs", "ecr-pull"]);
    fixture
}

fn observed(fixture: &mut Fixture, names: &[&str]) -> ObservedAccount {
    fixture.version += 1;
    ObservedAccount {
        changed_by: None,
        resource_version: fixture.version,
        pull_secrets: names.iter().map(|&name| name.to_owned()).collect(),
    }
}

fn account_event(fixture: &mut Fixture, change: Watched<ObservedAccount>) {
    fixture.apply(Event::Account { account: AccountSlot::new(0), change });
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

/// A running patch of a ServiceAccount.
#[derive(Debug)]
struct Patch {
    account: Arc<str>,
    change: AccountPatch,
    job: Job,
}

fn patches(fixture: &mut Fixture) -> Vec<Patch> {
    let jobs = std::iter::from_fn(|| fixture.index.next_job(fixture.now, JobClass::Patch));
    let patch = |job: Job| {
        let Action::Patch(change) = job.action.clone() else { panic!("{job:?}") };
        Patch { account: Arc::clone(&job.name), change, job }
    };
    jobs.map(patch).collect()
}

/// The only patch that is due.
fn patch(fixture: &mut Fixture) -> Patch {
    let mut patches = patches(fixture);
    assert_eq!(patches.len(), 1, "{patches:?}");
    patches.remove(0)
}

fn assert_none(fixture: &mut Fixture) {
    assert_eq!(patches(fixture).len(), 0);
}

#[expect(clippy::needless_pass_by_value, reason = "the job has ended")]
fn finish(fixture: &mut Fixture, patch: Patch, names: &[&str]) -> JobOutcome {
    let written = Written::Account(observed(fixture, names));
    fixture.done(&patch.job, Ok(written)).unwrap()
}

fn failure(reason: WriteReason) -> WriteFailure {
    WriteFailure { reason, message: "no".to_owned(), retry_after: None }
}

#[expect(clippy::needless_pass_by_value, reason = "the job has ended")]
fn fail(fixture: &mut Fixture, patch: Patch, reason: WriteReason) {
    fixture.done(&patch.job, Err(failure(reason)));
}

/// How many deletions are due; they run from then on.
fn deletions(fixture: &mut Fixture) -> usize {
    std::iter::from_fn(|| fixture.index.next_deletion(fixture.now)).count()
}

/// The copy is no longer wanted, and the grace period is over.
fn unwanted(fixture: &mut Fixture) {
    fixture.labelled_namespace("team-a", "dev");
    fixture.pass(i64::try_from(GRACE).unwrap());
}

#[test]
fn a_service_account_gets_our_name_after_those_of_others() {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &["theirs"]);
    let Patch { account, change, job } = patch(&mut fixture);
    assert_eq!((&*job.namespace, &*account), ("team-a", "default"));
    assert_eq!((change.added, change.removed), (vec!["ecr-pull".to_owned()], vec![]));
    assert!(change.has_list && change.resource_version == fixture.version);
}

#[test]
fn one_that_is_created_after_its_namespace_gets_our_name_once() {
    let mut fixture = with_copy();
    assert_none(&mut fixture);
    account(&mut fixture, "team-a", &[]);
    let running = patch(&mut fixture);
    assert!(!running.change.has_list);
    // Observed again while the patch is running, and after it.
    account(&mut fixture, "team-a", &[]);
    assert_none(&mut fixture);
    finish(&mut fixture, running, &["ecr-pull"]);
    assert_none(&mut fixture);
}

#[test]
fn it_never_names_a_secret_that_is_missing_or_foreign() {
    let mut fixture = naming_default();
    account(&mut fixture, "team-a", &[]);
    fixture.copy("team-a", Ownership::Foreign);
    fixture.labelled_namespace("team-a", "prod");
    assert_none(&mut fixture);
    fixture.copy_gone("team-a");
    let write = fixture.write();
    assert_none(&mut fixture);
    fixture.finish(write);
    patch(&mut fixture);
}

#[test]
fn a_name_that_another_client_removes_is_added_again() {
    let mut fixture = linked();
    account(&mut fixture, "team-a", &["theirs"]);
    assert!(patch(&mut fixture).change.is_repair);
}

#[test]
fn a_service_account_that_another_client_keeps_resetting_is_patched_with_increasing_delay() {
    let mut fixture = linked();
    let (mut patches, mut contested) = (1, 0);
    let end = fixture.now.uptime + Duration::from_mins(10);
    while fixture.now.uptime <= end {
        account(&mut fixture, "team-a", &["theirs"]);
        fixture.pass_until(fixture.index.next().unwrap());
        let running = patch(&mut fixture);
        let outcome = finish(&mut fixture, running, &["theirs", "ecr-pull"]);
        contested += u32::from(outcome.contest.is_some());
        patches += 1;
    }
    assert!((10..=13).contains(&patches), "{patches}");
    assert!(contested >= patches - 3, "{contested} of {patches}");
}

#[test]
fn adding_another_pull_secret_is_not_a_repair() {
    let mut fixture = linked();
    let mut both = fixture.settings.clone();
    let mut other = both.secrets[0].clone();
    other.name = "hub-pull".to_owned();
    both.secrets.push(other);
    fixture.configure_all(both);
    let change = |change| Event::Copy { secret: SecretSlot::new(1), change };
    fixture.apply(change(Watched::ListBegun));
    fixture.apply(change(Watched::ListEnded));
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    assert_eq!(fixture.write_all(), ["team-a", "team-a~"]);
    let running = patch(&mut fixture).change;
    assert_eq!((running.added, running.is_repair), (vec!["hub-pull".to_owned()], false));
}

#[test]
fn our_name_is_removed_before_the_copy_and_no_other_name_is() {
    let mut fixture = linked();
    fixture.labelled_namespace("team-a", "dev");
    assert_none(&mut fixture);
    fixture.labelled_namespace("team-a", "prod");
    unwanted(&mut fixture);
    let running = patch(&mut fixture);
    assert_eq!((running.change.added.len(), &*running.change.removed), (0, &[1][..]));
    assert_eq!(deletions(&mut fixture), 0, "the patch is running");
    finish(&mut fixture, running, &["theirs"]);
    assert_none(&mut fixture);
    assert_eq!(deletions(&mut fixture), 1);
}

#[test]
fn a_namespace_that_moves_to_another_pull_secret_keeps_the_old_name_for_the_grace_period() {
    let mut fixture = linked();
    let mut moved = fixture.settings.clone();
    let mut new = settings(&[("new-pull", &["team-*"])], &Selector::default()).secrets.remove(0);
    new.service_accounts = vec!["default".to_owned()];
    moved.secrets[0].allow_list = settings(HUB, &Selector::default()).secrets[0].allow_list.clone();
    moved.secrets.push(new);
    fixture.configure_all(moved);
    let change = |change| Event::Copy { secret: SecretSlot::new(1), change };
    fixture.apply(change(Watched::ListBegun));
    fixture.apply(change(Watched::ListEnded));
    fixture.token("two", LIFE);
    assert_eq!(fixture.write_all(), ["team-a"]);
    let running = patch(&mut fixture);
    assert_eq!(running.change.added, ["new-pull"]);
    assert_eq!(running.change.removed, [0; 0], "Pods may still pull with the old name");
    finish(&mut fixture, running, &["theirs", "ecr-pull", "new-pull"]);
    assert_none(&mut fixture);
    fixture.pass(GRACE.cast_signed());
    assert_eq!(patch(&mut fixture).change.removed, [1]);
}

#[test]
fn a_name_that_cannot_be_removed_delays_no_deletion() {
    let mut fixture = linked();
    unwanted(&mut fixture);
    let running = patch(&mut fixture);
    fail(&mut fixture, running, WriteReason::Forbidden);
    assert_eq!(deletions(&mut fixture), 1);
}

#[test]
fn without_a_copy_of_ours_a_name_like_ours_stays() {
    let mut fixture = naming_default();
    fixture.labelled_namespace("team-a", "dev");
    account(&mut fixture, "team-a", &["ecr-pull"]);
    fixture.copy("team-a", Ownership::Foreign);
    fixture.pass(2 * GRACE.cast_signed());
    assert_none(&mut fixture);
}

#[test]
fn after_a_restart_our_name_is_still_removed_with_the_copy() {
    let mut fixture = linked();
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    fixture.index = Index::new(&fixture.settings, 8);
    fixture.list_namespaces(&[]);
    fixture.labelled_namespace("team-a", "dev");
    fixture.list_copies(&[("team-a", copy)]);
    account(&mut fixture, "team-a", &["theirs", "ecr-pull"]);
    fixture.pass(GRACE.cast_signed());
    assert_none(&mut fixture);
    assert_eq!(deletions(&mut fixture), 0, "the ServiceAccounts are not listed yet");
    account_event(&mut fixture, Watched::ListBegun);
    let seen = observed(&mut fixture, &["theirs", "ecr-pull"]);
    account_event(&mut fixture, Watched::Listed("team-a".to_owned(), seen));
    account_event(&mut fixture, Watched::ListEnded);
    patch(&mut fixture);
}

#[test]
fn without_prune_no_name_is_removed() {
    let mut fixture = linked();
    let without_prune = Settings { prune_after: None, ..fixture.settings.clone() };
    fixture.configure_all(without_prune);
    unwanted(&mut fixture);
    assert_none(&mut fixture);
}

#[test]
fn a_patch_of_an_outdated_list_is_tried_again_as_soon_as_the_watch_shows_the_change() {
    let mut fixture = with_copy();
    account(&mut fixture, "team-a", &[]);
    let running = patch(&mut fixture);
    fail(&mut fixture, running, WriteReason::Changed);
    assert_none(&mut fixture);
    assert_eq!(fixture.report().accounts[0].failing.len(), 1);
    account(&mut fixture, "team-a", &["theirs"]);
    patch(&mut fixture);
}

#[test]
fn a_patch_that_fails_waits_and_delays_no_other() {
    let mut fixture = with_copy();
    fixture.labelled_namespace("team-b", "prod");
    fixture.write_all();
    account(&mut fixture, "team-a", &[]);
    account(&mut fixture, "team-b", &[]);
    let [one, other] = patches(&mut fixture).try_into().unwrap();
    fail(&mut fixture, one, WriteReason::Forbidden);
    finish(&mut fixture, other, &["ecr-pull"]);
    assert_none(&mut fixture);
    fixture.pass(1);
    patch(&mut fixture);
}

#[test]
fn terminating_and_deleted_namespaces_are_left_alone() {
    let mut fixture = with_copy();
    fixture.terminating_namespace("team-a");
    account(&mut fixture, "team-a", &[]);
    assert_none(&mut fixture);
    let last = observed(&mut fixture, &[]);
    account_event(&mut fixture, Watched::Gone("team-a".to_owned(), last));
    fixture.copy_gone("team-a");
    fixture.namespace_gone("team-a");
    assert_eq!(fixture.entries(), 0, "nothing of it is kept");
}

#[test]
fn a_list_shows_which_accounts_are_gone() {
    let mut fixture = linked();
    list_accounts(&mut fixture, &[]);
    unwanted(&mut fixture);
    assert_none(&mut fixture);
    assert_eq!(deletions(&mut fixture), 1);
}

/// The names of ServiceAccounts with their slots.
fn slots(fixture: &Fixture) -> Vec<(&str, usize)> {
    fixture.index.accounts().map(|(slot, name)| (name, slot.index())).collect()
}

fn configure(fixture: &mut Fixture, accounts: &[&str]) {
    let mut settings = fixture.settings.clone();
    settings.secrets[0].service_accounts = accounts.iter().map(ToString::to_string).collect();
    fixture.configure_all(settings);
}

/// The watch shows the ServiceAccount of the second slot.
fn second_account(fixture: &mut Fixture, names: &[&str]) {
    let change = Watched::Changed("team-a".to_owned(), observed(fixture, names));
    fixture.apply(Event::Account { account: AccountSlot::new(1), change });
}

#[test]
fn another_name_gets_the_free_slot_of_one_that_has_left_the_config() {
    let mut fixture = linked();
    configure(&mut fixture, &["builder"]);
    assert_eq!(slots(&fixture), [("builder", 0)]);
    account(&mut fixture, "team-a", &[]);
    assert_eq!(&*patch(&mut fixture).account, "builder");
}

#[test]
fn the_result_of_a_patch_of_a_removed_name_does_not_count_for_another() {
    for is_done in [true, false] {
        let mut fixture = with_copy();
        account(&mut fixture, "team-a", &[]);
        let late = patch(&mut fixture);
        configure(&mut fixture, &["builder"]);
        assert_eq!(slots(&fixture), [("builder", 1)], "the first slot has a running patch");
        second_account(&mut fixture, &["theirs"]);
        let version = fixture.version;
        let written = Written::Account(observed(&mut fixture, &["ecr-pull"]));
        let result = if is_done { Ok(written) } else { Err(failure(WriteReason::Forbidden)) };
        assert_eq!(fixture.done(&late.job, result), None);
        assert!(fixture.report().accounts.iter().all(|account| account.failing.is_empty()));
        let running = patch(&mut fixture);
        assert_eq!((&*running.account, running.change.resource_version), ("builder", version));
        finish(&mut fixture, running, &["theirs", "ecr-pull"]);
        assert_none(&mut fixture);
        configure(&mut fixture, &["builder", "default"]);
        assert_eq!(slots(&fixture), [("default", 0), ("builder", 1)], "its slot is free again");
        account(&mut fixture, "team-a", &[]);
        assert_eq!(&*patch(&mut fixture).account, "default");
    }
}
