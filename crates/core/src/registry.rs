//! A named source of credentials.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{Credentials, FetchError, ecr::EcrSource, file::FileSource};

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
    /// A private ECR registry, asked for tokens.
    Ecr(EcrSource),
    /// A docker config file.
    File(FileSource),
}

impl Source {
    /// Gets credentials now.
    ///
    /// # Errors
    /// When the source cannot be reached, refuses, or answers nonsense.
    pub async fn fetch(&self, now: Timestamp) -> Result<Credentials, FetchError> {
        match self {
            Self::Ecr(ecr) => ecr.fetch(now).await,
            Self::File(file) => file.read(),
        }
    }
}
