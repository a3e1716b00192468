//! Why a job failed.

use std::{fmt, time::Duration};

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

/// A failure, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedFailure {
    /// What happened.
    pub failure: WriteFailure,
    /// How often it has failed in a row.
    pub count: u32,
    /// How long it waits now.
    pub delay: Duration,
}
