//! Foreign Secrets where copies are wanted.

use std::sync::Arc;

use super::{Index, namespaces::Presence};
use crate::{job::slot::SecretSlot, observed::copy::ObservedCopy};

/// A Secret of another owner where a copy is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The name of the pull Secret.
    pub secret: Arc<str>,
    /// The namespace.
    pub namespace: Arc<str>,
    /// The release that keeps the Secret; `None` if no release does.
    pub release: Option<Arc<String>>,
    /// Whether the Secret is gone, or may be replaced now.
    pub is_over: bool,
}

impl Index {
    /// The conflicts that have begun or ended since the last call.
    pub fn take_conflicts(&mut self) -> Vec<Conflict> {
        let conflicts = std::mem::take(&mut self.conflicts);
        let describe = |(namespace, secret, is_over)| {
            let entry = self.namespaces.get(namespace)?;
            let state = self.secrets.get(secret)?;
            let copy = entry.copy(secret);
            // It may have changed again.
            (copy.is_in_conflict != is_over).then(|| Conflict {
                secret: Arc::clone(&state.name),
                namespace: Arc::clone(&entry.name),
                release: copy.observed().and_then(ObservedCopy::other_release).cloned(),
                is_over,
            })
        };
        conflicts.into_iter().filter_map(describe).collect()
    }

    /// Records whether a copy is in conflict, and whether that has changed.
    pub(super) fn record_conflict(&mut self, namespace: u32, secret: SecretSlot) {
        let Some(state) = self.secrets.get(secret) else { return };
        let Some(entry) = self.namespaces.get_mut(namespace) else { return };
        let is_known = entry.presence() == Presence::Active && state.lists.is_complete();
        let copy = entry.copy_mut(secret);
        let is_refused = |observed: &ObservedCopy| !state.secret.may_replace(&observed.ownership);
        let is_in_conflict = is_known && copy.wanted && copy.observed().is_some_and(is_refused);
        // Where no copy is wanted any more, it does not matter to anybody.
        if is_in_conflict != copy.is_in_conflict && is_known && copy.wanted {
            self.conflicts.push((namespace, secret, !is_in_conflict));
        }
        copy.is_in_conflict = is_in_conflict;
    }
}
