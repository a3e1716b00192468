//! Fetches tokens from their sources.

mod ecr;
mod file;
#[cfg(test)]
mod mangled_replies;
pub mod reply;

use std::sync::Arc;

use crate::{
    FetchError,
    aws::{Aws, Caller, Identity},
    caught::caught,
    tokens::{AwsSource, Token, TokenSource},
};

impl Aws {
    /// Fetches a new token, or reads the file.
    ///
    /// # Errors
    /// If the source cannot be reached, refuses, or returns something unusable, or if a library panics.
    pub async fn fetch(&self, source: &TokenSource) -> Result<Token, FetchError> {
        caught(Box::pin(async {
            match source {
                TokenSource::File(path) => file::read(path, self.files()),
                TokenSource::Aws(source) => {
                    ecr::fetch(source, &self.identity_of(source), self.clock()).await
                }
            }
        }))
        .await
    }

    /// Logs the identity of the calls of a source as AWS knows it, once.
    pub async fn introduce(&self, source: &TokenSource) {
        if let TokenSource::Aws(source) = source {
            self.identity_of(source).introduce().await;
        }
    }

    /// The identity of the calls of a source as AWS knows it; `None` for a file.
    ///
    /// # Errors
    /// The inner one, if AWS cannot be reached, or refuses.
    pub async fn caller(&self, source: &TokenSource) -> Option<Result<Caller, FetchError>> {
        match source {
            TokenSource::Aws(source) => {
                let identity = self.identity_of(source);
                Some(caught(Box::pin(async { identity.caller().await.cloned() })).await)
            }
            TokenSource::File(_) => None,
        }
    }

    /// Drops the sessions of the identities that no source uses.
    pub fn retain<'a>(&self, sources: impl Iterator<Item = &'a TokenSource>) {
        let key = |source: &TokenSource| match source {
            TokenSource::Aws(source) => Some((source.identity.clone(), source.region.clone())),
            TokenSource::File(_) => None,
        };
        self.retain_identities(&sources.filter_map(key).collect::<Vec<_>>());
    }

    fn identity_of(&self, source: &AwsSource) -> Arc<Identity> {
        self.identity(&source.identity, source.region.as_deref())
    }
}
