//! The state of all copies at one moment.

pub mod copy_series;
pub mod metrics;
pub mod notice;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    desired::settings::{PerNamespace, PullSecret},
    job::failure::RepeatedFailure,
};

/// The state of one copy: the `state` label of `ecr_refresher_copies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyState {
    /// It holds the current token.
    Fresh,
    /// It holds an earlier token that still works, or somebody has edited it.
    Stale,
    /// Its token has expired.
    Expired,
    /// It is not there.
    Missing,
    /// A foreign Secret of that name stands in the way.
    Conflict,
    /// The last write failed; another is coming.
    Failed,
}

impl CopyState {
    /// Every state, in the order of [`SecretReport::counts`].
    pub const ALL: [Self; 6] =
        [Self::Fresh, Self::Stale, Self::Expired, Self::Missing, Self::Conflict, Self::Failed];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::Conflict => "conflict",
            Self::Failed => "failed",
        }
    }

    /// Whether Pods in the namespace may be unable to pull.
    #[must_use]
    pub const fn is_failing(self) -> bool {
        !matches!(self, Self::Fresh | Self::Stale)
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
}

/// A watch at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchReport {
    /// What is watched: the `resource` label of the watch metrics.
    pub resource: &'static str,
    /// The name of the Secrets or ServiceAccounts that are watched.
    pub name: Option<String>,
    /// When the API server last told it something, be it a bookmark; at first, when it started.
    pub heard_at: Timestamp,
    /// How long ago that is.
    pub silence: Duration,
    /// Whether it should have told something by now, be it that it failed.
    pub is_stuck: bool,
}

impl fmt::Display for WatchReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "watch of {}", self.resource)?;
        self.name.iter().try_for_each(|name| write!(formatter, " named {name}"))
    }
}

/// The state of the ServiceAccounts of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountReport {
    /// Their name.
    pub name: String,
    /// The namespaces in which the last change of theirs failed.
    pub failing: Vec<(Arc<str>, Arc<RepeatedFailure>)>,
}

/// The state of the copies of one pull Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretReport {
    /// The pull Secret's name.
    pub name: String,
    /// How many copies are in each state, in the order of [`CopyState::ALL`].
    pub counts: [u64; CopyState::ALL.len()],
    /// The earliest expiry of all copies that say one.
    pub earliest_expiration: Option<Timestamp>,
    /// The patterns, and how many namespaces each matches.
    pub patterns: Vec<(String, u64)>,
    /// Each copy that was asked for.
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
    /// The last failure, unless a write has succeeded since.
    pub setback: Option<Arc<RepeatedFailure>>,
}

/// Adds up a [`Report`].
pub(crate) struct ReportBuilder {
    /// By the places of the pull Secrets.
    secrets: BTreeMap<usize, SecretReport>,
    shown: PerNamespace,
}

impl ReportBuilder {
    pub(crate) fn new(shown: PerNamespace) -> Self {
        Self { secrets: BTreeMap::new(), shown }
    }

    /// Begins with a pull Secret; `matched` says how many namespaces each of its patterns matches.
    pub(crate) fn begin(&mut self, place: usize, secret: &PullSecret, matched: &[u64]) {
        let patterns = secret.allow_list.patterns().iter().cloned();
        let report = SecretReport {
            name: secret.name.clone(),
            counts: [0; CopyState::ALL.len()],
            earliest_expiration: None,
            patterns: patterns.zip(matched.iter().copied()).collect(),
            copies: Vec::new(),
        };
        self.secrets.insert(place, report);
    }

    /// Adds a copy.
    pub(crate) fn add(
        &mut self,
        place: usize,
        namespace: &Arc<str>,
        state: CopyState,
        expires_at: Option<Timestamp>,
        setback: Option<&Arc<RepeatedFailure>>,
    ) {
        let Some(report) = self.secrets.get_mut(&place) else { return };
        report.counts[state as usize] += 1;
        report.earliest_expiration = match (report.earliest_expiration, expires_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if self.shown.shows(state) {
            let namespace = Arc::clone(namespace);
            let setback = setback.cloned();
            report.copies.push(CopyReport { namespace, state, expires_at, setback });
        }
    }

    /// The report, without watches.
    pub(crate) fn finish(self, accounts: Vec<AccountReport>) -> Report {
        let secrets = self.secrets.into_values().collect();
        Report { secrets, accounts, watches: Vec::new() }
    }
}
