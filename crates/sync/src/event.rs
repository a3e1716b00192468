//! What can happen to the index.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use crate::{Deletion, Link, Manifest, Observed, ObservedAccount, Write};

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
        change: Watched<Observed>,
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

/// What a watch tells. A list comes first, and again whenever the watch has lost its place.
#[derive(Debug)]
pub enum Watched<T> {
    /// A list begins: what it does not name is gone when it ends.
    ListBegun,
    /// In the list there is this object.
    Listed(String, T),
    /// The list is complete.
    ListEnded,
    /// An object was made or changed.
    Changed(String, T),
    /// An object is gone.
    Gone(String, T),
}

/// A namespace, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Whether it is being deleted, so that nothing can be created in it.
    pub terminating: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was written, and this is there now.
    Written(Observed),
    /// It was not written.
    Failed(WriteFailure),
}

/// Why a copy was not written. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriteFailure {
    /// The kind of failure.
    pub reason: WriteReason,
    /// What happened, in a sentence.
    pub message: String,
    /// How long the API server asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// The kind of a failed write: the `reason` label of `ecr_refresher_copy_writes_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WriteReason {
    /// 409: another field manager owns the data of a Secret of that name.
    Owned,
    /// 409 or 422 to a write that has a condition: somebody has changed the object meanwhile.
    Changed,
    /// 422: a Secret of that name has another type.
    Invalid,
    /// 403 because the namespace is being deleted, or 404 because it is gone.
    NamespaceGone,
    /// 403 because a quota is used up.
    QuotaExceeded,
    /// 403, or 422 from an admission policy: the RBAC rules, a policy or a webhook do not allow it.
    Forbidden,
    /// 429.
    Throttled,
    /// 5xx, and whatever else the API server answers.
    ServerError,
    /// The API server cannot be reached.
    Network,
    /// The API server did not answer in time.
    Timeout,
    /// It was written, and something on the way changed it: an admission webhook.
    Altered,
}

impl WriteReason {
    /// Every reason, for metrics that start at 0.
    pub const ALL: [Self; 11] = [
        Self::Owned,
        Self::Changed,
        Self::Invalid,
        Self::NamespaceGone,
        Self::QuotaExceeded,
        Self::Forbidden,
        Self::Throttled,
        Self::ServerError,
        Self::Network,
        Self::Timeout,
        Self::Altered,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owned => "owned_by_another",
            Self::Changed => "changed",
            Self::Invalid => "invalid",
            Self::NamespaceGone => "namespace_gone",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Forbidden => "forbidden",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Altered => "altered",
        }
    }

    /// Whether the same write may succeed later though nobody does anything about it.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Changed | Self::Throttled | Self::ServerError | Self::Network | Self::Timeout
        )
    }

    /// Whether the Secret that is there stands in the way, rather than a fault.
    #[must_use]
    pub const fn is_conflict(self) -> bool {
        matches!(self, Self::Owned | Self::Invalid)
    }
}

impl fmt::Display for WriteReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
