//! Copies that are wanted no more are deleted, after a grace.

use std::{sync::Arc, time::Duration};

use ecr_refresher_core::clock::Now;

use super::{CopyKey, Ended, Index, SecretState, namespaces::Presence};
use crate::{
    job::{failure::WriteFailure, queue::Ticket},
    observed::copy::Uid,
};

/// A copy that is to be deleted. Its end must be fed back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The copy.
    pub key: CopyKey,
    /// The namespace that it is in.
    pub namespace: Arc<str>,
    /// The pull Secret's place in the index.
    pub secret: usize,
    /// What it must be still.
    pub uid: Uid,
    /// The state that it must be in still: an edit since then is somebody's claim to it.
    pub resource_version: u64,
}

impl Index {
    /// Takes out the deletion that goes first at `now`. Writes go before deletions.
    pub fn next_deletion(&mut self, now: Now) -> Option<Deletion> {
        while let Some(key) = self.deletions.pop(now.uptime) {
            let after = self.prune_after?;
            let secret = key.secret as usize;
            // It is considered again once the ServiceAccounts name it no more.
            if self.is_named(key.namespace, secret) {
                continue;
            }
            let Some(entry) = self.namespaces.get_mut(key.namespace) else { continue };
            let copy = &mut entry.copies[secret];
            if let Some((_, uid, resource_version)) = copy.plan_deletion(after) {
                copy.start();
                let namespace = Arc::clone(&entry.name);
                return Some(Deletion { key, namespace, secret, uid, resource_version });
            }
        }
        None
    }

    /// Takes that the machine was suspended for so long, before `now`. What is known is as old, and
    /// meanwhile a copy may be wanted again: grace periods stood still.
    pub fn suspended(&mut self, duration: Duration, now: Now) {
        for id in self.namespaces.ids_where(|_| true) {
            if let Some(entry) = self.namespaces.get_mut(id) {
                entry.copies.iter_mut().for_each(|copy| copy.suspended(duration, now));
            }
        }
        self.requeue(now);
    }

    pub(super) fn apply_deleted(
        &mut self,
        deletion: &Deletion,
        failure: Option<WriteFailure>,
        now: Now,
    ) -> Option<Ended> {
        let Deletion { key, secret, resource_version, .. } = *deletion;
        let random = self.random.f64();
        let copy = &mut self.namespaces.get_mut(key.namespace)?.copies[secret];
        copy.secret.end_write();
        let Some(SecretState { lists, .. }) = self.secrets.get(secret)? else {
            // It has left the config meanwhile.
            self.namespaces.forget_if_empty(key.namespace);
            return None;
        };
        let failure = failure.map(|failure| copy.fail(failure, now, random));
        if failure.is_none() {
            copy.failure = None;
            copy.update(|secret| secret.deleted(resource_version, *lists));
        }
        self.reconsider(key, now);
        self.namespaces.forget_if_empty(key.namespace);
        Some(Ended { failure, waited: None, contested: None })
    }

    /// Puts a copy in the queue of deletions if it is to go, or takes it out.
    pub(super) fn reconsider_deletion(&mut self, key: CopyKey) {
        match self.plan_deletion(key) {
            Some(ticket) => self.deletions.schedule(key, ticket),
            None => self.deletions.cancel(key),
        }
    }

    fn plan_deletion(&self, key: CopyKey) -> Option<Ticket> {
        let due = self.deletion_due(key.namespace, key.secret as usize)?;
        // Of the deletions that are due, the order does not matter.
        Some(Ticket::new(due, None))
    }

    /// When a copy is to go, if it is.
    pub(super) fn deletion_due(&self, namespace: u32, secret: usize) -> Option<Duration> {
        let after = self.prune_after?;
        let entry = self.namespaces.get(namespace)?;
        let state = self.state(secret)?;
        let accounts_listed =
            self.accounts.iter().flatten().all(|account| account.lists.is_complete());
        // Only what is known for sure to be unwanted: all namespaces with all labels that count.
        if !self.namespace_lists.is_complete()
            || !state.lists.is_complete()
            || !accounts_listed
            || entry.presence != Presence::Active
        {
            return None;
        }
        let (due, ..) = entry.copies.get(secret)?.plan_deletion(after)?;
        Some(due)
    }
}
