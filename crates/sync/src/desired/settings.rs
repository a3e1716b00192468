//! What is wanted, after the config file has been checked.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{desired::allow_list::AllowList, report::CopyState};

/// Everything that the engine follows.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The pull Secrets. Their names are unique.
    pub secrets: Vec<PullSecret>,
    /// Over how long the copies of a new token are written, at most.
    pub spread: Duration,
    /// After how long a copy that is wanted no more is deleted; `None` for never.
    pub prune_after: Option<Duration>,
    /// How many writes may be under way at once.
    pub concurrency: usize,
    /// Of which copies the metrics have a series each.
    pub per_namespace: PerNamespace,
}

/// What to do about a foreign Secret of a pull Secret's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Leave it as it is, and report it.
    #[default]
    Skip,
    /// Take it over.
    Adopt,
}

/// Of which copies there is a series each. Kubernetes itself had to give up a label with the
/// namespace on such a metric (its root CA publisher's), so it is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PerNamespace {
    /// Of none.
    Off,
    /// Of those that are missing, expired, failing or in conflict.
    #[default]
    Failing,
    /// Of all.
    All,
}

impl PerNamespace {
    /// Whether a copy in that state has a series.
    #[must_use]
    pub fn shows(self, state: CopyState) -> bool {
        match self {
            Self::Off => false,
            Self::Failing => state.is_failing(),
            Self::All => true,
        }
    }
}

/// A pull Secret: its name, what is in it, and where it goes.
#[derive(Debug, Clone)]
pub struct PullSecret {
    /// The name of the Secret in every namespace.
    pub name: String,
    /// The names of its registries, in the order of precedence.
    pub registries: Vec<Arc<str>>,
    /// The namespaces that get a copy.
    pub allow_list: AllowList,
    /// The ServiceAccounts that get the Secret as one of their `imagePullSecrets`, in each of these
    /// namespaces.
    pub service_accounts: Vec<String>,
    /// What to do about a foreign Secret of that name.
    pub on_conflict: OnConflict,
    /// Labels that the copies carry beside ours.
    pub labels: BTreeMap<String, String>,
    /// Annotations that the copies carry beside ours.
    pub annotations: BTreeMap<String, String>,
}

impl PullSecret {
    /// Whether ServiceAccounts of that name are to have their Pods pull with it.
    pub(crate) fn names_account(&self, account: &str) -> bool {
        self.service_accounts.iter().any(|named| named == account)
    }
}
