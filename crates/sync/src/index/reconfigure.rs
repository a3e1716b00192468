//! Another config, and what an end of a term or a suspension means.

use std::{collections::BTreeSet, time::Duration};

use ecr_refresher_core::clock::Now;

use super::{
    AccountState, Index, SecretState,
    accounts::AccountRecord,
    copy::CopyRecord,
    merge::Touched,
    namespaces::{Entry, Presence},
};
use crate::{
    desired::settings::{PullSecret, Settings},
    job::queue::Queue,
};

impl Index {
    /// Follows another config. A pull Secret keeps its slot as long as it keeps its name; only copies
    /// that differ are written. Returns whether the namespaces must be listed again, because labels
    /// are selected by that were not kept.
    #[must_use]
    pub fn reconfigure(&mut self, settings: &Settings, now: Now) -> bool {
        let labels_are_missing = self.follow_labels(label_keys(settings));
        self.spread = settings.spread;
        self.prune_after = settings.prune_after;
        self.follow_secrets(&settings.secrets);
        self.follow_accounts(&account_names(settings));
        self.namespaces.make_room(self.secrets.len(), self.accounts.len());
        for id in self.namespaces.touched(Touched::All) {
            let exists = |entry: &Entry| entry.presence() != Presence::Absent;
            if self.namespaces.get(id).is_some_and(exists) {
                self.count(id, 1);
                self.decide(id, now);
            }
        }
        self.requeue(now);
        labels_are_missing
    }

    /// The term has ended: another replica may write from now on. Forgets the content and the running
    /// jobs; observations are kept.
    pub fn end_term(&mut self, now: Now) {
        self.secrets.values_mut().for_each(|state| state.manifest = None);
        self.namespaces.update_all(|entry| {
            entry.copies.iter_mut().for_each(CopyRecord::end_term);
            entry.accounts.iter_mut().for_each(AccountRecord::end_term);
        });
        self.requeue(now);
    }

    /// The machine was suspended for this time, before `now`. The observations are as old, and a copy
    /// may have been wanted again meanwhile: grace periods did not pass.
    pub fn suspended(&mut self, duration: Duration, now: Now) {
        for entry in self.namespaces.iter_mut() {
            entry.copies.iter_mut().for_each(|copy| copy.suspended(duration, now));
        }
        self.requeue(now);
    }

    /// Fills the queue again.
    fn requeue(&mut self, now: Now) {
        self.queue = Queue::new();
        for id in self.namespaces.touched(Touched::All) {
            self.reconsider(id, now);
        }
    }

    fn follow_labels(&mut self, keys: BTreeSet<String>) -> bool {
        let are_missing = !keys.is_subset(&self.label_keys);
        self.missing_keys.extend(keys.difference(&self.label_keys).cloned());
        self.label_keys = keys;
        if are_missing {
            self.namespaces.invalidate_labels();
            // Until they are listed again, a namespace may seem unwanted that is not.
            self.namespace_lists.invalidate();
        }
        are_missing
    }

    fn follow_secrets(&mut self, secrets: &[PullSecret]) {
        let is_kept = |name: &str| secrets.iter().any(|secret| secret.name == name);
        for slot in self.secrets.retain(is_kept) {
            self.namespaces.update_all(|entry| entry.copy_mut(slot).forget());
        }
        for secret in secrets {
            let slot = self.secrets.find(&secret.name);
            if let Some(state) = slot.and_then(|slot| self.secrets.get_mut(slot)) {
                state.matched = vec![0; secret.allow_list.patterns().len()];
                state.secret = secret.clone();
            } else {
                let is_idle = |slot| self.namespaces.iter().all(|it| !it.copy(slot).has_job());
                self.secrets.insert(&secret.name, SecretState::new(secret), is_idle);
            }
        }
    }

    fn follow_accounts(&mut self, names: &BTreeSet<&str>) {
        for slot in self.accounts.retain(|name| names.contains(name)) {
            self.namespaces.update_all(|entry| entry.account_mut(slot).forget());
        }
        for name in names {
            if self.accounts.find(name).is_none() {
                let is_idle = |slot| self.namespaces.iter().all(|it| !it.account(slot).has_job());
                self.accounts.insert(name, AccountState::new(name), is_idle);
            }
        }
    }

    /// Makes the copies of a namespace follow its presence. Returns whether it has changed.
    pub(super) fn settle_presence(&mut self, id: u32) -> bool {
        let Some(entry) = self.namespaces.get_mut(id) else { return false };
        let Some((before, presence)) = entry.settle() else { return false };
        match presence {
            Presence::Absent => entry.copies.iter_mut().for_each(CopyRecord::namespace_gone),
            _ => entry.copies.iter_mut().for_each(|copy| copy.failure = None),
        }
        if before == Presence::Absent {
            self.count(id, 1);
        } else if presence == Presence::Absent {
            // It does not count as present any more.
            self.count(id, -1);
        }
        true
    }

    /// Decides by the allow-lists which copies a namespace should have.
    pub(super) fn decide(&mut self, id: u32, now: Now) {
        let Some(entry) = self.namespaces.get_mut(id) else { return };
        if entry.presence() == Presence::Absent {
            return;
        }
        for (slot, SecretState { secret, .. }) in self.secrets.iter() {
            let allow_list = &secret.allow_list;
            let is_missing = |key| self.missing_keys.contains(&key);
            if entry.misses_labels() && allow_list.label_keys().any(is_missing) {
                // Only a label that is known to be absent may be a reason for a copy.
                entry.copy_mut(slot).namespace_gone();
            } else {
                let wanted = allow_list.decide(&entry.name, entry.labels()).is_allowed();
                entry.copy_mut(slot).want(wanted, now);
            }
        }
    }

    /// Counts a namespace for the patterns that match its name.
    fn count(&mut self, id: u32, difference: i64) {
        let Some(entry) = self.namespaces.get(id) else { return };
        for state in self.secrets.values_mut() {
            for pattern in state.secret.allow_list.matching(&entry.name) {
                let count = &mut state.matched[pattern];
                *count = count.saturating_add_signed(difference);
            }
        }
    }
}

/// The labels that any allow-list selects by.
pub(super) fn label_keys(settings: &Settings) -> BTreeSet<String> {
    settings.secrets.iter().flat_map(|secret| secret.allow_list.label_keys()).collect()
}

/// The names of ServiceAccounts that any pull Secret has.
pub(super) fn account_names(settings: &Settings) -> BTreeSet<&str> {
    settings.secrets.iter().flat_map(|it| &it.service_accounts).map(String::as_str).collect()
}
