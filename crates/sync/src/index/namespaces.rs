//! The namespaces by number and by name.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use ecr_refresher_core::planted::{Bug, is_planted};
use hashbrown::HashTable;

use super::{
    accounts::AccountRecord,
    copy::CopyRecord,
    merge::{Record, Touched},
};
use crate::{
    job::slot::{AccountSlot, SecretSlot, Slot},
    observed::{namespace::Namespace, tracked::Change},
};

/// All namespaces that exist, or that have an object with the name of a pull Secret or ServiceAccount
/// of the config.
#[derive(Debug)]
pub(super) struct Namespaces {
    entries: Vec<Option<Entry>>,
    /// The numbers by the hashes of the names, which the entries have: a map with the names as keys
    /// would take six times as much.
    by_name: HashTable<u32>,
    hasher: RandomState,
    free: Vec<u32>,
    secrets: usize,
    accounts: usize,
}

/// A namespace and its objects.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    namespace: NamespaceRecord,
    /// By the slots of the pull Secrets.
    pub(super) copies: Box<[CopyRecord]>,
    /// By the slots of the names of ServiceAccounts.
    pub(super) accounts: Box<[AccountRecord]>,
}

/// Whether a namespace exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Presence {
    /// It does not, or was not observed yet.
    #[default]
    Absent,
    /// It does.
    Active,
    /// It is being deleted: nothing can be created in it.
    Terminating,
}

/// The state of a namespace itself.
#[derive(Debug, Default)]
pub(super) struct NamespaceRecord {
    presence: Presence,
    /// The presence that its copies know of.
    settled: Presence,
    /// The number of the list that showed it last.
    listed_in: u32,
    /// The labels that any allow-list selects by.
    labels: BTreeMap<String, String>,
    /// Whether it was not observed since allow-lists select by more labels.
    misses_labels: bool,
}

impl NamespaceRecord {
    fn observe(&mut self, Namespace { terminating, labels }: Namespace) {
        self.presence = if terminating { Presence::Terminating } else { Presence::Active };
        if self.labels.is_empty() || !is_planted(Bug::LabelsReadOnce) {
            self.labels = labels;
            self.misses_labels = false;
        }
    }
}

impl Record for NamespaceRecord {
    type Value = Namespace;

    fn merge(&mut self, change: Change<Namespace>) {
        match change {
            Change::Listed(namespace, lists) => {
                self.listed_in = lists.number();
                self.observe(namespace);
            }
            Change::Changed(namespace) => self.observe(namespace),
            Change::ListEnded(lists) if self.listed_in == lists.number() => {}
            Change::ListEnded(_) | Change::Gone(_) => self.presence = Presence::Absent,
        }
    }
}

impl Entry {
    pub(super) fn namespace_mut(&mut self) -> &mut NamespaceRecord {
        &mut self.namespace
    }

    pub(super) fn presence(&self) -> Presence {
        self.namespace.presence
    }

    pub(super) fn labels(&self) -> &BTreeMap<String, String> {
        &self.namespace.labels
    }

    /// Whether it was not observed since allow-lists select by more labels.
    pub(super) fn misses_labels(&self) -> bool {
        self.namespace.misses_labels
    }

    pub(super) fn copy(&self, secret: SecretSlot) -> &CopyRecord {
        &self.copies[secret.index()]
    }

    pub(super) fn copy_mut(&mut self, secret: SecretSlot) -> &mut CopyRecord {
        &mut self.copies[secret.index()]
    }

    pub(super) fn account(&self, account: AccountSlot) -> &AccountRecord {
        &self.accounts[account.index()]
    }

    pub(super) fn account_mut(&mut self, account: AccountSlot) -> &mut AccountRecord {
        &mut self.accounts[account.index()]
    }

    /// The presence before and now, if the copies do not know the present one yet.
    pub(super) fn settle(&mut self) -> Option<(Presence, Presence)> {
        let NamespaceRecord { presence, settled, .. } = &mut self.namespace;
        let before = std::mem::replace(settled, *presence);
        (before != *presence).then_some((before, *presence))
    }

    fn is_empty(&self) -> bool {
        self.namespace.presence == Presence::Absent
            && self.copies.iter().all(|copy| copy.secret.is_forgettable())
            && self.accounts.iter().all(AccountRecord::is_forgettable)
    }
}

/// The name of an entry that exists.
fn name_of(entries: &[Option<Entry>], id: u32) -> &str {
    entries.get(id as usize).and_then(Option::as_ref).map_or("", |entry| &entry.name)
}

fn resize<T: Default>(records: &mut Box<[T]>, length: usize) {
    let mut all = std::mem::take(records).into_vec();
    all.resize_with(length, T::default);
    *records = all.into();
}

impl Namespaces {
    /// Namespaces with room for this many pull Secrets and names of ServiceAccounts.
    pub(super) fn new(secrets: usize, accounts: usize) -> Self {
        Self {
            entries: Vec::new(),
            by_name: HashTable::new(),
            hasher: RandomState::new(),
            free: Vec::new(),
            secrets,
            accounts,
        }
    }

    /// The number of a name, which gets one if it has none.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        let hash = self.hasher.hash_one(name);
        let entries = &self.entries;
        if let Some(&id) = self.by_name.find(hash, |&id| name_of(entries, id) == name) {
            return id;
        }
        let entry = Some(Entry {
            name: name.into(),
            namespace: NamespaceRecord::default(),
            copies: vec![CopyRecord::default(); self.secrets].into(),
            accounts: vec![AccountRecord::default(); self.accounts].into(),
        });
        let id = if let Some(id) = self.free.pop() {
            self.entries[id as usize] = entry;
            id
        } else {
            self.entries.push(entry);
            // A cluster has nowhere near 2³² namespaces.
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        };
        let Self { entries, by_name, hasher, .. } = self;
        by_name.insert_unique(hash, id, |&id| hasher.hash_one(name_of(entries, id)));
        id
    }

    /// Frees the number of a namespace of which nothing is known any more.
    pub(super) fn forget_if_empty(&mut self, id: u32) {
        if self.get(id).is_some_and(Entry::is_empty)
            && let Some(entry) = self.entries[id as usize].take()
        {
            let hash = self.hasher.hash_one(&*entry.name);
            if let Ok(known) = self.by_name.find_entry(hash, |&known| known == id) {
                known.remove();
            }
            self.free.push(id);
        }
    }

    /// Makes room for this many pull Secrets and names of ServiceAccounts in all.
    pub(super) fn make_room(&mut self, secrets: usize, accounts: usize) {
        (self.secrets, self.accounts) = (secrets, accounts);
        for entry in self.iter_mut() {
            resize(&mut entry.copies, secrets);
            resize(&mut entry.accounts, accounts);
        }
    }

    /// Changes all entries, and forgets those that are empty then.
    pub(super) fn update_all(&mut self, update: impl Fn(&mut Entry)) {
        self.iter_mut().for_each(update);
        self.touched(Touched::All).for_each(|id| self.forget_if_empty(id));
    }

    /// All labels must be observed again.
    pub(super) fn invalidate_labels(&mut self) {
        self.iter_mut().for_each(|entry| entry.namespace.misses_labels = true);
    }

    pub(super) fn get(&self, id: u32) -> Option<&Entry> {
        self.entries.get(id as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Entry> {
        self.entries.get_mut(id as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut().flatten()
    }

    /// The numbers of the namespaces that may have changed.
    pub(super) fn touched(&self, touched: Touched) -> impl Iterator<Item = u32> + use<> {
        let all = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        match touched {
            Touched::None => 0..0,
            Touched::One(id) => id..id + 1,
            Touched::All => 0..all,
        }
    }
}
