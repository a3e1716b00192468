//! The state of the index, for other modules.

use std::sync::Arc;

use ecr_refresher_core::clock::Now;

use super::{Index, copy::CopyRecord, failure::FailureRecord, namespaces::Presence};
use crate::{
    desired::{manifest::Manifest, settings::PerNamespace},
    job::{
        JobClass,
        slot::{Object, ObjectKey, SecretSlot},
    },
    report::{AccountReport, Counts, Report, ReportBuilder, copy_view::CopyView, count},
};

impl Index {
    /// Whether a job of the classes up to `last` is due at `now`, or a failed one is worth waiting for: its cause is temporary, and
    /// it was tried fewer than `attempts` times.
    #[must_use]
    pub fn is_busy(&self, now: Now, attempts: u32, last: JobClass) -> bool {
        let mut jobs = self.queue.iter().filter(|(_, ticket)| ticket.class() <= last);
        jobs.any(|(key, ticket)| match self.failure(key) {
            Some(failure) => !failure.is_final(attempts),
            None => ticket.class() == JobClass::Apply || ticket.is_due(now.uptime),
        })
    }

    fn failure(&self, ObjectKey { namespace, object }: ObjectKey) -> Option<&FailureRecord> {
        let entry = self.namespaces.get(namespace)?;
        match object {
            Object::Copy(secret) => entry.copy(secret).failure.as_deref(),
            Object::Account(account) => entry.account(account).failure(),
        }
    }

    /// The state of all copies at `now`, with a report of each one that is `shown`.
    #[must_use]
    pub fn report(&self, now: Now, shown: PerNamespace) -> Report {
        let mut builder = ReportBuilder::new(shown);
        for (slot, state) in self.secrets.iter() {
            builder.begin(slot, &state.secret, &state.matched);
        }
        for (slot, manifest, name, copy) in self.wanted_copies() {
            let failure = copy.failure.as_ref().map(|record| &record.failure);
            let state = copy.state(manifest, now.wall);
            builder.add(slot, name, state, copy.observed(), failure);
            if let Some(contest) = copy.repairs.contest(now.uptime) {
                builder.add_contest(slot, contest);
            }
        }
        for entry in self.namespaces.iter().filter(|it| it.presence() == Presence::Active) {
            for (slot, _) in
                self.secrets.iter().filter(|(slot, _)| entry.copy(*slot).is_left_over())
            {
                builder.add_unwanted(slot);
            }
        }
        builder.finish(self.account_reports(now))
    }

    /// Whether everything was listed, has content, and every missing copy was tried.
    #[must_use]
    pub fn is_synced(&self, now: Now) -> bool {
        self.is_listed()
            && self.secrets.iter().all(|(_, state)| state.manifest.is_some())
            && !self
                .wanted_copies()
                .any(|(_, manifest, _, copy)| copy.is_untried(manifest, now.wall))
    }

    /// Whether everything that is watched was listed.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.namespace_lists.is_complete()
            && self.secrets.iter().all(|(_, state)| state.lists.is_complete())
            && self.accounts.iter().all(|(_, state)| state.lists.is_complete())
    }

    /// The size of the largest body of a copy, in bytes.
    pub(crate) fn largest_body(&self) -> usize {
        let manifests = self.secrets.iter().filter_map(|(_, state)| state.manifest.as_ref());
        manifests.map(|manifest| manifest.body.len()).max().unwrap_or_default()
    }

    /// Each wanted copy in an active namespace, with the slot and the content of its pull Secret.
    fn wanted_copies(
        &self,
    ) -> impl Iterator<Item = (SecretSlot, Option<&Manifest>, &Arc<str>, &CopyRecord)> {
        let active = self.namespaces.iter().filter(|it| it.presence() == Presence::Active);
        active.flat_map(|entry| {
            let copies = self.secrets.iter().map(|(slot, state)| {
                (slot, state.manifest.as_deref(), &entry.name, entry.copy(slot))
            });
            copies.filter(|(.., copy)| copy.wanted)
        })
    }

    /// The names of ServiceAccounts, each with its failures.
    fn account_reports(&self, now: Now) -> Vec<AccountReport> {
        let report = |(slot, name): (_, &str)| {
            let failing = self.namespaces.iter().filter_map(|entry| {
                let record = entry.account(slot).failure()?;
                Some((Arc::clone(&entry.name), Arc::clone(&record.failure)))
            });
            let entries = self.namespaces.iter();
            let contests = entries.filter_map(|entry| entry.account(slot).contest(now.uptime));
            let mut contested = Counts::new();
            contests.for_each(|contest| count(&mut contested, contest.client.as_ref()));
            AccountReport { name: name.to_owned(), failing: failing.collect(), contested }
        };
        self.accounts().map(report).collect()
    }

    /// Each pull Secret in each namespace that exists.
    pub(crate) fn copy_views(&self) -> impl Iterator<Item = CopyView<'_>> {
        let existing = self.namespaces.iter().filter(|it| it.presence() != Presence::Absent);
        existing.flat_map(|entry| {
            self.secrets.iter().map(|(slot, state)| CopyView {
                slot,
                secret: &state.secret,
                namespace: &entry.name,
                terminating: entry.presence() == Presence::Terminating,
                labels: entry.labels(),
                decision: state.secret.allow_list.decide(&entry.name, entry.labels()),
                observed: entry.copy(slot).observed().cloned(),
                detail: None,
            })
        })
    }
}
