//! The namespaces by number and by name.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use ecr_refresher_core::planted::{Bug, is_planted};

use super::{accounts::AccountRecord, copy::CopyRecord};
use crate::observed::namespace::Namespace;

/// All namespaces that exist, or in which a Secret of a pull Secret's name was seen.
#[derive(Debug)]
pub(super) struct Namespaces {
    entries: Vec<Option<Entry>>,
    by_name: HashMap<Arc<str>, u32>,
    free: Vec<u32>,
    secrets: usize,
    accounts: usize,
}

/// A namespace and its copies.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) presence: Presence,
    /// The number of the list of the namespaces that showed it last.
    pub(super) list: u32,
    /// The labels that any allow-list looks at.
    pub(super) labels: BTreeMap<String, String>,
    /// Whether it has not been seen since more of them count.
    pub(super) misses_labels: bool,
    /// One for each place of a pull Secret.
    pub(super) copies: Vec<CopyRecord>,
    /// One for each place of a name of ServiceAccounts.
    pub(super) accounts: Vec<AccountRecord>,
}

impl Entry {
    /// Keeps those of the labels that count.
    pub(super) fn keep_labels(
        &mut self,
        labels: &BTreeMap<String, String>,
        keys: &BTreeSet<String>,
    ) {
        if is_planted(Bug::LabelsReadOnce) && !self.labels.is_empty() {
            return;
        }
        self.labels =
            keys.iter().filter_map(|key| Some((key.clone(), labels.get(key)?.clone()))).collect();
        self.misses_labels = false;
    }
}

/// Whether a namespace exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It does not, or has not been seen yet.
    Absent,
    /// It does.
    Active,
    /// It does for now: nothing can be created in it.
    Terminating,
}

impl Presence {
    pub(super) fn of(namespace: &Namespace) -> Self {
        if namespace.terminating { Self::Terminating } else { Self::Active }
    }

    pub(super) fn is_there(self) -> bool {
        self != Self::Absent
    }
}

impl Namespaces {
    /// Namespaces with room for the copies of `secrets` pull Secrets, and for `accounts`
    /// ServiceAccounts.
    pub(super) fn new(secrets: usize, accounts: usize) -> Self {
        Self { entries: Vec::new(), by_name: HashMap::new(), free: Vec::new(), secrets, accounts }
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The number of a name, which gets one if it has none.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(id) = self.find(name) {
            return id;
        }
        let name: Arc<str> = name.into();
        let entry = Some(Entry {
            name: Arc::clone(&name),
            presence: Presence::Absent,
            list: 0,
            labels: BTreeMap::new(),
            misses_labels: false,
            copies: vec![CopyRecord::default(); self.secrets],
            accounts: vec![AccountRecord::default(); self.accounts],
        });
        let id = if let Some(id) = self.free.pop() {
            self.entries[id as usize] = entry;
            id
        } else {
            self.entries.push(entry);
            // A cluster holds nowhere near 2³² namespaces.
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        };
        self.by_name.insert(name, id);
        id
    }

    /// Gives the number free when nothing is known of the namespace any more.
    pub(super) fn forget_if_empty(&mut self, id: u32) {
        let empty = |entry: &Entry| {
            !entry.presence.is_there()
                && entry.copies.iter().all(CopyRecord::is_forgettable)
                && entry.accounts.iter().all(AccountRecord::is_forgettable)
        };
        if self.get(id).is_some_and(empty)
            && let Some(entry) = self.entries[id as usize].take()
        {
            self.by_name.remove(&entry.name);
            self.free.push(id);
        }
    }

    /// Makes room for the copies of `secrets` pull Secrets and for `accounts` ServiceAccounts in all.
    pub(super) fn make_room(&mut self, secrets: usize, accounts: usize) {
        (self.secrets, self.accounts) = (secrets, accounts);
        for entry in self.entries.iter_mut().flatten() {
            entry.copies.resize_with(secrets, CopyRecord::default);
            entry.accounts.resize_with(accounts, AccountRecord::default);
        }
    }

    /// Forgets the ServiceAccounts of a name, but for the patches that are under way.
    pub(super) fn forget_accounts(&mut self, account: usize) {
        for id in self.ids_where(|_| true) {
            if let Some(entry) = self.get_mut(id) {
                entry.accounts[account].forget();
            }
            self.forget_if_empty(id);
        }
    }

    /// Forgets the copies of a pull Secret, but for the writes that are under way.
    pub(super) fn forget_copies(&mut self, secret: usize) {
        for id in self.ids_where(|_| true) {
            if let Some(entry) = self.get_mut(id) {
                entry.copies[secret].forget();
            }
            self.forget_if_empty(id);
        }
    }

    /// Whether a write of any copy of a pull Secret is under way.
    pub(super) fn any_in_flight(&self, secret: usize) -> bool {
        self.iter().any(|entry| entry.copies[secret].is_writing())
    }

    /// Whether a patch of any ServiceAccount of a name is under way.
    pub(super) fn any_patch_in_flight(&self, account: usize) -> bool {
        self.iter().any(|entry| entry.accounts[account].is_writing())
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

    /// The numbers of the namespaces that a condition holds for.
    pub(super) fn ids_where(&self, condition: impl Fn(&Entry) -> bool) -> Vec<u32> {
        let ids = (0_u32..).zip(&self.entries);
        ids.filter_map(|(id, entry)| entry.as_ref().filter(|&entry| condition(entry)).map(|_| id))
            .collect()
    }
}
