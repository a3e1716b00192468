//! Desired against observed state. Pure: events, job results and the time go in, jobs come out.

mod accounts;
pub mod conflicts;
mod copies;
mod copy;
pub mod event;
mod failure;
mod merge;
mod namespaces;
mod reconfigure;
mod repairs;
mod state;
#[cfg(test)]
mod tests;
pub mod unwanted;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use ecr_refresher_core::clock::Now;

use self::{
    event::Event,
    merge::{Touched, merge},
    namespaces::{Entry, Namespaces},
    reconfigure::{account_names, label_keys},
};
use crate::{
    desired::{
        manifest::Manifest,
        settings::{PullSecret, Settings},
    },
    job::{
        Job, JobClass, JobOutcome, JobResult,
        queue::Queue,
        slot::{AccountSlot, Object, ObjectKey, SecretSlot, Slots},
    },
    observed::{change::Watched, namespace::Namespace, tracked::Lists},
};

/// The state of every copy and ServiceAccount, and the queue of jobs.
#[derive(Debug)]
pub struct Index {
    secrets: Slots<SecretSlot, SecretState>,
    accounts: Slots<AccountSlot, AccountState>,
    namespaces: Namespaces,
    namespace_lists: Lists,
    queue: Queue<ObjectKey>,
    /// Conflicts that were not reported yet.
    conflicts: Vec<(u32, SecretSlot, bool)>,
    prune_after: Option<Duration>,
    spread: Duration,
    /// The labels of namespaces that any allow-list selects by; only these are kept.
    label_keys: BTreeSet<String>,
    /// Those of them that were not kept when some namespaces were listed.
    missing_keys: BTreeSet<String>,
    random: fastrand::Rng,
}

/// A pull Secret and its state.
#[derive(Debug)]
struct SecretState {
    secret: PullSecret,
    name: Arc<str>,
    manifest: Option<Arc<Manifest>>,
    lists: Lists,
    /// How many namespaces each pattern matches.
    matched: Vec<u64>,
}

/// A name of ServiceAccounts in the config.
#[derive(Debug)]
struct AccountState {
    name: Arc<str>,
    lists: Lists,
}

impl Index {
    /// An index of an unknown cluster. `seed` decides all jitter.
    #[must_use]
    pub fn new(settings: &Settings, seed: u64) -> Self {
        let mut secrets = Slots::new();
        for secret in &settings.secrets {
            secrets.insert(&secret.name, SecretState::new(secret), |_| true);
        }
        let mut accounts = Slots::new();
        for name in account_names(settings) {
            accounts.insert(name, AccountState::new(name), |_| true);
        }
        Self {
            namespaces: Namespaces::new(secrets.len(), accounts.len()),
            secrets,
            accounts,
            namespace_lists: Lists::default(),
            queue: Queue::new(),
            conflicts: Vec::new(),
            prune_after: settings.prune_after,
            spread: settings.spread,
            label_keys: label_keys(settings),
            missing_keys: BTreeSet::new(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Merges an event.
    pub fn apply(&mut self, event: Event, now: Now) {
        let touched = match event {
            Event::Namespace(change) => return self.apply_namespace(change, now),
            Event::Manifest { secret, manifest } => self.apply_manifest(secret, manifest),
            Event::Copy { secret, change } => {
                let Some(state) = self.secrets.get_mut(secret) else { return };
                merge(&mut state.lists, &mut self.namespaces, change, |it| it.copy_mut(secret))
            }
            Event::Account { account, change } => {
                let Some(state) = self.accounts.get_mut(account) else { return };
                merge(&mut state.lists, &mut self.namespaces, change, |it| it.account_mut(account))
            }
        };
        self.reconsider_touched(touched, now);
    }

    fn apply_namespace(&mut self, change: Watched<Namespace>, now: Now) {
        let change = change.map(|namespace| namespace.with_labels(&self.label_keys));
        let record = Entry::namespace_mut;
        let touched = merge(&mut self.namespace_lists, &mut self.namespaces, change, record);
        if touched == Touched::All {
            self.missing_keys.clear();
        }
        for id in self.namespaces.touched(touched) {
            let has_changed = self.settle_presence(id);
            if has_changed || touched != Touched::All {
                self.decide(id, now);
            }
        }
        self.reconsider_touched(touched, now);
    }

    fn apply_manifest(&mut self, secret: SecretSlot, manifest: Arc<Manifest>) -> Touched {
        let Some(state) = self.secrets.get_mut(secret) else { return Touched::None };
        let is_same = |known: &Arc<Manifest>| {
            known.content == manifest.content && known.is_complete == manifest.is_complete
        };
        if state.manifest.as_ref().is_some_and(is_same) {
            return Touched::None;
        }
        state.manifest = Some(manifest);
        self.namespaces.iter_mut().for_each(|entry| entry.copy_mut(secret).content_changed());
        Touched::All
    }

    /// Takes out the first job of the classes up to `last` that is due at `now`. Its result must be
    /// passed to [`Index::job_done`].
    pub fn next_job(&mut self, now: Now, last: JobClass) -> Option<Job> {
        while let Some(key) = self.queue.pop(now.uptime, last) {
            let job = match key.object {
                Object::Copy(secret) => self.start_copy(key.namespace, secret),
                Object::Account(account) => self.start_patch(key.namespace, account, now),
            };
            if job.is_some() {
                return job;
            }
        }
        None
    }

    /// Merges the result of a job. `None` if its object has left the config meanwhile.
    pub fn job_done(&mut self, job: &Job, result: JobResult, now: Now) -> Option<JobOutcome> {
        let ObjectKey { namespace, object } = job.key;
        let outcome = match object {
            Object::Copy(secret) => self.copy_done(namespace, secret, &job.action, result, now),
            Object::Account(account) => {
                self.patch_done(namespace, account, &job.action, result, now)
            }
        };
        self.reconsider_touched(Touched::One(namespace), now);
        outcome
    }

    /// The uptime at which a job of the classes up to `last` is due; `None` for not before an event.
    #[must_use]
    pub fn next_due(&self, last: JobClass) -> Option<Duration> {
        self.queue.next_due(last)
    }

    /// The pull Secrets by slot.
    pub fn secrets(&self) -> impl Iterator<Item = (SecretSlot, &PullSecret)> {
        self.secrets.iter().map(|(slot, state)| (slot, &state.secret))
    }

    /// The names of ServiceAccounts by slot.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountSlot, &str)> {
        self.accounts.iter().map(|(slot, state)| (slot, &*state.name))
    }

    fn reconsider_touched(&mut self, touched: Touched, now: Now) {
        for id in self.namespaces.touched(touched) {
            self.reconsider(id, now);
            self.namespaces.forget_if_empty(id);
        }
    }

    /// Decides again which jobs the objects of a namespace need.
    fn reconsider(&mut self, namespace: u32, now: Now) {
        for secret in self.secrets.slots() {
            let ticket = self.plan_copy(namespace, secret, now);
            self.queue.set(ObjectKey::copy(namespace, secret), ticket);
            self.record_conflict(namespace, secret);
        }
        for account in self.accounts.slots() {
            let ticket = self.plan_patch(namespace, account, now);
            self.queue.set(ObjectKey::account(namespace, account), ticket);
        }
    }
}

impl SecretState {
    fn new(secret: &PullSecret) -> Self {
        Self {
            matched: vec![0; secret.allow_list.patterns().len()],
            secret: secret.clone(),
            name: secret.name.as_str().into(),
            manifest: None,
            lists: Lists::default(),
        }
    }
}

impl AccountState {
    fn new(name: &str) -> Self {
        Self { name: name.into(), lists: Lists::default() }
    }
}
