//! The settings of the engine, after the validation of the config.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{desired::allow_list::AllowList, observed::copy::Ownership, release::Release};

/// The settings of the engine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The pull Secrets. Their names are unique.
    pub secrets: Vec<PullSecret>,
    /// The longest time over which the copies of a new token are written.
    pub spread: Duration,
    /// The grace period of a copy that is no longer wanted; `None` if it is never deleted.
    pub prune_after: Option<Duration>,
    /// The largest share of all copies that may be deleted at once, where they are more than 20.
    pub prune_limit: f64,
    /// How many jobs may run at once.
    pub concurrency: usize,
    /// The copies that have a metric series each.
    pub per_namespace: PerNamespace,
}

/// What happens to a foreign Secret with the name of a pull Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "camelCase")]
pub enum OnConflict {
    /// Leave it unchanged, and report it.
    #[default]
    Skip,
    /// Take it over.
    Adopt,
}

/// The copies that have a metric series each. Kubernetes had to remove a label with the namespace from
/// such a metric (of its root CA publisher), so it is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "camelCase")]
pub enum PerNamespace {
    /// None.
    Off,
    /// Those that are missing, expired, failing or in conflict.
    #[default]
    Failing,
    /// All.
    All,
}

/// A pull Secret: its name, its registries, and its namespaces.
#[derive(Debug, Clone)]
pub struct PullSecret {
    /// The name of the Secret in every namespace.
    pub name: String,
    /// The names of its registries, in the order of precedence.
    pub registries: Vec<Arc<str>>,
    /// The namespaces that get a copy.
    pub allow_list: AllowList,
    /// The ServiceAccounts in these namespaces that get the Secret in their `imagePullSecrets`.
    pub service_accounts: Vec<String>,
    /// What happens to a foreign Secret of this name.
    pub on_conflict: OnConflict,
    /// The releases whose copies are taken over.
    pub take_over: Vec<Release>,
    /// Additional labels of the copies.
    pub labels: BTreeMap<String, String>,
    /// Additional annotations of the copies.
    pub annotations: BTreeMap<String, String>,
}

impl PullSecret {
    /// Whether its copy may be written in place of a Secret of this owner.
    #[must_use]
    pub fn may_replace(&self, ownership: &Ownership) -> bool {
        match ownership {
            Ownership::Ours { .. } => true,
            Ownership::Foreign => self.on_conflict == OnConflict::Adopt,
            Ownership::AnotherRelease { release, .. } => {
                self.take_over.iter().any(|taken| taken.id() == release.as_str())
            }
        }
    }

    /// Whether ServiceAccounts of this name should name it.
    pub(crate) fn names_account(&self, account: &str) -> bool {
        self.service_accounts.iter().any(|named| named == account)
    }
}
