//! All that is known of the copies, for those who look and do not write.

use super::{Index, namespaces::Presence};
use crate::snapshot::copy_view::CopyView;

impl Index {
    /// Every namespace that exists, as each pull Secret sees it: wanted there or not, there or not.
    pub(crate) fn survey(&self) -> impl Iterator<Item = CopyView<'_>> {
        let there = self.namespaces.iter().filter(|entry| entry.presence.is_there());
        there.flat_map(|entry| {
            self.states().map(|(place, state)| CopyView {
                place,
                secret: &state.secret,
                namespace: &entry.name,
                terminating: entry.presence == Presence::Terminating,
                labels: &entry.labels,
                decision: state.secret.allow_list.decide(&entry.name, &entry.labels),
                observed: entry.copies[place].observed(),
                detail: None,
            })
        })
    }
}
