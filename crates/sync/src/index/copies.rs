//! Copies: which jobs they need, and the results of these.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::{
    clock::Now,
    planted::{Bug, is_planted},
};

use super::{
    Index, SecretState,
    copy::{Spread, spread_position},
    failure::FailureRecord,
    namespaces::Presence,
};
use crate::job::{
    Action, Apply, Deletion, Job, JobClass, JobOutcome, JobResult, Written,
    failure::{WriteFailure, WriteReason},
    queue::{Deadline, Ticket},
    slot::{ObjectKey, SecretSlot},
};

impl Index {
    /// When a copy needs a job, and with which priority.
    pub(super) fn plan_copy(
        &mut self,
        namespace: u32,
        secret: SecretSlot,
        now: Now,
    ) -> Option<Ticket> {
        let state = self.secrets.get(secret)?;
        let entry = self.namespaces.get_mut(namespace)?;
        if !entry.copy(secret).wanted {
            let due = self.deletion_due(namespace, secret)?;
            // The order of due deletions does not matter.
            return Some(Ticket::new(JobClass::Delete, due, Deadline::FIRST));
        }
        // Before the first complete list, no copy is known to be missing.
        let is_known = entry.presence() == Presence::Active && state.lists.is_complete();
        if !is_known || entry.copy(secret).has_job() {
            return None;
        }
        let position = spread_position(&entry.name);
        let spread = Spread { longest: self.spread, position };
        let SecretState { secret: settings, manifest, .. } = state;
        let copy = entry.copy_mut(secret);
        copy.plan_apply(manifest.as_deref()?, settings, &spread, now)
    }

    /// The uptime at which a copy is deleted, if it is no longer wanted.
    pub(super) fn deletion_due(&self, namespace: u32, secret: SecretSlot) -> Option<Duration> {
        let after = self.prune_after?;
        let entry = self.namespaces.get(namespace)?;
        // Only a copy that is known to be unwanted: by all namespaces with all labels that count.
        let is_known = self.namespace_lists.is_complete()
            && self.secrets.get(secret)?.lists.is_complete()
            && self.accounts.iter().all(|(_, account)| account.lists.is_complete())
            && entry.presence() == Presence::Active;
        let (due, _) = entry.copy(secret).plan_deletion(after).filter(|_| is_known)?;
        Some(due)
    }

    /// Starts the job that a copy needs.
    pub(super) fn start_copy(&mut self, namespace: u32, secret: SecretSlot) -> Option<Job> {
        let state = self.secrets.get(secret)?;
        let name = Arc::clone(&state.name);
        let copy = self.namespaces.get(namespace)?.copy(secret);
        let action = if copy.wanted {
            let manifest = Arc::clone(state.manifest.as_ref()?);
            let is_repair = copy.repairs.is_repair(manifest.content.short());
            let replaces = copy.replaced();
            let changed_by = copy.observed().and_then(|observed| observed.changed_by.clone());
            Action::Apply(Apply { manifest, replaces, is_repair, changed_by })
        } else {
            // It is considered again once no ServiceAccount names it.
            if self.is_named(namespace, secret) {
                return None;
            }
            let (_, deletion) = copy.plan_deletion(self.prune_after?)?;
            Action::Delete(deletion)
        };
        let entry = self.namespaces.get_mut(namespace)?;
        entry.copy_mut(secret).secret.start_job();
        let key = ObjectKey::copy(namespace, secret);
        Some(Job { key, namespace: Arc::clone(&entry.name), name, action })
    }

    /// Merges the result of the job of a copy.
    pub(super) fn copy_done(
        &mut self,
        namespace: u32,
        secret: SecretSlot,
        action: &Action,
        result: JobResult,
        now: Now,
    ) -> Option<JobOutcome> {
        let random = self.random.f64();
        let copy = self.namespaces.get_mut(namespace)?.copy_mut(secret);
        let Some(SecretState { lists, .. }) = self.secrets.get(secret) else {
            copy.secret.end_job();
            return None;
        };
        let contest = copy.repairs.job_done(action, &result, now.uptime);
        let mut outcome = JobOutcome { is_done: result.is_ok(), contest, ..JobOutcome::default() };
        let failure = match (action, result) {
            (Action::Apply(Apply { manifest, .. }), Ok(Written::Copy(observed))) => {
                outcome.waited = copy.arrived().map(|since| since.until(now.uptime));
                copy.repairs.written(manifest.content.short());
                let was_changed = !manifest.is_in(&observed);
                copy.written(observed, *lists);
                was_changed.then(changed_on_the_way)
            }
            (Action::Delete(Deletion { resource_version, .. }), Ok(_)) => {
                copy.update(|secret| secret.deleted(*resource_version, *lists));
                None
            }
            (_, Ok(_)) => {
                copy.secret.end_job();
                None
            }
            (_, Err(failure)) => {
                if !is_planted(Bug::FailedWriteStaysUnderWay) {
                    copy.secret.end_job();
                }
                // The write may have been done, and only its answer lost.
                if copy.observed().is_some() {
                    copy.arrived();
                }
                Some(failure)
            }
        };
        FailureRecord::record(&mut copy.failure, &mut outcome, failure, now, random);
        Some(outcome)
    }
}

fn changed_on_the_way() -> WriteFailure {
    WriteFailure {
        reason: WriteReason::Altered,
        message: "another component changed the Secret during the write: look for a mutating \
                  admission webhook"
            .to_owned(),
        retry_after: None,
    }
}
