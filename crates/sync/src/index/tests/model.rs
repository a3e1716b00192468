//! An API server in a few lines: namespaces, the Secrets of one name, and a watch of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

/// Namespaces and Secrets with their resourceVersions.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) version: u64,
    pub(super) namespaces: BTreeMap<&'static str, Namespace>,
    pub(super) secrets: BTreeMap<&'static str, Secret>,
    pub(super) namespace_watch: Watch<Namespace>,
    pub(super) copy_watch: Watch<Observed>,
    /// An admission webhook that takes over a field of all that is written.
    pub(super) webhook: bool,
    /// The Secrets that were written while the copies are being listed. Only where such a Secret is
    /// deleted before the list is made can no client know better until the next list.
    touched: BTreeSet<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) observed: Observed,
    /// Somebody else owns its data now, so that an apply must be forced.
    edited: bool,
}

/// A watch and what it has not told yet. It tells late, and in order.
pub(super) struct Watch<T> {
    pub(super) events: VecDeque<(u64, Watched<T>)>,
    pub(super) connection: Connection,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// Nobody listens: what happens is not told.
    Lost,
    /// The list has begun and is made later on: what happens until then is not told by itself.
    Listing,
    /// All that happens is told.
    Watching,
}

impl<T> Default for Watch<T> {
    fn default() -> Self {
        Self { events: VecDeque::new(), connection: Connection::Lost }
    }
}

impl<T> Watch<T> {
    fn tell(&mut self, version: u64, event: Watched<T>) {
        if self.connection == Connection::Watching {
            self.events.push_back((version, event));
        }
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
                self.tell(version, Watched::Listed(name.to_owned(), object));
            }
            self.tell(version, Watched::ListEnded);
        }
    }
}

impl Cluster {
    pub(super) fn is_active(&self, name: &str) -> bool {
        self.namespaces.get(name).is_some_and(|namespace| !namespace.terminating)
    }

    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    // Namespaces.

    /// Makes a namespace, or changes its labels.
    pub(super) fn put_namespace(&mut self, name: &'static str, mut namespace: Namespace) {
        namespace.terminating |= self.namespaces.get(name).is_some_and(|old| old.terminating);
        let version = self.next_version();
        self.namespaces.insert(name, namespace.clone());
        let event = Watched::Changed(name.to_owned(), namespace);
        self.namespace_watch.tell(version, event);
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
        self.delete_secret(name);
        if self.secrets.contains_key(name) {
            return;
        }
        if let Some(last) = self.namespaces.remove(name) {
            let version = self.next_version();
            let event = Watched::Gone(name.to_owned(), last);
            self.namespace_watch.tell(version, event);
        }
    }

    pub(super) fn list_namespaces(&mut self) {
        let all = self.namespaces.iter().map(|(&name, namespace)| (name, namespace.clone()));
        self.namespace_watch.list(self.version, all);
    }

    // Secrets.

    fn put_secret(&mut self, name: &'static str, ownership: Ownership, edited: bool) -> Observed {
        let observed = Observed { resource_version: self.next_version(), uid: None, ownership };
        self.secrets.insert(name, Secret { observed, edited });
        let event = Watched::Changed(name.to_owned(), observed);
        self.copy_watch.tell(self.version, event);
        observed
    }

    pub(super) fn make_foreign(&mut self, name: &'static str) {
        if self.is_active(name) && !self.secrets.contains_key(name) {
            self.put_secret(name, Ownership::Foreign, false);
        }
    }

    pub(super) fn delete_secret(&mut self, name: &'static str) {
        if self.copy_watch.connection == Connection::Listing && self.touched.contains(name) {
            return;
        }
        if let Some(Secret { mut observed, .. }) = self.secrets.remove(name) {
            observed.resource_version = self.next_version();
            let event = Watched::Gone(name.to_owned(), observed);
            self.copy_watch.tell(self.version, event);
        }
    }

    /// Somebody changes the data: the field is theirs from then on.
    pub(super) fn edit(&mut self, name: &'static str) {
        if let Some(secret) = self.secrets.get(name).copied() {
            self.put_secret(name, edited(secret.observed.ownership), true);
        }
    }

    /// Somebody removes a label, which nobody owns from then on.
    pub(super) fn strip(&mut self, name: &'static str) {
        if let Some(secret) = self.secrets.get(name).copied() {
            self.put_secret(name, edited(secret.observed.ownership), secret.edited);
        }
    }

    pub(super) fn relist_copies(&mut self) {
        self.copy_watch.relist();
        self.touched.clear();
    }

    pub(super) fn list_copies(&mut self) {
        let all = self.secrets.iter().map(|(&name, secret)| (name, secret.observed));
        self.copy_watch.list(self.version, all);
    }

    /// Does a write, or refuses it.
    pub(super) fn apply(&mut self, name: &'static str, write: &Write) -> Outcome {
        let old = self.secrets.get(name).copied();
        if !self.namespaces.contains_key(name) || (!self.is_active(name) && old.is_none()) {
            return refused(WriteReason::NamespaceGone);
        }
        let in_the_way = |old: Secret| old.edited || old.observed.ownership == Ownership::Foreign;
        if !write.force && old.is_some_and(in_the_way) {
            return refused(WriteReason::Owned);
        }
        self.touched.insert(name);
        let applied = copy_of(&write.manifest);
        Outcome::Written(match old {
            // What changes nothing has no new version and no event.
            Some(old) if !self.webhook && !old.edited && old.observed.ownership == applied => {
                old.observed
            }
            _ if self.webhook => self.put_secret(name, edited(applied), true),
            _ => self.put_secret(name, applied, false),
        })
    }
}

pub(super) fn refused(reason: WriteReason) -> Outcome {
    Outcome::Failed(WriteFailure { reason, message: String::new(), retry_after: None })
}
