//! Another config, while everything runs.

use super::*;

const HUB: &[(&str, &[&str])] = &[("hub-pull", &["team-b"])];

fn tier_is_not_prod() -> Selector {
    Expression::NotEqual("tier".into(), "prod".into()).into()
}

impl Fixture {
    fn configure(&mut self, secrets: &[(&str, &[&str])], selector: &Selector) -> bool {
        self.configure_all(settings(secrets, selector))
    }

    /// The engine's work for an added pull Secret.
    fn give_manifest(&mut self) {
        let manifest = self.manifest.clone().unwrap();
        self.manifest(first(), manifest);
    }

    /// The pull Secrets with their slots.
    fn slots(&self) -> Vec<(String, usize)> {
        let secrets = self.index.secrets();
        secrets.map(|(slot, secret)| (secret.name.clone(), slot.index())).collect()
    }

    fn list_labelled(&mut self, namespaces: &[(&str, &str)]) {
        self.namespace_event(Watched::ListBegun);
        for &(name, tier) in namespaces {
            self.namespace_event(Watched::Listed(name.to_owned(), namespace(Some(tier))));
        }
        self.namespace_event(Watched::ListEnded);
    }
}

#[test]
fn no_namespace_gets_a_copy_while_its_labels_are_unknown() {
    let mut fixture = Fixture::ready();
    fixture.configure(HUB, &Selector::default());
    fixture.labelled_namespace("team-a", "prod");
    fixture.labelled_namespace("team-b", "dev");
    assert!(fixture.configure(TEAMS, &tier_is_not_prod()));
    fixture.give_manifest();
    fixture.list_copies(&[]);
    assert_eq!(names_of(&fixture.writes()), [""; 0]);
    fixture.list_labelled(&[("team-a", "prod"), ("team-b", "dev")]);
    assert_eq!(fixture.write_all(), ["team-b"]);
}

#[test]
fn a_namespace_that_is_seen_with_its_labels_does_not_wait_for_the_others() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    fixture.namespace("team-b");
    fixture.configure(TEAMS, &tier_is_not_prod());
    fixture.labelled_namespace("team-a", "dev");
    fixture.namespace("team-new");
    assert_eq!(fixture.write_all(), ["team-a", "team-new"]);
}

#[test]
fn labels_that_are_missing_for_one_pull_secret_are_no_matter_to_another() {
    let mut fixture = Fixture::labelled();
    let mut both = fixture.settings.clone();
    let zone_is_a = Expression::Equal("zone".into(), "a".into()).into();
    both.secrets.extend(settings(&[("hub-pull", &["*"])], &zone_is_a).secrets);
    assert!(fixture.configure_all(both));
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
    fixture.token("two", LIFE);
    fixture.pass(SPREAD.cast_signed());
    assert_eq!(fixture.write_all(), ["team-a~"]);
}

#[test]
fn a_namespace_whose_labels_were_not_known_has_its_whole_grace() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    fixture.configure(TEAMS, &tier_is_prod());
    fixture.pass(GRACE.cast_signed());
    fixture.list_labelled(&[("team-a", "dev")]);
    assert!(fixture.index.next_deletion(fixture.now).is_none());
    assert_eq!(fixture.index.next(), Some(fixture.now.uptime + Duration::from_secs(GRACE)));
}

#[test]
fn a_pull_secret_that_comes_back_during_a_write_waits_for_its_end() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.configure(HUB, &Selector::default());
    fixture.configure(TEAMS, &Selector::default());
    assert_eq!(fixture.slots(), [("ecr-pull".to_owned(), 0)]);
    fixture.give_manifest();
    fixture.list_copies(&[]);
    assert_eq!(names_of(&fixture.writes()), [""; 0]);
    fixture.finish(write);
    // The list that was made meanwhile did not show it: another client may have deleted it since.
    assert_eq!(fixture.write_all(), ["team-a"]);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn a_pull_secret_that_comes_back_during_a_write_and_whose_list_shows_it_is_not_written_again() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    let copy = copy_of(&write.manifest);
    let written = fixture.observed(copy.clone());
    fixture.configure(HUB, &Selector::default());
    fixture.configure(TEAMS, &Selector::default());
    fixture.give_manifest();
    fixture.list_copies(&[("team-a", copy)]);
    fixture.answer(write, written);
    assert_eq!(fixture.index.next(), None);
    assert_eq!(fixture.state("team-a"), CopyState::Fresh);
}

#[test]
fn a_write_that_ends_after_its_pull_secret_has_left_says_nothing_about_the_next_one() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-b");
    let write = fixture.write();
    fixture.configure(HUB, &Selector::default());
    assert_eq!(fixture.slots(), [("hub-pull".to_owned(), 1)]);
    let written = fixture.observed(copy_of(&write.manifest));
    assert_eq!(fixture.done(&write.job, Ok(Written::Copy(written))), None);
    fixture.configure(&[("new", &["*"])], &Selector::default());
    assert_eq!(fixture.slots(), [("new".to_owned(), 0)]);
    fixture.give_manifest();
    fixture.list_copies(&[]);
    assert_eq!(fixture.write_all(), ["team-b"]);
}

#[test]
fn a_namespace_deleted_during_a_write_of_a_removed_pull_secret_is_forgotten() {
    let mut fixture = Fixture::ready();
    fixture.namespace("team-a");
    let write = fixture.write();
    fixture.configure(HUB, &Selector::default());
    fixture.namespace_gone("team-a");
    let failure = WriteFailure {
        reason: WriteReason::NamespaceGone,
        message: String::new(),
        retry_after: None,
    };
    assert_eq!(fixture.done(&write.job, Err(failure)), None);
    assert_eq!(fixture.entries(), 0);
}

#[test]
fn a_pull_secret_that_is_added_has_a_grace_of_its_own() {
    let mut fixture = Fixture::with_copies(&["team-a"]);
    let copy = copy_of(fixture.manifest.as_deref().unwrap());
    // Its slot stays empty for long.
    let mut none = fixture.settings.clone();
    none.secrets.clear();
    fixture.configure_all(none);
    fixture.namespace("team-a");
    fixture.pass(2 * GRACE.cast_signed());
    fixture.configure(HUB, &Selector::default());
    assert_eq!(fixture.slots(), [("hub-pull".to_owned(), 0)]);
    fixture.list_copies(&[("team-a", copy)]);
    assert!(fixture.index.next_deletion(fixture.now).is_none());
    fixture.pass(GRACE.cast_signed());
    assert!(fixture.index.next_deletion(fixture.now).is_some());
}
