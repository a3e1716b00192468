//! AWS: the HTTP stack and the identities that all calls share.

mod denial;
mod directory;
mod failure;
mod held;
mod http;
mod identity;
mod keys;
mod role;
mod sdk_chain;
mod settings;
mod trust;

use std::{
    collections::HashMap,
    hash::Hash,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecr::config::IdentityCache;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use self::settings::{
    IdentitySettings, RoleArn, RoleSettings, is_external_id, is_session_name,
};
pub(crate) use self::{failure::Asked, identity::Identity};
pub use self::{identity::Caller, trust::BundleError};
use self::{
    identity::{Base, Origin},
    sdk_chain::Chain,
};
use crate::{
    Files,
    clock::Clock,
    proxies::{Proxies, ProxyError},
};

/// The AWS of this process. Clones share everything.
#[derive(Debug, Clone)]
pub struct Aws(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The settings that all clients share, without credentials.
    sdk: SdkConfig,
    /// The AWS SDK's chain of credentials.
    chain: Arc<Chain>,
    clock: Clock,
    files: Files,
    /// The base credentials in use, each of them once.
    bases: InUse<Option<PathBuf>, Base>,
    /// The identities of the config, with their sessions.
    identities: Mutex<HashMap<IdentityKey, Arc<Identity>>>,
}

/// An identity and the region that it calls.
pub(crate) type IdentityKey = (IdentitySettings, Option<String>);

/// What is wrong with the environment.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A proxy.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The certificates of `AWS_CA_BUNDLE`.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl Aws {
    /// Loads the AWS SDK's chain of credentials and regions: environment, profile, web identity,
    /// container, instance. It asks for no credentials yet.
    ///
    /// # Errors
    /// When the environment names a proxy or a bundle of certificates that cannot be used.
    pub async fn load(clock: Clock, files: Files) -> Result<Self, EnvironmentError> {
        let client = http::client(trust::store(&files)?, Proxies::from_env()?);
        let (chain, sdk) = Chain::load(clock.clone(), client).await;
        Ok(Self::new(sdk, chain, clock, files))
    }

    /// An AWS that is reached by an HTTP client, with the region and the credentials of `sdk`.
    #[must_use]
    pub fn with_client(
        client: SharedHttpClient,
        region: &'static str,
        credentials: SharedCredentialsProvider,
        clock: Clock,
        files: Files,
    ) -> Self {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(client)
            .region(Region::from_static(region))
            .credentials_provider(credentials)
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts())
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .time_source(SdkTime(clock.clone()))
            .build();
        let chain = Chain::fixed(sdk.credentials_provider());
        Self::new(sdk, chain, clock, files)
    }

    fn new(sdk: SdkConfig, chain: Chain, clock: Clock, files: Files) -> Self {
        let chain = Arc::new(chain);
        let (bases, identities) = (InUse::default(), Mutex::default());
        Self(Arc::new(Shared { sdk, chain, clock, files, bases, identities }))
    }

    /// The region of the environment or the profile.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.0.sdk.region().map(Region::as_ref)
    }

    /// The AWS identity of these settings for a region, by default that of the environment.
    pub(crate) fn identity(
        &self,
        settings: &IdentitySettings,
        region: Option<&str>,
    ) -> Arc<Identity> {
        let shared = &self.0;
        let mut identities = shared.identities.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let directory = &settings.credentials_directory;
            let base = shared.bases.get_or(directory.clone(), || {
                let origin = match directory {
                    Some(directory) => Origin::Directory(directory.clone()),
                    None => Origin::Chain(Arc::clone(&shared.chain)),
                };
                Base::new(origin, shared.clock.clone())
            });
            let region = region.map(|region| Region::new(region.to_owned()));
            let region = region.or_else(|| shared.sdk.region().cloned());
            let role = settings.assume_role.clone();
            Arc::new(Identity::new(&shared.sdk, region, base, role, shared.clock.clone()))
        };
        let key = (settings.clone(), region.map(str::to_owned));
        Arc::clone(identities.entry(key).or_insert_with(make))
    }

    /// Drops the sessions of all other identities.
    pub(crate) fn retain_identities(&self, keys: &[IdentityKey]) {
        let mut identities = self.0.identities.lock().unwrap_or_else(PoisonError::into_inner);
        identities.retain(|key, _| keys.contains(key));
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn files(&self) -> &Files {
        &self.0.files
    }
}

/// The SDK's own retries are off: it does not know `ThrottleException` or a 429 for throttling, and
/// shares its budget of retries between accounts. The token store retries instead, and counts every
/// failure.
fn loader(clock: &Clock, client: SharedHttpClient) -> aws_config::ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts())
        .time_source(SdkTime(clock.clone()))
}

/// The clock of the process, for the SDK: it signs requests with the date.
#[derive(Debug)]
struct SdkTime(Clock);

impl TimeSource for SdkTime {
    fn now(&self) -> SystemTime {
        self.0.wall().into()
    }
}

/// Values that their users share, and that are dropped with the last user.
#[derive(Debug)]
struct InUse<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K, V> Default for InUse<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V> InUse<K, V> {
    fn get_or(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = values.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        values.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make());
        values.insert(key, Arc::downgrade(&value));
        value
    }
}

/// The timeouts of the AWS SDK, which has none by default for reading a response.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_secs(20))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shared_and_dropped_with_its_last_user() {
        let in_use = InUse::default();
        let one = in_use.get_or("key", || 1);
        assert!(Arc::ptr_eq(&one, &in_use.get_or("key", || 2)));
        assert_eq!(*in_use.get_or("other", || 3), 3);
        drop(one);
        assert_eq!(*in_use.get_or("key", || 4), 4);
    }
}
