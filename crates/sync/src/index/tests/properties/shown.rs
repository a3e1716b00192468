//! What lists, watches and answers have shown to the index, and the jobs that this allows.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    config::{Config, Kind},
    *,
};

/// The objects that the index was shown.
#[derive(Default)]
pub(super) struct Shown {
    namespaces: BTreeMap<String, Namespace>,
    listed_namespaces: BTreeMap<String, Namespace>,
    /// Whether all of them, with all labels that count, were shown.
    namespaces_known: bool,
    copies: [Copies; 2],
    /// Since when a namespace is not to have a copy.
    unwanted_since: BTreeMap<(Kind, &'static str), Duration>,
}

/// The copies of a pull Secret that it was shown.
#[derive(Default)]
struct Copies {
    /// The last of each by a list, a watch or an answer, with its version.
    last: BTreeMap<String, (u64, Option<ObservedCopy>)>,
    /// Those in the list that is under way, or was the last.
    listed: BTreeSet<String>,
    /// Those of which a request was answered since that list began.
    answered: BTreeSet<String>,
    /// Those that a list or a watch has shown since their request began.
    moved: BTreeSet<String>,
    /// Those that were not in a list which has ended since their request began.
    unlisted: BTreeSet<String>,
    known: bool,
}

impl Shown {
    // Namespaces.

    pub(super) fn of_namespace(&mut self, change: &Watched<Namespace>) {
        match change {
            Watched::ListBegun => self.listed_namespaces.clear(),
            Watched::Listed(name, namespace) => {
                self.listed_namespaces.insert(name.clone(), namespace.clone());
                self.namespaces.insert(name.clone(), namespace.clone());
            }
            Watched::ListEnded => {
                self.namespaces = self.listed_namespaces.clone();
                self.namespaces_known = true;
            }
            Watched::Changed(name, namespace) => {
                self.namespaces.insert(name.clone(), namespace.clone());
            }
            Watched::Gone(name, _) => drop(self.namespaces.remove(name)),
        }
    }

    /// Labels count that were not kept.
    pub(super) fn labels_are_missing(&mut self) {
        self.namespaces_known = false;
    }

    // Copies.

    pub(super) fn of_copy(&mut self, kind: Kind, version: u64, change: &Watched<ObservedCopy>) {
        let copies = &mut self.copies[kind as usize];
        match change {
            Watched::ListBegun => {
                copies.listed.clear();
                copies.answered.clear();
            }
            Watched::Listed(name, observed) => {
                copies.listed.insert(name.clone());
                let version = observed.resource_version;
                if copies.answered.contains(name) {
                    // The list may have been made before the request was done.
                    copies.note(name, version, Some(observed.clone()));
                } else {
                    copies.set(name, version, Some(observed.clone()));
                    copies.moved.insert(name.clone());
                }
            }
            Watched::ListEnded => {
                copies.known = true;
                for name in NAMES {
                    if !copies.listed.contains(name) {
                        copies.set(name, version, None);
                        copies.unlisted.insert(name.to_owned());
                    }
                }
            }
            Watched::Changed(name, observed) => {
                copies.note(name, observed.resource_version, Some(observed.clone()));
            }
            Watched::Gone(name, last) => copies.note(name, last.resource_version, None),
        }
    }

    /// A request begins.
    pub(super) fn of_start(&mut self, kind: Kind, name: &str) {
        let copies = &mut self.copies[kind as usize];
        copies.moved.remove(name);
        copies.unlisted.remove(name);
    }

    /// A request was answered: this is there now, as far as no list has shown otherwise.
    pub(super) fn of_answer(&mut self, kind: Kind, name: &str, observed: ObservedCopy) {
        let copies = &mut self.copies[kind as usize];
        let version = observed.resource_version;
        let last = copies.last.get(name).map_or(0, |last| last.0);
        let is_newer = version >= last || !copies.moved.contains(name);
        if is_newer && !copies.unlisted.contains(name) {
            copies.set(name, version, Some(observed));
            copies.answered.insert(name.to_owned());
        }
    }

    /// A deletion was answered: the object of this version is gone.
    pub(super) fn of_deletion(&mut self, kind: Kind, name: &str, version: u64) {
        let copies = &mut self.copies[kind as usize];
        copies.note(name, version + 1, None);
        copies.answered.insert(name.to_owned());
    }

    /// A pull Secret has left the config.
    pub(super) fn forget(&mut self, kind: Kind) {
        self.copies[kind as usize] = Copies::default();
    }

    // Time.

    /// Notes which namespaces are not to have a copy; after each step.
    pub(super) fn note_unwanted(&mut self, config: &Config, now: Now) {
        for kind in Kind::ALL {
            for name in NAMES {
                let key = (kind, name);
                let known = config.get(kind).and_then(|_| self.namespaces.get(name));
                if known.is_some_and(|namespace| !config.allows(kind, name, namespace)) {
                    self.unwanted_since.entry(key).or_insert(now.uptime);
                } else {
                    self.unwanted_since.remove(&key);
                }
            }
        }
    }

    // Allowed jobs.

    /// A write is only for a namespace that should have a copy by what was shown, and only if it is needed.
    pub(super) fn check_write(
        &self,
        kind: Kind,
        write: &Write,
        manifest: &Manifest,
        config: &Config,
    ) {
        let name = &*write.namespace;
        let copies = &self.copies[kind as usize];
        assert!(copies.known, "{name}: nothing is known to be missing");
        assert_eq!(write.manifest.content, manifest.content, "{name}");
        let namespace = self.namespaces.get(name).expect("it was shown");
        assert!(!namespace.terminating, "{name} is terminating");
        assert!(config.allows(kind, name, namespace), "{name} is not to have a copy");

        let there = copies.there(name);
        let ownership = there.as_ref().map(|observed| observed.ownership.clone());
        let adopts = config.get(kind).unwrap().on_conflict == OnConflict::Adopt;
        assert!(adopts || ownership != Some(Ownership::Foreign), "{name} is foreign");
        assert_ne!(ownership, Some(copy_of(manifest)), "{name} is fresh");
        // By force only where something is known to be there, and only that.
        let replaced = write.replaces.map(|Replaced { uid, .. }| uid);
        assert_eq!(replaced, there.as_ref().and_then(|observed| observed.uid), "{name}");
        let version = write.replaces.and_then(|replaced| replaced.version);
        let known = there.as_ref().map(|observed| observed.resource_version);
        let owns_all =
            matches!(ownership, Some(Ownership::Ours { owned_fields: Some(FIELDS), .. }));
        assert!(version == known || (version.is_none() && owns_all), "{name}");
    }

    /// A deletion is only of what the index knows for sure to be ours, and unwanted for long enough.
    pub(super) fn check_deletion(
        &self,
        kind: Kind,
        deletion: &Deletion,
        config: &Config,
        now: Now,
    ) {
        let name = &*deletion.namespace;
        assert!(config.prunes, "{name}: nothing may be deleted");
        assert!(config.get(kind).is_some(), "{name}: it has left the config");
        assert!(self.namespaces_known, "{name}: what is wanted is not known");
        let copies = &self.copies[kind as usize];
        assert!(copies.known, "{name}: what is there is not known");
        let namespace = self.namespaces.get(name).expect("it was shown");
        assert!(!namespace.terminating, "{name} is terminating");
        assert!(!config.allows(kind, name, namespace), "{name} is to have a copy");

        let observed = copies.there(name).expect("it is there");
        let is_ours = matches!(observed.ownership, Ownership::Ours { owned_fields: Some(_), .. });
        assert!(is_ours, "{name} is not ours to delete");
        let named = (Some(deletion.uid), deletion.resource_version);
        assert_eq!((observed.uid, observed.resource_version), named, "{name}");

        let since = self.unwanted_since[&(kind, name)];
        let unwanted = now.uptime.saturating_sub(since).as_secs();
        assert!(unwanted >= GRACE, "{name} is unwanted since {unwanted} s only");
    }
}

impl Copies {
    fn set(&mut self, name: &str, version: u64, observed: Option<ObservedCopy>) {
        self.last.insert(name.to_owned(), (version, observed));
    }

    /// Takes what may be older than what is known.
    fn note(&mut self, name: &str, version: u64, observed: Option<ObservedCopy>) {
        if version >= self.last.get(name).map_or(0, |last| last.0) {
            self.set(name, version, observed);
            self.moved.insert(name.to_owned());
        }
    }

    fn there(&self, name: &str) -> Option<ObservedCopy> {
        self.last.get(name)?.1.clone()
    }
}
