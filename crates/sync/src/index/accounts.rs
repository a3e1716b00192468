//! The ServiceAccounts that have their Pods pull with a pull Secret.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Ended, Index, failure::Failure, namespaces::Presence};
use crate::{ObservedAccount, Watched, WriteFailure, queue::Ticket};

/// One ServiceAccount: a namespace, and a name by its place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountKey {
    namespace: u32,
    account: u32,
}

/// A change of a ServiceAccount's `imagePullSecrets` that is due. Its end must be fed back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The ServiceAccount.
    pub key: AccountKey,
    /// The namespace that it is in.
    pub namespace: Arc<str>,
    /// Its name.
    pub account: String,
    /// The state that it must be in still.
    pub resource_version: u64,
    /// Whether it has a list now.
    pub has_list: bool,
    /// The places in the list that go, the last first.
    pub removed: Vec<usize>,
    /// The names that are added at the end.
    pub added: Vec<String>,
}

/// A name of ServiceAccounts that the config holds.
#[derive(Debug)]
pub(super) struct AccountName {
    pub(super) name: String,
    pub(super) listed: bool,
    /// Changes with each list, to tell who was in the last one.
    epoch: u8,
}

/// What is known of one ServiceAccount.
#[derive(Debug, Clone, Default)]
pub(super) struct AccountRecord {
    observed: Option<ObservedAccount>,
    in_flight: bool,
    epoch: u8,
    /// The resourceVersion at which it went while a change of it was under way.
    gone_at: u64,
    failure: Option<Box<Failure>>,
}

impl AccountName {
    pub(super) fn new(name: String) -> Self {
        Self { name, listed: false, epoch: 0 }
    }
}

impl AccountRecord {
    /// The last failure, unless a change has succeeded since.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    fn observe(&mut self, observed: ObservedAccount) {
        if self.is_newer_than(&observed) {
            return;
        }
        if self.observed.as_ref() != Some(&observed) {
            // Whatever stood in the way may be out of it.
            self.failure = None;
        }
        self.observed = Some(observed);
    }

    fn lose(&mut self) {
        *self = Self { in_flight: self.in_flight, gone_at: self.gone_at, ..Self::default() };
    }

    fn is_newer_than(&self, other: &ObservedAccount) -> bool {
        let known = |known: &ObservedAccount| known.resource_version > other.resource_version;
        self.observed.as_ref().is_some_and(known)
    }

    /// Whether nothing is lost when this is forgotten.
    pub(super) fn is_forgettable(&self) -> bool {
        self.observed.is_none() && !self.in_flight
    }

    /// Keeps nothing that lies in the future of a clock that was set back to `now`.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        if let Some(failure) = &mut self.failure {
            failure.set_back(now);
        }
    }

    /// Forgets what this process did about it.
    pub(super) fn stand_by(&mut self) {
        self.in_flight = false;
        self.failure = None;
    }
}

impl Index {
    /// Takes out a change of a ServiceAccount that is due at `now`.
    pub fn next_link(&mut self, now: Timestamp) -> Option<Link> {
        while let Some(key) = self.links.pop(now) {
            if let Some((link, _)) = self.plan_link(key)
                && let Some(record) = self.account_mut(key)
            {
                record.in_flight = true;
                record.gone_at = 0;
                return Some(link);
            }
        }
        None
    }

    /// The names of ServiceAccounts by their places.
    pub fn accounts(&self) -> impl Iterator<Item = (usize, &str)> {
        let accounts = self.accounts.iter().enumerate();
        accounts.filter_map(|(place, account)| Some((place, account.as_ref()?.name.as_str())))
    }

    pub(super) fn apply_account(
        &mut self,
        account: usize,
        change: Watched<ObservedAccount>,
        now: Timestamp,
    ) {
        let Some(Some(name)) = self.accounts.get_mut(account) else { return };
        match change {
            Watched::ListBegun => name.epoch = name.epoch.wrapping_add(1),
            Watched::Listed(namespace, observed) => {
                let epoch = name.epoch;
                self.account_seen(account, &namespace, now, |record| {
                    record.observe(observed);
                    record.epoch = epoch;
                });
            }
            Watched::ListEnded => {
                name.listed = true;
                let epoch = name.epoch;
                for id in self.namespaces.ids_where(|_| true) {
                    let key = account_key(id, account);
                    if let Some(record) = self.account_mut(key)
                        && record.epoch != epoch
                    {
                        record.lose();
                    }
                    self.reconsider_namespace(id, now);
                    self.namespaces.forget_if_empty(id);
                }
            }
            Watched::Changed(namespace, observed) => {
                self.account_seen(account, &namespace, now, |record| record.observe(observed));
            }
            Watched::Gone(namespace, last) => {
                self.account_seen(account, &namespace, now, |record| {
                    if !record.is_newer_than(&last) {
                        record.gone_at = last.resource_version;
                        record.lose();
                    }
                });
            }
        }
    }

    fn account_seen(
        &mut self,
        account: usize,
        namespace: &str,
        now: Timestamp,
        update: impl FnOnce(&mut AccountRecord),
    ) {
        let id = self.namespaces.intern(namespace);
        let key = account_key(id, account);
        if let Some(record) = self.account_mut(key) {
            update(record);
        }
        self.reconsider_namespace(id, now);
        self.namespaces.forget_if_empty(id);
    }

    pub(super) fn apply_linked(
        &mut self,
        link: &Link,
        outcome: Result<ObservedAccount, WriteFailure>,
        now: Timestamp,
    ) -> Option<Ended> {
        let random = self.random.f64();
        let record = self.account_mut(link.key)?;
        record.in_flight = false;
        let mut failed = None;
        match outcome {
            Ok(observed) => {
                record.failure = None;
                if observed.resource_version >= record.gone_at {
                    record.observe(observed);
                }
            }
            Err(failure) => {
                let failure = Failure::after(record.failure.as_deref(), failure, now, random);
                failed = Some(Arc::clone(&failure.setback));
                record.failure = Some(Box::new(failure));
            }
        }
        self.reconsider_namespace(link.key.namespace, now);
        self.namespaces.forget_if_empty(link.key.namespace);
        Some(Ended { failure: failed, waited: None, contested: None })
    }

    /// Decides anew on all ServiceAccounts of a namespace.
    pub(super) fn reconsider_accounts(&mut self, namespace: u32, now: Timestamp) {
        for account in 0..self.accounts.len() {
            self.reconsider_account(account_key(namespace, account), now);
        }
    }

    /// Whether trying to change a ServiceAccount again is of no use, or has been of none.
    pub(super) fn has_given_up(&self, key: AccountKey, attempts: u32) -> bool {
        let entry = self.namespaces.get(key.namespace);
        let record = entry.and_then(|entry| entry.accounts.get(key.account as usize));
        let failure = record.and_then(AccountRecord::failure);
        failure.is_some_and(|failure| failure.is_for_good(attempts))
    }

    fn reconsider_account(&mut self, key: AccountKey, now: Timestamp) {
        let failure = self.account_mut(key).and_then(|record| record.failure.as_ref());
        let retry_at = failure.map_or(Timestamp::MIN, |failure| failure.retry_at);
        if let Some((_, due)) = self.plan_link(key) {
            let due = due.max(retry_at).max(now);
            self.links.schedule(key, Ticket::new(due, Some(due)));
        } else {
            self.links.cancel(key);
        }
    }

    /// How a ServiceAccount is to be changed, if it is, and from when on.
    fn plan_link(&self, key: AccountKey) -> Option<(Link, Timestamp)> {
        let place = key.account as usize;
        let name = self.accounts.get(place)?.as_ref()?;
        let entry = self.namespaces.get(key.namespace)?;
        let record = entry.accounts.get(place)?;
        let observed = record.observed.as_ref()?;
        if entry.presence != Presence::Active || record.in_flight {
            return None;
        }
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut removed_from = Timestamp::MAX;
        for (secret, state) in self.states() {
            if !state.secret.names_account(&name.name) {
                continue;
            }
            let copy = entry.copies.get(secret)?;
            let places = observed.places_of(&state.secret.name);
            if copy.wanted && copy.is_ours() && places.is_empty() {
                added.push(state.secret.name.clone());
            } else if let Some(due) = self.deletion_due(key.namespace, secret)
                && !places.is_empty()
            {
                removed.extend(places);
                removed_from = removed_from.min(due);
            }
        }
        if added.is_empty() && removed.is_empty() {
            return None;
        }
        let due = if added.is_empty() { removed_from } else { Timestamp::MIN };
        removed.sort_unstable_by(|one, other| other.cmp(one));
        let link = Link {
            key,
            namespace: Arc::clone(&entry.name),
            account: name.name.clone(),
            resource_version: observed.resource_version,
            has_list: !observed.pull_secrets.is_empty(),
            removed,
            added,
        };
        Some((link, due))
    }

    /// Whether a ServiceAccount in a namespace names a pull Secret still, and nothing has failed that
    /// was done about it. Its name goes before the copy does: a process that ends in between finds
    /// the copy, and goes on.
    pub(super) fn is_named(&self, namespace: u32, secret: usize) -> bool {
        let Some((entry, state)) = self.namespaces.get(namespace).zip(self.state(secret)) else {
            return false;
        };
        self.accounts.iter().zip(&entry.accounts).any(|(account, record)| {
            let Some(account) = account else { return false };
            let observed = record.observed.as_ref();
            state.secret.names_account(&account.name)
                && record.failure.is_none()
                && observed.is_some_and(|seen| !seen.places_of(&state.secret.name).is_empty())
        })
    }

    fn account_mut(&mut self, key: AccountKey) -> Option<&mut AccountRecord> {
        self.namespaces.get_mut(key.namespace)?.accounts.get_mut(key.account as usize)
    }
}

fn account_key(namespace: u32, account: usize) -> AccountKey {
    // The config holds nowhere near 2³² names.
    AccountKey { namespace, account: u32::try_from(account).unwrap_or(u32::MAX) }
}
