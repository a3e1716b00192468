//! A named source of credentials.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{Credentials, FetchError, aws::Caller, ecr::EcrSource, file::FileSource};

/// A registry of the config: a name, and where its credentials come from.
#[derive(Debug)]
pub struct Registry {
    /// The name by which pull Secrets, logs and metrics refer to it.
    pub name: Arc<str>,
    /// Where its credentials come from.
    pub source: Source,
}

/// The kinds of registries.
#[derive(Debug)]
pub enum Source {
    /// An ECR registry, private or public, asked for tokens.
    Ecr(EcrSource),
    /// A docker config file.
    File(FileSource),
}

impl Source {
    /// Gets credentials now. Registries that ask AWS as the same identity share their tokens within
    /// a `round`: with another one, new tokens are fetched.
    ///
    /// # Errors
    /// When the source cannot be reached, refuses, or answers nonsense.
    pub async fn fetch(&self, now: Timestamp, round: u64) -> Result<Credentials, FetchError> {
        match self {
            Self::Ecr(ecr) => ecr.fetch(now, round).await,
            Self::File(file) => file.read(),
        }
    }

    /// As whom AWS knows whoever asks; `None` where AWS is not asked.
    ///
    /// # Errors
    /// The inner one, when AWS cannot be reached, or refuses.
    pub async fn caller(&self) -> Option<Result<Caller, FetchError>> {
        match self {
            Self::Ecr(ecr) => Some(ecr.caller().await),
            Self::File(_) => None,
        }
    }

    /// Waits until there are newer credentials than were last got, at no cost.
    pub async fn renewed(&self) {
        match self {
            Self::Ecr(ecr) => ecr.renewed().await,
            Self::File(_) => std::future::pending().await,
        }
    }

    /// Takes note of credentials that are held without having been got from here.
    pub fn hold(&self, credentials: &Credentials) {
        if let Self::Ecr(ecr) = self {
            ecr.hold(credentials);
        }
    }
}
