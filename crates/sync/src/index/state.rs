//! What others see of the index.

use std::sync::Arc;

use ecr_refresher_core::clock::Now;

use super::{CopyKey, Index, copy::CopyRecord, namespaces::Presence};
use crate::{
    desired::{manifest::Manifest, settings::PerNamespace},
    report::{AccountReport, Report, ReportBuilder},
};

impl Index {
    /// Whether there is anything left to do at `now` or after a failure that may pass. A failure
    /// that is there to stay, or that has been tried `attempts` times, is not waited for.
    #[must_use]
    pub fn is_busy(&self, now: Now, attempts: u32) -> bool {
        let has_failed = |key: CopyKey| {
            let copy = self.namespaces.get(key.namespace)?.copies.get(key.secret as usize)?;
            Some(copy.failure.as_ref()?.is_for_good(attempts))
        };
        self.queue.iter().any(|(key, _)| has_failed(key) != Some(true))
            || self.deletions.iter().any(|(key, ticket)| match has_failed(key) {
                Some(for_good) => !for_good,
                None => ticket.is_due(now.uptime),
            })
            || self.links.iter().any(|(key, _)| !self.has_given_up(key, attempts))
    }

    /// The state of all copies at `now`, and each single one of those that are `shown`.
    #[must_use]
    pub fn report(&self, now: Now, shown: PerNamespace) -> Report {
        let mut tally = ReportBuilder::new(shown);
        for (place, state) in self.states() {
            tally.begin(place, &state.secret, &state.matched);
        }
        for (place, manifest, name, copy) in self.wanted_copies() {
            let state = copy.state(manifest, now.wall);
            let setback = copy.failure.as_ref().map(|failure| &failure.setback);
            tally.add(place, name, state, copy.expires_at(), setback);
        }
        tally.finish(self.account_reports())
    }

    /// Whether everything has been listed and has content, and everything that was missing has been
    /// tried.
    #[must_use]
    pub fn is_synced(&self, now: Now) -> bool {
        self.is_listed()
            && self.states().all(|(_, state)| state.manifest.is_some())
            && !self
                .wanted_copies()
                .any(|(_, manifest, _, copy)| copy.is_untried(manifest, now.wall))
    }

    /// Whether everything that is watched has been listed.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.namespace_lists.is_complete()
            && self.states().all(|(_, state)| state.lists.is_complete())
            && self.accounts.iter().flatten().all(|account| account.lists.is_complete())
    }

    /// The copies that are wanted where they can be, each with the place of its pull Secret, what is
    /// to be there, and its namespace.
    fn wanted_copies(
        &self,
    ) -> impl Iterator<Item = (usize, Option<&Manifest>, &Arc<str>, &CopyRecord)> {
        let active = self.namespaces.iter().filter(|entry| entry.presence == Presence::Active);
        active.flat_map(|entry| {
            let copies = self.states().map(|(place, state)| {
                (place, state.manifest.as_deref(), &entry.name, &entry.copies[place])
            });
            copies.filter(|(.., copy)| copy.wanted)
        })
    }

    /// The names of ServiceAccounts, each with what is due or fails.
    fn account_reports(&self) -> Vec<AccountReport> {
        let mut reports: Vec<_> = self
            .accounts()
            .map(|(_, name)| AccountReport { name: name.to_owned(), ..AccountReport::default() })
            .collect();
        for (place, report) in self.accounts().map(|(place, _)| place).zip(&mut reports) {
            for entry in self.namespaces.iter() {
                let Some(record) = entry.accounts.get(place) else { continue };
                if let Some(failure) = record.failure() {
                    report.failing.push((entry.name.clone(), Arc::clone(&failure.setback)));
                }
            }
        }
        reports
    }
}
