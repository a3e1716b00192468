//! Foreign Secrets where copies are wanted.

use std::sync::Arc;

use super::{Index, namespaces::Presence};
use crate::{desired::settings::OnConflict, job::slot::SecretSlot};

impl Index {
    /// The conflicts that are new since the last call: pull Secrets and namespaces.
    pub fn take_conflicts(&mut self) -> Vec<(Arc<str>, Arc<str>)> {
        let conflicts = std::mem::take(&mut self.conflicts);
        let describe = |(namespace, secret)| {
            let entry = self.namespaces.get(namespace)?;
            let state = self.secrets.get(secret)?;
            // It may be over already.
            let is_in_conflict = entry.copy(secret).is_in_conflict;
            is_in_conflict.then(|| (Arc::clone(&state.name), Arc::clone(&entry.name)))
        };
        conflicts.into_iter().filter_map(describe).collect()
    }

    /// Records whether a copy is in conflict, and whether that is new.
    pub(super) fn record_conflict(&mut self, namespace: u32, secret: SecretSlot) {
        let Some(state) = self.secrets.get(secret) else { return };
        let Some(entry) = self.namespaces.get_mut(namespace) else { return };
        let skips = state.secret.on_conflict == OnConflict::Skip;
        let is_known = entry.presence() == Presence::Active && state.lists.is_complete();
        let copy = entry.copy_mut(secret);
        let is_foreign = copy.observed().is_some_and(|observed| !observed.is_ours());
        let is_in_conflict = skips && is_known && copy.wanted && is_foreign;
        if is_in_conflict && !copy.is_in_conflict {
            self.conflicts.push((namespace, secret));
        }
        copy.is_in_conflict = is_in_conflict;
    }
}
