//! The state of all copies at one moment.

pub mod copy_series;
pub mod copy_view;
pub(crate) mod digest;
pub mod metrics;
pub mod notice;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use strum::VariantArray;

use crate::{
    desired::settings::{PerNamespace, PullSecret},
    job::{Contest, failure::RepeatedFailure, slot::SecretSlot},
    observed::{copy::ObservedCopy, resource::Resource},
};

/// The state of one copy: the `state` label of `ecr_refresher_copies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum CopyState {
    /// It is up to date.
    Fresh,
    /// It has an older token that still works, or another client has changed it.
    Stale,
    /// Its token has expired.
    Expired,
    /// It does not exist.
    Missing,
    /// A foreign Secret has its name.
    Conflict,
    /// The last job failed; another one follows.
    Failed,
}

impl CopyState {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The state of what was observed, after the last `failure` if no job has succeeded since.
    /// `is_current` says whether a copy that has not expired is up to date.
    pub(crate) fn of(
        observed: Option<&ObservedCopy>,
        failure: Option<&RepeatedFailure>,
        is_current: impl FnOnce() -> bool,
        now: Timestamp,
    ) -> Self {
        let is_conflict = failure.is_some_and(|it| it.failure.reason.is_conflict());
        match observed {
            // Also one that will be adopted, until it is.
            Some(observed) if !observed.is_ours() => Self::Conflict,
            _ if is_conflict => Self::Conflict,
            _ if failure.is_some() => Self::Failed,
            None => Self::Missing,
            Some(observed) if observed.expires_at().is_some_and(|at| at <= now) => Self::Expired,
            Some(_) => {
                if is_current() {
                    Self::Fresh
                } else {
                    Self::Stale
                }
            }
        }
    }

    /// Whether a copy in this state has a metric series.
    #[must_use]
    pub fn is_shown(self, shown: PerNamespace) -> bool {
        match shown {
            PerNamespace::Off => false,
            PerNamespace::Failing => self.is_failing(),
            PerNamespace::All => true,
        }
    }

    /// Whether Pods in the namespace may be unable to pull.
    #[must_use]
    pub const fn is_failing(self) -> bool {
        !matches!(self, Self::Fresh | Self::Stale)
    }
}

/// Beside the [`CopyState`]s of copies that are wanted: a copy of ours that no longer is.
pub const UNWANTED: &str = "unwanted";

/// Why a Secret of another owner is not written: the `reason` label of `ecr_refresher_copy_conflicts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ConflictReason {
    /// Another client has made it.
    Foreign,
    /// Another release keeps it.
    AnotherRelease,
    /// It has another type than copies have. Only the commands that read tell it apart.
    AnotherType,
}

impl ConflictReason {
    /// The reason, by the ID of the release that keeps the Secret.
    #[must_use]
    pub fn of(release: Option<&Arc<String>>) -> Self {
        release.map_or(Self::Foreign, |_| Self::AnotherRelease)
    }

    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The state of all copies, and of the watches that they are known by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The pull Secrets.
    pub secrets: Vec<SecretReport>,
    /// The names of ServiceAccounts.
    pub accounts: Vec<AccountReport>,
    /// The watches.
    pub watches: Vec<WatchReport>,
    /// Whether no copy is deleted, because too many would be.
    pub is_prune_held: bool,
}

impl Report {
    /// How many copies are wanted.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.secrets.iter().flat_map(|secret| &secret.counts).sum()
    }

    /// How many of them are in a state.
    #[must_use]
    pub fn count(&self, state: CopyState) -> u64 {
        self.secrets.iter().map(|secret| secret.counts[state as usize]).sum()
    }
}

/// A watch at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchReport {
    /// The watched resource.
    pub resource: Resource,
    /// The name of the Secrets or ServiceAccounts that are watched.
    pub name: Option<String>,
    /// The time of the last event, bookmarks included; at first, that of its start.
    pub last_event_at: Timestamp,
    /// The time since then.
    pub silence: Duration,
    /// Whether there was neither an event nor an error for longer than is possible.
    pub is_stuck: bool,
}

impl fmt::Display for WatchReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "watch of {}", self.resource.as_str())?;
        self.name.iter().try_for_each(|name| write!(formatter, " named {name}"))
    }
}

/// The state of the ServiceAccounts of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountReport {
    /// Their name.
    pub name: String,
    /// The namespaces in which the last patch failed.
    pub failing: Vec<(Arc<str>, Arc<RepeatedFailure>)>,
    /// How many another client keeps changing, by its field manager.
    pub contested: Counts,
}

/// How many objects there are for each client or release, by its name; `None` where it is not known.
pub type Counts = BTreeMap<Option<Arc<String>>, u64>;

/// Counts one object more.
pub(crate) fn count(counts: &mut Counts, name: Option<&Arc<String>>) {
    *counts.entry(name.cloned()).or_default() += 1;
}

/// The state of the copies of one pull Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReport {
    /// The pull Secret's name.
    pub name: String,
    /// How many copies are in each state, in the order of [`CopyState::VARIANTS`].
    pub counts: [u64; CopyState::VARIANTS.len()],
    /// The earliest expiry of all copies.
    pub earliest_expiration: Option<Timestamp>,
    /// The patterns, and how many namespaces each matches.
    pub patterns: Vec<(String, u64)>,
    /// How many copies are in conflict with a Secret of another release, by its ID, or with a foreign one.
    pub conflicts: Counts,
    /// How many copies another client keeps changing, by its field manager.
    pub contested: Counts,
    /// How many copies are there that are no longer wanted.
    pub unwanted: u64,
    /// How many namespaces a pattern matches, if the label selector selects none of them.
    pub unselected: Option<u64>,
    /// Each copy that the report shows.
    pub copies: Vec<CopyReport>,
}

/// The state of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// The namespace.
    pub namespace: Arc<str>,
    /// Its state.
    pub state: CopyState,
    /// When it expires, by its annotation.
    pub expires_at: Option<Timestamp>,
    /// The ID of the other release that keeps the Secret.
    pub release: Option<Arc<String>>,
    /// The last failure, unless a job has succeeded since.
    pub failure: Option<Arc<RepeatedFailure>>,
}

/// Builds a [`Report`].
pub(crate) struct ReportBuilder {
    /// By slot.
    secrets: BTreeMap<SecretSlot, SecretReport>,
    shown: PerNamespace,
}

impl ReportBuilder {
    pub(crate) fn new(shown: PerNamespace) -> Self {
        Self { secrets: BTreeMap::new(), shown }
    }

    /// Begins with a pull Secret; `matched` has the number of namespaces that each pattern matches.
    pub(crate) fn begin(&mut self, slot: SecretSlot, secret: &PullSecret, matched: &[u64]) {
        let patterns = secret.allow_list.patterns().iter().cloned();
        let report = SecretReport {
            name: secret.name.clone(),
            counts: [0; CopyState::VARIANTS.len()],
            earliest_expiration: None,
            patterns: patterns.zip(matched.iter().copied()).collect(),
            conflicts: Counts::new(),
            contested: Counts::new(),
            unwanted: 0,
            unselected: matched.iter().copied().max().filter(|_| secret.allow_list.has_selector()),
            copies: Vec::new(),
        };
        self.secrets.insert(slot, report);
    }

    /// Adds a copy.
    pub(crate) fn add(
        &mut self,
        slot: SecretSlot,
        namespace: &Arc<str>,
        state: CopyState,
        observed: Option<&ObservedCopy>,
        failure: Option<&Arc<RepeatedFailure>>,
    ) {
        let Some(report) = self.secrets.get_mut(&slot) else { return };
        report.counts[state as usize] += 1;
        let release = observed.and_then(ObservedCopy::other_release);
        if state == CopyState::Conflict {
            count(&mut report.conflicts, release);
        }
        let expires_at = observed.and_then(ObservedCopy::expires_at);
        report.earliest_expiration = match (report.earliest_expiration, expires_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if state.is_shown(self.shown) {
            let namespace = Arc::clone(namespace);
            let (failure, release) = (failure.cloned(), release.cloned());
            report.copies.push(CopyReport { namespace, state, expires_at, release, failure });
        }
    }

    /// Adds a copy that is no longer wanted.
    pub(crate) fn add_unwanted(&mut self, slot: SecretSlot) {
        if let Some(report) = self.secrets.get_mut(&slot) {
            report.unwanted += 1;
        }
    }

    /// Adds a copy that another client keeps changing.
    pub(crate) fn add_contest(&mut self, slot: SecretSlot, contest: &Contest) {
        if let Some(report) = self.secrets.get_mut(&slot) {
            count(&mut report.contested, contest.client.as_ref());
        }
    }

    /// The report, without watches.
    pub(crate) fn finish(self, accounts: Vec<AccountReport>) -> Report {
        let selects_none = |secret: SecretReport| {
            let is_empty = secret.counts.iter().sum::<u64>() == 0;
            let unselected = secret.unselected.filter(|&matched| is_empty && matched > 0);
            SecretReport { unselected, ..secret }
        };
        let secrets = self.secrets.into_values().map(selects_none).collect();
        Report { secrets, accounts, ..Report::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_copies_are_counted_among_all() {
        let secret = |fresh, missing| {
            let count = |state: &CopyState| match state {
                CopyState::Fresh => fresh,
                CopyState::Missing => missing,
                _ => 0,
            };
            let counts = CopyState::VARIANTS.iter().map(count).collect::<Vec<u64>>();
            SecretReport {
                name: "ecr-pull".to_owned(),
                counts: counts.try_into().expect("a count for each state"),
                earliest_expiration: None,
                patterns: Vec::new(),
                unselected: None,
                copies: Vec::new(),
                conflicts: BTreeMap::new(),
                contested: BTreeMap::new(),
                unwanted: 0,
            }
        };
        let report = Report { secrets: vec![secret(3, 4), secret(2, 0)], ..Report::default() };
        assert_eq!((report.count(CopyState::Fresh), report.copies()), (5, 9));
    }
}
