//! What the watch shows of a ServiceAccount.

use k8s_openapi::api::core::v1::ServiceAccount;

use crate::observed::{copy::resource_version, tracked::Versioned};

/// The part of a ServiceAccount that decides on whether its Pods pull with a pull Secret.
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
    /// Where the list has a name, in the order of the list.
    pub(crate) fn places_of(&self, pull_secret: &str) -> Vec<usize> {
        let names = self.pull_secrets.iter().enumerate();
        names.filter(|(_, name)| *name == pull_secret).map(|(place, _)| place).collect()
    }

    /// Reads what counts.
    #[must_use]
    pub fn new(account: &ServiceAccount) -> Self {
        let entries = account.image_pull_secrets.iter().flatten();
        Self {
            resource_version: resource_version(&account.metadata),
            pull_secrets: entries.map(|entry| entry.name.clone()).collect(),
        }
    }
}
