//! Tokens from Amazon ECR: private registries, and ECR Public.

mod hosts;
#[cfg(test)]
mod mangled_replies;
mod plan;
pub mod reply;
mod served;
mod shared;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;

pub(crate) use self::shared::{Api, SharedTokens};
pub use self::{
    hosts::{Variant, has_variant, partition_of},
    served::Served,
};
use self::{
    plan::{HostPlan, PrivatePlan},
    reply::Token,
    served::ServedBy,
};
use crate::{
    Credentials, FetchError, Reason,
    aws::{Aws, Caller, IdentitySettings},
};

/// How to ask one ECR region, and which hosts its token is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrSettings {
    /// The region to ask; `None` for the AWS SDK's chain.
    pub region: Option<String>,
    /// The AWS accounts whose hosts are written; empty for the account that ECR answers for.
    pub accounts: Vec<String>,
    /// The forms of the hosts that are written; empty for the standard one.
    pub variants: Vec<Variant>,
    /// As whom to ask.
    pub identity: IdentitySettings,
    /// An endpoint to ask in place of the region's own.
    pub endpoint_url: Option<String>,
}

/// How to ask ECR Public.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EcrPublicSettings {
    /// As whom to ask.
    pub identity: IdentitySettings,
    /// An endpoint to ask in place of its own.
    pub endpoint_url: Option<String>,
}

/// An ECR registry. What it asks for it shares with all of the same identity, region and endpoint.
#[derive(Debug)]
pub struct EcrSource {
    tokens: Arc<SharedTokens>,
    plan: HostPlan,
    served: Arc<ServedBy>,
    /// The number of the newest answer that this registry has had.
    seen: AtomicU64,
}

impl EcrSource {
    /// A private registry of this name.
    #[must_use]
    pub fn new(name: Arc<str>, aws: &Aws, settings: EcrSettings) -> Self {
        let EcrSettings { region, accounts, variants, identity, endpoint_url } = settings;
        let endpoint = endpoint_url.as_deref();
        let tokens = aws.tokens(Api::Private, &identity, region.as_deref(), endpoint);
        let role_account = identity.assume_role.map(|role| role.arn.account().to_owned());
        let own_endpoint = endpoint_url.is_some();
        let plan = PrivatePlan { accounts, variants, role_account, own_endpoint };
        Self::with(name, aws, tokens, HostPlan::Private(plan))
    }

    /// ECR Public, under this name.
    #[must_use]
    pub fn public(name: Arc<str>, aws: &Aws, settings: &EcrPublicSettings) -> Self {
        let EcrPublicSettings { identity, endpoint_url } = settings;
        let region = Some(Api::PUBLIC_REGION);
        let tokens = aws.tokens(Api::Public, identity, region, endpoint_url.as_deref());
        Self::with(name, aws, tokens, HostPlan::Public)
    }

    fn with(name: Arc<str>, aws: &Aws, tokens: Arc<SharedTokens>, plan: HostPlan) -> Self {
        let served = aws.served().enter(name, plan.known(tokens.region()));
        Self { tokens, plan, served, seen: AtomicU64::new(0) }
    }

    /// Gets a token that this registry has not had yet: one that another registry of the same
    /// identity has got meanwhile in the same `round`, or else a new one.
    ///
    /// # Errors
    /// When AWS cannot be reached, refuses, answers nonsense, or answers for other hosts.
    pub async fn fetch(&self, now: Timestamp, round: u64) -> Result<Credentials, FetchError> {
        let answer = self.tokens.ask(self.seen.load(Ordering::Relaxed), round, now).await;
        self.seen.store(answer.number, Ordering::Relaxed);
        let credentials = self.credentials(&answer.outcome?)?;
        self.hold(&credentials);
        Ok(credentials)
    }

    /// As whom AWS knows whoever asks: one call for all registries of the same identity.
    ///
    /// # Errors
    /// When AWS cannot be reached, or refuses.
    pub async fn caller(&self) -> Result<Caller, FetchError> {
        self.tokens.caller().await
    }

    /// Waits until another registry of the same identity has got a token that this one has not had.
    pub async fn renewed(&self) {
        self.tokens.renewed(self.seen.load(Ordering::Relaxed)).await;
    }

    /// Takes note of credentials that the registry had before a restart.
    pub(crate) fn hold(&self, credentials: &Credentials) {
        self.served.set(credentials.entries.keys());
    }

    fn credentials(&self, token: &Token) -> Result<Credentials, FetchError> {
        let region = self.tokens.region().unwrap_or_default();
        let hosts = self.plan.hosts(region, token.host.as_ref());
        let hosts =
            hosts.map_err(|error| FetchError::new(Reason::BadResponse, error.to_string()))?;
        let entries = hosts.into_iter().map(|host| (host, token.auth.clone())).collect();
        Ok(Credentials { entries, lifetime: Some(token.lifetime) })
    }
}
