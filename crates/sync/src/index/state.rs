//! What others see of the index.

use jiff::Timestamp;

use super::{CopyKey, Index, namespaces::Presence};
use crate::{AccountReport, PerNamespace, Report, report::Tally};

impl Index {
    /// Whether there is anything left to do at `now` or after a failure that may pass. A failure
    /// that is there to stay, or that has been tried `attempts` times, is not waited for.
    #[must_use]
    pub fn is_busy(&self, now: Timestamp, attempts: u32) -> bool {
        let has_failed = |key: CopyKey| {
            let copy = self.namespaces.get(key.namespace)?.copies.get(key.secret as usize)?;
            Some(copy.failure.as_ref()?.is_for_good(attempts))
        };
        self.queue.iter().any(|(key, _)| has_failed(key) != Some(true))
            || self.deletions.iter().any(|(key, ticket)| match has_failed(key) {
                Some(for_good) => !for_good,
                None => ticket.is_due(now),
            })
            || self.links.iter().any(|(key, _)| !self.has_given_up(key, attempts))
    }

    /// The state of all copies at `now`, and each single one of those that are `shown`.
    #[must_use]
    pub fn report(&self, now: Timestamp, shown: PerNamespace) -> Report {
        let mut tally = Tally::new(shown);
        for (place, state) in self.states() {
            tally.begin(place, &state.secret, &state.matched);
        }
        for entry in self.namespaces.iter().filter(|entry| entry.presence == Presence::Active) {
            for (place, state) in self.states() {
                let copy = &entry.copies[place];
                if copy.wanted {
                    let copy_state = copy.state(state.manifest.as_deref(), now);
                    let setback = copy.failure.as_ref().map(|failure| &failure.setback);
                    tally.add(place, &entry.name, copy_state, copy.expires_at(), setback);
                }
            }
        }
        let has_content = self.states().all(|(_, state)| state.manifest.is_some());
        tally.finish(self.is_listed() && has_content, self.account_reports())
    }

    /// Whether everything that is watched has been listed.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.namespaces_listed
            && self.states().all(|(_, state)| state.listed)
            && self.accounts.iter().flatten().all(|account| account.listed)
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
                    report.failing.push((entry.name.clone(), failure.setback.clone()));
                }
            }
        }
        reports
    }
}
