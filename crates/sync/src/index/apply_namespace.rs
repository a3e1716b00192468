//! What the watch of the namespaces tells.

use ecr_refresher_core::clock::Now;

use super::{Index, SecretState, copy::CopyRecord, namespaces::Presence};
use crate::observed::{change::Watched, namespace::Namespace};

impl Index {
    pub(super) fn apply_namespace(&mut self, change: Watched<Namespace>, now: Now) {
        match change {
            Watched::ListBegun => self.namespace_lists.begin(),
            Watched::Listed(name, namespace) | Watched::Changed(name, namespace) => {
                self.namespace_seen(&name, &namespace, now);
            }
            Watched::ListEnded => {
                self.namespace_lists.end();
                self.missing_keys.clear();
                let list = self.namespace_lists.number();
                for id in self.namespaces.ids_where(|entry| entry.presence.is_there()) {
                    if self.namespaces.get(id).is_some_and(|entry| entry.list != list) {
                        self.namespace_gone(id, now);
                    } else {
                        self.reconsider_namespace(id, now);
                    }
                }
            }
            Watched::Gone(name, _) => {
                if let Some(id) = self.namespaces.find(&name) {
                    self.namespace_gone(id, now);
                }
            }
        }
    }

    fn namespace_seen(&mut self, name: &str, namespace: &Namespace, now: Now) {
        let id = self.namespaces.intern(name);
        let Some(entry) = self.namespaces.get_mut(id) else { return };
        let is_new = !entry.presence.is_there();
        let presence = Presence::of(namespace);
        if entry.presence != presence {
            entry.copies.iter_mut().for_each(|copy| copy.failure = None);
        }
        entry.presence = presence;
        entry.list = self.namespace_lists.number();
        entry.keep_labels(&namespace.labels, &self.label_keys);
        if is_new {
            self.count_matches(id, 1);
        }
        self.decide(id, now);
        self.reconsider_namespace(id, now);
    }

    fn namespace_gone(&mut self, id: u32, now: Now) {
        let Some(entry) = self.namespaces.get_mut(id) else { return };
        if !entry.presence.is_there() {
            return;
        }
        entry.presence = Presence::Absent;
        entry.copies.iter_mut().for_each(CopyRecord::unwant);
        self.count_matches(id, -1);
        self.reconsider_namespace(id, now);
        self.namespaces.forget_if_empty(id);
    }

    /// Decides by the allow-lists whether a namespace is to have its copies.
    pub(super) fn decide(&mut self, id: u32, now: Now) {
        let Some(entry) = self.namespaces.get_mut(id) else { return };
        for (state, copy) in self.secrets.iter().zip(&mut entry.copies) {
            // What is noted at a place that is empty would be held against whoever gets it.
            let Some(SecretState { secret, .. }) = state else { continue };
            let allow_list = &secret.allow_list;
            let is_missing = |key: String| self.missing_keys.contains(&key);
            if entry.misses_labels && allow_list.label_keys().any(is_missing) {
                // Only a label that is known not to be there may be a reason for a copy.
                copy.unwant();
            } else {
                copy.want(allow_list.decide(&entry.name, &entry.labels).is_allowed(), now);
            }
        }
    }

    /// Adds a namespace to the counts of the patterns that match its name, or takes it away.
    pub(super) fn count_matches(&mut self, id: u32, difference: i64) {
        let Some(entry) = self.namespaces.get(id) else { return };
        for state in self.secrets.iter_mut().flatten() {
            for pattern in state.secret.allow_list.matching(&entry.name) {
                let count = &mut state.matched[pattern];
                *count = count.saturating_add_signed(difference);
            }
        }
    }
}
