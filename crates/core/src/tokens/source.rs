//! Where tokens come from.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Auth, Entry, EntryError, Host, Lifetime, aws::IdentitySettings};

/// The two APIs that give tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Api {
    /// Amazon ECR.
    Ecr,
    /// Amazon ECR Public.
    EcrPublic,
}

impl Api {
    /// The region of ECR Public's API (ECR Public API reference, `GetAuthorizationToken`).
    pub const PUBLIC_REGION: &str = "us-east-1";
}

/// A token source. Registries with equal settings share its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenSource {
    /// An API of AWS, called as one identity.
    Aws(AwsSource),
    /// A docker config file.
    File(PathBuf),
}

/// An API of AWS, and how it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsSource {
    /// The API.
    pub api: Api,
    /// The AWS identity of the calls.
    #[serde(default)]
    pub identity: IdentitySettings,
    /// The region of the API; `None` where neither the config nor the environment names one.
    pub region: Option<String>,
    /// An endpoint that replaces that of the region.
    pub endpoint_url: Option<String>,
}

/// The key of a token source: its settings as one line of JSON, which is the same in every process.
/// There is no secret in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey(Arc<str>);

impl TokenSource {
    /// The API in one word: the `api` label of `ecr_refresher_token_request_duration_seconds`.
    pub(crate) fn api_name(&self) -> &'static str {
        match self {
            Self::Aws(AwsSource { api: Api::Ecr, .. }) => "ecr",
            Self::Aws(AwsSource { api: Api::EcrPublic, .. }) => "ecr_public",
            Self::File(_) => "file",
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> SourceKey {
        // Plain structs of texts always serialise, if their paths are UTF-8, as those of a config are.
        SourceKey(serde_json::to_string(self).unwrap_or_default().into())
    }
}

impl SourceKey {
    /// The line of JSON.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SourceKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The result of a token source. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A token of ECR.
    Ecr {
        /// The user and the password.
        auth: Auth,
        /// How long it lives.
        lifetime: Lifetime,
        /// The host of the registry that came with it; ECR Public names none.
        host: Option<Host>,
    },
    /// The entries of a docker config file, which do not expire.
    File(FileEntries),
}

/// The entries of a docker config file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileEntries {
    /// Those with which somebody can pull, by their keys as they are written.
    pub usable: BTreeMap<String, Entry>,
    /// The keys of the others, and why.
    pub left_out: BTreeMap<String, EntryError>,
}

impl Token {
    /// How long it lives; `None` when it does not expire.
    #[must_use]
    pub fn lifetime(&self) -> Option<Lifetime> {
        match self {
            Self::Ecr { lifetime, .. } => Some(*lifetime),
            Self::File(_) => None,
        }
    }

    /// Whether it has expired at `now`.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.lifetime().is_some_and(|lifetime| lifetime.is_expired(now))
    }
}
