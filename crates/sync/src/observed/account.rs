//! A ServiceAccount in a list or a watch.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::{copy::resource_version, tracked::Versioned};

/// The part of a ServiceAccount that decides whether its Pods pull with a pull Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedAccount {
    /// Its resourceVersion, a number that grows with each change.
    pub resource_version: u64,
    /// The names in its `imagePullSecrets`, in their order.
    pub pull_secrets: Vec<String>,
}

impl Versioned for ObservedAccount {
    fn version(&self) -> u64 {
        self.resource_version
    }
}

impl ObservedAccount {
    /// Reads a ServiceAccount.
    #[must_use]
    pub fn new(account: &ServiceAccount) -> Self {
        let entries = account.image_pull_secrets.iter().flatten();
        Self {
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
