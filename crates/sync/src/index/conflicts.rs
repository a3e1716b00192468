//! Foreign Secrets that stand where copies are wanted.

use std::sync::Arc;

use super::{CopyKey, Index, namespaces::Presence};
use crate::desired::settings::OnConflict;

impl Index {
    /// Takes out the conflicts that are new: the names of the pull Secrets, and the namespaces.
    pub fn take_conflicts(&mut self) -> Vec<(String, Arc<str>)> {
        let conflicts = std::mem::take(&mut self.conflicts);
        let describe = |key: CopyKey| {
            let entry = self.namespaces.get(key.namespace)?;
            // It may have passed already.
            let copy = entry.copies.get(key.secret as usize)?;
            let secret = self.state(key.secret as usize)?;
            copy.is_in_conflict.then(|| (secret.secret.name.clone(), Arc::clone(&entry.name)))
        };
        conflicts.into_iter().filter_map(describe).collect()
    }

    /// Notes whether a copy is in conflict, and that it is news if it was not before.
    pub(super) fn note_conflict(&mut self, key: CopyKey) {
        let secret = key.secret as usize;
        let state = self.secrets.get(secret).and_then(Option::as_ref);
        let Some((entry, state)) = self.namespaces.get_mut(key.namespace).zip(state) else {
            return;
        };
        let is_left_alone = state.secret.on_conflict == OnConflict::Skip;
        let is_known = entry.presence == Presence::Active && state.lists.is_complete();
        let copy = &mut entry.copies[secret];
        let is_in_conflict = is_left_alone && is_known && copy.wanted && copy.is_foreign();
        if is_in_conflict && !copy.is_in_conflict {
            self.conflicts.push(key);
        }
        copy.is_in_conflict = is_in_conflict;
    }
}
