//! Why a registry has no new credentials.

use std::time::Duration;

/// The kind of a failure: the `reason` label of `ecr_refresher_token_requests_total`.
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
pub enum Reason {
    /// The AWS identity does not have the permission.
    AccessDenied,
    /// Too many calls.
    Throttled,
    /// The AWS credentials are expired or unknown to AWS.
    ExpiredCredentials,
    /// The AWS SDK's chain found no credentials.
    NoCredentials,
    /// Neither the config nor the AWS SDK's chain names a region.
    NoRegion,
    /// The region is not enabled for the account.
    RegionDisabled,
    /// The settings of the endpoint contradict each other.
    InvalidEndpoint,
    /// The endpoint could not be reached.
    Network,
    /// The endpoint did not answer in time.
    Timeout,
    /// The response is unparseable or unusable.
    BadResponse,
    /// The endpoint returned a server error.
    ServerError,
    /// A registry's file is unreadable or invalid.
    File,
    /// A library has panicked.
    Internal,
}

impl Reason {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a token source returned no token. It never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// The kind of the failure.
    pub reason: Reason,
    /// What happened, why, and what to do.
    pub message: String,
    /// The delay that the endpoint asked for.
    pub retry_after: Option<Duration>,
}

impl FetchError {
    /// A failure without a requested delay.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }
}
