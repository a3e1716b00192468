//! The AWS identity used for calls, and its renewal when AWS no longer accepts it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_config::{Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::{
    RoleSettings, directory,
    failure::Asked,
    held::{Held, is_same},
    role,
    sdk_chain::Chain,
};
use crate::{FetchError, Reason, clock::Clock};

/// Where base credentials come from.
#[derive(Debug)]
pub(super) enum Origin {
    /// The AWS SDK's chain.
    Chain(Arc<Chain>),
    /// A folder of key files. They are small and local, so they are read whenever they are needed.
    Directory(PathBuf),
}

/// The credentials of the process. All roles that are assumed with them share them.
#[derive(Debug)]
pub(super) struct Base {
    origin: Origin,
    held: Held,
}

impl Base {
    pub(super) fn new(origin: Origin, clock: Clock) -> Self {
        Self { origin, held: Held::new(clock) }
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
        }
    }
}

/// One AWS identity in one region.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The settings that all clients share, with the region, without credentials.
    sdk: SdkConfig,
    base: Arc<Base>,
    role: Option<RoleSettings>,
    session: Held,
    clock: Clock,
    introduced: AtomicBool,
    caller: OnceCell<Caller>,
}

/// A principal, as AWS names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its ARN.
    pub arn: String,
    /// Its account: twelve digits.
    pub account: String,
}

impl Caller {
    /// A reply that lacks one of them was cut off, or is not AWS's own.
    fn new(arn: Option<String>, account: Option<String>) -> Result<Self, FetchError> {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        match (present(arn), present(account)) {
            (Some(arn), Some(account)) => Ok(Self { arn, account }),
            _ => Err(FetchError::new(
                Reason::BadResponse,
                "STS returned no ARN or no account for GetCallerIdentity; check AWS_ENDPOINT_URL",
            )),
        }
    }
}

impl Identity {
    pub(super) fn new(
        sdk: &SdkConfig,
        region: Option<Region>,
        base: Arc<Base>,
        role: Option<RoleSettings>,
        clock: Clock,
    ) -> Self {
        Self {
            sdk: sdk.to_builder().region(region).build(),
            base,
            role,
            session: Held::new(clock.clone()),
            clock,
            introduced: AtomicBool::new(false),
            caller: OnceCell::new(),
        }
    }

    /// The region of the calls; `None` when neither the config nor the AWS SDK's chain has one.
    pub(crate) fn region(&self) -> Option<&Region> {
        self.sdk.region()
    }

    /// The ARN, once AWS has returned it.
    pub(crate) fn arn(&self) -> Option<&str> {
        self.caller.get().map(|caller| caller.arn.as_str())
    }

    /// Calls AWS. If it returns that the credentials are expired or unknown, and there are others by
    /// now, calls once more with those.
    ///
    /// # Errors
    /// When there are no credentials, and as `call` does.
    pub(crate) async fn call<T, F>(&self, call: impl Fn(SdkConfig) -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        let credentials = self.credentials().await?;
        let outcome = call(self.with(&credentials)).await;
        match outcome {
            Err(error) if error.reason == Reason::ExpiredCredentials => {
                match self.instead_of(&credentials).await {
                    Some(others) => call(self.with(&others)).await,
                    None => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    /// Logs the identity as AWS knows it, once.
    pub(crate) async fn introduce(&self) {
        if self.introduced.swap(true, Ordering::Relaxed) {
            return;
        }
        match self.caller().await {
            Ok(Caller { arn, account }) => {
                let region = self.region().map(Region::as_ref).unwrap_or_default();
                info!(arn, account, region, "AWS calls use this identity");
            }
            Err(error) => warn!(reason = %error.reason, "could not get the AWS identity: {error}"),
        }
    }

    /// The identity as AWS knows it (`GetCallerIdentity`), asked for once.
    ///
    /// # Errors
    /// If AWS cannot be reached, or refuses.
    pub(crate) async fn caller(&self) -> Result<&Caller, FetchError> {
        self.caller.get_or_try_init(|| self.ask_caller()).await
    }

    async fn ask_caller(&self) -> Result<Caller, FetchError> {
        let asked = Asked {
            service: "STS",
            actions: "sts:GetCallerIdentity",
            resource: "*",
            identity: None,
        };
        let caller = self
            .call(|sdk| async move {
                let reply = aws_sdk_sts::Client::new(&sdk).get_caller_identity().send().await;
                reply.map_err(|error| asked.describe(&error))
            })
            .await?;
        Caller::new(caller.arn, caller.account)
    }

    async fn credentials(&self) -> Result<Credentials, FetchError> {
        match &self.role {
            Some(role) => self.session.get_or(self.assume(role)).await,
            None => self.base.credentials().await,
        }
    }

    /// Others than those that AWS has refused, if there are any.
    async fn instead_of(&self, refused: &Credentials) -> Option<Credentials> {
        self.session.forget(refused).await;
        self.base.held.forget(refused).await;
        let others = self.credentials().await.ok()?;
        (!is_same(&others, refused)).then_some(others)
    }

    /// Begins a session of the role. AWS may no longer accept the base credentials, because they were
    /// replaced.
    async fn assume(&self, role: &RoleSettings) -> Result<Credentials, FetchError> {
        let base = self.base.credentials().await?;
        match role::assume(&self.with(&base), role, &self.clock).await {
            Err(error) if error.reason == Reason::ExpiredCredentials => {
                self.base.held.forget(&base).await;
                let others = self.base.credentials().await.ok();
                match others.filter(|others| !is_same(others, &base)) {
                    Some(others) => role::assume(&self.with(&others), role, &self.clock).await,
                    None => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    fn with(&self, credentials: &Credentials) -> SdkConfig {
        let provider = SharedCredentialsProvider::new(credentials.clone());
        self.sdk.to_builder().credentials_provider(provider).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_reply_has_no_caller() {
        let text = |text: &str| Some(text.to_owned());
        let caller = Caller::new(text("arn:aws:iam::1:user/a"), text("1")).unwrap();
        assert_eq!((&*caller.arn, &*caller.account), ("arn:aws:iam::1:user/a", "1"));
        for (arn, account) in [
            (None, text("1")),
            (text("arn:aws:iam::1:user/a"), None),
            (text(""), text("1")),
            (text("arn:aws:iam::1:user/a"), text("")),
        ] {
            let error = Caller::new(arn, account).unwrap_err();
            assert_eq!(error.reason, Reason::BadResponse);
            assert!(error.message.contains("AWS_ENDPOINT_URL"), "{error}");
        }
    }
}
