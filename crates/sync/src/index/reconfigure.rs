//! Another config, while everything runs.

use std::collections::BTreeSet;

use ecr_refresher_core::clock::Now;

use super::{
    Index, SecretState,
    accounts::{AccountName, AccountRecord},
    copy::CopyRecord,
};
use crate::{
    desired::settings::{PullSecret, Settings},
    job::queue::Queue,
};

/// What a new config means for those who feed the index.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The places of the pull Secrets whose copies are to be watched from now on.
    pub added: Vec<usize>,
    /// The places of those that are not to be watched any more.
    pub removed: Vec<usize>,
    /// The places of the names of ServiceAccounts that are to be watched from now on.
    pub accounts_added: Vec<usize>,
    /// The places of those that are not to be watched any more.
    pub accounts_removed: Vec<usize>,
    /// Whether the namespaces must be listed again, because labels count now that did not before.
    pub labels_are_missing: bool,
}

impl Index {
    /// Follows another config. A pull Secret keeps its place as long as it keeps its name.
    ///
    /// Only what differs is written; a copy that is wanted no more is left as it is.
    pub fn reconfigure(&mut self, settings: &Settings, now: Now) -> Changes {
        let labels_are_missing = self.follow_labels(label_keys(settings));
        self.spread = settings.spread;
        self.prune_after = settings.prune_after;
        // Until they are listed again, a namespace may seem unwanted that is not.
        if labels_are_missing {
            self.namespace_lists.invalidate();
        }
        let removed = self.remove_all_but(&settings.secrets);
        let mut added = Vec::new();
        for secret in &settings.secrets {
            if let Some(state) = self.secrets.iter_mut().flatten().find(|state| state.is(secret)) {
                state.follow(secret);
            } else {
                added.push(self.add(secret));
            }
        }
        let (accounts_added, accounts_removed) = self.reconfigure_accounts(settings);
        for id in self.namespaces.ids_where(|entry| entry.presence.is_there()) {
            self.count_matches(id, 1);
            self.decide(id, now);
        }
        self.requeue(now);
        Changes { added, removed, accounts_added, accounts_removed, labels_are_missing }
    }

    /// Makes the queues anew.
    pub(super) fn requeue(&mut self, now: Now) {
        self.queue = Queue::new();
        self.deletions = Queue::new();
        self.links = Queue::new();
        for id in self.namespaces.ids_where(|entry| entry.presence.is_there()) {
            self.reconsider_namespace(id, now);
        }
    }

    /// Forgets the tokens, and the writes that are under way: another process writes from now on.
    /// What is there is followed as before.
    pub fn stand_by(&mut self, now: Now) {
        for state in self.secrets.iter_mut().flatten() {
            state.manifest = None;
        }
        for id in self.namespaces.ids_where(|_| true) {
            if let Some(entry) = self.namespaces.get_mut(id) {
                entry.copies.iter_mut().for_each(CopyRecord::stand_by);
                entry.accounts.iter_mut().for_each(AccountRecord::stand_by);
            }
            self.namespaces.forget_if_empty(id);
        }
        self.requeue(now);
    }

    /// The pull Secrets by their places.
    pub fn secrets(&self) -> impl Iterator<Item = (usize, &PullSecret)> {
        let states = self.secrets.iter().enumerate();
        states.filter_map(|(place, state)| state.as_ref().map(|state| (place, &state.secret)))
    }

    /// The pull Secret at a place.
    #[must_use]
    pub fn secret(&self, place: usize) -> Option<&PullSecret> {
        self.secrets.get(place)?.as_ref().map(|state| &state.secret)
    }

    /// Returns whether labels count now that did not before. How a namespace has them is not known
    /// until it is seen again.
    fn follow_labels(&mut self, keys: BTreeSet<String>) -> bool {
        let are_missing = !keys.is_subset(&self.label_keys);
        self.missing_keys.extend(keys.difference(&self.label_keys).cloned());
        self.label_keys = keys;
        if are_missing {
            self.namespaces.iter_mut().for_each(|entry| entry.misses_labels = true);
        }
        are_missing
    }

    fn remove_all_but(&mut self, secrets: &[PullSecret]) -> Vec<usize> {
        let mut removed = Vec::new();
        for (place, slot) in self.secrets.iter_mut().enumerate() {
            let stays = |state: &SecretState| secrets.iter().any(|secret| state.is(secret));
            if let Some(state) = slot.take_if(|state| !stays(state)) {
                self.former_places.insert(state.secret.name, place);
                self.namespaces.forget_copies(place);
                removed.push(place);
            }
        }
        removed
    }

    /// A name keeps its place as long as the config holds it. Returns the places that are new and
    /// those that are empty now.
    fn reconfigure_accounts(&mut self, settings: &Settings) -> (Vec<usize>, Vec<usize>) {
        let mut names = account_names(settings);
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for (place, slot) in self.accounts.iter_mut().enumerate() {
            if slot.take_if(|account| !names.remove(&account.name)).is_some() {
                self.namespaces.forget_accounts(place);
                removed.push(place);
            }
        }
        for name in names {
            let is_idle = |&place: &usize| {
                self.accounts[place].is_none() && !self.namespaces.any_patch_in_flight(place)
            };
            let empty = (0..self.accounts.len()).find(is_idle);
            let place = empty.unwrap_or_else(|| {
                self.accounts.push(None);
                self.namespaces.make_room(self.secrets.len(), self.accounts.len());
                self.accounts.len() - 1
            });
            self.accounts[place] = Some(AccountName::new(name));
            added.push(place);
        }
        (added, removed)
    }

    /// Gives a pull Secret a place. Its own from before, so that no copy is written twice at a time;
    /// or else one that is empty, unless a write of its predecessor is under way still.
    fn add(&mut self, secret: &PullSecret) -> usize {
        let state = Some(SecretState::new(secret));
        let is_idle =
            |&place: &usize| self.secrets[place].is_none() && !self.namespaces.any_in_flight(place);
        let former = self.former_places.get(&secret.name).copied();
        if let Some(place) = former.or_else(|| (0..self.secrets.len()).find(is_idle)) {
            self.former_places.retain(|_, &mut former| former != place);
            self.secrets[place] = state;
            return place;
        }
        self.secrets.push(state);
        self.namespaces.make_room(self.secrets.len(), self.accounts.len());
        self.secrets.len() - 1
    }
}

impl SecretState {
    /// Whether this is the pull Secret of that name.
    fn is(&self, secret: &PullSecret) -> bool {
        self.secret.name == secret.name
    }

    /// Takes over what the config says of it now; what is known of its copies stays.
    fn follow(&mut self, secret: &PullSecret) {
        self.matched = vec![0; secret.allow_list.patterns().len()];
        self.secret = secret.clone();
    }
}

/// The labels that any allow-list looks at.
pub(super) fn label_keys(settings: &Settings) -> BTreeSet<String> {
    settings.secrets.iter().flat_map(|secret| secret.allow_list.label_keys()).collect()
}

/// The names of ServiceAccounts that any pull Secret holds.
pub(super) fn account_names(settings: &Settings) -> BTreeSet<String> {
    settings.secrets.iter().flat_map(|secret| secret.service_accounts.iter().cloned()).collect()
}
