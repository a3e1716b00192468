//! The failures of jobs.

use std::time::Duration;

/// Why a job failed. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriteFailure {
    /// The kind of failure.
    pub reason: WriteReason,
    /// The error, in a sentence.
    pub message: String,
    /// The delay that the API server asked for.
    pub retry_after: Option<Duration>,
}

/// The kind of a failure: the `reason` label of `ecr_refresher_copy_writes_total`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum WriteReason {
    /// 409: another field manager owns the data of the Secret.
    #[strum(serialize = "owned_by_another")]
    Owned,
    /// 409 or 422 to a job with a precondition: another client has changed the object meanwhile.
    Changed,
    /// 422: the Secret has another type.
    Invalid,
    /// 403 because the namespace is being deleted, or 404 because it is gone.
    NamespaceGone,
    /// 403 because a quota is used up.
    QuotaExceeded,
    /// 403, or another 4xx of an admission policy or webhook: not allowed.
    Forbidden,
    /// 413, 422 or 500: the Secret would be larger than Kubernetes stores it.
    TooLarge,
    /// 429.
    Throttled,
    /// 5xx, and any other answer.
    ServerError,
    /// The API server could not be reached.
    Network,
    /// The API server did not answer in time.
    Timeout,
    /// It was written, and an admission webhook changed it on the way.
    Altered,
}

impl WriteReason {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the same job may succeed later without any change in the cluster.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::Changed | Self::Throttled | Self::ServerError | Self::Network | Self::Timeout
        )
    }

    /// Whether the existing Secret is the cause, and not a fault.
    #[must_use]
    pub const fn is_conflict(self) -> bool {
        matches!(self, Self::Owned | Self::Invalid)
    }
}

/// Whether a message of the API server says that an admission policy or webhook has denied a request.
#[must_use]
pub fn is_denial(message: &str) -> bool {
    message.contains("denied request") || message.contains("denied the request")
}

/// Whether an answer of the API server says that an object or a request is too large: for the API server
/// itself (422 and 413), or for etcd, whose words it passes on.
#[must_use]
pub fn is_too_large(code: u16, message: &str) -> bool {
    let messages = [
        "Too long: ",
        "Request entity too large",
        "etcdserver: request is too large",
        "trying to send message larger than max",
    ];
    code == 413 || messages.iter().any(|part| message.contains(part))
}

/// The last of several failures in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedFailure {
    /// The last failure.
    pub failure: WriteFailure,
    /// How many there were in a row.
    pub count: u32,
    /// Whether it is the first, or has another reason than the one before.
    pub is_new: bool,
    /// The delay before the next attempt.
    pub delay: Duration,
}
