//! The ServiceAccounts that have their Pods pull with a pull Secret.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::clock::Now;

use super::{Ended, Index, failure::Failure, namespaces::Presence};
use crate::{
    job::{failure::WriteFailure, queue::Ticket},
    observed::{
        account::ObservedAccount,
        change::Watched,
        tracked::{Lists, Tracked},
    },
};

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
    pub(super) lists: Lists,
}

/// What is known of one ServiceAccount.
#[derive(Debug, Clone, Default)]
pub(super) struct AccountRecord {
    account: Tracked<ObservedAccount>,
    failure: Option<Box<Failure>>,
}

impl AccountName {
    pub(super) fn new(name: String) -> Self {
        Self { name, lists: Lists::default() }
    }
}

impl AccountRecord {
    /// The last failure, unless a change has succeeded since.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// Whether a patch of it is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.account.is_writing()
    }

    /// Takes what a list, the watch or an answer says of it.
    fn update(&mut self, update: impl FnOnce(&mut Tracked<ObservedAccount>)) {
        let before = self.account.get().cloned();
        update(&mut self.account);
        if self.account.get() != before.as_ref() {
            // What stood in the way may be out of the way.
            self.failure = None;
        }
    }

    /// Whether nothing is lost when this is forgotten.
    pub(super) fn is_forgettable(&self) -> bool {
        self.account.is_forgettable()
    }

    /// Forgets all but whether a patch is under way.
    pub(super) fn forget(&mut self) {
        self.account.forget();
        self.failure = None;
    }

    /// Forgets what this process did about it.
    pub(super) fn stand_by(&mut self) {
        self.account.end_write();
        self.failure = None;
    }
}

impl Index {
    /// Takes out a change of a ServiceAccount that is due at `now`.
    pub fn next_link(&mut self, now: Now) -> Option<Link> {
        while let Some(key) = self.links.pop(now.uptime) {
            if let Some((link, _)) = self.plan_link(key)
                && let Some(record) = self.account_mut(key)
            {
                record.account.start_write();
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
        now: Now,
    ) {
        let Some(Some(name)) = self.accounts.get_mut(account) else { return };
        match change {
            Watched::ListBegun => name.lists.begin(),
            Watched::Listed(namespace, observed) => {
                let lists = name.lists;
                self.account_seen(account, &namespace, now, |it| it.listed(observed, lists));
            }
            Watched::ListEnded => {
                name.lists.end();
                let lists = name.lists;
                for id in self.namespaces.ids_where(|_| true) {
                    let key = account_key(id, account);
                    if let Some(record) = self.account_mut(key) {
                        record.update(|account| account.list_ended(lists));
                    }
                    self.reconsider_namespace(id, now);
                    self.namespaces.forget_if_empty(id);
                }
            }
            Watched::Changed(namespace, observed) => {
                self.account_seen(account, &namespace, now, |it| it.changed(observed));
            }
            Watched::Gone(namespace, last) => {
                let version = last.resource_version;
                self.account_seen(account, &namespace, now, |it| it.gone(version));
            }
        }
    }

    fn account_seen(
        &mut self,
        account: usize,
        namespace: &str,
        now: Now,
        update: impl FnOnce(&mut Tracked<ObservedAccount>),
    ) {
        let id = self.namespaces.intern(namespace);
        let key = account_key(id, account);
        if let Some(record) = self.account_mut(key) {
            record.update(update);
        }
        self.reconsider_namespace(id, now);
        self.namespaces.forget_if_empty(id);
    }

    pub(super) fn apply_linked(
        &mut self,
        link: &Link,
        outcome: Result<ObservedAccount, WriteFailure>,
        now: Now,
    ) -> Option<Ended> {
        let random = self.random.f64();
        let name = self.accounts.get(link.key.account as usize);
        let lists = name.and_then(Option::as_ref).map(|name| name.lists);
        let record = self.account_mut(link.key)?;
        let Some(lists) = lists else {
            // It has left the config meanwhile.
            record.account.end_write();
            self.namespaces.forget_if_empty(link.key.namespace);
            return None;
        };
        let mut failed = None;
        match outcome {
            Ok(observed) => {
                record.failure = None;
                record.update(|account| account.written(observed, lists));
            }
            Err(failure) => {
                record.account.end_write();
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
    pub(super) fn reconsider_accounts(&mut self, namespace: u32, now: Now) {
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

    fn reconsider_account(&mut self, key: AccountKey, now: Now) {
        let failure = self.account_mut(key).and_then(|record| record.failure.as_ref());
        let retry_at = failure.map_or(Duration::ZERO, |failure| failure.retry_at);
        if let Some((_, due)) = self.plan_link(key) {
            let due = due.max(retry_at).max(now.uptime);
            self.links.schedule(key, Ticket::new(due, None));
        } else {
            self.links.cancel(key);
        }
    }

    /// How a ServiceAccount is to be changed, if it is, and from when on.
    fn plan_link(&self, key: AccountKey) -> Option<(Link, Duration)> {
        let place = key.account as usize;
        let name = self.accounts.get(place)?.as_ref()?;
        let entry = self.namespaces.get(key.namespace)?;
        let record = entry.accounts.get(place)?;
        let observed = record.account.get()?;
        if entry.presence != Presence::Active || record.is_writing() {
            return None;
        }
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut removed_from = Duration::MAX;
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
        let due = if added.is_empty() { removed_from } else { Duration::ZERO };
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
            let observed = record.account.get();
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
