//! ServiceAccounts with a pull Secret: the patches that they need, and the results of these.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use ecr_refresher_core::clock::Now;

use super::{Index, failure::FailureRecord, merge::Record, namespaces::Presence, repairs::Repairs};
use crate::{
    desired::settings::PullSecret,
    job::{
        AccountPatch, Action, Contest, Job, JobClass, JobOutcome, JobResult, Written,
        queue::{Deadline, Ticket},
        slot::{AccountSlot, ObjectKey, SecretSlot},
    },
    moment::Moment,
    observed::{
        account::ObservedAccount,
        copy::ObservedCopy,
        tracked::{Change, Tracked},
    },
};

/// The state of one ServiceAccount.
#[derive(Debug, Clone, Default)]
pub(super) struct AccountRecord {
    account: Tracked<ObservedAccount>,
    repairs: Repairs,
    failure: Option<Box<FailureRecord>>,
}

impl Record for AccountRecord {
    type Value = ObservedAccount;

    fn merge(&mut self, change: Change<ObservedAccount>) {
        self.update(|account| account.merge(change));
    }
}

impl AccountRecord {
    fn update(&mut self, update: impl FnOnce(&mut Tracked<ObservedAccount>)) {
        let before = self.account.get().cloned();
        update(&mut self.account);
        if self.account.get() != before.as_ref() {
            // The cause of the failure may be gone.
            FailureRecord::object_changed(&mut self.failure);
        }
    }

    /// The last failure, unless a patch has succeeded since.
    pub(super) fn failure(&self) -> Option<&FailureRecord> {
        self.failure.as_deref()
    }

    /// Another client that keeps changing it.
    pub(super) fn contest(&self, now: Duration) -> Option<&Contest> {
        self.repairs.contest(now)
    }

    /// Whether a patch is running for it.
    pub(super) fn has_job(&self) -> bool {
        self.account.has_job()
    }

    /// Whether it holds nothing that is worth keeping.
    pub(super) fn is_forgettable(&self) -> bool {
        self.account.is_forgettable()
    }

    /// Its name has left the config. Only a running patch is remembered.
    pub(super) fn forget(&mut self) {
        self.account.forget();
        (self.failure, self.repairs) = (None, Repairs::default());
    }

    /// Another replica may write from now on.
    pub(super) fn end_term(&mut self) {
        self.account.end_job();
        self.failure = None;
    }

    fn names(&self, secret: &PullSecret) -> bool {
        self.account.get().is_some_and(|account| account.names(&secret.name))
    }
}

impl Index {
    /// When a ServiceAccount needs a patch.
    pub(super) fn plan_patch(
        &self,
        namespace: u32,
        account: AccountSlot,
        now: Now,
    ) -> Option<Ticket> {
        let record = self.namespaces.get(namespace)?.account(account);
        let retry_at = FailureRecord::retry_at(record.failure());
        let (patch, due) = self.patch(namespace, account, now)?;
        let not_before = record.repairs.not_before(patch.names);
        let due = due.max(retry_at).max(not_before);
        Some(Ticket::new(JobClass::Patch, due, Deadline::FIRST))
    }

    /// Starts the patch that a ServiceAccount needs.
    pub(super) fn start_patch(
        &mut self,
        namespace: u32,
        account: AccountSlot,
        now: Now,
    ) -> Option<Job> {
        let (patch, _) = self.patch(namespace, account, now)?;
        let name = Arc::clone(&self.accounts.get(account)?.name);
        let entry = self.namespaces.get_mut(namespace)?;
        entry.account_mut(account).account.start_job();
        let key = ObjectKey::account(namespace, account);
        Some(Job { key, namespace: Arc::clone(&entry.name), name, action: Action::Patch(patch) })
    }

    /// The patch that a ServiceAccount needs, and from when on. A name that is missing is added at
    /// once; one of a copy that is no longer wanted stays until the copy is about to be deleted.
    fn patch(
        &self,
        namespace: u32,
        account: AccountSlot,
        now: Now,
    ) -> Option<(AccountPatch, Duration)> {
        let name = &self.accounts.get(account)?.name;
        let entry = self.namespaces.get(namespace)?;
        let record = entry.account(account);
        let observed = record.account.get()?;
        if entry.presence() != Presence::Active || record.has_job() {
            return None;
        }
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut next_removal = None;
        let mut names = DefaultHasher::new();
        for (slot, state) in self.secrets.iter().filter(|(_, it)| it.secret.names_account(name)) {
            let secret = &state.secret;
            let copy = entry.copy(slot);
            let is_named = observed.names(&secret.name);
            if copy.wanted && copy.observed().is_some_and(ObservedCopy::is_ours) {
                secret.name.hash(&mut names);
                if !is_named {
                    added.push(secret.name.clone());
                }
            } else if is_named && let Some(due) = self.deletion_due(namespace, slot) {
                // As the queue compares them.
                if Moment::from(due) <= Moment::from(now.uptime) {
                    removed.extend(observed.positions_of(&secret.name));
                }
                next_removal = Some(next_removal.map_or(due, |next: Duration| next.min(due)));
            }
        }
        let due = if added.is_empty() { next_removal? } else { Duration::ZERO };
        removed.sort_unstable_by(|one, other| other.cmp(one));
        // Never 0, which means no patch yet.
        let names = u32::try_from(names.finish() >> 32).unwrap_or(u32::MAX).max(1);
        let patch = AccountPatch {
            resource_version: observed.resource_version,
            has_list: !observed.pull_secrets.is_empty(),
            removed,
            added,
            names,
            is_repair: record.repairs.is_repair(names),
            changed_by: observed.changed_by.clone(),
        };
        Some((patch, due))
    }

    /// Merges the result of a patch.
    pub(super) fn patch_done(
        &mut self,
        namespace: u32,
        account: AccountSlot,
        action: &Action,
        result: JobResult,
        now: Now,
    ) -> Option<JobOutcome> {
        let random = self.random.f64();
        let record = self.namespaces.get_mut(namespace)?.account_mut(account);
        let Some(state) = self.accounts.get(account) else {
            record.account.end_job();
            return None;
        };
        let contest = record.repairs.job_done(action, &result, now.uptime);
        let mut outcome = JobOutcome { is_done: result.is_ok(), contest, ..JobOutcome::default() };
        let failure = match (action, result) {
            (Action::Patch(patch), Ok(Written::Account(observed))) => {
                record.repairs.written(patch.names);
                record.update(|account| account.written(observed, state.lists));
                None
            }
            (_, result) => {
                record.account.end_job();
                result.err()
            }
        };
        FailureRecord::record(&mut record.failure, &mut outcome, failure, now, random);
        Some(outcome)
    }

    /// Whether a ServiceAccount in a namespace names a pull Secret, and no patch of it has failed. The
    /// name is removed before the copy: a process that is interrupted finds the copy, and goes on.
    pub(super) fn is_named(&self, namespace: u32, secret: SecretSlot) -> bool {
        let Some(state) = self.secrets.get(secret) else { return false };
        let Some(entry) = self.namespaces.get(namespace) else { return false };
        self.accounts.iter().any(|(slot, account)| {
            let record = entry.account(slot);
            state.secret.names_account(&account.name)
                && record.failure.is_none()
                && record.names(&state.secret)
        })
    }
}
