//! What can happen to the index.

use std::sync::Arc;

use super::{Write, accounts::Link, prune::Deletion};
use crate::{
    desired::manifest::Manifest,
    job::failure::WriteFailure,
    observed::{
        account::ObservedAccount, change::Watched, copy::ObservedCopy, namespace::Namespace,
    },
};

/// Something that the index has to know.
#[derive(Debug)]
pub enum Event {
    /// From the watch of the namespaces.
    Namespace(Watched<Namespace>),
    /// From the watch of the Secrets with the name of a pull Secret.
    Copy {
        /// The pull Secret's place in the index.
        secret: usize,
        /// What was seen; the name is the namespace.
        change: Watched<ObservedCopy>,
    },
    /// A pull Secret has new content.
    Manifest {
        /// The pull Secret's place in the index.
        secret: usize,
        /// What its copies are to be.
        manifest: Arc<Manifest>,
    },
    /// From the watch of the ServiceAccounts of one name.
    Account {
        /// The name's place in the index.
        account: usize,
        /// What was seen; the name is the namespace.
        change: Watched<ObservedAccount>,
    },
    /// A change of a ServiceAccount has ended.
    Linked {
        /// The change.
        link: Link,
        /// What is there now, or why it was not changed.
        outcome: Result<ObservedAccount, WriteFailure>,
    },
    /// A deletion has ended.
    Deleted {
        /// The deletion.
        deletion: Deletion,
        /// Why the copy is there still, if it is.
        failure: Option<WriteFailure>,
    },
    /// A write has ended.
    Written {
        /// The write.
        write: Write,
        /// How it ended.
        outcome: Outcome,
    },
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was written, and this is there now.
    Written(ObservedCopy),
    /// It was not written.
    Failed(WriteFailure),
}
