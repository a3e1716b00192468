//! Credentials that identities share, and their renewal when AWS no longer accepts them.

use std::path::PathBuf;

use aws_credential_types::Credentials;

use super::{
    directory,
    held::{Held, is_same},
    role::Role,
    sdk_chain::Chain,
};
use crate::{FetchError, Reason, clock::Clock};

/// Where credentials come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// The AWS SDK's chain.
    Chain(Chain),
    /// A folder of key files. They are small and local, so they are read whenever they are needed.
    Directory(PathBuf),
    /// A session of a role.
    Role(Role),
}

/// A principal of AWS. Its credentials are fetched once for all that use it: identities, and roles that
/// are assumed with them.
#[derive(Debug)]
pub(super) struct Principal {
    origin: Origin,
    held: Held,
}

impl Principal {
    pub(super) fn new(origin: Origin, clock: Clock) -> Self {
        Self { origin, held: Held::new(clock) }
    }

    /// Calls AWS. If it returns that the credentials are expired or unknown, and there are others by
    /// now, calls once more with those.
    ///
    /// # Errors
    /// When there are no credentials, and as `call` does.
    pub(super) async fn call<T, F>(&self, call: impl Fn(Credentials) -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        let credentials = self.credentials().await?;
        match call(credentials.clone()).await {
            Err(error) if error.reason == Reason::ExpiredCredentials => {
                match self.instead_of(&credentials).await {
                    Some(others) => call(others).await,
                    None => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    async fn credentials(&self) -> Result<Credentials, FetchError> {
        match &self.origin {
            Origin::Chain(chain) => {
                if chain.follow_files().await {
                    self.held.clear().await;
                }
                self.held.get_or(chain.resolve()).await
            }
            Origin::Directory(directory) => directory::read(directory),
            Origin::Role(role) => self.held.get_or(role.assume()).await,
        }
    }

    /// Others than those that AWS has refused, if there are any.
    async fn instead_of(&self, refused: &Credentials) -> Option<Credentials> {
        self.held.forget(refused).await;
        let others = self.credentials().await.ok()?;
        (!is_same(&others, refused)).then_some(others)
    }
}
