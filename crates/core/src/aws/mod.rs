//! AWS: the HTTP stack and the identities that all calls share.

mod denial;
mod directory;
mod failure;
mod held;
mod http;
mod identity;
mod keys;
mod principal;
mod role;
mod sdk_chain;
mod settings;
mod trust;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_ecr::config::IdentityCache;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::ServiceConfigKey;

pub use self::settings::{
    IdentitySettings, RoleArn, RoleSettings, is_external_id, is_session_name,
};
pub(crate) use self::{
    failure::{Asked, NO_REGION},
    identity::Identity,
};
pub use self::{identity::Caller, trust::BundleError};
use self::{
    principal::{Origin, Principal},
    role::Role,
    sdk_chain::Chain,
    settings::sts_region,
};
use crate::{
    Files,
    clock::Clock,
    connect::{
        CONNECT_TIMEOUT,
        proxies::{Proxies, ProxyError},
    },
    ecr::EcrDefaults,
};

/// The AWS of this process. Clones share everything.
#[derive(Debug, Clone)]
pub struct Aws(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The settings that all clients share, without credentials.
    sdk: SdkConfig,
    /// Whether these are the environment's, and its chain of credentials can be loaded for any region.
    of_environment: bool,
    clock: Clock,
    files: Files,
    /// The principals in use, each of them once, with the region in which STS is asked by default.
    principals: InUse<IdentityKey, Principal>,
    /// The identities of the config, with their sessions.
    identities: Mutex<HashMap<IdentityKey, Arc<Identity>>>,
}

/// An identity and the region that it calls.
pub(crate) type IdentityKey = (IdentitySettings, Option<String>);

/// An error in the environment.
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
        let client = http::client(trust::config(&files)?, Proxies::from_env()?);
        let sdk = loader(&clock, client).load().await;
        Ok(Self::new(sdk, true, clock, files))
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
        Self::new(sdk, false, clock, files)
    }

    fn new(sdk: SdkConfig, of_environment: bool, clock: Clock, files: Files) -> Self {
        let (principals, identities) = (InUse::default(), Mutex::default());
        Self(Arc::new(Shared { sdk, of_environment, clock, files, principals, identities }))
    }

    /// The settings of ECR's API in the environment or the profile.
    #[must_use]
    pub fn ecr_defaults(&self) -> EcrDefaults {
        let sdk = &self.0.sdk;
        let of_ecr = ServiceConfigKey::builder()
            .service_id("ECR")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()
            .and_then(|key| sdk.service_config()?.load_config(key));
        EcrDefaults {
            region: self.region().map(str::to_owned),
            own_endpoint: sdk.endpoint_url().is_some() || of_ecr.is_some(),
            fips: sdk.use_fips() == Some(true),
            dual_stack: sdk.use_dual_stack() == Some(true),
        }
    }

    /// The region of the environment or the profile.
    fn region(&self) -> Option<&str> {
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
            let region = region.or(self.region());
            let sts = sts_region(self.region(), region);
            let principal = shared.principal(settings, sts);
            let of_role = settings.roles.last().and_then(|role| role.region.as_deref());
            let (sdk, sts) = (shared.in_region(region), shared.in_region(of_role.or(sts)));
            Arc::new(Identity::new(sdk, sts, principal))
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

impl Shared {
    /// The principal of these settings: the last role, which is assumed with the role before it, and so
    /// on to the base credentials. `sts` is the region in which STS is asked by default.
    fn principal(&self, settings: &IdentitySettings, sts: Option<&str>) -> Arc<Principal> {
        let share = |roles: &[RoleSettings], origin: &dyn Fn() -> Origin| {
            let settings = IdentitySettings { roles: roles.to_vec(), ..settings.clone() };
            let key = (settings, sts.map(str::to_owned));
            self.principals.get_or(key, || Principal::new(origin(), self.clock.clone()))
        };
        let mut principal = share(&[], &|| match &settings.credentials_directory {
            Some(directory) => Origin::Directory(directory.clone()),
            None => Origin::Chain(self.chain(sts)),
        });
        for (index, role) in settings.roles.iter().enumerate() {
            let assumed_by = principal;
            principal = share(&settings.roles[..=index], &|| {
                Origin::Role(Role {
                    settings: role.clone(),
                    sts: self.in_region(role.region.as_deref().or(sts)),
                    assumed_by: Arc::clone(&assumed_by),
                    clock: self.clock.clone(),
                })
            });
        }
        principal
    }

    /// The AWS SDK's chain of credentials, whose links ask STS in a region.
    fn chain(&self, region: Option<&str>) -> Chain {
        let (sdk, clock) = (self.in_region(region), self.clock.clone());
        if self.of_environment {
            Chain::of_environment(sdk, clock)
        } else {
            Chain::fixed(sdk, clock)
        }
    }

    fn in_region(&self, region: Option<&str>) -> SdkConfig {
        let region = region.map(|region| Region::new(region.to_owned()));
        self.sdk.to_builder().region(region).build()
    }
}

/// The settings of a client that calls AWS with credentials.
fn signed(sdk: &SdkConfig, credentials: Credentials) -> SdkConfig {
    let provider = SharedCredentialsProvider::new(credentials);
    sdk.to_builder().credentials_provider(provider).build()
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
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(Duration::from_secs(15))
        .operation_timeout(Duration::from_secs(20))
        .build()
}

#[cfg(test)]
mod tests;
