//! Copies that are no longer wanted.

use std::time::Duration;

use super::{Index, namespaces::Presence};
use crate::observed::copy::ObservedCopy;

/// How many copies are no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unwanted {
    /// Copies that are due to be deleted, now or later.
    pub count: u64,
    /// All copies of this release, wanted or not.
    pub all: u64,
    /// The uptime at which the first one is due.
    pub first_due: Option<Duration>,
}

impl Index {
    /// Counts the copies that are no longer wanted; none while something is not listed.
    #[must_use]
    pub fn unwanted(&self) -> Unwanted {
        let mut unwanted = Unwanted::default();
        let Some(after) = self.prune_after.filter(|_| self.is_listed()) else { return unwanted };
        for entry in self.namespaces.iter().filter(|it| it.presence() == Presence::Active) {
            for (slot, _) in self.secrets.iter() {
                let copy = entry.copy(slot);
                unwanted.all += u64::from(copy.observed().is_some_and(ObservedCopy::is_ours));
                if let Some((due, _)) = copy.plan_deletion(after) {
                    unwanted.count += 1;
                    unwanted.first_due =
                        Some(unwanted.first_due.map_or(due, |first| first.min(due)));
                }
            }
        }
        unwanted
    }
}
