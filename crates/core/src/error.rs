//! Why a registry has no new credentials.

use std::{fmt, time::Duration};

/// The kind of a failure: the `reason` label of `ecr_refresher_token_requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// AWS knows the identity and refuses it.
    AccessDenied,
    /// Too many calls: AWS asks for patience.
    Throttled,
    /// The AWS credentials are expired, or AWS does not know them.
    ExpiredCredentials,
    /// The AWS SDK's chain found no credentials.
    NoCredentials,
    /// Neither the config nor the AWS SDK's chain names a region.
    NoRegion,
    /// The endpoint could not be reached.
    Network,
    /// The endpoint did not answer in time.
    Timeout,
    /// The answer makes no sense.
    BadResponse,
    /// The endpoint answered that it failed.
    ServerError,
    /// A registry's file cannot be read or makes no sense.
    File,
}

impl Reason {
    /// Every reason, for metrics that start at 0.
    pub const ALL: [Self; 10] = [
        Self::AccessDenied,
        Self::Throttled,
        Self::ExpiredCredentials,
        Self::NoCredentials,
        Self::NoRegion,
        Self::Network,
        Self::Timeout,
        Self::BadResponse,
        Self::ServerError,
        Self::File,
    ];

    /// The label's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::Throttled => "throttled",
            Self::ExpiredCredentials => "expired_credentials",
            Self::NoCredentials => "no_credentials",
            Self::NoRegion => "no_region",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::BadResponse => "bad_response",
            Self::ServerError => "server_error",
            Self::File => "file",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A registry that could not be asked, or that gave no credentials. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What kind of failure this is.
    pub reason: Reason,
    /// What happened and what to do about it, in a sentence.
    pub message: String,
    /// How long the other side asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl FetchError {
    /// A failure with nothing asked of the next attempt.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }
}
