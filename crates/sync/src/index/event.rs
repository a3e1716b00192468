//! The events of the index.

use std::sync::Arc;

use crate::{
    desired::manifest::Manifest,
    job::slot::{AccountSlot, SecretSlot},
    observed::{
        account::ObservedAccount, change::Watched, copy::ObservedCopy, namespace::Namespace,
    },
};

/// Something that the index must know. The results of jobs are not among these.
#[derive(Debug)]
pub enum Event {
    /// From the watch of the namespaces.
    Namespace(Watched<Namespace>),
    /// From the watch of the Secrets with the name of a pull Secret.
    Copy {
        /// The slot of the pull Secret.
        secret: SecretSlot,
        /// The change that the watch shows.
        change: Watched<ObservedCopy>,
    },
    /// From the watch of the ServiceAccounts of one name.
    Account {
        /// The slot of the name.
        account: AccountSlot,
        /// The change that the watch shows.
        change: Watched<ObservedAccount>,
    },
    /// A pull Secret has new content.
    Manifest {
        /// The slot of the pull Secret.
        secret: SecretSlot,
        /// The content.
        manifest: Arc<Manifest>,
    },
}
