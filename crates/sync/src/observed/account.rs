//! A ServiceAccount in a list or a watch.

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::ServiceAccount, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry,
};

use super::{copy::resource_version, tracked::Versioned};
use crate::release::Release;

/// The part of a ServiceAccount that decides whether its Pods pull with a pull Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedAccount {
    /// Its resourceVersion, a number that grows with each change.
    pub resource_version: u64,
    /// The names in its `imagePullSecrets`, in their order.
    pub pull_secrets: Vec<String>,
    /// The field manager of the client that has changed the list last, other than this release.
    pub changed_by: Option<Arc<String>>,
}

impl Versioned for ObservedAccount {
    fn version(&self) -> u64 {
        self.resource_version
    }
}

impl ObservedAccount {
    /// Reads a ServiceAccount, as this release sees it.
    #[must_use]
    pub fn new(account: &ServiceAccount, release: &Release) -> Self {
        let entries = account.image_pull_secrets.iter().flatten();
        // The list is atomic: the client that has set it last owns all of it. One that has removed it owns
        // nothing of it, and is perhaps the client that has changed anything last.
        let owns_list = |entry: &&ManagedFieldsEntry| {
            entry.fields_v1.as_ref().is_some_and(|it| it.0.get("f:imagePullSecrets").is_some())
        };
        let is_other =
            |entry: &&ManagedFieldsEntry| entry.manager.as_deref() != Some(release.manager());
        let others = account.metadata.managed_fields.iter().flatten().filter(is_other);
        let changed_by = others.max_by_key(|entry| (owns_list(entry), entry.time.clone()));
        let changed_by = changed_by.and_then(|entry| entry.manager.clone());
        Self {
            changed_by: changed_by.map(Arc::new),
            resource_version: resource_version(&account.metadata),
            pull_secrets: entries.map(|entry| entry.name.clone()).collect(),
        }
    }

    /// Whether the list has this name.
    pub(crate) fn names(&self, pull_secret: &str) -> bool {
        self.pull_secrets.iter().any(|name| name == pull_secret)
    }

    /// The positions of this name in the list, in ascending order.
    pub(crate) fn positions_of(&self, pull_secret: &str) -> impl Iterator<Item = usize> {
        let names = self.pull_secrets.iter().enumerate();
        names.filter(move |(_, name)| *name == pull_secret).map(|(position, _)| position)
    }
}
