//! An API server in a few lines: namespaces, the Secrets of two names, and a watch of each.

use std::collections::{BTreeMap, VecDeque};

use super::{config::Kind, *};

/// The answer of the API server: the Secret after the request, unless that was a deletion.
pub(super) type Answer = Result<Option<ObservedCopy>, WriteFailure>;

/// Versions of different eras are never the same: otherwise no client could distinguish a Secret of
/// before a restore from one of after it.
const ERAS: u64 = 1 << 16;

/// Namespaces and Secrets with their resourceVersions.
#[derive(Default)]
pub(super) struct Cluster {
    version: u64,
    /// How many Secrets there were: each has another UID.
    made: u64,
    /// How often etcd was restored.
    restores: u64,
    backup: Backup,
    pub(super) namespaces: BTreeMap<&'static str, Namespace>,
    pub(super) namespace_watch: Watch<Namespace>,
    pub(super) collections: [Collection; 2],
    /// An admission webhook that takes over a field of all that is written.
    pub(super) webhook: bool,
}

/// The content of etcd at some time.
#[derive(Default)]
struct Backup {
    version: u64,
    namespaces: BTreeMap<&'static str, Namespace>,
    secrets: [BTreeMap<&'static str, Secret>; 2],
}

/// The Secrets of one name, by their namespaces.
#[derive(Default)]
pub(super) struct Collection {
    pub(super) secrets: BTreeMap<&'static str, Secret>,
    pub(super) watch: Watch<ObservedCopy>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) observed: ObservedCopy,
    /// Another client owns its data now, so an apply must be forced.
    edited: bool,
}

/// A watch, and the events that it has not delivered yet. It delivers late, and in order.
pub(super) struct Watch<T> {
    pub(super) events: VecDeque<(u64, Watched<T>)>,
    pub(super) connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// There is no connection: events are lost.
    Lost,
    /// The list has begun and is made later: until then there are no events.
    Listing,
    /// Each change is an event.
    Watching,
}

impl<T> Default for Watch<T> {
    fn default() -> Self {
        Self { events: VecDeque::new(), connection: Connection::Lost }
    }
}

impl<T> Watch<T> {
    fn send(&mut self, version: u64, event: Watched<T>) {
        if self.connection == Connection::Watching {
            self.events.push_back((version, event));
        }
    }

    /// Is given up.
    pub(super) fn end(&mut self) {
        self.events.clear();
        self.connection = Connection::Lost;
    }

    /// Loses its place, and begins a new list.
    pub(super) fn relist(&mut self) {
        self.events.clear();
        self.connection = Connection::Listing;
    }

    /// Makes the list.
    fn list(&mut self, version: u64, objects: impl Iterator<Item = (&'static str, T)>) {
        if self.connection == Connection::Listing {
            self.connection = Connection::Watching;
            for (name, object) in objects {
                self.send(version, Watched::Listed(name.to_owned(), object));
            }
            self.send(version, Watched::ListEnded);
        }
    }
}

impl Cluster {
    pub(super) fn is_active(&self, name: &str) -> bool {
        self.namespaces.get(name).is_some_and(|namespace| !namespace.terminating)
    }

    fn next_version(&mut self) -> u64 {
        self.version += ERAS;
        self.version
    }

    pub(super) fn back_up(&mut self) {
        self.backup = Backup {
            version: self.version,
            namespaces: self.namespaces.clone(),
            secrets: [0, 1].map(|kind| self.collections[kind].secrets.clone()),
        };
    }

    /// Brings back what was there at the time of the last backup, and the versions of then.
    pub(super) fn restore(&mut self) {
        self.restores += 1;
        self.version = self.backup.version / ERAS * ERAS + self.restores;
        self.namespaces = self.backup.namespaces.clone();
        for (collection, secrets) in self.collections.iter_mut().zip(&self.backup.secrets) {
            collection.secrets = secrets.clone();
        }
    }

    // Namespaces.

    /// Makes a namespace, or changes its labels.
    pub(super) fn put_namespace(&mut self, name: &'static str, mut namespace: Namespace) {
        namespace.terminating |= self.namespaces.get(name).is_some_and(|old| old.terminating);
        let version = self.next_version();
        self.namespaces.insert(name, namespace.clone());
        let event = Watched::Changed(name.to_owned(), namespace);
        self.namespace_watch.send(version, event);
    }

    pub(super) fn terminate_namespace(&mut self, name: &'static str) {
        if self.is_active(name) {
            self.put_namespace(name, terminating());
        }
    }

    /// Ends a namespace that is terminating, and first what is in it.
    pub(super) fn remove_namespace(&mut self, name: &'static str) {
        if !self.namespaces.contains_key(name) || self.is_active(name) {
            return;
        }
        for kind in Kind::ALL {
            self.remove_secret(kind, name);
        }
        if let Some(last) = self.namespaces.remove(name) {
            let version = self.next_version();
            let event = Watched::Gone(name.to_owned(), last);
            self.namespace_watch.send(version, event);
        }
    }

    pub(super) fn list_namespaces(&mut self) {
        let all = self.namespaces.iter().map(|(&name, namespace)| (name, namespace.clone()));
        self.namespace_watch.list(self.version, all);
    }

    // Secrets.

    pub(super) fn collection(&self, kind: Kind) -> &Collection {
        &self.collections[kind as usize]
    }

    pub(super) fn collection_mut(&mut self, kind: Kind) -> &mut Collection {
        &mut self.collections[kind as usize]
    }

    pub(super) fn secret(&self, kind: Kind, name: &str) -> Option<Secret> {
        self.collection(kind).secrets.get(name).cloned()
    }

    fn put_secret(
        &mut self,
        kind: Kind,
        name: &'static str,
        ownership: Ownership,
        edited: bool,
    ) -> ObservedCopy {
        let version = self.next_version();
        let old = self.secret(kind, name).and_then(|secret| secret.observed.uid);
        self.made += u64::from(old.is_none());
        let new = format!("00000000-0000-4000-8000-{:012x}", self.made);
        let uid = old.or_else(|| Uid::parse(&new));
        let observed = ObservedCopy { resource_version: version, uid, ownership, changed_by: None };
        let collection = self.collection_mut(kind);
        collection.secrets.insert(name, Secret { observed: observed.clone(), edited });
        let event = Watched::Changed(name.to_owned(), observed.clone());
        collection.watch.send(version, event);
        observed
    }

    pub(super) fn make_foreign(&mut self, kind: Kind, name: &'static str) {
        if self.is_active(name) && self.secret(kind, name).is_none() {
            self.put_secret(kind, name, Ownership::Foreign, false);
        }
    }

    pub(super) fn remove_secret(&mut self, kind: Kind, name: &'static str) {
        let version = self.next_version();
        let collection = self.collection_mut(kind);
        if let Some(Secret { mut observed, .. }) = collection.secrets.remove(name) {
            observed.resource_version = version;
            collection.watch.send(version, Watched::Gone(name.to_owned(), observed));
        }
    }

    /// A tenant changes the data, and owns that field from then on.
    pub(super) fn edit(&mut self, kind: Kind, name: &'static str) {
        if let Some(secret) = self.secret(kind, name) {
            self.put_secret(kind, name, edited(secret.observed.ownership), true);
        }
    }

    /// A tenant removes a label, which then has no owner; with `all`, nothing is recorded as applied by us
    /// any more, as after a restore from a backup.
    pub(super) fn strip(&mut self, kind: Kind, name: &'static str, all: bool) {
        if let Some(secret) = self.secret(kind, name) {
            let mut ownership = edited(secret.observed.ownership);
            if let Ownership::Ours { owned_fields, .. } = &mut ownership {
                owned_fields.take_if(|_| all);
            }
            self.put_secret(kind, name, ownership, secret.edited || all);
        }
    }

    pub(super) fn list_copies(&mut self, kind: Kind) {
        let version = self.version;
        let Collection { secrets, watch, .. } = self.collection_mut(kind);
        watch.list(version, secrets.iter().map(|(&name, secret)| (name, secret.observed.clone())));
    }

    // Requests.

    /// Does a write, or refuses it.
    pub(super) fn apply(&mut self, kind: Kind, name: &'static str, write: &Write) -> Answer {
        let old = self.secret(kind, name);
        if !self.namespaces.contains_key(name) || (!self.is_active(name) && old.is_none()) {
            return Err(refused(WriteReason::NamespaceGone));
        }
        let is_there = |Replaced { uid, version }: Replaced| {
            old.as_ref().map(|secret| &secret.observed).is_some_and(|old| {
                old.uid == Some(uid) && version.is_none_or(|it| it == old.resource_version)
            })
        };
        if write.replaces.is_some_and(|replaced| !is_there(replaced)) {
            return Err(refused(WriteReason::Changed));
        }
        let in_the_way = |old: &Secret| old.edited || old.observed.ownership == Ownership::Foreign;
        if !is_forced(write) && old.as_ref().is_some_and(in_the_way) {
            return Err(refused(WriteReason::Owned));
        }
        let applied = copy_of(&write.manifest);
        Ok(Some(match old {
            // A write without a change has no new version and no event.
            Some(old) if !self.webhook && !old.edited && old.observed.ownership == applied => {
                old.observed
            }
            _ if self.webhook => self.put_secret(kind, name, edited(applied), true),
            _ => self.put_secret(kind, name, applied, false),
        }))
    }

    /// Does a deletion, or refuses it.
    pub(super) fn delete(&mut self, kind: Kind, name: &'static str, deletion: &Deletion) -> Answer {
        let Some(Secret { observed, .. }) = self.secret(kind, name) else { return Ok(None) };
        let expected = (Some(deletion.uid), deletion.resource_version);
        if (observed.uid, observed.resource_version) != expected {
            return Err(refused(WriteReason::Changed));
        }
        let is_ours = matches!(observed.ownership, Ownership::Ours { owned_fields: Some(_), .. });
        assert!(is_ours, "{name} is deleted, which is not ours");
        self.remove_secret(kind, name);
        Ok(None)
    }
}

pub(super) fn refused(reason: WriteReason) -> WriteFailure {
    WriteFailure { reason, message: String::new(), retry_after: None }
}
